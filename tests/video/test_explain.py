"""The account of a film: pure, from what the watcher and the recorder told."""

import tomllib
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.video.explain.levers import level_for_area, level_for_way, lever_words
from device.video.explain.refused import Refusals
from device.video.explain.sheet import choose
from device.video.explain.words import (
    began_words,
    clock,
    quiet_words,
    sensitivity_words,
    share,
    short_words,
    straightness,
    why_words,
)
from device.video.motion.detector import MotionBox, MotionSettings, MotionState, MotionTrack, read_motion
from device.video.motion.reading import Quiet
from device.video.motion.tracks import Why
from device.video.recorder import RecorderSettings
from device.video.zones import check_polygon
from tests.video.explain_support import FRAME_US, empty, told, walk_then, with_box
from tests.video.support import START_US

TRACK = MotionTrack(
    box=MotionBox(left=0.3, top=0.2, width=0.1, height=0.4),
    confirmed=True,
    seen=True,
    net_way=0.09,
    path=0.12,
    age_s=0.6,
    why=None,
)


def test_an_event_says_why_it_began() -> None:
    """How far it came, how straight, how long that took, and what would have been needed."""
    account, _, phases = told(walk_then(0, after_s=4))
    (event,) = account.events
    start, end = phases[0], phases[-1]
    assert (event.start_us, event.end_us, event.score) == (start.start_us, end.end_us, end.score)
    assert event.before_us < event.start_us <= event.best_us <= event.end_us
    assert "of the width in" in event.began
    assert share(MotionSettings().net_way_share) in event.began


def test_an_event_says_that_nothing_moved_any_more() -> None:
    """And for how long that had to last."""
    account, _, _ = told(walk_then(0, after_s=5))
    assert account.events[0].ended.endswith("nothing came back in the 2.0 s after")


def test_an_event_says_that_it_became_part_of_the_picture() -> None:
    """What stands too long is given up, and that is told apart from what went."""
    settings = replace(MotionSettings(), still_s=2.0)
    account, _, _ = told(walk_then(7), motion=settings)
    assert account.events[0].ended.startswith("stood still for 2 s and became part of the picture")


def test_an_event_says_that_the_film_ended() -> None:
    """While something was there, or so soon after that nobody knows."""
    there, _, _ = told(walk_then(1))
    assert there.events[0].ended == "the film ended, and it was still there"
    gone, _, _ = told(walk_then(0, after_s=2.5), recorder=RecorderSettings(post_roll_s=4))
    assert gone.events[0].ended.endswith("then the film ended")


def test_light_is_refused_and_told() -> None:
    """Another picture everywhere is no event, and the account says what it was taken for."""
    other = np.random.default_rng(9).integers(20, 240, empty().shape).astype(np.uint8)
    account, readings, _ = told([empty()] * 45 + [other] * 30)
    assert any(reading.quiet == "light changed everywhere" for reading in readings)
    assert not account.events
    assert {"light changed everywhere"} == {one.why for one in account.refused if one.box is None}


