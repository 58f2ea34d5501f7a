"""The devices of a household, each behind its daemon's socket. Blocking: the console calls it off the event loop.

A device whose daemon does not answer is away, with the reason; the others go on. Nothing here opens anything.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from device.control import Answer, ControlClient, ControlError
from device.pinned import owner_public
from device.settings import FILE_NAME, DeviceSettings, SettingsError, load_settings
from device.vault.keys import OwnerPublic

MOST_DEVICES = 64


class NoDeviceError(Exception):
    """There is no such device in this household; the message is one line for a person."""


@dataclass(frozen=True, slots=True)
class Device:
    """One device: its folder, its settings as they stand there, and who opens what it seals."""

    name: str
    home: Path
    settings: DeviceSettings
    owner: OwnerPublic

    def call(self, op: str, body: bytes = b"", **arguments: Any) -> Any:
        """Ask its daemon; raises ControlError if it is away or refuses."""
        return ControlClient(self.home).call(op, body, **arguments)

    def exchange(self, op: str, body: bytes = b"", **arguments: Any) -> Answer:
        """Ask its daemon for something with raw bytes behind it."""
        return ControlClient(self.home).exchange(op, body, **arguments)


@contextmanager
def in_known_form(device: Device) -> Iterator[None]:
    """Read a daemon's answers: one in another form is this device's trouble (ControlError), and nobody else's."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ControlError(f"the daemon of {device.name} answers in another form; is it another version?") from error


class Household:
    """All devices, by name."""

    def __init__(self, devices: Sequence[Device]) -> None:
        self._devices = {device.name: device for device in devices}

    @property
    def devices(self) -> Sequence[Device]:
        """The devices, in the order of their names."""
        return [self._devices[name] for name in sorted(self._devices)]

    def device(self, name: str) -> Device:
        """Return one device; raises NoDeviceError."""
        try:
            return self._devices[name]
        except KeyError:
            raise NoDeviceError(f"there is no device {name[:40]!r} in this household") from None


def find_household(folders: Sequence[Path]) -> Household:
    """Return the devices whose folders these are, or lie in these; raises SettingsError, VaultError."""
    homes = [home for folder in folders for home in _homes_in(folder)]
    if len(homes) > MOST_DEVICES:
        raise SettingsError(f"that are {len(homes)} devices; a console serves at most {MOST_DEVICES}")
    found: dict[str, Device] = {}
    for home in dict.fromkeys(path.resolve() for path in homes):
        settings = load_settings(home)
        name = settings.device.name
        if name in found:
            raise SettingsError(f"{home} and {found[name].home} are both called {name}; rename one in its device.toml")
        found[name] = Device(name, home, settings, owner_public(home / settings.owner_file))
    return Household(list(found.values()))


def _homes_in(folder: Path) -> list[Path]:
    if (folder / FILE_NAME).is_file():
        return [folder]
    if not folder.is_dir():
        raise SettingsError(f"{folder} is no folder; give --home a device's folder, or one that holds several")
    homes = sorted(path.parent for path in folder.glob(f"*/{FILE_NAME}"))
    if not homes:
        raise SettingsError(f"{folder} is no device's folder and holds none; 'latchstring device init' makes one")
    return homes
