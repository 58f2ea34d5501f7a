"""What the owner's tools do with a daemon's answers before anything is opened: verify them again, read what is sealed.

The command line and the console share it. Blocking, over the control socket.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from broker.wire.encoding import from_base64
from broker.wire.records import Release
from device.consent.reading.told import ToldView
from device.consent.release import DeviceFacts
from device.consent.trust import Trust, VerifiedRequest
from device.control import Answer
from device.pinned import log_policy
from device.settings import DeviceSettings, SettingsError

if TYPE_CHECKING:
    from device.consent.review import SealedSegment

_MOST = 1_000  # segments in a batch; the daemon bounds its bytes


class Asks(Protocol):
    """A daemon's control socket."""

    def call(self, op: str, body: bytes = b"", **arguments: Any) -> Any:
        """Return the result of an operation; raises ControlError."""

    def exchange(self, op: str, body: bytes = b"", **arguments: Any) -> Answer:
        """Return the result and the raw bytes behind it; raises ControlError."""


def verify_again(
    home: Path, settings: DeviceSettings, summary: Mapping[str, Any], announcement: bytes
) -> VerifiedRequest:
    """Verify a request in this process too: what can be checked is not taken on the daemon's word.

    Raises SettingsError, WireError, ConsentError.
    """
    section = settings.neighbourhood
    if section is None:
        raise SettingsError(f"the settings in {home} have no [neighbourhood]")
    leaf = summary["leaf"]
    told = ToldView(summary["read"], leaf=leaf, operator_key=from_base64(section.operator_key))
    return Trust(policy=log_policy(home, section), view=told).verify(announcement, leaf=leaf)


def device_facts(daemon: Asks) -> DeviceFacts:
    """Return what a release says of a device."""
    facts = daemon.call("facts")
    return DeviceFacts(name=facts["device"], key=from_base64(facts["key"]), camera=facts["camera"], kind=facts["kind"])


def sealed_segments(daemon: Asks, clip: str) -> "list[SealedSegment]":
    """Return a clip's segments, still sealed; they are read in batches, once each, as they are asked for in order."""
    from device.consent.review import SealedSegment  # noqa: PLC0415 - cv2 and av take their time

    statements = [from_base64(text) for text in daemon.call("segments", clip=clip)]
    batches = _Batches(daemon, clip)
    return [SealedSegment(statement, partial(batches.read, number)) for number, statement in enumerate(statements)]


def sign_release(daemon: Asks, release: Release) -> bytes:
    """Have the device sign what a bundle says of it."""
    return daemon.exchange("sign_release", release.payload())[1]


class _Batches:
    """Reads many segments for one connection's price, and holds no more than one batch."""

    def __init__(self, daemon: Asks, clip: str) -> None:
        self._daemon = daemon
        self._clip = clip
        self._held: dict[int, bytes] = {}

    def read(self, number: int) -> bytes:
        """Return one sealed segment."""
        if number not in self._held:
            self._held = self._batch(number)
        return self._held.pop(number)

    def _batch(self, first: int) -> dict[int, bytes]:
        sizes, payload = self._daemon.exchange("read_segments", clip=self._clip, first=first, count=_MOST)
        found, at = {}, 0
        for number, size in enumerate(sizes, first):
            found[number] = payload[at : at + size]
            at += size
        return found
