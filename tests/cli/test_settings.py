"""A device's settings: strict about keys, overridable by variables, one clear line when wrong."""

from pathlib import Path

import pytest

from device.settings import SettingsError, load_settings

GOOD = """
[device]
name = "front-door"
kind = "doorbell"
lat = 52.5
lon = 13.4

[camera]
source = "scene:doorbell-visitor"
"""


def home_with(folder: Path, text: str) -> Path:
    (folder / "device.toml").write_text(text, encoding="utf-8")
    return folder


def test_a_small_file_is_enough(tmp_path: Path) -> None:
    """Everything but name, place and source has a default."""
    settings = load_settings(home_with(tmp_path, GOOD))
    assert (settings.device.name, settings.camera.record, settings.home) == ("front-door", "events", None)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("source =", "sauce =", "camera.source"),
        ('kind = "doorbell"', 'kind = "toaster"', "device.kind"),
        ("lat = 52.5", "lat = 91", "device.lat"),
        ('name = "front-door"', 'name = "Front Door"', "cannot name a device"),
        ('name = "front-door"', 'name = "requests"', "cannot name a device"),
        ("[camera]", "[kamera]", "camera"),
        ("[camera]", "[camera]\npre_roll_s = 70", "camera.pre_roll_s"),
        ("[camera]", "[camera]\nmax_clip_s = 5", "longer than max_clip_s"),
        ("[camera]", "[camera", "is not TOML"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    """A typo, a wrong value or broken TOML: one line with the file and what is wrong."""
    with pytest.raises(SettingsError) as caught:
        load_settings(home_with(tmp_path, GOOD.replace(old, new)))
    assert complaint in str(caught.value)
    assert "device.toml" in str(caught.value)
    assert "\n" not in str(caught.value).strip() or "TOML" in str(caught.value)


def test_no_file_says_what_to_do(tmp_path: Path) -> None:
    """A folder that is no device's says how to make one."""
    with pytest.raises(SettingsError, match="latchstring device init"):
        load_settings(tmp_path)


def test_variables_win_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """LATCHSTRING_CAMERA__SOURCE replaces one key, and leaves its neighbours."""
    monkeypatch.setenv("LATCHSTRING_CAMERA__SOURCE", "file:/films/a.mp4")
    monkeypatch.setenv("LATCHSTRING_STORAGE__MAX_BYTES", "10000000")
    settings = load_settings(home_with(tmp_path, GOOD))
    assert settings.camera.source == "file:/films/a.mp4"
    assert settings.storage.max_bytes == 10_000_000
    assert settings.device.name == "front-door"


@pytest.mark.parametrize("name", ["LATCHSTRING_KAMERA__SOURCE", "LATCHSTRING_CAMERA__SAUCE", "LATCHSTRING_DEBUG"])
def test_an_unknown_variable_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A misspelt variable does not pass silently."""
    monkeypatch.setenv(name, "x")
    with pytest.raises(SettingsError, match=name):
        load_settings(home_with(tmp_path, GOOD))


def test_settings_are_frozen(tmp_path: Path) -> None:
    """Nobody changes settings once they are read."""
    settings = load_settings(home_with(tmp_path, GOOD))
    with pytest.raises(ValueError, match="frozen"):
        settings.camera.source = "other"  # type: ignore[misc]
