"""The book's lists say what its single questions say, whatever way they take through it."""

from collections import Counter

import h3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.log.history.book import Book
from broker.log.history.cover import MOST, cells_over
from broker.log.history.lists import Count, Lists, Mark
from broker.log.history.query import COUNTED_CELLS, Filter, Status, cell_at
from broker.wire.geo import E7
from broker.wire.rules import DAY_US, MINUTE_US
from tests.log.support import NOW_US, admission, asked, leaf_of, revocation, update


def one(number: int) -> bytes:
    """A request in one of three places, open for one of two times."""
    place = {"lat_e7": (number % 3) * E7, "lon_e7": 1_799_000_000 * (-1) ** number, "radius_m": 300}
    now_us = NOW_US - (30 - number) * MINUTE_US
    days = 1 if number % 4 == 0 else 14
    agency = ("springfield-pd", "shelbyville-pd")[number % 2]
    incident = ("arson", "burglary", "robbery")[number % 3]
    return asked(
        now_us=now_us, agency=agency, case=str(number), incident=incident, area=place, expires_at=now_us + days * DAY_US
    )


@pytest.fixture(scope="module")
def book() -> Book:
    book = Book()
    for agency in ("springfield-pd", "shelbyville-pd"):
        book.apply(book.size, admission(agency))
    for number in range(20):
        book.apply(book.size, one(number))
        if number % 5 == 4:
            kind = "withdrawn" if number % 2 else "resolved"
            agency = ("springfield-pd", "shelbyville-pd")[number % 2]
            book.apply(book.size, update(leaf_of(one(number)), kind, agency=agency))
    book.apply(book.size, revocation("shelbyville-pd", now_us=NOW_US + MINUTE_US))
    return book


LATER_US = NOW_US + 2 * DAY_US
FILTERS = st.builds(
    Filter,
    agency=st.sampled_from([None, "springfield-pd", "shelbyville-pd", "nobody"]),
    incident=st.sampled_from([None, "arson", "robbery"]),
    status=st.none() | st.sampled_from(Status),
    box=st.sampled_from([None, (0, -180 * E7, 1, 180 * E7), (0, 1_790_000_000, 2 * E7, -1_790_000_000), (5, 5, 6, 6)]),
    cell=st.none()
    | st.builds(
        h3.latlng_to_cell, st.sampled_from([0, 1, 2]), st.sampled_from([179.9, -179.9, 5.0]), st.integers(0, 15)
    ),
    since_us=st.none() | st.integers(-30, 0).map(lambda minutes: NOW_US + minutes * MINUTE_US),
    until_us=st.none() | st.integers(-25, 10).map(lambda minutes: NOW_US + minutes * MINUTE_US),
)


@given(wanted=FILTERS, before=st.none() | st.integers(0, 30), later=st.sampled_from([0, 2 * DAY_US, 20 * DAY_US]))
def test_marks_are_the_requests_that_a_filter_wants(book: Book, wanted: Filter, before: int | None, later: int) -> None:
    """The same requests in the same order, with the same status; the count is theirs."""
    now_us = NOW_US + 2 * MINUTE_US + later
    page = book.lists.page(wanted, now_us=now_us, before=before, limit=100)
    marks = page.marks
    assert page.stopped is None
    expected = list(book.requests(wanted, now_us=now_us, before=before))
    assert [mark.leaf for mark in marks] == [posted.leaf for posted in expected]
    assert [mark.index for mark in marks] == sorted((mark.index for mark in marks), reverse=True)
    if wanted.cell is not None:
        resolution = h3.get_resolution(wanted.cell)
        centres = {h3.latlng_to_cell(mark.lat_e7 / E7, mark.lon_e7 / E7, resolution) for mark in marks}
        assert centres <= {wanted.cell}
    for mark, posted in zip(marks, expected, strict=True):
        assert mark.status == book.status(mark.leaf, now_us)
        assert (mark.case, mark.start_us, mark.admission) == (
            posted.request.case, posted.request.start, posted.admission.index,
        )  # fmt: skip
    assert book.lists.count(wanted, now_us=now_us, before=before, most=100) == Count(len(marks), whole=True)
    assert book.lists.count(wanted, now_us=now_us, before=before, most=3) == Count(
        min(3, len(marks)), whole=len(marks) < 3
    )


