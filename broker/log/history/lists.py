"""What pages list of many requests at a time: little of each, in one query, however large the book is. Reading only."""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import h3

from broker.wire.records import Update

from .query import Filter, Status, status_of, where
from .ways import LOOKED, way_for


@dataclass(frozen=True, slots=True)
class Mark:
    """A request as a list or a map needs it first; `status` is of the moment that was asked for."""

    index: int
    leaf: str
    agency: str
    incident: str
    lat_e7: int
    lon_e7: int
    radius_m: int
    posted_us: int
    expires_us: int
    start_us: int
    end_us: int
    case: str
    admission: int
    status: Status


@dataclass(frozen=True, slots=True)
class Page:
    """Requests, newest first. Where the bound of a question cut it off, `stopped` is the entry to go on before."""

    marks: tuple[Mark, ...]
    stopped: int | None


@dataclass(frozen=True, slots=True)
class Count:
    """So many requests: all there are, or, where it is not the whole, at least so many."""

    found: int
    whole: bool


class Lists:
    """The book's lists. `before` is an entry's index: only what was logged earlier.

    No question looks at more than some `looked` rows of each index that may serve it.
    """

    def __init__(self, db: sqlite3.Connection, *, looked: int = LOOKED) -> None:
        self._db, self._looked = db, looked

    def page(self, wanted: Filter, *, now_us: int, limit: int, before: int | None = None) -> Page:
        """Return requests, newest first, as far as the bound of a question reaches."""
        way = way_for(self._db, wanted, now_us=now_us, before=before, looked=self._looked)
        if way is None:
            return Page((), None)
        condition, values = where(wanted, now_us=now_us, before=None)
        rows = self._db.execute(
            "SELECT r.closed, r.idx, r.leaf, r.agency, r.incident, r.lat, r.lon, r.radius, r.posted, r.expires,"  # noqa: S608 - conditions are constants with marks
            f" r.starts, r.ends, r.case_name, r.admission FROM {way.table} WHERE {way.condition} AND {condition}"
            f" ORDER BY {way.key} DESC LIMIT ?",
            (*way.values, *values, limit),
        )
        marks = tuple(_mark(row, now_us) for row in rows)
        return Page(marks, way.floor if len(marks) < limit else None)

    def descriptions(self, indexes: Sequence[int]) -> dict[int, str]:
        """Return what requests say, by entry."""
        marks = ",".join("?" * len(indexes))
        rows = self._db.execute(f"SELECT idx, payload FROM payloads WHERE idx IN ({marks})", tuple(indexes))  # noqa: S608 - marks alone
        return {index: str(json.loads(payload)["description"]) for index, payload in rows}

    def total(self) -> int:
        """Return how many requests there are."""
        ((found,),) = self._db.execute("SELECT coalesce(sum(requests), 0) FROM asked_by_incident")
        return int(found)

    def count(self, wanted: Filter, *, now_us: int, most: int, before: int | None = None) -> Count:
        """Count requests, up to `most` and as far as the bound of a question reaches."""
        way = way_for(self._db, wanted, now_us=now_us, before=before, looked=self._looked)
        if way is None:
            return Count(0, whole=True)
        condition, values = where(wanted, now_us=now_us, before=None)
        rows = f"SELECT 1 FROM {way.table} WHERE {way.condition} AND {condition} LIMIT ?"  # noqa: S608 - conditions are constants with marks
        ((found,),) = self._db.execute(f"SELECT count(*) FROM ({rows})", (*way.values, *values, most))  # noqa: S608
        return Count(int(found), whole=way.floor is None and found < most)

    def cells(self) -> dict[str, int]:
        """Return how many requests there are in each H3 cell of resolution `COUNTED_CELLS`."""
        return {
            h3.int_to_str(cell): count for cell, count in self._db.execute("SELECT cell, requests FROM asked_by_cell")
        }

    def closed_since(self, index: int) -> tuple[set[str], set[str]]:
        """Return (leaf hashes that updates name, agencies that were revoked) from an entry on."""
        updated = self._db.execute("SELECT request FROM updates WHERE idx >= ?", (index,)).fetchall()
        revoked = self._db.execute("SELECT agency FROM standing WHERE idx >= ? AND thing = 'revocation'", (index,))
        return {leaf.hex() for (leaf,) in updated}, {agency for (agency,) in revoked}

    def totals(self, *, now_us: int) -> dict[str, tuple[int, int]]:
        """Return (requests asked, requests open) of every agency that asked."""
        rows = self._db.execute(
            "SELECT a.agency, a.asked, (SELECT count(*) FROM requests r INDEXED BY requests_open"
            " WHERE r.agency = a.agency AND r.closed IS NULL AND r.expires > ?)"
            " FROM (SELECT agency, sum(requests) AS asked FROM asked_by_incident GROUP BY agency) a",
            (now_us,),
        )
        return {agency: (asked, still_open) for agency, asked, still_open in rows}

    def updates(self, leaves: Sequence[str]) -> dict[str, list[tuple[int, Update]]]:
        """Return (index, update) of what was said of these requests since, oldest first."""
        found: dict[str, list[tuple[int, Update]]] = defaultdict(list)
        marks = ",".join("?" * len(leaves))
        rows = self._db.execute(
            f"SELECT request, idx, payload FROM updates WHERE request IN ({marks}) ORDER BY idx",  # noqa: S608 - marks alone
            [bytes.fromhex(leaf) for leaf in leaves],
        )
        for request, index, payload in rows:
            found[request.hex()].append((index, Update.from_payload(payload)))
        return dict(found)


def _mark(row: Any, now_us: int) -> Mark:
    closed, index, leaf, agency, incident, lat, lon, radius, posted, expires, starts, ends, case, admission = row
    status = status_of(closed, expires, now_us)
    return Mark(
        index, leaf.hex(), agency, incident, lat, lon, radius, posted, expires, starts, ends, case, admission, status
    )
