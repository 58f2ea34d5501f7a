"""By which index a question goes through the requests, so that its cost does not grow with the log. Reading only.

Every way is counted before it is gone, up to `looked` rows:

1. One that ends before that is gone whole; of several the shortest.
2. Where all are longer, the one of which the newest `looked` rows reach furthest back is gone as far as that. The
   answer then says where it stopped (`Way.floor`), and one that asks from there goes on.

Days become a range of entries first: a table says between which entries those of a day stand, a row for each day.
"""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import h3

from broker.wire.rules import DAY_US

from .cover import cells_over
from .query import PLACED_CELLS, Filter, Status

LOOKED: Final = 4_000  # rows a question: some 10 ms where each has to be read


@dataclass(frozen=True, slots=True)
class Way:
    """What to select from, a condition that has to be added to the filter's, its values, and the order.

    `floor` is the oldest entry that was looked at where older ones were not, None where there is nothing older to find.
    """

    table: str
    condition: str
    values: tuple[Any, ...]
    key: str
    floor: int | None


@dataclass(frozen=True, slots=True)
class _Choice:
    """An index, and the rows of it that a filter leaves. One in order of entries can be gone in part."""

    table: str
    condition: str
    values: tuple[Any, ...]
    ordered: bool = True


@dataclass(frozen=True, slots=True)
class _Cells:
    """The lists of some cells of one size, gone together in order of entries."""

    cells: tuple[int, ...]
    ordered = True

    def listed(self, low: int, high: int) -> tuple[str, tuple[int, ...]]:
        """Return a query of their entries, newest first, and its values."""
        arms = " UNION ALL ".join(["SELECT idx FROM places WHERE cell = ? AND idx >= ? AND idx < ?"] * len(self.cells))
        return f"{arms} ORDER BY idx DESC", tuple(value for cell in self.cells for value in (cell, low, high))


def way_for(db: sqlite3.Connection, wanted: Filter, *, now_us: int, before: int | None, looked: int) -> Way | None:
    """Return the way that a filter's question goes, None where no request can meet it."""
    low, high = _entries(db, wanted, before)
    if low >= high:
        return None
    best: _Choice | _Cells = _Choice("requests r NOT INDEXED", "TRUE", ())
    if wanted == Filter():
        return _gone(best, low, high, whole=True)  # every row is wanted, so that what is asked for is the bound
    fewest: int | None = None
    floor = max(low, high - looked)  # there are no more requests than entries
    if floor == low:
        fewest, floor = high - low, low
    for choice in _choices(wanted, now_us):
        count, reached = _measured(db, choice, low, high, looked)
        if count < looked and (fewest is None or count < fewest):
            best, fewest, floor = choice, count, low
        elif fewest is None and choice.ordered and reached < floor:
            best, floor = choice, reached
    return _gone(best, floor, high, whole=fewest is not None)


def _gone(choice: _Choice | _Cells, floor: int, high: int, *, whole: bool) -> Way:
    end = None if whole else floor
    if isinstance(choice, _Cells):
        listed, values = choice.listed(floor, high)
        return Way(f"({listed}) p CROSS JOIN requests r ON r.idx = p.idx", "TRUE", values, "p.idx", end)
    condition = f"{choice.condition} AND r.idx >= ? AND r.idx < ?"
    return Way(choice.table, condition, (*choice.values, floor, high), "r.idx", end)


def _choices(wanted: Filter, now_us: int) -> Iterator[_Choice | _Cells]:
    if wanted.agency is not None:
        yield _Choice("requests r INDEXED BY requests_by_agency", "r.agency = ?", (wanted.agency,))
    if wanted.incident is not None:
        yield _Choice("requests r INDEXED BY requests_by_incident", "r.incident = ?", (wanted.incident,))
    if wanted.cell is not None and h3.get_resolution(wanted.cell) <= PLACED_CELLS:
        yield _Cells((h3.str_to_int(wanted.cell),))
    if wanted.box is not None:
        south, _, north, _ = wanted.box
        condition = "r.lat BETWEEN ? AND ?"
        yield _Choice("requests r INDEXED BY requests_by_place", condition, (south, north), ordered=False)
        if cells := cells_over(wanted.box):
            yield _Cells(cells)
    match wanted.status:
        case None:
            pass
        case Status.OPEN:
            condition = "r.closed IS NULL AND r.expires > ?"
            yield _Choice("requests r INDEXED BY requests_unclosed", condition, (now_us,), ordered=False)
            yield _Choice("requests r INDEXED BY requests_unclosed_by_entry", "r.closed IS NULL", ())
        case Status.EXPIRED:
            yield _Choice("requests r INDEXED BY requests_unclosed_by_entry", "r.closed IS NULL", ())
        case closed:
            yield _Choice("requests r INDEXED BY requests_closed", "r.closed = ?", (str(closed),))


def _measured(db: sqlite3.Connection, choice: _Choice | _Cells, low: int, high: int, looked: int) -> tuple[int, int]:
    """Return how many rows there are, up to `looked`, and the oldest entry of those."""
    values: tuple[Any, ...]
    if isinstance(choice, _Cells):
        rows, values = choice.listed(low, high)
    else:
        condition, values = choice.condition, choice.values
        if choice.ordered:
            condition, values = f"{condition} AND r.idx >= ? AND r.idx < ? ORDER BY r.idx DESC", (*values, low, high)
        rows = f"SELECT r.idx AS idx FROM {choice.table} WHERE {condition}"  # noqa: S608 - constants with marks
    sql = f"SELECT count(*), min(idx) FROM ({rows} LIMIT ?)"  # noqa: S608 - as above
    count, oldest = db.execute(sql, (*values, looked)).fetchone()
    return int(count), low if oldest is None else int(oldest)


def _entries(db: sqlite3.Connection, wanted: Filter, before: int | None) -> tuple[int, int]:
    """Return the range of entries that hold what a filter wants by its days; the second is not in it."""
    (newest,) = db.execute("SELECT max(idx) FROM requests").fetchone()
    high = 0 if newest is None else int(newest) + 1
    if before is not None:
        high = min(high, before)
    low = 0
    if wanted.since_us is not None:
        sql = "SELECT min(first) FROM logged_by_day WHERE day >= ?"
        (first,) = db.execute(sql, (wanted.since_us // DAY_US,)).fetchone()
        low = high if first is None else int(first)
    if wanted.until_us is not None:
        sql = "SELECT max(last) FROM logged_by_day WHERE day <= ?"
        (last,) = db.execute(sql, ((wanted.until_us - 1) // DAY_US,)).fetchone()
        high = 0 if last is None else min(high, int(last) + 1)
    return low, high
