"""The book: derived from the log, kept in a file, right after any interruption."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.log.history.book import Book
from broker.log.history.query import Filter, Status
from broker.wire.deletions import DeletionsAsked
from broker.wire.encoding import WireError
from broker.wire.geo import E7
from broker.wire.rules import DAY_US
from tests.log.support import NOW_US, OPERATOR, admission, asked, leaf_of, refusals, revocation, update

HISTORY = [
    admission(),
    asked(case="1"),
    asked(case="2", incident="burglary"),
    update(leaf_of(asked(case="1")), "answered"),
    refusals(area=2),
    update(leaf_of(asked(case="1"))),
    DeletionsAsked(
        agency="springfield-pd", request=leaf_of(asked(case="1")), day=NOW_US // DAY_US * DAY_US, count=2
    ).sign(OPERATOR),
    asked(case="3", area={"lat_e7": -10 * E7, "lon_e7": 179 * E7, "radius_m": 300}),
    revocation(),
]


def filled(book: Book, upto: int = len(HISTORY)) -> Book:
    for index in range(book.size, upto):
        book.apply(index, HISTORY[index])
    return book


def apply_batch(book: Book, entries: list[bytes]) -> None:
    with book.batch():
        for entry in entries:
            book.apply(book.size, entry)


def told(book: Book) -> object:
    """All that a book says, for comparison."""
    return (
        book.size,
        book.newest,
        list(book.requests()),
        book.agencies(),
        book.standing("springfield-pd"),
        [book.updates_of(leaf) for leaf, _ in book.leaves()],
        book.record_of("springfield-pd", now_us=NOW_US),
        book.deletions.of_request(leaf_of(asked(case="1"))),
    )


@given(st.integers(0, len(HISTORY)), st.integers(0, len(HISTORY)))
@settings(max_examples=30, deadline=None)
def test_a_book_goes_on_where_it_was_closed(tmp_path_factory: pytest.TempPathFactory, first: int, second: int) -> None:
    """Closed and opened anywhere in a history, it says what one says that was never closed."""
    path = tmp_path_factory.mktemp("book") / "book.db"
    for upto in sorted((first, second)):
        book = filled(Book(path), upto)
        book.close()
    book = filled(Book(path))
    assert told(book) == told(filled(Book()))
    book.close()


def test_a_batch_is_applied_whole_or_not_at_all() -> None:
    """An entry that can't follow takes back those before it in the batch, also from what is cached."""
    book = filled(Book(), 1)
    with pytest.raises(WireError):
        apply_batch(book, [asked(), revocation(), asked(case="after the revocation")])
    assert (book.size, book.count()) == (1, 0)
    assert book.agency("springfield-pd") is not None
    assert book.index_of(leaf_of(asked())) is None


def test_a_file_that_is_no_book_is_made_anew(tmp_path: Path) -> None:
    """What is in it follows from the log, so that nothing is lost."""
    path = tmp_path / "book.db"
    path.write_bytes(b"this is no database, but long enough to be looked at as one" * 20)
    book = Book(path)
    assert book.size == 0
    filled(book).close()


def test_requests_are_found_by_what_is_asked_of_them() -> None:
    """By agency, incident, place (over the date line too), time and status; newest first, in pages."""
    book = filled(Book(), 8)
    first, second, third = (leaf for leaf, _ in book.leaves())

    def found(**wanted: object) -> list[str]:
        return [one.leaf for one in book.requests(Filter(**wanted), now_us=NOW_US)]  # type: ignore[arg-type]

    assert found() == [third, second, first]
    assert found(agency="shelbyville-pd") == []
    assert found(incident="burglary") == [second]
    assert found(box=(50 * E7, 10 * E7, 55 * E7, 20 * E7)) == [second, first]
    assert found(box=(-20 * E7, 178 * E7, 0, -178 * E7)) == [third]
    assert found(status=Status.WITHDRAWN) == [first]
    assert found(status=Status.OPEN) == [third, second]
    assert found(since_us=NOW_US + 1) == []
    assert book.count(Filter(status=Status.EXPIRED), now_us=NOW_US + 15 * DAY_US) == 2
    assert [one.leaf for one in book.requests(before=6, limit=1)] == [second]
    assert book.open_requests("springfield-pd", NOW_US) == 2
    filled(book)
    assert found(status=Status.REVOKED) == [third, second]


def test_an_agencys_record_adds_up() -> None:
    """How many, in which state, how wide and how long, and what was refused."""
    book = filled(Book())
    record = book.record_of("springfield-pd", now_us=NOW_US)
    assert record.asked == 3
    assert record.by_status == {Status.WITHDRAWN: 1, Status.REVOKED: 2}
    assert record.by_incident == {"package-theft": 2, "burglary": 1}
    assert record.refused == {"area": 2}
    assert (record.deletions, record.deletions_of) == (2, 1)
    assert round(record.mean_area_m2) == 282_743
    assert record.days == ((NOW_US // DAY_US, 3),)
    assert book.record_of("nobody", now_us=NOW_US).asked == 0
