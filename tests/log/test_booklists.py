"""The book's lists say what its single questions say, whatever way they take through it."""

from collections import Counter

import h3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.log.history.book import Book
from broker.log.history.query import COUNTED_CELLS, Filter, Status
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


FILTERS = st.builds(
    Filter,
    agency=st.sampled_from([None, "springfield-pd", "shelbyville-pd", "nobody"]),
    incident=st.sampled_from([None, "arson", "robbery"]),
    status=st.none() | st.sampled_from(Status),
    box=st.sampled_from([None, (0, -180 * E7, 1, 180 * E7), (0, 1_790_000_000, 2 * E7, -1_790_000_000), (5, 5, 6, 6)]),
    since_us=st.none() | st.integers(-30, 0).map(lambda minutes: NOW_US + minutes * MINUTE_US),
)


@given(wanted=FILTERS, before=st.none() | st.integers(0, 30), later=st.sampled_from([0, 2 * DAY_US, 20 * DAY_US]))
def test_marks_are_the_requests_that_a_filter_wants(book: Book, wanted: Filter, before: int | None, later: int) -> None:
    """The same requests in the same order, with the same status; the count is theirs."""
    now_us = NOW_US + 2 * MINUTE_US + later
    marks = book.lists.marks(wanted, now_us=now_us, before=before, limit=100)
    expected = list(book.requests(wanted, now_us=now_us, before=before))
    assert [mark.leaf for mark in marks] == [posted.leaf for posted in expected]
    assert [mark.index for mark in marks] == sorted((mark.index for mark in marks), reverse=True)
    for mark, posted in zip(marks, expected, strict=True):
        assert mark.status == book.status(mark.leaf, now_us)
        assert (mark.case, mark.start_us, mark.admission) == (
            posted.request.case, posted.request.start, posted.admission.index,
        )  # fmt: skip
    assert book.lists.count(wanted, now_us=now_us, before=before, most=100) == len(marks)
    assert book.lists.count(wanted, now_us=now_us, before=before, most=3) == min(3, len(marks))
    if wanted.box is not None:
        assert book.lists.marks(wanted, now_us=now_us, before=before, limit=100, near=True) == marks


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
    marks = book.lists.marks(Filter(), now_us=NOW_US, limit=100)
    texts = book.lists.descriptions([mark.index for mark in marks])
    assert len(texts) == 20
    assert set(texts.values()) == {"A parcel was taken from a porch by a person on a red bicycle."}
    said = book.lists.updates([mark.leaf for mark in marks])
    assert len(said) == 4
    for leaf, updates in said.items():
        assert [update for _, update in updates] == [known.update for known in book.updates_of(leaf)]


def test_cells_count_every_request(book: Book) -> None:
    """Each request counts in the cell of its circle's centre."""
    marks = book.lists.marks(Filter(), now_us=NOW_US, limit=100)
    cells = Counter(h3.latlng_to_cell(mark.lat_e7 / E7, mark.lon_e7 / E7, COUNTED_CELLS) for mark in marks)
    assert book.lists.cells() == cells
    assert len(cells) == 6