def test_what_comes_no_way_is_refused_with_its_figures() -> None:
    """A thing that trembles on the spot is named, with the way it came and the way it needs."""
    lumas = [empty()] * 30 + [with_box(60 + index // 4 % 2 * 2) for index in range(45)]
    account, _, _ = told(lumas)
    assert not account.events
    strongest = max(account.refused, key=lambda one: one.strength)
    assert strongest.box is not None
    assert strongest.box.left == pytest.approx(60 / 160, abs=0.03)
    assert strongest.why in ("too short a way", "wanders")
    assert "%" in strongest.words


def test_an_ignored_zone_is_told() -> None:
    """What moves behind it alone is refused for the zone's sake."""
    settings = MotionSettings.for_sensitivity(5, ignore=(((0, 0), (1, 0), (1, 1), (0, 1)),))
    account, _, _ = told(walk_then(1), motion=settings)
    assert not account.events
    assert [one.why for one in account.refused] == ["ignored zone"]


def test_glances_keep_what_readings_said() -> None:
    """Small as they are, they give back every track."""
    account, readings, _ = told(walk_then(0))
    pairs = [
        (track, kept)
        for reading, picture in zip(readings, account.pictures, strict=True)
        if picture.glance is not None
        for track, kept in zip(reading.tracks, picture.glance.tracks, strict=False)
    ]
    assert pairs
    for track, kept in pairs:
        assert (kept.confirmed, kept.seen, kept.why) == (track.confirmed, track.seen, track.why)
        assert kept.net_way == pytest.approx(track.net_way, abs=1e-5)
        assert kept.box.left == pytest.approx(track.box.left, abs=1e-5)


def test_modes_follow_what_was_seen() -> None:
    """Alert while the picture is learnt, held while something is there."""
    account, _, _ = told(walk_then(1))
    modes = [picture.mode for picture in account.pictures]
    assert modes[0] == "alert"
    assert modes[-1] == "held"


@given(st.lists(st.tuples(st.integers(0, 140), st.integers(0, 60), st.booleans()), max_size=60))
def test_refusals_are_bounded_and_in_order(places: list[tuple[int, int, bool]]) -> None:
    """Whatever flickers, a dozen of the strongest is kept, and every one is counted."""
    refusals, state = Refusals(MotionSettings()), MotionState()
    for index, (left, top, there) in enumerate([(0, 0, False)] * 20 + places):
        luma = with_box(left, top=top) if there else empty()
        state, reading = read_motion(state, luma, START_US + index * FRAME_US)
        refusals.reading(reading)
    refused, whys = refusals.finish()
    assert len(refused) == min(12, sum(whys.values()))
    assert [one.at_us for one in refused] == sorted(one.at_us for one in refused)
    assert all(one.start_us <= one.at_us <= one.end_us for one in refused)


@pytest.mark.parametrize("why", get_args(Why))
def test_every_reason_has_words(why: Why) -> None:
    """Long and short, in letters that can be drawn."""
    track, settings = replace(TRACK, confirmed=False, why=why), MotionSettings()
    assert len(why_words(track, settings)) > len(why)
    assert short_words(track, settings)
    assert why_words(track, settings).isascii()


@pytest.mark.parametrize("quiet", get_args(Quiet))
def test_every_quiet_picture_has_words(quiet: str) -> None:
    """What is passed over is passed over for a reason."""
    assert len(quiet_words(quiet)) > len(quiet)


def test_words_for_figures() -> None:
    """As fine as it matters, and no finer."""
    assert [share(value) for value in (0.0025, 0.06, 0.434)] == ["0.25 %", "6.0 %", "43 %"]
    assert [clock(value) for value in (4.24, 59.97, 3_723.4)] == ["0:04.2", "1:00.0", "1:02:03.4"]
    assert straightness(TRACK) == pytest.approx(0.75)
    assert began_words([TRACK, TRACK], MotionSettings()).startswith(
        "came 9.0 % of the width in 0.6 s, straightness 0.75, and 1 more"
    )


def test_sensitivity_is_told_as_the_height_of_a_person() -> None:
    """A finer level sees a smaller one."""
    words = [sensitivity_words(MotionSettings.for_sensitivity(level)) for level in (1, 5, 10)]
    assert [text.partition("1/")[2].partition(" ")[0] for text in words] == ["4", "7", "14"]


@pytest.mark.parametrize("level", range(1, 11))
def test_a_level_is_named_from_which_on_it_would_count(level: int) -> None:
    """The least that is fine enough, for an area and for a way; what wanders counts at none."""
    settings = MotionSettings.for_sensitivity(level)
    assert level_for_area(settings.blob_area_share) == level
    way = replace(TRACK, net_way=settings.net_way_share, path=settings.net_way_share)
    assert level_for_way(way) == level
    assert level_for_way(replace(way, path=3 * way.path)) is None


def test_what_no_level_sees_is_told() -> None:
    """Smaller than the finest level takes, and a way shorter than it needs."""
    finest = MotionSettings.for_sensitivity(10)
    assert level_for_area(0.9 * finest.blob_area_share) is None
    assert level_for_way(replace(TRACK, net_way=0.9 * finest.net_way_share, path=0.01)) is None
    assert lever_words("too small", None) == "would count at no [camera] sensitivity"
    assert lever_words("too small", 7) == "large enough to count from [camera] sensitivity = 7 on"
    assert "ignore_zones" in lever_words("ignored zone", None)


def test_a_coarse_sensitivity_that_hides_somebody_says_which_would_not() -> None:
    """A small thing that comes and goes is refused with its size, and counts from the level that is named."""
    lumas = [empty()] * 30 + [with_box(2 * index, size=(7, 16)) for index in range(60)] + [empty()] * 60
    coarse, _, _ = told(lumas, motion=MotionSettings.for_sensitivity(1))
    assert not coarse.events
    level = next(one.level for _, one in choose(coarse).refused if one.why == "too small")
    assert level is not None
    assert level > 1
    finer, _, _ = told(lumas, motion=MotionSettings.for_sensitivity(level))
    assert finer.events


def test_an_event_gives_the_line_that_would_ignore_it() -> None:
    """In the settings' own form, with what is ignored already; with it there is no event any more."""
    corner = ((0.8, 0.8), (1.0, 0.8), (1.0, 1.0), (0.8, 1.0))
    lumas = walk_then(0, after_s=4)
    account, _, _ = told(lumas, motion=MotionSettings.for_sensitivity(5, ignore=(corner,)))
    zones = tomllib.loads(account.events[0].zone_line)["ignore_zones"]
    assert zones[0] == [list(point) for point in corner]
    ignored, _, _ = told(lumas, motion=MotionSettings(ignore=tuple(check_polygon(zone) for zone in zones)))
    assert not ignored.events


def test_what_is_gone_at_once_ends_when_it_was_last_seen() -> None:
    """Not when it was given up."""
    account, _, _ = told([empty()] * 45 + [with_box(60)] * 2 + [empty()] * 45)
    (one,) = (one for one in account.refused if one.why == "gone at once")
    assert one.end_us - one.start_us <= 2 * FRAME_US
    assert one.words == "seen for 0.1 s and gone"


def test_an_event_longer_than_a_clip_says_so() -> None:
    """The device starts another clip."""
    short, _, _ = told(walk_then(2), recorder=RecorderSettings(max_clip_s=60))
    long, _, _ = told(walk_then(2), recorder=RecorderSettings(pre_roll_s=1, post_roll_s=1, max_clip_s=3))
    assert not short.events[0].clips
    assert "max_clip_s = 3: " in long.events[0].clips
