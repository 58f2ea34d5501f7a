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


class Lists:
    """The book's lists. `before` is an entry's index: only what was logged earlier."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def marks(
        self, wanted: Filter, *, now_us: int, limit: int, before: int | None = None, near: bool = False
    ) -> list[Mark]:
        """Return requests, newest first. `near` says that the box is small: it is then looked up by place."""
        condition, values = where(wanted, now_us=now_us, before=before)
        access = _access(wanted, near=near)
        rows = self._db.execute(
            "SELECT r.closed, r.idx, r.leaf, r.agency, r.incident, r.lat, r.lon, r.radius, r.posted, r.expires,"  # noqa: S608 - conditions are constants with marks
            f" r.starts, r.ends, r.case_name, r.admission FROM requests r {access} WHERE {condition}"
            " ORDER BY r.idx DESC LIMIT ?",
            (*values, limit),
        )
        return [_mark(row, now_us) for row in rows]

    def descriptions(self, indexes: Sequence[int]) -> dict[int, str]:
        """Return what requests say, by entry."""
        marks = ",".join("?" * len(indexes))
        rows = self._db.execute(f"SELECT idx, payload FROM payloads WHERE idx IN ({marks})", tuple(indexes))  # noqa: S608 - marks alone
        return {index: str(json.loads(payload)["description"]) for index, payload in rows}

    def total(self) -> int:
        """Return how many requests there are."""
        ((found,),) = self._db.execute("SELECT coalesce(sum(requests), 0) FROM asked_by_incident")
        return int(found)

    def count(self, wanted: Filter, *, now_us: int, most: int, before: int | None = None) -> int:
        """Return how many requests there are; `most` where there are as many or more."""
        condition, values = where(wanted, now_us=now_us, before=before)
        sql = f"SELECT count(*) FROM (SELECT 1 FROM requests r WHERE {condition} LIMIT ?)"  # noqa: S608 - conditions are constants with marks
        ((found,),) = self._db.execute(sql, (*values, most))
        return int(found)

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
        open_by = dict(
            self._db.execute(
                "SELECT agency, count(*) FROM requests WHERE closed IS NULL AND expires > ? GROUP BY agency", (now_us,)
            ).fetchall()
        )
        rows = self._db.execute("SELECT agency, sum(requests) FROM asked_by_incident GROUP BY agency")
        return {agency: (asked, open_by.get(agency, 0)) for agency, asked in rows}

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


def _access(wanted: Filter, *, near: bool) -> str:
    """Say how to go through the requests: the planner has no statistics, and would sort whole cities."""
    if near:
        return "INDEXED BY requests_by_place"
    by_state = wanted.status not in {None, Status.EXPIRED}  # most have expired
    by_index = wanted.agency is not None or wanted.incident is not None or by_state
    return "" if by_index else "NOT INDEXED"


def _mark(row: Any, now_us: int) -> Mark:
    closed, index, leaf, agency, incident, lat, lon, radius, posted, expires, starts, ends, case, admission = row
    status = status_of(closed, expires, now_us)
    return Mark(
        index, leaf.hex(), agency, incident, lat, lon, radius, posted, expires, starts, ends, case, admission, status
    )
