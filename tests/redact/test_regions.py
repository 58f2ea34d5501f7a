"""Boxes over time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.video.redact.regions import Box, KeyBox, Region

fractions = st.floats(-0.5, 1.5, allow_nan=False)
sizes = st.floats(0.01, 1.0, allow_nan=False)
boxes = st.builds(Box, fractions, fractions, sizes, sizes)
moments = st.lists(st.integers(0, 10_000_000), min_size=2, max_size=6, unique=True).map(sorted)


def inside(small: Box, large: Box) -> bool:
    """Whether a box lies in another, but for rounding."""
    return (
        small.x >= large.x - 1e-9
        and small.y >= large.y - 1e-9
        and small.x + small.width <= large.x + large.width + 1e-9
        and small.y + small.height <= large.y + large.height + 1e-9
    )


@given(st.data(), moments)
def test_a_region_is_there_from_its_first_key_to_its_last(data: st.DataObject, times: list[int]) -> None:
    """At a key it is that key's box; between two it lies within both; outside there is none."""
    region = Region(tuple(KeyBox(at_us, data.draw(boxes)) for at_us in times))
    for key in region.keys:
        found = region.at(key.at_us)
        assert found is not None
        assert inside(found, key.box)
        assert inside(key.box, found)
    assert region.at(times[0] - 1) is None
    assert region.at(times[-1] + 1) is None
    at_us = data.draw(st.integers(times[0], times[-1]))
    found = region.at(at_us)
    assert found is not None
    before = max((key for key in region.keys if key.at_us <= at_us), key=lambda key: key.at_us)
    after = min((key for key in region.keys if key.at_us >= at_us), key=lambda key: key.at_us)
    assert inside(found, before.box.hull(after.box))


@given(boxes, st.integers())
def test_a_region_of_one_key_is_there_all_the_time(box: Box, at_us: int) -> None:
    """One box without an end hides the whole clip."""
    assert Region((KeyBox(5, box),)).at(at_us) == box


@given(boxes, boxes)
def test_a_hull_holds_both(a: Box, b: Box) -> None:
    """Nothing of either is left out."""
    assert inside(a, a.hull(b))
    assert inside(b, a.hull(b))


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ((), "at least one"),
        ((KeyBox(0, Box(0, 0, 0, 1)),), "a width"),
        ((KeyBox(5, Box(0, 0, 1, 1)), KeyBox(5, Box(0, 0, 1, 1))), "in order"),
    ],
)
def test_a_region_that_hides_nothing_is_refused(keys: tuple[KeyBox, ...], said: str) -> None:
    """No boxes, boxes without a size, or times that go back: the owner's mistake is told, not guessed at."""
    with pytest.raises(ValueError, match=said):
        Region(keys)


@given(st.integers(0, 10), st.integers(11, 40), st.integers(0, 50), st.integers(1, 20))
def test_a_picture_during_which_a_box_is_there_is_hidden_by_it(first: int, last: int, shown: int, lasts: int) -> None:
    """A box that begins in the middle of a picture's time hides that picture as well."""
    region = Region((KeyBox(first, Box(0.1, 0.1, 0.2, 0.2)), KeyBox(last, Box(0.3, 0.1, 0.2, 0.2))))
    there = shown <= last and shown + lasts > first
    assert (region.during(shown, shown + lasts) is not None) == there
