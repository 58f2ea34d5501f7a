"""Which devices are a household's."""

from pathlib import Path

import pytest

from device.console.household import NoDeviceError, find_household
from device.settings import SettingsError
from device.vault.keys import Argon2Cost, create_owner

CHEAP = Argon2Cost(memory_kib=8 * 1024, iterations=1, lanes=1)
_, OWNER = create_owner("any", cost=CHEAP)


def device(folder: Path, name: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "device.toml").write_text(
        f'[device]\nname = "{name}"\nlat = 1.0\nlon = 2.0\n[camera]\nsource = "scene:porch"\n'
    )
    (folder / "owner.pub.json").write_bytes(OWNER.to_json())
    return folder


def test_devices_are_named_one_by_one_or_by_the_folder_that_holds_them(tmp_path: Path) -> None:
    single = device(tmp_path / "single", "gate")
    device(tmp_path / "homes" / "b", "porch")
    device(tmp_path / "homes" / "a", "drive")
    (tmp_path / "homes" / "notes").mkdir()
    household = find_household([tmp_path / "homes", single, single])
    assert [one.name for one in household.devices] == ["drive", "gate", "porch"]
    assert household.device("porch").home == (tmp_path / "homes" / "b").resolve()
    assert household.device("porch").owner == OWNER
    with pytest.raises(NoDeviceError, match="no device 'garage'"):
        household.device("garage")


def test_two_devices_of_one_name_are_refused(tmp_path: Path) -> None:
    device(tmp_path / "a", "porch")
    device(tmp_path / "b", "porch")
    with pytest.raises(SettingsError, match="both called porch"):
        find_household([tmp_path])


def test_a_folder_without_devices_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="holds none"):
        find_household([tmp_path])
    with pytest.raises(SettingsError, match="is no folder"):
        find_household([tmp_path / "nowhere"])
