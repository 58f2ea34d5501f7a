"""Matching at home: by place, kind and time."""

from hypothesis import given
from hypothesis import strategies as st

from broker.wire.geo import Point
from device.consent.matching import ClipSpan, concerns, matching_clips
from tests.simulators import PLACE, NeighbourhoodSimulator

REQUEST = NeighbourhoodSimulator().request()


def test_a_device_is_meant_by_place_and_kind() -> None:
    """Inside the circle and of a kind that is asked for; just outside, or of another kind, it is not."""
    inside = Point(PLACE.lat_e7 + 17_900, PLACE.lon_e7)  # 199 m north
    outside = Point(PLACE.lat_e7 + 18_100, PLACE.lon_e7)  # 201 m north
    assert concerns(REQUEST, where=inside, kind="doorbell")
    assert not concerns(REQUEST, where=outside, kind="doorbell")
    assert not concerns(REQUEST.model_copy(update={"devices": ("camera",)}), where=inside, kind="doorbell")


@given(st.lists(st.tuples(st.integers(-10, 10), st.integers(0, 10)), max_size=20))
def test_a_clip_matches_if_it_shows_some_of_the_window(spans: list[tuple[int, int]]) -> None:
    """A clip is found exactly if one of its moments lies inside the window."""
    request = REQUEST.model_copy(update={"start": 0, "end": 5})
    clips = [ClipSpan(f"c{number}", start, start + length) for number, (start, length) in enumerate(spans)]
    found = matching_clips(request, clips)
    assert {clip.clip for clip in found} == {
        clip.clip for clip in clips if any(0 <= moment < 5 for moment in range(clip.start_us, clip.end_us))
    }
    assert [clip.start_us for clip in found] == sorted(clip.start_us for clip in found)
