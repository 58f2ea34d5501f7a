"""Circles, boxes and cells anywhere on Earth, the date line and the poles included."""

import itertools
import math

import h3
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from broker.feed.geometry import (
    box_around,
    cell_box,
    cell_outline,
    circle_geometry,
    enclosing,
    near,
    towards,
    width_of,
    wrapped,
)
from broker.wire.geo import E7, Point, distance_m
from broker.wire.records import Area

LATS = st.integers(-90 * E7, 90 * E7)
LONS = st.integers(-180 * E7, 180 * E7)
AREAS = st.builds(
    lambda lat, lon, radius: Area(lat_e7=lat, lon_e7=lon, radius_m=radius), LATS, LONS, st.integers(20, 100_000)
)


def signed_area(ring: list[list[float]]) -> float:
    return sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in itertools.pairwise(ring)) / 2


def holds(box: tuple[float, float, float, float], lat: float, lon: float, *, slack: float = 1e-6) -> bool:
    middle = box[1] + width_of(box) / 2
    inside = abs(near(lon, middle) - middle) <= width_of(box) / 2 + slack
    return box[0] - slack <= lat <= box[2] + slack and inside


@given(AREAS)
@example(Area(lat_e7=90 * E7, lon_e7=0, radius_m=500))
@example(Area(lat_e7=-90 * E7, lon_e7=17 * E7, radius_m=500))
@example(Area(lat_e7=899_999_000, lon_e7=1_790_000_000, radius_m=100_000))
@example(Area(lat_e7=0, lon_e7=180 * E7, radius_m=300))
@example(Area(lat_e7=600_000_000, lon_e7=-1_799_999_999, radius_m=642))
def test_a_circle_is_a_polygon_that_rfc_7946_allows(area: Area) -> None:
    """Rings are closed, counterclockwise, within the coordinates' range, and cross no date line."""
    geometry = circle_geometry(area)
    polygons = [geometry["coordinates"]] if geometry["type"] == "Polygon" else geometry["coordinates"]
    for (ring,) in polygons:
        assert ring[0] == ring[-1]
        assert all(-180 <= lon <= 180 and -90 <= lat <= 90 for lon, lat in ring)
        assert signed_area(ring) >= 0
        on_the_rim = [(lon, lat) for lon, lat in ring if abs(abs(lon) - 180) > 1e-6 and abs(lat) < 89.999]
        for lon, lat in on_the_rim:
            far = distance_m(area.centre, Point.from_degrees(lat, lon))
            assert far == pytest.approx(area.radius_m, rel=2e-3, abs=0.1)


def test_a_circle_on_the_date_line_is_cut_in_two() -> None:
    """Both halves touch the line, one from each side."""
    geometry = circle_geometry(Area(lat_e7=-165_000_000, lon_e7=1_799_990_000, radius_m=600))
    assert geometry["type"] == "MultiPolygon"
    (west,), (east,) = geometry["coordinates"]
    assert max(lon for lon, _ in west) == 180.0
    assert min(lon for lon, _ in east) == -180.0


def test_a_circle_over_a_pole_holds_the_pole() -> None:
    """Its ring runs along the whole pole's edge of the map."""
    (ring,) = circle_geometry(Area(lat_e7=899_990_000, lon_e7=0, radius_m=600))["coordinates"]
    assert {-180.0, 180.0} <= {lon for lon, lat in ring if lat == 90.0}


@given(LATS, LONS, st.floats(1, 200_000), st.floats(0, math.tau))
def test_a_box_holds_all_that_is_near(lat: int, lon: int, half_m: float, bearing: float) -> None:
    """Whatever is within reach of the centre lies in its box."""
    centre = Point(lat, lon)
    assert holds(box_around(centre, half_m), *towards((centre.lat, centre.lon), bearing, half_m * 0.999))


@given(st.floats(-90, 90), st.floats(-180, 180), st.integers(0, 15))
@example(90.0, 0.0, 4)
@example(-89.0, 0.0, 0)
@example(89.9655, -3.59, 4)
@example(-90.0, 0.0, 7)
@example(0.0, 180.0, 3)
def test_a_cells_box_holds_the_cell(lat: float, lon: float, resolution: int) -> None:
    """Any place that H3 puts in a cell is in the box that is looked through for it."""
    cell = h3.latlng_to_cell(lat, lon, resolution)
    box = cell_box(cell)
    assert holds(box, lat, wrapped(lon))
    assert all(holds(box, *corner) for corner in cell_outline(cell))


@given(st.lists(st.tuples(st.floats(-90, 90), st.floats(-180, 179.999)), min_size=1, max_size=8))
def test_what_encloses_places_holds_each(places: list[tuple[float, float]]) -> None:
    """The box goes the shorter way around, over the date line if need be."""
    box = enclosing(places)
    assert box is not None
    assert all(holds(box, *place) for place in places)


def test_neighbours_across_the_date_line_are_close() -> None:
    """Two islands on either side are enclosed by two degrees, not by the rest of the world."""
    box = enclosing([(-17.0, 179.0), (-16.0, -179.0)])
    assert box == (-17.0, 179.0, -16.0, -179.0)
    assert width_of(box) == 2.0
    assert enclosing([]) is None
