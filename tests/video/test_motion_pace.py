"""Motion read at any pace: keyframes alone, bursts, clocks that leap; and whatever a picture may hold."""

from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.video.motion.detector import MotionState, read_motion
from device.video.scene.file import builtin_scene, load_scene
from tests.video.motion_support import FRAME_US, Gray, active_s, readings, small_lumas, sparse_readings

S_US = 1_000_000


def still(seed: int = 1) -> Gray:
    """A textured picture of nothing in particular."""
    rng = np.random.default_rng(seed)
    return np.asarray(cv2.GaussianBlur(rng.integers(30, 220, (90, 160)).astype(np.uint8), (5, 5), 0), dtype=np.uint8)


def noisy(luma: Gray, index: int, *, sigma: float) -> Gray:
    """The same picture with the grain of another moment."""
    rng = np.random.default_rng([7, index])
    return np.clip(luma + rng.normal(0, sigma, luma.shape), 0, 255).astype(np.uint8)


@given(gap_s=st.floats(0.05, 4.0), sigma=st.floats(0, 6), seed=st.integers(0, 50))
def test_a_quiet_scene_is_quiet_at_any_pace(gap_s: float, sigma: float, seed: int) -> None:
    """Grain alone never counts, however seldom it is looked at; and once known, it doesn't stir."""
    luma, state = still(seed), MotionState()
    for index in range(60):
        state, reading = read_motion(state, noisy(luma, index, sigma=sigma), round(index * gap_s * S_US))
        assert not reading.active
        assert not state.holding
        if index * gap_s > 6 and index > 20:
            assert not state.stirring


@given(every=st.integers(5, 60), softer=st.floats(0.4, 1.0), sigma=st.floats(0, 3))
@settings(max_examples=15)
def test_keyframes_of_another_quality_are_nobody(every: int, softer: float, sigma: float) -> None:
    """A starved encoder's pictures are softer than its keyframes: no alarm, and no endless stirring."""
    sharp = still()
    soft = np.asarray(cv2.GaussianBlur(sharp, (0, 0), softer), dtype=np.uint8)
    state, stirred = MotionState(), 0
    for index in range(180):
        picture = noisy(sharp if index % every == 0 else soft, index, sigma=sigma)
        state, reading = read_motion(state, picture, index * FRAME_US)
        assert not reading.active
        stirred += state.stirring and index > 60
    assert stirred <= 40


@pytest.mark.parametrize("group", [15, 30, 60])
def test_an_event_is_held_with_bursts_and_ends(group: int) -> None:
    """With three pictures every second to every fourth, somebody who stands at a door is held until gone."""
    lumas, ((start_s, end_s),) = small_lumas(load_scene(builtin_scene("doorbell-visitor")), 1)
    every = list(sparse_readings(lumas, group=group))
    times = active_s(every)
    group_s = group / 15
    assert 0 <= times[0] - start_s <= group_s + 1
    assert max(b - a for a, b in pairwise(times)) <= group_s
    assert end_s - group_s - 0.5 <= times[-1] <= end_s + group_s + 1
    assert len(every) < 0.7 * len(lumas)


@pytest.mark.parametrize("group", [15, 60])
@pytest.mark.parametrize("name", ["empty-porch", "swaying-tree"])
def test_a_quiet_scene_is_left_alone(name: str, group: int) -> None:
    """After some seconds of getting to know it, keyframes are enough, and none of them counts."""
    lumas, _ = small_lumas(load_scene(builtin_scene(name)), 1)
    every = list(sparse_readings(lumas, group=group))
    assert active_s(every) == []
    assert len(every) < 0.4 * len(lumas)


@st.composite
def pictures(draw: st.DrawFn) -> Gray:
    """Any luma: black, white, grain, edges, of some size."""
    height, width = draw(st.sampled_from([(90, 160), (1, 1), (2, 17), (120, 160), (60, 319)]))
    kind = draw(st.sampled_from(["flat", "grain", "edge"]))
    value = draw(st.integers(0, 255))
    if kind == "grain":
        rng = np.random.default_rng(draw(st.integers(0, 9)))
        return rng.integers(0, 256, (height, width)).astype(np.uint8)
    luma = np.full((height, width), value, np.uint8)
    if kind == "edge":
        luma[:, draw(st.integers(0, width - 1)) :] = 255 - value
    return luma


@given(st.lists(st.tuples(pictures(), st.integers(-(10**16), 10**16)), max_size=12))
def test_no_picture_and_no_time_breaks_it(shown: list[tuple[Gray, int]]) -> None:
    """Sizes that change, black, white, clocks that leap either way: never an error, scores and state stay sane."""
    state = MotionState()
    for luma, at_us in shown:
        kept = luma.copy()
        state, reading = read_motion(state, luma, at_us)
        assert np.array_equal(luma, kept)
        assert 0 <= reading.score <= 100
        assert state.background is None or np.isfinite(state.background.mean).all()
        assert state.background is None or np.isfinite(state.background.restless).all()
        assert (reading.quiet == "picture too small") == (min(luma.shape) < 8)
        assert all(track.box.width > 0 for track in reading.tracks)
        assert state.stirring in (True, False)


@given(skip=st.integers(1, 9), begin=st.integers(30, 60))
@settings(max_examples=8)
def test_a_reading_is_a_function_of_its_arguments(skip: int, begin: int) -> None:
    """A state and a picture give the same twice, and neither is changed: one can go back to a state."""
    lumas, _ = small_lumas(load_scene(builtin_scene("driveway-walker")), 1)
    state = MotionState()
    for index in range(begin, begin + 40, skip):
        luma, kept = lumas[index], lumas[index].copy()
        before = None if state.background is None else state.background.mean.copy()
        first, one = read_motion(state, luma, index * FRAME_US)
        second, two = read_motion(state, luma, index * FRAME_US)
        assert one == two
        assert first.tracks == second.tracks
        assert np.array_equal(luma, kept)
        assert first.background is not None
        assert second.background is not None
        assert np.array_equal(first.background.mean, second.background.mean)
        assert before is None or (state.background is not None and np.array_equal(state.background.mean, before))
        state = first


@pytest.mark.parametrize("value", [0, 255])
def test_hours_of_one_colour_are_nobody(value: int) -> None:
    """Black or white pictures, one a minute, give nothing and keep the state finite."""
    luma = np.full((90, 160), value, np.uint8)
    state = MotionState()
    for minute in range(200):
        state, reading = read_motion(state, luma, minute * 60 * S_US)
        assert not reading.active
    assert state.background is not None
    assert np.isfinite(state.background.mean).all()
    assert not state.stirring


def test_the_state_asks_for_more_when_something_comes() -> None:
    """It stirs when a walker appears, holds once sure, and does neither when all is over."""
    lumas, ((start_s, end_s),) = small_lumas(load_scene(builtin_scene("driveway-walker")), 1)
    state, stirred, held = MotionState(), [], []
    for index, luma in enumerate(lumas):
        state, _ = read_motion(state, luma, index * FRAME_US)
        if state.stirring:
            stirred.append(index / 15)
        if state.holding:
            held.append(index / 15)
    assert any(start_s - 0.5 <= at_s <= start_s + 1 for at_s in stirred)
    assert start_s <= held[0] <= start_s + 1
    assert end_s - 0.5 <= held[-1] <= end_s + 2
    assert len(readings(lumas)) == len(lumas)