@given(wanted=FILTERS, looked=st.integers(1, 30), limit=st.integers(1, 5))
def test_a_list_that_stops_goes_on_where_it_stopped(book: Book, wanted: Filter, looked: int, limit: int) -> None:
    """However few rows a question may look at, page by page everything that is wanted comes, once, newest first."""
    lists = Lists(book._db, looked=looked)
    everything = lists.page(Filter(), now_us=LATER_US, limit=100).marks
    found: list[Mark] = []
    before: int | None = None
    while True:
        page = lists.page(wanted, now_us=LATER_US, limit=limit, before=before)
        found += page.marks
        following = page.marks[-1].index if len(page.marks) == limit else page.stopped
        if following is None:
            break
        assert before is None or following < before
        before = following
    assert found == [mark for mark in everything if _meets(mark, wanted)]
    count = lists.count(wanted, now_us=LATER_US, most=100)
    assert count.found == len(found) if count.whole else count.found <= len(found)


def _meets(mark: Mark, wanted: Filter) -> bool:
    """Say whether a filter wants a request, without SQL."""
    place = (mark.lat_e7 / E7, mark.lon_e7 / E7)
    south, west, north, east = wanted.box or (-90 * E7, -180 * E7, 90 * E7, 180 * E7)
    after, until = mark.lon_e7 >= west, mark.lon_e7 <= east
    return (
        (wanted.agency in {None, mark.agency})
        and (wanted.incident in {None, mark.incident})
        and (wanted.status in {None, mark.status})
        and south <= mark.lat_e7 <= north
        and ((after and until) if west <= east else (after or until))
        and (wanted.cell is None or h3.latlng_to_cell(*place, h3.get_resolution(wanted.cell)) == wanted.cell)
        and (wanted.since_us is None or mark.posted_us >= wanted.since_us)
        and (wanted.until_us is None or mark.posted_us < wanted.until_us)
    )


@given(
    south=st.integers(-75 * E7, 75 * E7), west=st.integers(-179 * E7, 179 * E7), tall=st.integers(1, E7),
    wide=st.integers(1, E7), parts=st.lists(st.tuples(st.integers(0, 16), st.integers(0, 16)), min_size=4, max_size=4),
)  # fmt: skip
def test_the_cells_over_a_box_hold_all_of_it(
    south: int, west: int, tall: int, wide: int, parts: list[tuple[int, int]]
) -> None:
    """Its corners, its edges and what is inside: each point lies in one of the cells, which are few."""
    cells = cells_over((south, west, south + tall, west + wide))
    assert len(cells) <= MOST
    for up, along in parts if cells else ():
        resolution = h3.get_resolution(h3.int_to_str(cells[0]))
        assert cell_at(south + tall * up // 16, west + wide * along // 16, resolution) in cells


def test_sums_agree_with_what_was_asked(book: Book) -> None:
    """Totals, by agency and in all, are the lists' lengths."""
    now_us = NOW_US + 2 * DAY_US
    totals = book.lists.totals(now_us=now_us)
    assert book.lists.total() == sum(asked for asked, _ in totals.values()) == 20
    for agency, (count, still_open) in totals.items():
        record = book.record_of(agency, now_us=now_us)
        assert record.asked == count == len(list(book.requests(Filter(agency=agency))))
        assert record.by_status.get(Status.OPEN, 0) == still_open == book.open_requests(agency, now_us)
        assert (
            sum(record.by_status.values())
            == sum(n for _, n in record.days)
            == sum(record.by_incident.values())
            == count
        )
    assert totals["shelbyville-pd"][1] == 0


def test_descriptions_and_updates_come_together(book: Book) -> None:
    """What many requests say, and what was said of them, in one question each."""
    marks = book.lists.page(Filter(), now_us=NOW_US, limit=100).marks
    texts = book.lists.descriptions([mark.index for mark in marks])
    assert len(texts) == 20
    assert set(texts.values()) == {"A parcel was taken from a porch by a person on a red bicycle."}
    said = book.lists.updates([mark.leaf for mark in marks])
    assert len(said) == 4
    for leaf, updates in said.items():
        assert [update for _, update in updates] == [known.update for known in book.updates_of(leaf)]


def test_cells_count_every_request(book: Book) -> None:
    """Each request counts in the cell of its circle's centre."""
    marks = book.lists.page(Filter(), now_us=NOW_US, limit=100).marks
    cells = Counter(h3.latlng_to_cell(mark.lat_e7 / E7, mark.lon_e7 / E7, COUNTED_CELLS) for mark in marks)
    assert book.lists.cells() == cells
    assert len(cells) == 6
