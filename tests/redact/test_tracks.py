"""Findings become tracks, and a track hides its face in every picture."""

from hypothesis import given
from hypothesis import strategies as st

from device.video.redact.faces import Face
from device.video.redact.regions import Box
from device.video.redact.tracks import HOLD_US, PATIENCE_US, SURE, Track, Tracker
from tests.redact.test_regions import inside

LOOK_US = 200_000
FRAME_US = 66_667


def tracked(looks: list[list[Face]]) -> tuple[Track, ...]:
    tracker = Tracker(aspect=16 / 9)
    for number, found in enumerate(looks):
        tracker.add(number * LOOK_US, found)
    return tracker.tracks()


def walking(at_us: int, *, speed: float, size: float = 0.05, y: float = 0.3) -> Box:
    """Somebody who walks to the right; `speed` in widths of the picture a second."""
    return Box(0.2 + speed * at_us / 1_000_000, y, size, size * 16 / 9)


@given(
    st.lists(st.booleans(), min_size=3, max_size=25),
    st.floats(-0.2, 0.2),
    st.floats(0.01, 0.2),
    st.floats(SURE, 1.0),
)
def test_a_face_missed_in_some_looks_stays_hidden(seen: list[bool], speed: float, size: float, score: float) -> None:
    """Whatever looks miss it, as long as no gap is longer than a track's patience: hidden in every picture between."""
    gaps = "".join("x" if one else "." for one in seen).strip(".").split("x")
    if not any(seen) or max(map(len, gaps)) * LOOK_US >= PATIENCE_US:
        return
    # A face that is small for its speed is another matter; see below.
    speed = max(-2.5 * size, min(2.5 * size, speed))
    looks = [
        [Face(score, walking(number * LOOK_US, speed=speed, size=size))] if one else []
        for number, one in enumerate(seen)
    ]
    tracks = tracked(looks)
    first, last = seen.index(True) * LOOK_US, (len(seen) - 1 - seen[::-1].index(True)) * LOOK_US
    for at_us in range(first, last + 1, FRAME_US):
        face = walking(at_us, speed=speed, size=size)
        assert any(inside(face, box) for track in tracks for box in track.hidden(at_us)), at_us


@given(st.floats(-0.15, 0.15), st.floats(0.04, 0.2))
def test_a_face_is_hidden_before_it_was_found_and_after(speed: float, size: float) -> None:
    """It came from somewhere and goes somewhere: both are hidden for a while, standing still or going on."""
    looks = [[Face(0.9, walking(number * LOOK_US, speed=speed, size=size))] for number in range(5)]
    (track,) = tracked(looks)
    end = 4 * LOOK_US
    for at_us in (*range(-HOLD_US, 0, FRAME_US), *range(end, end + HOLD_US, FRAME_US)):
        (hidden,) = track.hidden(at_us)
        assert inside(walking(at_us, speed=speed, size=size), hidden)
        assert inside(walking(0 if at_us < 0 else end, speed=speed, size=size), hidden)
    assert track.hidden(-HOLD_US - 1) == []
    assert track.hidden(end + HOLD_US + 1) == []


def test_beyond_a_long_gap_both_ends_are_hidden() -> None:
    """What is found again after a second may be somebody else: where each was and would be is hidden, too."""
    looks: list[list[Face]] = [[] for _ in range(6)]
    looks[0] = [Face(0.9, Box(0.2, 0.3, 0.05, 0.09))]
    looks[5] = [Face(0.9, Box(0.4, 0.3, 0.05, 0.09))]
    (track,) = tracked(looks)
    for at_us in range(0, 5 * LOOK_US, FRAME_US):
        for face in (*looks[0], *looks[5]):
            near = abs(at_us - (0 if face is looks[0][0] else 5 * LOOK_US)) <= HOLD_US
            assert not near or any(inside(face.box, box) for box in track.hidden(at_us))


def test_two_people_who_pass_each_other_stay_hidden() -> None:
    """Their tracks may swap; no face is uncovered for that."""

    def faces(at_us: int) -> list[Box]:
        return [walking(at_us, speed=0.1), Box(0.6 - 0.1 * at_us / 1_000_000, 0.32, 0.05, 0.09)]

    looks = [[Face(0.8, box) for box in faces(number * LOOK_US)] for number in range(20)]
    tracks = tracked(looks)
    for at_us in range(0, 19 * LOOK_US, FRAME_US):
        hidden = [box for track in tracks for box in track.hidden(at_us)]
        assert all(any(inside(face, box) for box in hidden) for face in faces(at_us))


def test_what_was_never_sure_is_no_track() -> None:
    """Weak findings alone hide nothing; one sure finding among them hides all of them."""
    weak = [[Face(SURE - 0.1, walking(number * LOOK_US, speed=0.1))] for number in range(10)]
    assert tracked(weak) == ()
    weak[4] = [Face(SURE, weak[4][0].box)]
    (track,) = tracked(weak)
    assert len(track.seen) == 10


def test_a_face_that_comes_back_later_is_another_track() -> None:
    """Beyond a track's patience nobody knows where it was."""
    away = PATIENCE_US // LOOK_US + 2
    here = [Face(0.9, walking(0, speed=0))]
    first, second = tracked([here, *[[] for _ in range(away)], here])
    assert first.hidden(away * LOOK_US // 2) == []
    assert second.seen[0].at_us == (away + 1) * LOOK_US


def test_a_face_of_another_size_is_another_track() -> None:
    """A child beside its father is not the father gone small."""
    tracks = tracked([[Face(0.9, Box(0.3, 0.3, 0.1, 0.18))], [Face(0.9, Box(0.32, 0.32, 0.03, 0.054))]])
    assert len(tracks) == 2
