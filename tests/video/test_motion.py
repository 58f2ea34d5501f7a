"""Motion: sees who comes, and nothing where nobody does."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from device.video.motion import MotionReading, MotionState, read_motion, shrink
from device.video.scene import Scene, builtin_scene, load_scene, parse_scene
from device.video.scene_draw import SceneFilm

FRAME_US = 66_667


def small_lumas(scene: Scene, seed: int) -> list[NDArray[np.uint8]]:
    """The scene as motion sees it."""
    film = SceneFilm(scene, seed=seed)
    return [shrink(film.i420(index)[: scene.picture.height]) for index in range(scene.frames)]


def readings(lumas: list[NDArray[np.uint8]]) -> list[MotionReading]:
    """What is read in a row of pictures."""
    state, out = MotionState(), []
    for index, luma in enumerate(lumas):
        state, reading = read_motion(state, luma, index * FRAME_US)
        out.append(reading)
    return out


def active_s(found: list[MotionReading]) -> list[float]:
    """Times at which something was active."""
    return [reading.at_us / 1_000_000 for reading in found if reading.active]


def check_positive(name: str, seed: int) -> None:
    """The event is found within a second of the truth, held through, and over soon after."""
    scene = load_scene(builtin_scene(name))
    (presence,) = scene.presences()
    found = readings(small_lumas(scene, seed))
    times = active_s(found)
    assert 0 <= times[0] - presence.start_s <= 1.0
    assert times[-1] - presence.end_s <= 2.0
    gaps = [b - a for a, b in pairwise(times)]
    assert max(gaps) < 1.0
    assert max(reading.score for reading in found) > 60
    assert all(0 <= reading.score <= 100 and bool(reading.boxes) == reading.active for reading in found)


@pytest.mark.parametrize("name", ["doorbell-visitor", "driveway-walker"])
def test_somebody_is_seen(name: str) -> None:
    """A person is seen within a second, while standing too."""
    check_positive(name, 1)


@pytest.mark.parametrize("name", ["empty-porch", "swaying-tree"])
def test_nobody_is_not_seen(name: str) -> None:
    """Noise, clouds and a swaying tree are nobody."""
    assert active_s(readings(small_lumas(load_scene(builtin_scene(name)), 1))) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 8))
@pytest.mark.parametrize("name", ["doorbell-visitor", "driveway-walker"])
def test_somebody_is_seen_with_any_seed(name: str, seed: int) -> None:
    """The same with other grain and other light."""
    check_positive(name, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 8))
@pytest.mark.parametrize("name", ["empty-porch", "swaying-tree"])
def test_nobody_is_not_seen_with_any_seed(name: str, seed: int) -> None:
    """The same with other grain and other light."""
    assert active_s(readings(small_lumas(load_scene(builtin_scene(name)), seed))) == []


def test_reading_is_a_function_of_its_arguments() -> None:
    """A state and a picture give the same twice, and neither is changed."""
    lumas = small_lumas(load_scene(builtin_scene("driveway-walker")), 1)[40:75]
    state = MotionState()
    for index, luma in enumerate(lumas):
        kept = luma.copy()
        first, one = read_motion(state, luma, index * FRAME_US)
        second, two = read_motion(state, luma, index * FRAME_US)
        assert one == two
        assert np.array_equal(luma, kept)
        assert first.background is not None
        assert second.background is not None
        assert np.array_equal(first.background, second.background)
        state = first


def test_a_light_switch_is_nobody() -> None:
    """When the whole picture changes at once, nothing is active; who comes afterwards is seen."""
    scene = load_scene(builtin_scene("driveway-walker"))
    lumas = small_lumas(scene, 1)
    dark = [(luma // 3).astype(np.uint8) if 20 <= index < 32 else luma for index, luma in enumerate(lumas)]
    times = active_s(readings(dark))
    assert 0 <= times[0] - scene.presences()[0].start_s <= 1.0


def test_another_size_begins_anew() -> None:
    """A camera that changes its resolution is no crash."""
    rng = np.random.default_rng(1)
    state = MotionState()
    for at_us, (height, width) in enumerate([(90, 160), (90, 160), (120, 160), (2, 16), (1, 1), (90, 160)]):
        luma = rng.integers(0, 255, (height, width)).astype(np.uint8)
        state, reading = read_motion(state, luma, at_us * FRAME_US)
        assert not reading.active


@pytest.mark.parametrize("value", [0, 255])
def test_hours_of_one_colour_are_nobody(value: int) -> None:
    """Black or white pictures give nothing and keep the state finite."""
    luma = np.full((90, 160), value, np.uint8)
    state = MotionState()
    for minute in range(200):
        state, reading = read_motion(state, luma, minute * 60_000_000)
        assert not reading.active
    assert state.background is not None
    assert np.isfinite(state.background).all()


def test_time_running_back_is_no_crash() -> None:
    """A clock set back slows learning for a picture, no more."""
    luma = np.full((90, 160), 90, np.uint8)
    state, _ = read_motion(MotionState(), luma, 10_000_000)
    state, reading = read_motion(state, luma, 5_000_000)
    assert not reading.active


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((720, 1280), (90, 160)), ((360, 640), (90, 160)), ((576, 768), (144, 192)), ((9, 90), (9, 90))],
)
def test_shrinking_halves(shape: tuple[int, int], expected: tuple[int, int]) -> None:
    """A picture is halved to 160 to 319 pixels of width."""
    assert shrink(np.zeros(shape, np.uint8)).shape == expected


def test_somebody_who_stands_is_held() -> None:
    """Who came and stands still is there until gone: here for ten seconds."""
    scene = parse_scene(
        b"""
        title = "Waits"
        place = "porch"
        duration_s = 18.0
        picture = { width = 320, height = 180, fps = 15 }
        [[actors]]
        kind = "person"
        path = [
            { at_s = 2.0, x = -0.1, y = 0.9, height = 0.5 },
            { at_s = 4.0, x = 0.5, y = 0.9, height = 0.5 },
            { at_s = 14.0, x = 0.5, y = 0.9, height = 0.5 },
            { at_s = 16.0, x = 1.1, y = 0.9, height = 0.5 },
        ]
        """,
        name="waits.toml",
    )
    times = active_s(readings(small_lumas(scene, 5)))
    assert max(b - a for a, b in pairwise(times)) < 0.2
    assert times[-1] - times[0] > 11
