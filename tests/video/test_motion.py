"""Motion: sees who comes, and nothing where nobody does."""

from itertools import pairwise

import numpy as np
import pytest

from device.video.motion.detector import MotionSettings, MotionState, read_motion, shrink
from device.video.scene.file import Scene, builtin_scene, load_scene, parse_scene
from tests.video.motion_support import FRAME_US, active_s, readings, small_lumas

POSITIVES = ["car-passes", "cat-in-the-garden", "doorbell-visitor", "driveway-walker", "rain-walker", "shaking-walker"]
NEGATIVES = ["camera-shake", "empty-porch", "headlights-night", "heavy-rain", "light-switch-hall", "swaying-tree"]


def check_seen(name: str, seed: int) -> None:
    """Everybody is found within two seconds, held, and gone soon after."""
    scene = load_scene(builtin_scene(name))
    lumas, presences = small_lumas(scene, seed)
    found = readings(lumas)
    for start_s, end_s in presences:
        times = [at_s for at_s in active_s(found) if start_s <= at_s <= end_s + 2.5]
        assert times, f"{name}: nothing between {start_s} and {end_s}"
        assert times[0] - start_s <= 2.0
        assert max(b - a for a, b in pairwise([*times, times[-1]])) < 2.0
    assert all(any(a <= at_s <= b + 2.5 for a, b in presences) for at_s in active_s(found))
    assert all(0 <= one.score <= 100 and bool(one.boxes) == one.active == (one.score > 0) for one in found)


def check_quiet(name: str, seed: int) -> None:
    """Nothing is active from beginning to end."""
    lumas, presences = small_lumas(load_scene(builtin_scene(name)), seed)
    assert presences == ()
    assert active_s(readings(lumas)) == []


@pytest.mark.parametrize("name", ["doorbell-visitor", "driveway-walker"])
def test_somebody_is_seen(name: str) -> None:
    """A person is seen soon, while standing too."""
    check_seen(name, 1)


@pytest.mark.parametrize("name", ["empty-porch", "swaying-tree"])
def test_nobody_is_not_seen(name: str) -> None:
    """Noise, clouds and a swaying tree are nobody."""
    check_quiet(name, 1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3])
@pytest.mark.parametrize("name", POSITIVES)
def test_whoever_comes_is_seen(name: str, seed: int) -> None:
    """People, cars and cats, in rain and with a shaking camera, with other grain and other light."""
    check_seen(name, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3])
@pytest.mark.parametrize("name", NEGATIVES)
def test_whatever_else_changes_is_not_seen(name: str, seed: int) -> None:
    """Rain, shake, headlights and switches are nobody, with any seed."""
    check_quiet(name, seed)


