"""The example settings in config/ are whole: they parse, and name every key there is."""

import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel

from broker.agency import load_request_file
from broker.mqtt import Role, policy_from_toml
from broker.settings import NeighbourhoodSettings
from broker.settings import load_settings as load_broker_settings
from device.settings import DeviceSettings, load_settings

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "config"


def named_keys(path: Path) -> set[str]:
    """Return every key in a TOML file, those commented out as examples among them, as `section.key`."""
    found = set()
    section = ""
    for line in path.read_text().splitlines():
        text = line.removeprefix("# ").strip()
        if text.startswith("[") and "]" in text:
            section = text[: text.index("]")].lstrip("[") + "."
        elif " = " in text:
            found.add(section + text.partition(" = ")[0].strip())
    return found


def known_keys(model: type[BaseModel], prefix: str = "") -> set[str]:
    """Return every key of a settings model, as `section.key`."""
    found = set()
    for name, field in model.model_fields.items():
        inner = [one for one in (field.annotation, *getattr(field.annotation, "__args__", ())) if isinstance(one, type)]
        sections = [one for one in inner if issubclass(one, BaseModel)]
        found |= known_keys(sections[0], f"{prefix}{name}.") if sections else {prefix + name}
    return found


def test_the_device_example_loads_and_names_every_key(tmp_path: Path) -> None:
    """Nothing can be set that the example does not show; only the second broker's login is left to the first."""
    (tmp_path / "device.toml").write_text((CONFIG / "device.toml").read_text())
    settings = load_settings(tmp_path)
    assert settings.neighbourhood is not None
    missing = known_keys(DeviceSettings) - named_keys(CONFIG / "device.toml")
    assert all(key.startswith("neighbourhood.mqtt.") for key in missing), missing


def test_the_defaults_in_the_device_example_are_the_defaults() -> None:
    """What the example shows for storage and camera is what one gets without it."""
    example = tomllib.loads((CONFIG / "device.toml").read_text())
    small = {"device": example["device"], "camera": {"source": example["camera"]["source"]}}
    defaults = DeviceSettings(**small)
    assert defaults.storage.model_dump() == example["storage"]
    assert defaults.camera.model_dump(mode="json", exclude_none=True) == example["camera"]


def test_the_neighbourhood_example_loads_and_names_every_key(tmp_path: Path) -> None:
    """The operator's example is whole too."""
    (tmp_path / "neighbourhood.toml").write_text((CONFIG / "neighbourhood.toml").read_text())
    assert load_broker_settings(tmp_path).log.origin == "log.example.org/requests"
    assert known_keys(NeighbourhoodSettings) == named_keys(CONFIG / "neighbourhood.toml")


def test_the_access_example_shows_every_role() -> None:
    """One user of each role, as the broker takes them."""
    policy = policy_from_toml((CONFIG / "access.toml").read_text())
    assert {user.role for user in policy.users} == set(Role) - {Role.OPEN}


@pytest.mark.parametrize("path", sorted((ROOT / "samples" / "requests").glob("*.toml")), ids=lambda path: path.name)
def test_the_sample_requests_load(path: Path) -> None:
    """Each sample is a request that an agency could begin from."""
    assert load_request_file(path).case
