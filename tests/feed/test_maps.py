"""The maps: to scale, and the same at the date line and the poles as anywhere."""

import re
from collections.abc import Mapping
from pathlib import Path

import h3
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from broker.feed.census import Census
from broker.feed.frame import LEFT, TOP, bar_for
from broker.feed.geometry import enclosing, towards
from broker.feed.overview import FRAME, NOWHERE, Overview, overview
from broker.feed.query import Query
from broker.feed.requestmap import RequestMap, half_width_m, request_map
from broker.feed.source import Source
from broker.log.history.book import Book
from broker.log.history.lists import Mark
from broker.log.history.query import Status
from broker.wire.geo import E7
from broker.wire.records import Area
from tests.feed.simulator import SimulatedService
from tests.log.support import NOW_US, admission, asked

LATS = st.integers(-90 * E7, 90 * E7)
LONS = st.integers(-180 * E7, 180 * E7)


def mark(lat_e7: int, lon_e7: int, radius_m: int = 300, leaf: str = "0" * 64) -> Mark:
    return Mark(1, leaf, "a", "arson", lat_e7, lon_e7, radius_m, 0, 0, 0, 0, "case", 0, Status.OPEN)


def numbers(text: str) -> list[float]:
    return [float(one) for one in re.findall(r"-?\d+(?:\.\d+)?", text)]


@given(LATS, LONS, st.integers(144, 642), st.floats(0, 6.28), st.floats(0.1, 1.5))
@example(90 * E7, 0, 300, 1.0, 1.0)
@example(-90 * E7, 0, 642, 2.0, 1.0)
@example(0, 180 * E7, 144, 1.57, 1.0)
def test_distances_on_a_requests_map_are_true(lat: int, lon: int, radius: int, bearing: float, share: float) -> None:
    """A neighbour is drawn as far from the centre as it is, in the scale of the circle, wherever on Earth."""
    area = Area(lat_e7=lat, lon_e7=lon, radius_m=radius)
    there = towards((area.centre.lat, area.centre.lon), bearing, share * radius)
    drawn = request_map("1" * 64, area, [mark(round(there[0] * E7), round(there[1] * E7))])
    (other,) = drawn.others
    distance = ((other.x - drawn.area.x) ** 2 + (other.y - drawn.area.y) ** 2) ** 0.5
    assert distance / drawn.area.r == pytest.approx(share, abs=0.01)
    assert drawn.area.r * 2 * half_width_m(area) / radius == pytest.approx(drawn.frame.width, rel=0.01)
    assert all(abs(value) < 1e7 for value in numbers(drawn.grid))


@given(st.floats(1e-3, 1e5), st.integers(100, 1_000))
def test_a_scale_bar_is_to_scale_and_fits(metres_per_unit: float, width: int) -> None:
    """The bar is as long as its label says, and shorter than a third of the map."""
    bar = bar_for(metres_per_unit, width)
    number, unit = bar.label.replace(",", "").split()
    metres = float(number) * (1_000 if unit == "km" else 1)
    assert bar.length * metres_per_unit == pytest.approx(metres, rel=0.01, abs=metres_per_unit / 100)
    assert 0.1 * width < bar.length <= 0.3 * width + 0.01


def test_coordinates_stand_at_the_edges() -> None:
    """Parallels are labelled at the left, meridians at the bottom, in round numbers with hemispheres."""
    drawn = request_map("1" * 64, Area(lat_e7=-337_000_000, lon_e7=1_799_990_000, radius_m=500), [])
    labels = [tick.label for tick in drawn.ticks if tick.label]
    assert any(label.endswith("S") for label in labels)
    assert any(label.endswith("W") for label in labels)
    assert all(re.fullmatch(r"\d+\.\d+° [NESW]", label) for label in labels)
    for tick in drawn.ticks:
        assert LEFT <= tick.x1 <= LEFT + drawn.frame.width
        assert TOP <= tick.y1 <= TOP + drawn.frame.height


def test_the_nearest_are_named() -> None:
    """Other requests nearby are listed from near to far, without the request itself."""
    area = Area(lat_e7=525_000_000, lon_e7=133_000_000, radius_m=300)
    places = {"1": 525_000_000, "2": 525_030_000, "3": 525_010_000}
    marks = [mark(lat_e7, 133_000_000, leaf=digit * 64) for digit, lat_e7 in places.items()]
    drawn = request_map("1" * 64, area, marks)
    assert [one.leaf[0] for one in drawn.neighbours] == ["3", "2"]
    assert [one.distance_m for one in drawn.neighbours] == [110, 330]


