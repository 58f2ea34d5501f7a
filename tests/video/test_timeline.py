"""Timestamps as sources give them."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from device.video.packets import ticks_from_us, us_from_ticks
from device.video.source.timeline import Timeline

STAMP = st.one_of(st.none(), st.integers(-(2**62), 2**62), st.integers(0, 200_000))


@given(st.lists(st.tuples(STAMP, STAMP), max_size=60))
def test_time_only_grows(stamps: list[tuple[int | None, int | None]]) -> None:
    """Whatever stamps come, dts grows strictly, pts never precedes it, and neither leaps by more than ten seconds."""
    timeline = Timeline(frame_ticks=6_000)
    placed = [timeline.place(dts, pts) for dts, pts in stamps]
    for (before, _), (after, shown) in pairwise(placed):
        assert before < after <= before + 10 * 90_000 + 1
        assert after <= shown <= after + 6 * 90_000


def test_sane_stamps_keep_their_differences() -> None:
    """A stream with B-frames is only shifted, so that its first picture is shown at 0."""
    stamps = [(0, 6_000), (3_000, 15_000), (6_000, 9_000), (9_000, 12_000), (12_000, 18_000)]
    timeline = Timeline(frame_ticks=3_000)
    assert [timeline.place(*stamp) for stamp in stamps] == [(dts - 6_000, pts - 6_000) for dts, pts in stamps]
    assert timeline.jumps == 0


def test_a_first_packet_without_stamps_starts_at_zero() -> None:
    """RTSP's first packet has no pts; the line begins there all the same."""
    timeline = Timeline(frame_ticks=6_000)
    assert timeline.place(None, None) == (0, 0)
    assert timeline.place(90_000_000, 90_000_000)[0] == 6_000


@given(st.lists(st.tuples(STAMP, STAMP, st.integers(0, 2**40)), max_size=60))
def test_a_leap_is_what_the_caller_says_it_is(stamps: list[tuple[int | None, int | None, int]]) -> None:
    """No step is larger than what was allowed for it, or than a frame where it had to be joined."""
    timeline = Timeline(frame_ticks=6_000)
    before: int | None = None
    for dts, pts, lead_ticks in stamps:
        placed, _ = timeline.place(dts, pts, lead_ticks=lead_ticks)
        assert before is None or 0 < placed - before <= max(lead_ticks, 6_000)
        before = placed


def test_a_repeated_film_goes_on_without_a_gap() -> None:
    """After a restart the next packet follows the last by one frame."""
    timeline = Timeline(frame_ticks=6_000)
    first = [timeline.place(t, t)[0] for t in (0, 6_000, 12_000)]
    timeline.restart()
    assert first == [0, 6_000, 12_000]
    assert [timeline.place(t, t)[0] for t in (0, 6_000)] == [18_000, 24_000]


@given(st.integers(0, 2**50))
def test_ticks_survive_microseconds(ticks: int) -> None:
    """A count of ticks told in microseconds comes back exactly."""
    assert ticks_from_us(us_from_ticks(ticks)) == ticks