def test_a_light_switch_is_nobody() -> None:
    """When the whole picture changes at once, nothing is active; who comes afterwards is seen."""
    lumas, ((start_s, _end_s),) = small_lumas(load_scene(builtin_scene("driveway-walker")), 1)
    dark = [(luma // 3).astype(np.uint8) if 20 <= index < 32 else luma for index, luma in enumerate(lumas)]
    assert 0 <= active_s(readings(dark))[0] - start_s <= 1.0


def test_another_picture_everywhere_is_told_as_light() -> None:
    """A camera turned round, or infrared going on: the reading says why it is quiet."""
    rng = np.random.default_rng(1)
    one, two = (np.repeat(np.repeat(rng.integers(0, 255, (9, 16)), 10, 0), 10, 1).astype(np.uint8) for _ in range(2))
    found = readings([one] * 30 + [two] * 30)
    assert found[0].quiet == "first picture"
    assert found[1].quiet == "settling"
    assert found[20].quiet is None
    assert found[30].quiet == "light changed everywhere"
    assert not any(reading.active for reading in found)


def standing(*, until_s: float) -> Scene:
    """Somebody comes after two seconds, stands, and leaves at `until_s`."""
    return parse_scene(
        f"""
        title = "Waits"
        place = "porch"
        duration_s = {until_s + 6}
        picture = {{ width = 320, height = 180, fps = 15 }}
        [[actors]]
        kind = "person"
        path = [
            {{ at_s = 4.0, x = -0.1, y = 0.9, height = 0.5 }},
            {{ at_s = 6.0, x = 0.5, y = 0.9, height = 0.5 }},
            {{ at_s = {until_s - 2}, x = 0.5, y = 0.9, height = 0.5 }},
            {{ at_s = {until_s}, x = 1.1, y = 0.9, height = 0.5 }},
        ]
        """.encode(),
        name="waits.toml",
    )


@pytest.mark.slow
def test_somebody_who_stands_is_held() -> None:
    """Who came and stands still is there until gone, without a gap: here for half a minute; and no ghost stays."""
    lumas, _ = small_lumas(standing(until_s=40), 5)
    times = active_s(readings(lumas))
    assert max(b - a for a, b in pairwise(times)) < 0.2
    assert times[0] < 5.5
    assert 39 < times[-1] < 42.5


@pytest.mark.slow
def test_what_stands_for_good_becomes_part_of_the_picture() -> None:
    """A parked car is held for `still_s`, and not for ever."""
    lumas, _ = small_lumas(standing(until_s=40), 5)
    times = active_s(readings(lumas, MotionSettings(still_s=10)))
    quiet = max(pairwise(times), key=lambda pair: pair[1] - pair[0])
    assert 13 < quiet[0] < 20
    assert quiet[1] > 37


def test_motion_in_an_ignore_zone_counts_for_nothing() -> None:
    """Who walks within a zone isn't seen, and the reading says how much was passed over; who leaves it is."""
    lumas, _ = small_lumas(load_scene(builtin_scene("driveway-walker")), 1)
    everything = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
    found = readings(lumas, MotionSettings(ignore=(everything,)))
    assert not any(reading.active or reading.tracks for reading in found)
    assert max(reading.ignored_share for reading in found) > 0.005
    far_off = ((0.0, 0.0), (0.05, 0.0), (0.05, 0.05))
    assert any(reading.active for reading in readings(lumas, MotionSettings(ignore=(far_off,))))


def test_light_is_told_by_what_is_looked_at() -> None:
    """With most of the picture ignored, another picture in the rest is still light."""
    rng = np.random.default_rng(1)
    one, two = (np.repeat(np.repeat(rng.integers(0, 255, (9, 16)), 10, 0), 10, 1).astype(np.uint8) for _ in range(2))
    most = ((0.0, 0.0), (0.75, 0.0), (0.75, 1.0), (0.0, 1.0))
    found = readings([one] * 30 + [two] * 30, MotionSettings(ignore=(most,)))
    assert found[30].quiet == "light changed everywhere"
    assert not any(reading.active for reading in found)


def test_a_reading_says_what_it_saw_and_why_it_did_not_count() -> None:
    """A walker's track is new at first, then on no way yet, then counts; boxes lie in the picture."""
    lumas, _ = small_lumas(load_scene(builtin_scene("driveway-walker")), 1)
    found = readings(lumas)
    tracks = [track for reading in found for track in reading.tracks]
    whys = {track.why for track in tracks}
    assert {"new", "too small", None} <= whys
    assert all(track.confirmed == (track.why is None) for track in tracks)
    assert all(track.net_way <= track.path + 0.5 and track.age_s >= 0 for track in tracks)
    for track in tracks:
        assert 0 <= track.box.left <= track.box.left + track.box.width <= 1.0001
        assert 0 <= track.box.top <= track.box.top + track.box.height <= 1.0001
    for reading in found:
        assert sum(track.confirmed for track in reading.tracks) >= len(reading.boxes)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((720, 1280), (90, 160)), ((360, 640), (90, 160)), ((576, 768), (144, 192)), ((9, 90), (9, 90))],
)
def test_shrinking_halves(shape: tuple[int, int], expected: tuple[int, int]) -> None:
    """A picture is halved to 160 to 319 pixels of width."""
    assert shrink(np.zeros(shape, np.uint8)).shape == expected


def walker(height: float) -> Scene:
    """Somebody of this height, as a share of the picture's, crosses a driveway."""
    return parse_scene(
        f"""
        title = "Walks"
        place = "driveway"
        duration_s = 10
        [[actors]]
        kind = "person"
        path = [
            {{ at_s = 4.0, x = -0.05, y = 0.8, height = {height} }},
            {{ at_s = 9.0, x = {-0.05 + 2.5 * height:.3f}, y = 0.8, height = {height} }},
        ]
        """.encode(),
        name="walks.toml",
    )


@pytest.mark.slow
@pytest.mark.parametrize(("level", "small", "tall"), [(1, 0.14, 0.28), (5, 0.08, 0.16), (10, 0.03, 0.08)])
def test_sensitivity_is_a_persons_height(level: int, small: float, tall: float) -> None:
    """At each level somebody `tall` is seen, and somebody `small` is not."""
    settings = MotionSettings.for_sensitivity(level)
    assert active_s(readings(small_lumas(walker(tall), 1)[0], settings))
    assert not active_s(readings(small_lumas(walker(small), 1)[0], settings))


def test_the_middle_sensitivity_is_the_default() -> None:
    """Levels are ordered, and 5 changes nothing."""
    assert MotionSettings.for_sensitivity(5) == MotionSettings()
    areas = [MotionSettings.for_sensitivity(level).blob_area_share for level in range(1, 11)]
    assert areas == sorted(areas, reverse=True)


def test_time_running_back_forgets_no_one() -> None:
    """A clock set back by an hour in the middle of an event: it goes on."""
    lumas, _ = small_lumas(load_scene(builtin_scene("driveway-walker")), 1)
    state, active = MotionState(), []
    for index, luma in enumerate(lumas[:120]):
        back_us = 3_600_000_000 if index >= 90 else 0
        state, reading = read_motion(state, luma, 7_200_000_000 + index * FRAME_US - back_us)
        active.append(reading.active)
    assert active[89]
    assert all(active[91:110])
