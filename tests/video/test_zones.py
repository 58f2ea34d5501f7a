"""Zones: polygons that are checked, and drawn so that nothing inside them is left out."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.video.zones import INSIDE, Polygon, ZoneError, check_polygon, zone_mask

fractions = st.floats(0, 1)
sizes = st.integers(1, 90)


@st.composite
def stars(draw: st.DrawFn) -> Polygon:
    """A polygon around a point, its corners in the order of their angle."""
    x, y = draw(st.floats(0.2, 0.8)), draw(st.floats(0.2, 0.8))
    count = draw(st.integers(3, 9))
    radii = draw(st.lists(st.floats(0.05, 0.2), min_size=count, max_size=count))
    turn = [math.tau * number / count for number in range(count)]
    corners = [(x + math.cos(angle) * r, y + math.sin(angle) * r) for angle, r in zip(turn, radii, strict=True)]
    return check_polygon(corners)


def holds(polygon: Polygon, x: float, y: float) -> bool:
    """Whether a point is inside, by counting edges to its right."""
    inside = False
    for number, (ax, ay) in enumerate(polygon):
        bx, by = polygon[number - 1]
        if (ay > y) != (by > y) and x < ax + (bx - ax) * (y - ay) / (by - ay):
            inside = not inside
    return inside


@given(stars(), sizes, sizes, fractions, fractions)
def test_every_pixel_touched_is_in_the_mask(zone: Polygon, width: int, height: int, x: float, y: float) -> None:
    """A point inside the polygon is in a pixel of the mask, wherever in the pixel it lies."""
    mask = zone_mask([zone], width=width, height=height)
    if holds(zone, x, y):
        assert mask[min(height - 1, int(y * height)), min(width - 1, int(x * width))] == INSIDE


@given(stars(), st.integers(20, 90), st.integers(20, 90))
def test_no_pixel_far_off_is_in_the_mask(zone: Polygon, width: int, height: int) -> None:
    """What is more than two pixels outside the polygon's frame is not in the mask."""
    rows, columns = np.nonzero(zone_mask([zone], width=width, height=height))
    for found, corners, size in ((columns, [x for x, _ in zone], width), (rows, [y for _, y in zone], height)):
        assert found.min() >= min(corners) * size - 3
        assert found.max() <= max(corners) * size + 2


@given(st.lists(stars(), max_size=4), sizes, sizes)
def test_a_mask_of_several_zones_is_all_of_them(zones: list[Polygon], width: int, height: int) -> None:
    """Zones that overlap leave no hole."""
    each = [zone_mask([zone], width=width, height=height) for zone in zones]
    whole = zone_mask(zones, width=width, height=height)
    assert np.array_equal(whole, np.maximum.reduce([np.zeros((height, width), np.uint8), *each]))


def test_a_mask_has_the_size_asked_for() -> None:
    """Shape, kind and values; an empty picture is no crash."""
    mask = zone_mask([((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))], width=40, height=20)
    assert mask.shape == (20, 40)
    assert mask.dtype == np.uint8
    assert set(np.unique(mask)) == {0, INSIDE}
    assert (mask[:, :20] == INSIDE).all()
    assert not mask[:, 22:].any()
    assert zone_mask([], width=0, height=0).shape == (0, 0)


def test_the_whole_picture_is_a_zone() -> None:
    """Corners at 0 and 1 leave no pixel out, at any size."""
    zone = check_polygon([(0, 0), (1, 0), (1, 1), (0, 1)])
    for width, height in [(1, 1), (2, 3), (160, 90), (1281, 721)]:
        assert (zone_mask([zone], width=width, height=height) == INSIDE).all()


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        ([], "corners"),
        ([(0, 0), (1, 1)], "corners"),
        ([(0, 0)] * 65, "corners"),
        ([(0, 0), (1, 0), (0.5,)], "no corner"),
        ([(0, 0), (1, 0), (0.5, 1.01)], "outside"),
        ([(0, 0), (1, 0), (0.5, -0.01)], "outside"),
        ([(0, 0), (1, 0), (0.5, math.nan)], "outside"),
        ([(0, 0), (1, 0), (math.inf, 1)], "outside"),
        ([(0, 0), (1, 1), (1, 0), (0, 1)], "cross"),
        ([(0, 0), (0.5, 0.5), (1, 1)], "no area"),
        ([(0.2, 0.2)] * 3, "no area"),
    ],
)
def test_what_is_no_polygon_is_refused(points: list[tuple[float, ...]], reason: str) -> None:
    """The error says which corner or edge is wrong, and is a ValueError for those who check settings."""
    with pytest.raises(ZoneError, match=reason) as caught:
        check_polygon(points)
    assert isinstance(caught.value, ValueError)
    assert reason in caught.value.reason


@given(st.lists(st.tuples(st.floats(), st.floats()), max_size=6))
def test_any_numbers_are_checked_or_refused(points: list[tuple[float, float]]) -> None:
    """No numbers crash the check, and what passes can be drawn."""
    try:
        zone = check_polygon(points)
    except ZoneError:
        return
    assert zone_mask([zone], width=16, height=9).any()
