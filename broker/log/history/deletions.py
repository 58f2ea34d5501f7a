"""Asked deletions in the book, and what of them is to be logged next. No clock; what is written is a row for an entry.

Notices are kept by the inbox, with the times at which they were taken; the log has counts. What is to be logged is the
difference of the two, so that nothing has to be remembered in between: after a cut anywhere the difference is right.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from broker.wire.deletions import MOST_COUNTED, DeletionsAsked
from broker.wire.rules import DAY_US

SCHEMA: Final = """
CREATE TABLE deletions (
    idx INTEGER PRIMARY KEY, agency TEXT NOT NULL, request BLOB NOT NULL, day INTEGER NOT NULL,
    count INTEGER NOT NULL) STRICT;
CREATE INDEX deletions_by_request ON deletions (request, idx);
CREATE INDEX deletions_by_agency ON deletions (agency, request);
"""


@dataclass(frozen=True, slots=True)
class Counted:
    """What the log says of one request: so many asked, up to the end of a day (its beginning, µs); `index` said so."""

    count: int = 0
    day_us: int = -DAY_US
    index: int = -1


class DeletionCounts:
    """The book's table of asked deletions."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def take(self, index: int, record: DeletionsAsked) -> None:
        """Take in an entry."""
        self._db.execute(
            "INSERT INTO deletions (idx, agency, request, day, count) VALUES (?, ?, ?, ?, ?)",
            (index, record.agency, bytes.fromhex(record.request), record.day, record.count),
        )

    def of_request(self, leaf: str, *, before: int | None = None) -> Counted:
        """Return what is logged of a request, before an entry if one is given."""
        rows = self._db.execute(
            "SELECT sum(count), max(day), max(idx) FROM deletions WHERE request = ? AND idx < coalesce(?, idx + 1)",
            (bytes.fromhex(leaf), before),
        )
        count, day_us, index = rows.fetchone()
        return Counted() if count is None else Counted(count, day_us, index)

    def of_agency(self, agency: str) -> tuple[int, int]:
        """Return how often an agency was asked, and of how many of its requests."""
        rows = self._db.execute(
            "SELECT coalesce(sum(count), 0), count(DISTINCT request) FROM deletions WHERE agency = ?", (agency,)
        )
        count, requests = rows.fetchone()
        return int(count), int(requests)


def due(taken_us: Sequence[int], counted: Counted, *, now_us: int) -> tuple[int, int] | None:
    """Return (day, count) of what is to be logged of a request by now, None if nothing is.

    `taken_us` are the times of all its notices. A day is logged once it is over, and later than every one before: where
    a clock went back, what it dates too early is counted on the next day that is free.
    """
    today_us = now_us // DAY_US * DAY_US
    over = sorted(one for one in taken_us if one < today_us)
    count = len(over) - counted.count
    if count <= 0:
        return None
    day_us = max(over[-1] // DAY_US * DAY_US, counted.day_us + DAY_US)
    return (day_us, min(count, MOST_COUNTED)) if day_us < today_us else None
