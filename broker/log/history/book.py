"""What the log says so far: its entries, replayed in order, as agencies, requests and updates.

`intake` decides what may be logged; the book knows what was. No clock, no signatures. It stands in SQLite, so that
memory does not grow with the log, and is derived from the log alone:

1. The rows of an entry and the size that counts it are committed together: a book is what some beginning of the log
   says, never half of an entry more.
2. It may lag behind the log (a cut between the two), and is then caught up by replaying the rest. A book that is ahead
   of its log, or of another log, is wrong and is made anew: nothing is lost, since the log has everything.
3. Nothing here is synced for its own sake: the log was.
"""

import contextlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from broker.log.errors import LogDamagedError
from broker.wire.deletions import DeletionsAsked
from broker.wire.encoding import WireError
from broker.wire.geo import circle_area_m2
from broker.wire.merkle import leaf_hash
from broker.wire.records import Agency, Refusals, Request, Revocation, Update

from .bookfile import open_book, remove_book
from .deletions import DeletionCounts
from .entries import Admitted, AnyRecord, DeletionAsked, Entry, Posted, Refused, Revoked, Updated, parse_record
from .lists import Lists
from .query import Filter, PublicRecord, Status, public_record, status_of, tally, where

_KNOWN_STANDINGS: Final = 1_024


