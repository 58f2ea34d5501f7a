"""Scenes: parsed strictly, drawn the same whenever and in whatever order."""

import contextlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.video.capture import CaptureSettings, parse_source
from device.video.clock import SystemClock
from device.video.errors import SceneError, SourceError
from device.video.packets import Packet, Ring
from device.video.scene import Scene, builtin_scene, load_scene, parse_scene
from device.video.scene_draw import SceneFilm
from device.video.sources import open_source
from tests.video.support import START_US

SMALL = b"""
title = "Small"
place = "driveway"
duration_s = 2.0
noise = 3.0
rings_s = [1.0]
picture = { width = 128, height = 72, fps = 10 }
light = { drift = 0.1, period_s = 3.0 }
[[actors]]
kind = "person"
path = [{ at_s = 0.2, x = 0.0, y = 0.9, height = 0.5 }, { at_s = 1.8, x = 1.0, y = 0.9, height = 0.5 }]
[[trees]]
x = 0.2
y = 0.9
height = 0.8
"""
NAMES = ["doorbell-visitor", "driveway-walker", "empty-porch", "swaying-tree"]


def small() -> Scene:
    """The scene above."""
    return parse_scene(SMALL, name="small.toml")


@given(st.lists(st.integers(0, 19), min_size=1, max_size=5), st.integers(0, 2**32))
@settings(max_examples=25)
def test_a_picture_depends_on_scene_seed_and_number_alone(order: list[int], seed: int) -> None:
    """Two films of the same scene and seed show the same pictures, in any order, however often."""
    one, other = SceneFilm(small(), seed=seed), SceneFilm(small(), seed=seed)
    expected = {index: one.i420(index) for index in range(20) if index in order}
    for index in order:
        assert np.array_equal(other.i420(index), expected[index])


def test_another_seed_is_another_picture() -> None:
    """The seed changes what chance decides."""
    assert not np.array_equal(SceneFilm(small(), seed=1).bgr(3), SceneFilm(small(), seed=2).bgr(3))


def test_the_same_scene_gives_the_same_packets(tmp_path: Path) -> None:
    """Drawn and encoded twice, a scene gives the same bytes; rings come where it says."""
    path = tmp_path / "small.toml"
    path.write_bytes(SMALL)
    runs = []
    for _ in range(2):
        source = open_source(parse_source(f"scene:{path}"), CaptureSettings(seed=3), SystemClock(), START_US)
        runs.append(list(source.items()))
    packets = [[item.unit for item in run if isinstance(item, Packet)] for run in runs]
    assert packets[0] == packets[1]
    assert len(packets[0]) == 20
    assert [item.at_us for item in runs[0] if isinstance(item, Ring)] == [START_US + 1_000_000]
    assert [unit.keyframe for unit in packets[0]] == ([True] + [False] * 9) * 2


@pytest.mark.parametrize("name", NAMES)
def test_builtin_scenes_load(name: str) -> None:
    """Each scene that comes along parses, begins quiet, and lasts 12 to 16 seconds."""
    scene = load_scene(builtin_scene(name))
    assert 12 <= scene.duration_s <= 16
    assert all(presence.start_s >= 3 for presence in scene.presences())
    assert scene.boxes(1.0) == ()


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        (b'title = "Small"', b'title = "Small"\ncolour = 3', "colour"),
        (b"noise = 3.0", b'noise = "loud"', "noise"),
        (b"noise = 3.0", b"noise = nan", "noise"),
        (b"duration_s = 2.0", b"duration_s = 1e9", "duration_s"),
        (b"width = 128", b"width = 100000", "picture.width"),
        (b"width = 128", b"width = 127", "picture.width"),
        (b"fps = 10", b"fps = true", "picture.fps"),
        (b'kind = "person"', b'kind = "ghost"', "actors[0].kind"),
        (b"at_s = 1.8, x = 1.0", b"at_s = 1.8, z = 1.0", "actors[0].path[1].x"),
        (b"at_s = 1.8", b"at_s = 0.1", "actors[0]"),
        (b'place = "driveway"', b"", "place"),
    ],
)
def test_a_wrong_key_is_named(old: bytes, new: bytes, key: str) -> None:
    """What is wrong in a scene file is told in one line with file and key."""
    with pytest.raises(SceneError) as caught:
        parse_scene(SMALL.replace(old, new), name="small.toml")
    assert (caught.value.file, caught.value.key) == ("small.toml", key)
    assert "\n" not in str(caught.value)


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_no_bytes_break_the_parser(data: bytes) -> None:
    """Arbitrary bytes are a scene or a SceneError."""
    with contextlib.suppress(SceneError):
        parse_scene(data, name="x.toml")


@pytest.mark.parametrize("text", ["[" * 5000, "a = " + "[" * 900 + "]" * 900, "a.b.c = 1\na.b = 2"])
def test_nasty_toml_is_refused(text: str) -> None:
    """Deep nesting and clashing keys are errors, not crashes."""
    with pytest.raises(SceneError):
        parse_scene(text.encode(), name="x.toml")


def test_a_missing_and_an_endless_file_are_refused(tmp_path: Path) -> None:
    """A scene file has to be there, and small."""
    with pytest.raises(SceneError, match="can't be read"):
        load_scene(tmp_path / "none.toml")
    (tmp_path / "long.toml").write_bytes(b"#" * 70_000)
    with pytest.raises(SceneError, match="larger than"):
        load_scene(tmp_path / "long.toml")


def test_an_unknown_scene_lists_the_known() -> None:
    """Asking for a scene that there isn't tells which there are."""
    with pytest.raises(SourceError, match="doorbell-visitor"):
        parse_source("scene:nobody")
