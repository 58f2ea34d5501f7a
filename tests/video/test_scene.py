"""Scenes: parsed strictly, drawn the same whenever and in whatever order."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.video.clock import SystemClock
from device.video.errors import SceneError, SourceError
from device.video.packets import Packet, Ring
from device.video.scene.draw import SceneFilm
from device.video.scene.file import Scene, builtin_scene, load_scene, parse_scene
from device.video.scene.parts import Light
from device.video.source.capture import CaptureSettings, parse_source
from device.video.source.opening import open_source
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
# Everything at once, in a small picture.
BUSY = b"""
title = "Everything"
place = "garden"
duration_s = 2.0
jitter = 1.0
picture = { width = 128, height = 72, fps = 10 }
light = { level = 0.6 }
weather = { rain = 0.5, snow = 0.5, clouds = 0.4 }
lamps = [{ x = 0.3, y = 0.5, radius = 0.3 }]
trees = [{ style = "bush", x = 0.1, y = 0.9, height = 0.4 }, { style = "branch", x = 0.8, y = 0.0, height = 0.5 }]
cloths = [
    { kind = "flag", x = 0.7, y = 0.2, width = 0.2, height = 0.2 },
    { kind = "laundry", x = 0.1, y = 0.4, width = 0.3, height = 0.2 },
]
actors = [
    { kind = "person", path = [
        { at_s = 0.0, x = 0.0, y = 0.9, height = 0.5 },
        { at_s = 2.0, x = 1.0, y = 0.9, height = 0.5 },
    ] },
    { kind = "car", lights = true, path = [
        { at_s = 0.0, x = 1.0, y = 0.8, height = 0.2 },
        { at_s = 2.0, x = 0.0, y = 0.8, height = 0.2 },
    ] },
    { kind = "van", path = [
        { at_s = 0.0, x = 0.5, y = 0.5, height = 0.2 },
        { at_s = 2.0, x = 0.5, y = 0.9, height = 0.5 },
    ] },
    { kind = "cat", path = [
        { at_s = 0.0, x = 0.2, y = 0.9, height = 0.2 },
        { at_s = 2.0, x = 0.6, y = 0.9, height = 0.2 },
    ] },
    { kind = "dog", path = [
        { at_s = 0.0, x = 0.9, y = 0.6, height = 0.2 },
        { at_s = 2.0, x = 0.9, y = 0.9, height = 0.3 },
    ] },
]
disturbances = [
    { kind = "light_switch", at_s = 0.2, seconds = 0.5, factor = 2.0 },
    { kind = "light_switch", at_s = 0.6, factor = 0.5, x = 0.2, y = 0.2, radius = 0.3 },
    { kind = "headlights", at_s = 0.2, seconds = 1.0 },
    { kind = "insect", at_s = 0.1, count = 3, bright = true },
    { kind = "infrared_cut", at_s = 0.8, to = "infrared" },
    { kind = "infrared_cut", at_s = 1.4, to = "colour" },
    { kind = "shake", at_s = 0.1, seconds = 1.5, amount = 0.02 },
    { kind = "gain_pumping", at_s = 0.3, seconds = 1.0 },
    { kind = "noise_burst", at_s = 1.0, seconds = 0.3 },
    { kind = "shadow", at_s = 0.1, seconds = 1.6 },
    { kind = "web" },
    { kind = "flicker", at_s = 0.5, seconds = 1.0 },
    { kind = "gust", at_s = 0.5, seconds = 1.0 },
]
"""


def small() -> Scene:
    """The first scene above."""
    return parse_scene(SMALL, name="small.toml")


def busy() -> Scene:
    """The second."""
    return parse_scene(BUSY, name="busy.toml")


@given(st.lists(st.integers(0, 19), min_size=1, max_size=5), st.integers(0, 2**32))
@settings(max_examples=25)
def test_a_picture_depends_on_scene_seed_and_number_alone(order: list[int], seed: int) -> None:
    """Two films of the same scene and seed show the same pictures, in any order, however often."""
    one, other = SceneFilm(small(), seed=seed), SceneFilm(small(), seed=seed)
    expected = {index: one.i420(index) for index in range(20) if index in order}
    for index in order:
        assert np.array_equal(other.i420(index), expected[index])


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("make", [small, busy])
def test_luma_alone_is_the_luma_of_the_picture(make: Callable[[], Scene], seed: int) -> None:
    """Drawn without colours, a picture has the very same luma, whatever is in it."""
    scene = make()
    film = SceneFilm(scene, seed=seed)
    for index in range(film.frames):
        luma = film.luma(index)
        assert luma.dtype == np.uint8
        assert np.array_equal(luma, film.i420(index)[: scene.picture.height])


def test_everything_at_once_is_drawn_in_any_order() -> None:
    """All that scenes know, in one: the same pictures whether drawn alone or in a row."""
    film, fresh = SceneFilm(busy(), seed=3), SceneFilm(busy(), seed=3)
    in_a_row = [film.i420(index) for index in range(film.frames)]
    for index in (17, 3, 9):
        assert np.array_equal(fresh.i420(index), in_a_row[index])


def test_infrared_has_no_colours() -> None:
    """What a camera sees in infrared is grey; by day it is not."""
    scene = small()
    grey = SceneFilm(scene.model_copy(update={"light": Light(infrared=True)}), seed=1).i420(5)
    assert (grey[scene.picture.height :] == 128).all()
    assert (SceneFilm(scene, seed=1).i420(5)[scene.picture.height :] != 128).any()


def test_masks_are_black_in_a_scene_too(tmp_path: Path) -> None:
    """What lies behind a privacy mask is in no picture of a scene that is filmed."""
    path = tmp_path / "small.toml"
    path.write_bytes(SMALL)
    corner = ((0.0, 0.0), (0.5, 0.0), (0.5, 0.5), (0.0, 0.5))
    settings = CaptureSettings(seed=3, masks=(corner,))
    source = open_source(parse_source(f"scene:{path}"), settings, SystemClock(), START_US)
    lumas = [item.luma for item in source.items() if isinstance(item, Packet)]
    assert len(lumas) == 20
    assert all(luma is not None and (luma[:35, :63] == 16).all() and luma.max() > 100 for luma in lumas)


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
        (b'place = "driveway"', b'place = "driveway"\n"a\\nb" = 1', "'a\\nb'"),
        (b"duration_s = 2.0", b"duration_s = 3600.0\nweather = { rain = 2.0 }", "weather.rain"),
        (b"noise = 3.0", b'disturbances = [{ kind = "flood" }]', "disturbances[0]"),
        (b"noise = 3.0", b'disturbances = [{ kind = "shake", amount = 1.0 }]', "disturbances[0].shake.amount"),
    ],
)
def test_a_wrong_key_is_named(old: bytes, new: bytes, key: str) -> None:
    """What is wrong in a scene file is told in one line with file and key."""
    with pytest.raises(SceneError) as caught:
        parse_scene(SMALL.replace(old, new), name="small.toml")
    assert (caught.value.file, caught.value.key) == ("small.toml", key)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 5000,
        "a = " + "[" * 900 + "]" * 900,
        "a.b.c = 1\na.b = 2",
        "a = " + "9" * 5000,
        ".".join("a" * 20000) + " = 1",
    ],
)
def test_nasty_toml_is_refused(text: str) -> None:
    """Deep nesting, clashing keys and endless numbers are errors, not crashes."""
    with pytest.raises(SceneError):
        parse_scene(text.encode(), name="x.toml")


@pytest.mark.parametrize(
    ("extra", "complaint"),
    [
        ("duration_s = 3600.0\npicture = { fps = 60 }", "60000 are allowed"),
        ("duration_s = 9.0\ndisturbances = [" + '{ kind = "web" },' * 5 + "]", "kind web, 4 are allowed"),
        ("duration_s = 9.0\ntrees = [" + "{ x = 0.1, y = 0.1, height = 1.5 }," * 9 + "]", "at most 8 items"),
    ],
)
def test_a_scene_can_not_ask_for_too_much(extra: str, complaint: str) -> None:
    """Hours of pictures, or of drawing before the first one, are refused."""
    with pytest.raises(SceneError, match=complaint):
        parse_scene(f'title = "Much"\nplace = "porch"\n{extra}'.encode(), name="much.toml")


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