def counted(*places: tuple[float, float]) -> Mapping[int, Mapping[str, int]]:
    return {
        resolution: dict.fromkeys((h3.latlng_to_cell(lat, lon, resolution) for lat, lon in places), 3)
        for resolution in range(8)
    }


def drawn_around(*places: tuple[float, float], area: tuple[int, int, int, int] | None = None) -> Overview:
    marks = [mark(round(lat * E7), round(lon * E7)) for lat, lon in places]
    return overview(counted(*places).__getitem__, enclosing(places), marks, area=area)


@given(st.lists(st.tuples(st.floats(-90, 90), st.floats(-180, 180)), max_size=6))
@example([(90.0, 0.0)])
@example([(-90.0, 0.0), (90.0, 179.9)])
@example([(0.0, 180.0), (0.1, -180.0)])
def test_an_overview_can_be_drawn_of_anywhere(places: list[tuple[float, float]]) -> None:
    """Nothing breaks at poles or the date line; all that is drawn as chosen or circled is of finite size."""
    drawn = drawn_around(*places)
    assert all(1 <= cell.shade <= 4 for cell in drawn.cells)
    assert all(abs(number) < 1e5 for number in numbers(re.sub(r'href="[^"]*"', "", drawn.circles)))
    assert -90 <= drawn.view[0] < drawn.view[2] <= 90
    for cell in drawn.cells:
        south, west, north, east = cell.area
        assert -90 * E7 <= south < north <= 90 * E7
        assert west != east


@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize(
    ("lat", "lon"), [(52.5163, 13.3777), (52.5163, 13.42), (0.0, 179.9999), (-17.0, -180.0), (89.99, 5.0)]
)
def test_each_listed_circle_is_seen(tmp_path: Path, count: int, lat: float, lon: float) -> None:
    """The first view of a list shows the circles of all its requests, though they all lie in one cell."""
    book = Book(tmp_path / "book")
    book.apply(0, admission())
    for number in range(count):
        area = {"lat_e7": round(lat * E7), "lon_e7": round(lon * E7) + number * 200, "radius_m": 144}
        book.apply(book.size, asked(case=f"26-{number}", area=area))
    source = Source(SimulatedService(book))
    marks = source.page(Query(), now_us=NOW_US, limit=9).marks
    census = Census(source)
    drawn = overview(census.counts, census.extent(), marks)
    assert len(marks) == str(drawn.circles).count("<ellipse") == count
    book.close()


def test_an_overview_of_nothing_shows_the_world() -> None:
    """Before anything was asked there is a map to choose an area on."""
    drawn = drawn_around()
    assert (drawn.cells, drawn.circles) == ((), "")
    assert drawn.view[0] <= NOWHERE[0]
    assert drawn.wider is None


def test_a_chosen_area_is_a_rectangle_across_the_date_line() -> None:
    """An area from 179 east to 179 west is two degrees wide on the map, in its middle."""
    area = (-18 * E7, 179 * E7, -16 * E7, -179 * E7)
    drawn = drawn_around((-17.0, 179.5), (-17.0, -179.5), area=area)
    assert drawn.chosen is not None
    x, y, width, height = drawn.chosen
    assert x + width / 2 == pytest.approx(LEFT + FRAME.width / 2, abs=0.2)
    assert y + height / 2 == pytest.approx(TOP + FRAME.height / 2, abs=0.2)
    assert width / height == pytest.approx(0.956, abs=0.01)
    centres = [float(one) for one in re.findall(r'cx="([^"]+)"', drawn.circles)]
    assert len(centres) == 2
    assert all(x < centre < x + width for centre in centres)


def test_one_can_zoom_out_until_all_is_seen() -> None:
    """Each wider area holds the one before, and at last there is none."""
    places = ((52.5, 13.3), (52.6, 13.6), (48.1, 11.5))
    area: tuple[int, int, int, int] | None = (525_000_000, 133_000_000, 525_100_000, 133_200_000)
    steps = 0
    while area is not None:
        drawn = drawn_around(*places, area=area)
        wider = drawn.wider
        assert wider is None or (wider[0] <= area[0] and wider[2] >= area[2])
        area = wider
        steps += 1
    assert 3 < steps < 20


def test_a_requests_map_says_what_it_shows() -> None:
    """Its description is for those who don't see it."""
    drawn: RequestMap = request_map("1" * 64, Area(lat_e7=0, lon_e7=0, radius_m=144), [])
    assert drawn.description == "Map, north up: a circle of 144 metres around 0.00000° N, 0.00000° E"
