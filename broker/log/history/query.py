"""How the book stands in SQLite, and the questions that pages ask of it. Constants, conditions and sums; no writing."""

import sqlite3
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import h3

from broker.wire.geo import E7, circle_area_m2
from broker.wire.records import Request
from broker.wire.rules import DAY_US

from .deletions import DeletionCounts

VERSION: Final = 4
COUNTED_CELLS: Final = 7  # the H3 resolution of cells that requests are counted by: some 5 km²
PLACED_CELLS: Final = 7  # the finest H3 resolution of which each cell's requests can be looked up
SCHEMA: Final = """
CREATE TABLE state (size INTEGER NOT NULL) STRICT;
INSERT INTO state VALUES (0);
CREATE TABLE entries (idx INTEGER PRIMARY KEY, leaf BLOB NOT NULL UNIQUE) STRICT;
CREATE TABLE standing (
    idx INTEGER PRIMARY KEY, leaf BLOB NOT NULL, agency TEXT NOT NULL, thing TEXT NOT NULL,
    payload BLOB NOT NULL) STRICT;
CREATE INDEX standing_by_agency ON standing (agency, idx);
CREATE TABLE requests (
    idx INTEGER PRIMARY KEY, leaf BLOB NOT NULL UNIQUE, agency TEXT NOT NULL, case_name TEXT NOT NULL,
    post INTEGER NOT NULL, admission INTEGER NOT NULL, incident TEXT NOT NULL,
    lat INTEGER NOT NULL, lon INTEGER NOT NULL, radius INTEGER NOT NULL, area_m2 INTEGER NOT NULL,
    starts INTEGER NOT NULL, ends INTEGER NOT NULL, posted INTEGER NOT NULL, expires INTEGER NOT NULL,
    closed TEXT) STRICT;
CREATE TABLE payloads (idx INTEGER PRIMARY KEY, payload BLOB NOT NULL) STRICT;
CREATE INDEX requests_by_agency ON requests (agency, idx, incident, posted, lat, lon, closed, expires);
CREATE INDEX requests_by_case ON requests (agency, case_name);
CREATE INDEX requests_by_incident ON requests (incident, idx, posted, lat, lon, closed, expires);
CREATE INDEX requests_by_expiry ON requests (expires);
CREATE INDEX requests_open ON requests (agency, closed, expires);
CREATE INDEX requests_by_place ON requests (lat, lon);
CREATE INDEX requests_unclosed ON requests (expires) WHERE closed IS NULL;
CREATE INDEX requests_unclosed_by_entry ON requests (idx) WHERE closed IS NULL;
CREATE INDEX requests_closed ON requests (closed, idx, agency, incident, posted, lat, lon) WHERE closed IS NOT NULL;
CREATE TABLE places (cell INTEGER NOT NULL, idx INTEGER NOT NULL, PRIMARY KEY (cell, idx)) STRICT, WITHOUT ROWID;
CREATE TABLE logged_by_day (day INTEGER PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL) STRICT;
CREATE TABLE asked_by_day (
    agency TEXT NOT NULL, day INTEGER NOT NULL, requests INTEGER NOT NULL,
    PRIMARY KEY (agency, day)) STRICT, WITHOUT ROWID;
CREATE TABLE asked_by_incident (
    agency TEXT NOT NULL, incident TEXT NOT NULL, requests INTEGER NOT NULL,
    area_m2 INTEGER NOT NULL, window_us INTEGER NOT NULL, open_us INTEGER NOT NULL,
    PRIMARY KEY (agency, incident)) STRICT, WITHOUT ROWID;
CREATE TABLE asked_by_end (
    agency TEXT NOT NULL, closed TEXT NOT NULL, requests INTEGER NOT NULL,
    PRIMARY KEY (agency, closed)) STRICT, WITHOUT ROWID;
CREATE TRIGGER ends AFTER UPDATE OF closed ON requests WHEN old.closed IS NOT new.closed BEGIN
    UPDATE asked_by_end SET requests = requests - 1 WHERE agency = old.agency AND closed = old.closed;
    INSERT INTO asked_by_end (agency, closed, requests) VALUES (new.agency, new.closed, 1)
        ON CONFLICT DO UPDATE SET requests = requests + 1;
END;
CREATE TABLE asked_by_cell (cell INTEGER PRIMARY KEY, requests INTEGER NOT NULL) STRICT;
CREATE TABLE updates (idx INTEGER PRIMARY KEY, leaf BLOB NOT NULL, request BLOB NOT NULL, payload BLOB NOT NULL) STRICT;
CREATE INDEX updates_by_request ON updates (request, idx);
CREATE TABLE refusals (
    idx INTEGER NOT NULL, agency TEXT NOT NULL, since INTEGER NOT NULL, until INTEGER NOT NULL,
    code TEXT NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (idx, code)) STRICT;
CREATE INDEX refusals_by_agency ON refusals (agency, until);
PRAGMA user_version = 4;
"""


