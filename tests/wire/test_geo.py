"""Distances and cells: a device inside a request's circle subscribes to a cell that the request is announced in."""

import math

import h3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.wire.geo import (
    CELL_RESOLUTION,
    E7,
    EARTH_RADIUS_M,
    Point,
    cell_of,
    cells_of_circle,
    circle_area_m2,
    distance_m,
)

POINTS = st.builds(Point, st.integers(-89 * E7, 89 * E7), st.integers(-180 * E7, 180 * E7))


def moved(point: Point, bearing: float, metres: float) -> Point:
    """The point that lies so far off in that direction (spherical direct problem)."""
    lat, lon, angle = math.radians(point.lat), math.radians(point.lon), metres / EARTH_RADIUS_M
    to_lat = math.asin(math.sin(lat) * math.cos(angle) + math.cos(lat) * math.sin(angle) * math.cos(bearing))
    east = math.sin(bearing) * math.sin(angle) * math.cos(lat)
    to_lon = lon + math.atan2(east, math.cos(angle) - math.sin(lat) * math.sin(to_lat))
    return Point.from_degrees(math.degrees(to_lat), (math.degrees(to_lon) + 180) % 360 - 180)


def test_known_distances() -> None:
    """A degree of latitude, a quarter of the equator, and from pole to pole."""
    degree = math.tau * EARTH_RADIUS_M / 360
    assert distance_m(Point(0, 0), Point(E7, 0)) == pytest.approx(degree)
    assert distance_m(Point(0, 0), Point(0, 90 * E7)) == pytest.approx(90 * degree)
    assert distance_m(Point(90 * E7, 0), Point(-90 * E7, 0)) == pytest.approx(180 * degree)
    assert distance_m(Point(0, 180 * E7), Point(0, -180 * E7)) == pytest.approx(0, abs=1e-6)
    assert circle_area_m2(100) == pytest.approx(31_415.93, abs=0.01)


@given(POINTS, POINTS)
def test_distance_is_symmetric_and_bounded(one: Point, other: Point) -> None:
    """It is the same both ways, and never more than half around."""
    assert distance_m(one, other) == pytest.approx(distance_m(other, one))
    assert 0 <= distance_m(one, other) <= math.pi * EARTH_RADIUS_M + 1
    assert distance_m(one, one) == 0


@given(POINTS)
def test_degrees_come_back(point: Point) -> None:
    """A ten-millionth of a degree is kept exactly."""
    assert Point.from_degrees(point.lat, point.lon) == point


@given(POINTS, st.integers(144, 642), st.floats(0, math.tau), st.floats(0, 1))
def test_whoever_is_in_the_circle_is_in_its_cells(centre: Point, radius_m: int, bearing: float, part: float) -> None:
    """A device anywhere in the circle finds its own cell among the ones that the request is announced in."""
    device = moved(centre, bearing, part * radius_m * 0.999)
    assert distance_m(centre, device) <= radius_m
    assert cell_of(device) in cells_of_circle(centre, radius_m)


@given(POINTS, st.integers(0, 5), st.integers(144, 642), st.floats(0, math.tau), st.floats(0.5, 12))
def test_corners_of_cells_are_not_missed(
    somewhere: Point, corner: int, radius_m: int, bearing: float, depth_m: float
) -> None:
    """A circle that reaches just over a corner where three cells meet is announced in all three."""
    boundary = h3.cell_to_boundary(cell_of(somewhere))
    lat, lon = boundary[corner % len(boundary)]
    vertex = Point.from_degrees(lat, lon)
    around = {cell_of(moved(vertex, math.tau * step / 24, 0.3)) for step in range(24)}
    centre = moved(vertex, bearing, radius_m - depth_m)
    assert around <= set(cells_of_circle(centre, radius_m))


@pytest.mark.parametrize("centre", [Point(90 * E7, 0), Point(-90 * E7, 0), Point(0, 180 * E7), Point(0, -180 * E7)])
def test_poles_and_the_date_line_are_places_too(centre: Point) -> None:
    """Nothing goes wrong where coordinates wrap."""
    cells = cells_of_circle(centre, 642)
    assert cell_of(centre) in cells
    assert cells == sorted(set(cells))
    assert all(h3.get_resolution(cell) == CELL_RESOLUTION for cell in cells)


def test_most_circles_touch_one_cell() -> None:
    """A cell is some 40 km across: few requests need to be announced twice."""
    counts = [len(cells_of_circle(Point.from_degrees(52 + step / 50, 13), 600)) for step in range(100)]
    assert counts.count(1) > 80
    assert max(counts) <= 3