class Book:
    """The log's history up to `size` entries. One thread at a time.

    Without a path it is a temporary one, on disk as far as it does not fit the cache.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._standing = lru_cache(_KNOWN_STANDINGS)(self._read_standing)
        self._db = open_book(self._path)
        self._size = self._one("SELECT size FROM state", ())

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @property
    def size(self) -> int:
        """How many entries were applied or skipped."""
        return self._size

    @property
    def newest(self) -> tuple[int, str] | None:
        """The index and leaf hash of the newest entry that was applied, with which a log's own can be compared."""
        row = self._db.execute("SELECT idx, leaf FROM entries ORDER BY idx DESC LIMIT 1").fetchone()
        return None if row is None else (int(row[0]), row[1].hex())

    def clear(self) -> None:
        """Forget everything."""
        self._db.close()
        if self._path is not None:
            remove_book(self._path)
        self._standing.cache_clear()
        self._db = open_book(self._path)
        self._size = 0

    @contextlib.contextmanager
    def batch(self) -> Iterator[None]:
        """Commit what is applied inside at once, or nothing of it."""
        size = self._size
        self._db.execute("BEGIN")
        try:
            yield
            self._db.execute("UPDATE state SET size = ?", (self._size,))
        except BaseException:
            self._db.execute("ROLLBACK")
            self._standing.cache_clear()
            self._size = size
            raise
        self._db.execute("COMMIT")

    def apply(self, index: int, data: bytes) -> Entry:
        """Take in the next entry, which intake accepted; raises WireError and changes nothing if it can't follow."""
        if index != self._size:
            raise WireError(f"entry {index} cannot follow {self._size} entries")
        _, record = parse_record(data)
        if self._db.in_transaction:
            return self._apply(index, leaf_hash(data), record)
        with self.batch():
            return self._apply(index, leaf_hash(data), record)

    def skip(self) -> None:
        """Count an entry that a verifier refused or could not read, so that the next one keeps its index."""
        self._size += 1

    def index_of(self, leaf: str) -> int | None:
        """Return the index of the entry with this leaf hash, None if the log does not hold it."""
        row = self._db.execute("SELECT idx FROM entries WHERE leaf = ?", (bytes.fromhex(leaf),)).fetchone()
        return None if row is None else int(row[0])

    def agency(self, agency: str) -> Admitted | None:
        """Return the record that an agency asks under now; None if the log does not admit it, or not any more."""
        standing = self.standing(agency)
        return standing[-1] if standing and isinstance(standing[-1], Admitted) else None

    def agencies(self) -> list[Admitted]:
        """Return the newest admission of every agency, revoked or not, by id."""
        rows = self._db.execute(
            "SELECT agency, max(idx) FROM standing WHERE thing = 'agency' GROUP BY agency ORDER BY agency"
        )
        return [one for _, index in rows.fetchall() if isinstance(one := self._standing(index), Admitted)]

    def standing(self, agency: str) -> Sequence[Admitted | Revoked]:
        """Return all admissions and revocations of an agency, oldest first."""
        rows = self._db.execute("SELECT idx FROM standing WHERE agency = ? ORDER BY idx", (agency,)).fetchall()
        return tuple(self._standing(index) for (index,) in rows)

    def request(self, leaf: str) -> Posted | None:
        """Return the request with this leaf hash (hex)."""
        row = self._db.execute(f"{_POSTED} WHERE r.leaf = ?", (_raw(leaf),)).fetchone()
        return None if row is None else self._posted(row)

    def posts(self, agency: str, case: str) -> int:
        """Return how often a case was posted."""
        return self._one("SELECT count(*) FROM requests WHERE agency = ? AND case_name = ?", (agency, case))

    def posted_since(self, agency: str, since_us: int, *, most: int) -> int:
        """Return how many of an agency's newest `most` requests were posted after a time."""
        newest = "SELECT posted FROM requests WHERE agency = ? ORDER BY idx DESC LIMIT ?"
        return self._one(f"SELECT count(*) FROM ({newest}) WHERE posted > ?", (agency, most, since_us))  # noqa: S608 - constant

    def updates_of(self, leaf: str) -> tuple[Updated, ...]:
        """Return what was said of a request since, oldest first."""
        rows = self._db.execute(
            "SELECT idx, leaf, payload FROM updates WHERE request = ? ORDER BY idx", (_raw(leaf),)
        ).fetchall()
        return tuple(Updated(index, raw.hex(), Update.from_payload(payload)) for index, raw, payload in rows)

    def requests(
        self, wanted: Filter | None = None, *, now_us: int = 0, before: int | None = None, limit: int | None = None
    ) -> Iterator[Posted]:
        """Yield requests, newest first; `before` is an entry's index, `now_us` says what is open."""
        condition, values = where(wanted or Filter(), now_us=now_us, before=before)
        sql = f"{_POSTED} WHERE {condition} ORDER BY r.idx DESC LIMIT ?"
        for row in self._db.execute(sql, (*values, -1 if limit is None else limit)).fetchall():
            yield self._posted(row)

    def leaves(self, wanted: Filter | None = None, *, now_us: int = 0) -> list[tuple[str, int]]:
        """Return (leaf hash, expires_us) of requests, oldest first: little, however much they say."""
        condition, values = where(wanted or Filter(), now_us=now_us, before=None)
        sql = f"SELECT r.leaf, r.expires FROM requests r WHERE {condition} ORDER BY r.idx"  # noqa: S608 - conditions are constants with marks
        return [(raw.hex(), expires) for raw, expires in self._db.execute(sql, values)]

    def count(self, wanted: Filter | None = None, *, now_us: int = 0) -> int:
        """Return how many requests there are."""
        condition, values = where(wanted or Filter(), now_us=now_us, before=None)
        return self._one(f"SELECT count(*) FROM requests r WHERE {condition}", values)  # noqa: S608 - conditions are constants with marks

    def open_requests(self, agency: str, now_us: int) -> int:
        """Return how many requests of an agency are open."""
        return self.count(Filter(agency=agency, status=Status.OPEN), now_us=now_us)

    def status(self, leaf: str, now_us: int) -> Status:
        """Return what a request is at `now_us`; raises WireError for one that the log does not hold."""
        row = self._db.execute("SELECT closed, expires FROM requests WHERE leaf = ?", (_raw(leaf),)).fetchone()
        if row is None:
            raise WireError(f"the log holds no request {leaf[:64]}")
        return status_of(row[0], row[1], now_us)

    def last_refusals(self, agency: str) -> int:
        """Return the time up to which an agency's refusals are logged, 0 if none are."""
        return self._one("SELECT coalesce(max(until), 0) FROM refusals WHERE agency = ?", (agency,))

    def record_of(self, agency: str, *, now_us: int) -> PublicRecord:
        """Return what an agency's requests add up to."""
        return public_record(self._db, agency, now_us=now_us)

    def _apply(self, index: int, leaf: bytes, record: AnyRecord) -> Entry:
        entry: Entry
        match record:
            case Agency():
                self._stands(index, leaf, record)
                entry = Admitted(index, leaf.hex(), record)
            case Revocation():
                if self.agency(record.agency) is None:
                    raise WireError(f"the log admits no agency {record.agency}")
                self._stands(index, leaf, record)
                # By the log's own time as well: one that is dated ahead must not leave open what it would let expire.
                newest = self._one(_NEWEST_POSTED, ())
                self._db.execute(
                    "UPDATE requests SET closed = 'revoked' WHERE agency = ? AND closed IS NULL AND expires > ?",
                    (record.agency, min(record.at, newest)),
                )
                entry = Revoked(index, leaf.hex(), record)
            case Request():
                entry = self._post(index, leaf, record)
            case Update():
                entry = self._update(index, leaf, record)
            case Refusals():
                self._db.executemany(
                    "INSERT INTO refusals (idx, agency, since, until, code, count) VALUES (?, ?, ?, ?, ?, ?)",
                    [(index, record.agency, record.since, record.until, one.code, one.count) for one in record.counts],
                )
                entry = Refused(index, leaf.hex(), record)
            case DeletionsAsked():
                self.deletions.take(index, record)
                entry = DeletionAsked(index, leaf.hex(), record)
        self._db.execute("INSERT OR IGNORE INTO entries (idx, leaf) VALUES (?, ?)", (index, leaf))
        self._size += 1
        return entry

    def _stands(self, index: int, leaf: bytes, record: Agency | Revocation) -> None:
        self._db.execute(
            "INSERT INTO standing (idx, leaf, agency, thing, payload) VALUES (?, ?, ?, ?, ?)",
            (index, leaf, record.agency, record.thing, record.payload()),
        )

    def _post(self, index: int, leaf: bytes, request: Request) -> Posted:
        admission = self.agency(request.agency)
        if admission is None:
            raise WireError(f"the log admits no agency {request.agency}")
        if self.index_of(leaf.hex()) is not None:
            raise WireError(f"request {leaf.hex()} is logged already")
        posted = Posted(index, leaf.hex(), request, admission, self.posts(request.agency, request.case) + 1)
        area = request.area
        self._db.execute(
            "INSERT INTO requests (idx, leaf, agency, case_name, post, admission, incident, lat, lon, radius, area_m2,"
            " starts, ends, posted, expires) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                index, leaf, request.agency, request.case, posted.post, admission.index, request.incident,
                area.lat_e7, area.lon_e7, area.radius_m, round(circle_area_m2(area.radius_m)),
                request.start, request.end, request.posted_at, request.expires_at,
            ),
        )  # fmt: skip
        self._db.execute("INSERT INTO payloads (idx, payload) VALUES (?, ?)", (index, request.payload()))
        tally(self._db, index, request)
        return posted

    def _update(self, index: int, leaf: bytes, update: Update) -> Updated:
        request = _raw(update.request)
        row = self._db.execute("SELECT closed FROM requests WHERE leaf = ?", (request,)).fetchone()
        if row is None:
            raise WireError(f"the log holds no request {update.request}")
        self._db.execute(
            "INSERT INTO updates (idx, leaf, request, payload) VALUES (?, ?, ?, ?)",
            (index, leaf, request, update.payload()),
        )
        if update.kind == "withdrawn" or (update.kind == "resolved" and row[0] is None):
            self._db.execute("UPDATE requests SET closed = ? WHERE leaf = ?", (update.kind, request))
        return Updated(index, leaf.hex(), update)

    def _read_standing(self, index: int) -> Admitted | Revoked:
        thing, leaf, payload = self._db.execute(
            "SELECT thing, leaf, payload FROM standing WHERE idx = ?", (index,)
        ).fetchone()
        if thing == Agency.thing:
            return Admitted(index, leaf.hex(), Agency.from_payload(payload))
        return Revoked(index, leaf.hex(), Revocation.from_payload(payload))

    def _posted(self, row: Any) -> Posted:
        index, leaf, post, admission, payload = row
        admitted = self._standing(admission)
        if not isinstance(admitted, Admitted):
            raise LogDamagedError(f"the book says that entry {index} was posted under entry {admission}, no admission")
        # Its every byte was looked at when it was taken in.
        return Posted(index, leaf.hex(), Request.model_validate_json(payload), admitted, post)

    @property
    def deletions(self) -> DeletionCounts:
        """What is logged of asked deletions."""
        return DeletionCounts(self._db)

    @property
    def lists(self) -> Lists:
        """What pages list of many requests at a time."""
        return Lists(self._db)

    def _one(self, sql: str, values: Sequence[Any]) -> int:
        ((found,),) = self._db.execute(sql, tuple(values))
        return int(found)


_NEWEST_POSTED = "SELECT coalesce(max(posted), 0) FROM requests WHERE idx = (SELECT max(idx) FROM requests)"
_POSTED = "SELECT r.idx, r.leaf, r.post, r.admission, p.payload FROM requests r JOIN payloads p ON p.idx = r.idx"


def _raw(leaf: str) -> bytes:
    try:
        return bytes.fromhex(leaf)
    except ValueError:
        return b""