class Status(StrEnum):
    """What a request is at a moment. What closed it outlasts expiry; resolved: nobody needs to answer any more."""

    OPEN = "open"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    RESOLVED = "resolved"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Filter:
    """Which requests: all that is given must hold.

    `box` is (south, west, north, east) in ten-millionths of a degree, around the centres of the areas; one whose west
    is greater than its east crosses the date line. `cell` is an H3 cell that the centres lie in. `since_us` and
    `until_us` bound when they were posted, `expires_after_us` leaves out what expired earlier.
    """

    agency: str | None = None
    incident: str | None = None
    box: tuple[int, int, int, int] | None = None
    cell: str | None = None
    since_us: int | None = None
    until_us: int | None = None
    expires_after_us: int | None = None
    status: Status | None = None


@dataclass(frozen=True, slots=True)
class PublicRecord:
    """What an agency's requests add up to. Areas are means in m², durations means in µs; 0 where nothing was asked.

    `by_status` and `by_incident` count requests, `refused` envelopes that intake turned away, by rule; `deletions`
    owners who asked it to delete what they gave, and `deletions_of` the requests that those had answered;
    `days` are (day since the epoch, requests posted on it), oldest first.
    """

    asked: int = 0
    by_status: dict[Status, int] = field(default_factory=dict)
    by_incident: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    deletions: int = 0
    deletions_of: int = 0
    mean_area_m2: float = 0.0
    mean_window_us: int = 0
    mean_open_us: int = 0
    days: tuple[tuple[int, int], ...] = ()


def status_of(closed: str | None, expires_us: int, now_us: int) -> Status:
    """Return what a request is, by the update or revocation that closed it, if one did, and by the time."""
    if closed is not None:
        return Status(closed)
    return Status.EXPIRED if expires_us <= now_us else Status.OPEN


def where(wanted: Filter, *, now_us: int, before: int | None) -> tuple[str, list[Any]]:
    """Return a condition on the requests `r`, and its values."""
    simple = (
        ("r.agency = ?", wanted.agency),
        ("r.incident = ?", wanted.incident),
        ("r.posted >= ?", wanted.since_us),
        ("r.posted < ?", wanted.until_us),
        ("r.expires > ?", wanted.expires_after_us),
        ("r.idx < ?", before),
    )
    parts: list[tuple[str, list[Any]]] = [(condition, [value]) for condition, value in simple if value is not None]
    if wanted.box is not None:
        south, west, north, east = wanted.box
        parts.append(("r.lat BETWEEN ? AND ?", [south, north]))
        parts.append(("r.lon BETWEEN ? AND ?" if west <= east else "(r.lon >= ? OR r.lon <= ?)", [west, east]))
    if wanted.cell is not None:
        parts.append(_in_cell(wanted.cell))
    match wanted.status:
        case None:
            pass
        case Status.OPEN:
            parts.append(("r.closed IS NULL AND r.expires > ?", [now_us]))
        case Status.EXPIRED:
            parts.append(("r.closed IS NULL AND r.expires <= ?", [now_us]))
        case closed:
            parts.append(("r.closed = ?", [str(closed)]))
    return " AND ".join(condition for condition, _ in parts) or "TRUE", [value for _, some in parts for value in some]


def cell_at(lat_e7: int, lon_e7: int, resolution: int) -> int:
    """Return the H3 cell that a point lies in; conditions call it `h3_cell`."""
    return int(h3.str_to_int(h3.latlng_to_cell(lat_e7 / E7, lon_e7 / E7, resolution)))


def tally(db: sqlite3.Connection, index: int, request: Request) -> None:
    """Add a request to its agency's, its day's and its cells' sums, so that no page goes through all for them."""
    db.execute(
        "INSERT INTO asked_by_day (agency, day, requests) VALUES (?, ?, 1)"
        " ON CONFLICT DO UPDATE SET requests = requests + 1",
        (request.agency, request.posted_at // DAY_US),
    )
    db.execute(
        "INSERT INTO logged_by_day (day, first, last) VALUES (?, ?, ?)"
        " ON CONFLICT DO UPDATE SET first = min(first, excluded.first), last = max(last, excluded.last)",
        (request.posted_at // DAY_US, index, index),
    )
    area = request.area
    cells = [cell_at(area.lat_e7, area.lon_e7, resolution) for resolution in range(PLACED_CELLS + 1)]
    db.executemany("INSERT INTO places (cell, idx) VALUES (?, ?)", [(cell, index) for cell in cells])
    db.execute(
        "INSERT INTO asked_by_cell (cell, requests) VALUES (?, 1) ON CONFLICT DO UPDATE SET requests = requests + 1",
        (cells[COUNTED_CELLS],),
    )
    db.execute(
        "INSERT INTO asked_by_incident (agency, incident, requests, area_m2, window_us, open_us)"
        " VALUES (?, ?, 1, ?, ?, ?) ON CONFLICT DO UPDATE SET requests = requests + 1,"
        " area_m2 = area_m2 + excluded.area_m2, window_us = window_us + excluded.window_us,"
        " open_us = open_us + excluded.open_us",
        (
            request.agency, request.incident, round(circle_area_m2(request.area.radius_m)),
            request.end - request.start, request.expires_at - request.posted_at,
        ),
    )  # fmt: skip


def public_record(db: sqlite3.Connection, agency: str, *, now_us: int) -> PublicRecord:
    """Sum up an agency's requests, from what was tallied as they were logged."""
    asked, area, window, open_us = db.execute(
        "SELECT coalesce(sum(requests), 0), coalesce(sum(area_m2), 0), coalesce(sum(window_us), 0),"
        " coalesce(sum(open_us), 0) FROM asked_by_incident WHERE agency = ?",
        (agency,),
    ).fetchone()
    statuses = _statuses(db, agency, asked, now_us=now_us)
    incidents = db.execute(
        "SELECT incident, requests FROM asked_by_incident WHERE agency = ? ORDER BY requests DESC, incident",
        (agency,),
    ).fetchall()
    refused = db.execute(
        "SELECT code, sum(count) AS n FROM refusals WHERE agency = ? GROUP BY code ORDER BY n DESC, code", (agency,)
    ).fetchall()
    deletions, deletions_of = DeletionCounts(db).of_agency(agency)
    days = db.execute("SELECT day, requests FROM asked_by_day WHERE agency = ? ORDER BY day", (agency,)).fetchall()
    return PublicRecord(
        asked=asked,
        by_status={status: count for status, count in statuses.items() if count},
        by_incident=dict(incidents),
        refused=dict(refused),
        deletions=deletions,
        deletions_of=deletions_of,
        mean_area_m2=area / asked if asked else 0.0,
        mean_window_us=window // asked if asked else 0,
        mean_open_us=open_us // asked if asked else 0,
        days=tuple((day, count) for day, count in days),
    )


def _statuses(db: sqlite3.Connection, agency: str, asked: int, *, now_us: int) -> dict[Status, int]:
    """Count by status; what is open is counted, and kept few by the rules."""
    ended = dict(db.execute("SELECT closed, requests FROM asked_by_end WHERE agency = ?", (agency,)).fetchall())
    found = {status: int(ended.get(status, 0)) for status in (Status.WITHDRAWN, Status.RESOLVED, Status.REVOKED)}
    sql = "SELECT count(*) FROM requests WHERE agency = ? AND closed IS NULL AND expires > ?"
    ((found[Status.OPEN],),) = db.execute(sql, (agency, now_us))
    return found | {Status.EXPIRED: asked - sum(found.values())}


def _in_cell(cell: str) -> tuple[str, list[Any]]:
    resolution, number = h3.get_resolution(cell), h3.str_to_int(cell)
    if resolution <= PLACED_CELLS:
        return "EXISTS (SELECT 1 FROM places WHERE places.cell = ? AND places.idx = r.idx)", [number]
    return "h3_cell(r.lat, r.lon, ?) = ?", [resolution, number]
