"""Where what was read of the log is kept: in the device's state, together with how far it was read.

1. What an entry teaches, and the edge and head that say how far was read, are kept in one transaction: a power cut
   leaves both, or neither.
2. They are replaced by compare-and-swap: who learnt from another place than the one that is kept changes nothing.
3. It stays small, whatever is logged. For each case ever asked one number under a keyed hash, some 17 bytes; a row for
   each request that is open (MOST_OPEN of an agency), or ended within KEPT_US; a row for each agency and each change
   of its standing. Nothing of the entries. A million entries take some 20 MB.
4. A request that the household knows is kept for as long as it is known.
"""

import hashlib
import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from broker.wire.edge import Edge
from broker.wire.encoding import WireError
from broker.wire.records import Update
from broker.wire.rules import DAY_US, Limits
from device.consent.errors import ConsentError
from device.consent.requests import SCHEMA as REQUESTS
from device.vault.state import Row, Schema, State, Transaction

from .contradiction import Accusation
from .kept import Evidence, Kept, Logged, PublicRecord, checkpoint_in
from .lessons import AskedBack, Lesson, Requested, Said, Stood, TurnedAway
from .register import Admission, Ended, Register, Standing, Suspended, agency_of

KEPT_US: Final = 30 * DAY_US
MOST_OPEN: Final = 2 * Limits().open_per_agency  # of one agency, far beyond what is allowed: more are not kept
_SUMS: Final = ("asked", "withdrawn", "area_m2", "turned_away", "deletions_asked")
_THINGS: Final[dict[str, type[Standing]]] = {"agency": Admission, "revocation": Ended, "suspended": Suspended}
SCHEMA = Schema(
    "log",
    (
        (
            """CREATE TABLE log_state (
                id INTEGER PRIMARY KEY CHECK (id = 1), size INTEGER NOT NULL, edge BLOB NOT NULL, note BLOB,
                at_s INTEGER, own_note BLOB, own_us INTEGER NOT NULL, posted_us INTEGER NOT NULL, void INTEGER NOT NULL,
                salt BLOB NOT NULL) STRICT""",
            """CREATE TABLE log_standing (
                idx INTEGER PRIMARY KEY, agency TEXT NOT NULL, thing TEXT NOT NULL, envelope BLOB NOT NULL) STRICT""",
            """CREATE TABLE log_requests (
                leaf BLOB PRIMARY KEY, idx INTEGER NOT NULL, agency TEXT NOT NULL, expires_us INTEGER NOT NULL,
                earlier_posts INTEGER NOT NULL, open_before INTEGER NOT NULL, closed TEXT) STRICT, WITHOUT ROWID""",
            "CREATE INDEX log_requests_open ON log_requests (agency, expires_us) WHERE closed IS NULL",
            "CREATE INDEX log_requests_ended ON log_requests (expires_us)",
            """CREATE TABLE log_updates (
                idx INTEGER PRIMARY KEY, request BLOB NOT NULL REFERENCES log_requests (leaf) ON DELETE CASCADE,
                payload BLOB NOT NULL) STRICT""",
            "CREATE INDEX log_updates_of ON log_updates (request, idx)",
            "CREATE TABLE log_cases (id INTEGER PRIMARY KEY, posts INTEGER NOT NULL) STRICT",
            """CREATE TABLE log_records (
                agency TEXT PRIMARY KEY, asked INTEGER NOT NULL, withdrawn INTEGER NOT NULL, area_m2 INTEGER NOT NULL,
                turned_away INTEGER NOT NULL) STRICT, WITHOUT ROWID""",
            """CREATE TABLE log_evidence (
                id INTEGER PRIMARY KEY, kind TEXT NOT NULL, message TEXT NOT NULL, found_us INTEGER NOT NULL,
                first_note BLOB NOT NULL, second_note BLOB NOT NULL, proof BLOB NOT NULL,
                accepted_us INTEGER) STRICT""",
        ),
        # What an earlier version passed over stays uncounted until the log is read again.
        ("ALTER TABLE log_records ADD COLUMN deletions_asked INTEGER NOT NULL DEFAULT 0",),
    ),
)


class MovedError(ConsentError):
    """What is kept is not what was learnt from; nothing was changed."""


class ReadingStore:
    """The log's tables in the state."""

    def __init__(self, state: State, *, operator_key: bytes) -> None:
        state.migrate(REQUESTS)
        state.migrate(SCHEMA)
        self._state = state
        self._operator_key = operator_key
        with state.transaction() as tx:
            tx.execute(
                "INSERT OR IGNORE INTO log_state (id, size, edge, own_us, posted_us, void, salt)"
                " VALUES (1, 0, x'', 0, 0, 0, ?)",
                (secrets.token_bytes(32),),
            )
        ((self._salt,),) = state.query("SELECT salt FROM log_state")

    def kept(self) -> Kept:
        """Return how far the log was read."""
        ((size, edge, *rest),) = self._state.query(
            "SELECT size, edge, note, at_s, own_note, own_us, posted_us, void FROM log_state"
        )
        return Kept(Edge.decode(size, edge), *rest)

    def register(self) -> Register:
        """Return the agencies; each signature is checked again, so that a changed state admits nobody."""
        rows = self._state.query("SELECT idx, thing, envelope FROM log_standing ORDER BY idx")
        try:
            return Register.of(
                _THINGS[thing].open(idx, data, operator_key=self._operator_key) for idx, thing, data in rows
            )
        except WireError as error:
            raise ConsentError(
                f"an agency's admission in {self._state.path} is not the operator's: {error}; "
                "'latchstring device log --read-again' reads the log anew"
            ) from error

    def swap(self, before: Kept, after: Kept, lessons: Sequence[Lesson] = (), *, ended_before_us: int = 0) -> None:
        """Replace what is kept, learn, and forget requests that ended before a time; all of it or nothing.

        Raises MovedError if `before` is not what is kept.
        """
        with self._state.transaction() as tx:
            self._swap(tx, before, after)
            self._learn(tx, lessons)
            tx.execute(
                "DELETE FROM log_requests WHERE expires_us < ? AND NOT EXISTS"
                " (SELECT 1 FROM requests WHERE requests.leaf = lower(hex(log_requests.leaf)))",
                (ended_before_us,),
            )

    def request(self, leaf: str) -> Logged | None:
        """Return a request that was read, by its leaf hash in hex."""
        key = bytes.fromhex(leaf)
        rows = self._state.query(
            "SELECT idx, earlier_posts, open_before, closed FROM log_requests WHERE leaf = ?", (key,)
        )
        if not rows:
            return None
        updates = self._state.query("SELECT payload FROM log_updates WHERE request = ? ORDER BY idx", (key,))
        index, earlier_posts, open_before, closed = rows[0]
        said = tuple(Update.from_payload(payload) for (payload,) in updates)
        return Logged(index, earlier_posts, open_before, closed, said)

    def holds(self, leaf: str, index: int | None) -> bool | None:
        """Return whether a request was read at its place, in one look; None: not read so far.

        Where the place is not known, it may stand anywhere.
        """
        ((size, found),) = self._state.query(
            "SELECT size, (SELECT idx FROM log_requests WHERE leaf = ?) FROM log_state", (bytes.fromhex(leaf),)
        )
        if found is not None and index in (None, found):
            return True
        return None if index is None or index >= size else False

    def record(self, agency: str, *, since_us: int | None) -> PublicRecord:
        """Return what an agency's entries add up to."""
        rows = self._state.query(
            "SELECT asked, withdrawn, area_m2, turned_away, deletions_asked FROM log_records WHERE agency = ?",
            (agency,),
        )
        asked, withdrawn, area_m2, turned_away, deletions_asked = rows[0] if rows else (0, 0, 0, 0, 0)
        mean_area_m2 = area_m2 / asked if asked else 0.0
        return PublicRecord(since_us, asked, withdrawn, mean_area_m2, turned_away, deletions_asked)

    def counts(self) -> dict[str, int]:
        """Return how many agencies, requests and cases are kept."""
        tables = {"agencies": "log_records", "requests": "log_requests", "cases": "log_cases"}
        return {what: self._state.query(f"SELECT count(*) FROM {table}")[0][0] for what, table in tables.items()}  # noqa: S608 - constant tables

    def accuse(self, accusation: Accusation, *, found_us: int) -> Evidence:
        """Keep the evidence that the log contradicts itself."""
        one = accusation
        with self._state.transaction() as tx:
            tx.execute(
                "INSERT INTO log_evidence (kind, message, found_us, first_note, second_note, proof)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (one.kind, one.message, found_us, one.first, one.second, one.proof),
            )
        return self.evidence()[-1]

    def accuse_once(self, accusation: Accusation, *, found_us: int) -> Evidence:
        """Keep the evidence, unless there is some of this kind against a head of this size: then that stands again."""
        size = checkpoint_in(accusation.first).size
        for one in self.evidence():
            if one.kind == accusation.kind and checkpoint_in(one.first_note).size == size:
                self.answer(one, now_us=None)
                return replace(one, accepted_us=None)
        return self.accuse(accusation, found_us=found_us)

    def answer(self, evidence: Evidence, *, now_us: int | None) -> None:
        """Let evidence stand as answered, or, with None, no longer."""
        with self._state.transaction() as tx:
            tx.execute("UPDATE log_evidence SET accepted_us = ? WHERE id = ?", (now_us, evidence.number))

    def evidence(self) -> list[Evidence]:
        """Return all evidence, oldest first."""
        rows = self._state.query(
            "SELECT id, kind, message, found_us, first_note, second_note, proof, accepted_us"
            " FROM log_evidence ORDER BY id"
        )
        return [Evidence(*row) for row in rows]

    def begin_again(self, *, now_us: int) -> None:
        """Forget what was read, and let the evidence so far stand as answered: the owner has said so."""
        with self._state.transaction() as tx:
            tx.execute("UPDATE log_evidence SET accepted_us = ? WHERE accepted_us IS NULL", (now_us,))
            for table in ("log_standing", "log_updates", "log_requests", "log_cases", "log_records"):
                tx.execute(f"DELETE FROM {table}")  # noqa: S608 - constant tables
            tx.execute(
                "UPDATE log_state SET size = 0, edge = x'', note = NULL, at_s = NULL, own_note = NULL,"
                " own_us = 0, posted_us = 0, void = 0"
            )

    def _swap(self, tx: Transaction, before: Kept, after: Kept) -> None:
        changed = tx.execute(
            "UPDATE log_state SET size = ?, edge = ?, note = ?, at_s = ?, own_note = ?, own_us = ?, posted_us = ?,"
            " void = ?"
            " WHERE size = ? AND edge = ? AND note IS ? AND at_s IS ? AND own_note IS ?",
            (*_row(after), *_row(before)[:5]),
        )
        if changed != 1:
            raise MovedError("the log was read on meanwhile; nothing of this was kept")

    def _learn(self, tx: Transaction, lessons: Sequence[Lesson]) -> None:
        sums: Counter[tuple[str, str]] = Counter()
        for lesson in lessons:
            match lesson:
                case Requested():
                    self._requested(tx, lesson, sums)
                case Said():
                    _said(tx, lesson, sums)
                case Stood():
                    _stood(tx, lesson)
                case TurnedAway():
                    sums[lesson.agency, "turned_away"] += lesson.count
                case AskedBack():
                    sums[lesson.agency, "deletions_asked"] += lesson.count
        for agency in {agency for agency, _ in sums}:
            tx.execute(
                "INSERT INTO log_records (agency, asked, withdrawn, area_m2, turned_away, deletions_asked)"
                " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
                " asked = asked + excluded.asked, withdrawn = withdrawn + excluded.withdrawn,"
                " area_m2 = area_m2 + excluded.area_m2, turned_away = turned_away + excluded.turned_away,"
                " deletions_asked = deletions_asked + excluded.deletions_asked",
                (agency, *(sums[agency, what] for what in _SUMS)),
            )

    def _requested(self, tx: Transaction, asked: Requested, sums: Counter[tuple[str, str]]) -> None:
        if tx.query("SELECT 1 FROM log_requests WHERE leaf = ?", (asked.leaf,)):
            return  # logged twice: the first counts
        case = self._case(asked)
        posts: list[Row] = tx.query("SELECT posts FROM log_cases WHERE id = ?", (case,))
        # As the intake counts, whose clock may differ from the agency's by so much.
        open_after_us = asked.posted_us + Limits().clock_skew_us
        ((open_before,),) = tx.query(
            "SELECT count(*) FROM (SELECT 1 FROM log_requests WHERE agency = ? AND closed IS NULL AND expires_us > ?"
            " LIMIT ?)",
            (asked.agency, open_after_us, MOST_OPEN),
        )
        tx.execute(
            "INSERT INTO log_cases VALUES (?, 1) ON CONFLICT DO UPDATE SET posts = posts + 1",
            (case,),
        )
        if open_before < MOST_OPEN:
            tx.execute(
                "INSERT INTO log_requests VALUES (?, ?, ?, ?, ?, ?, NULL)",
                (asked.leaf, asked.index, asked.agency, asked.expires_us, posts[0][0] if posts else 0, open_before),
            )
        sums[asked.agency, "asked"] += 1
        sums[asked.agency, "area_m2"] += asked.area_m2

    def _case(self, asked: Requested) -> int:
        # Keyed, so that nobody can make two cases fall together.
        name = f"{asked.agency}\n{asked.case}".encode()
        return int.from_bytes(hashlib.blake2b(name, key=self._salt, digest_size=8).digest(), "big", signed=True)


def _said(tx: Transaction, said: Said, sums: Counter[tuple[str, str]]) -> None:
    rows = tx.query("SELECT agency, closed FROM log_requests WHERE leaf = ?", (said.request,))
    if not rows or rows[0][0] != said.agency:
        return  # of another agency's request, or of one that ended long ago
    closed = rows[0][1]
    ((before,),) = tx.query("SELECT count(*) FROM log_updates WHERE request = ?", (said.request,))
    if before < Limits().updates_per_request:
        tx.execute("INSERT INTO log_updates VALUES (?, ?, ?)", (said.index, said.request, said.update.payload()))
    kind = said.update.kind
    if (kind == "withdrawn" and closed != "withdrawn") or (kind == "resolved" and closed is None):
        tx.execute("UPDATE log_requests SET closed = ? WHERE leaf = ?", (kind, said.request))
        sums[said.agency, "withdrawn"] += kind == "withdrawn"


def _stood(tx: Transaction, stood: Stood) -> None:
    one = stood.standing
    thing = next(name for name, kind in _THINGS.items() if isinstance(one, kind))
    tx.execute("INSERT INTO log_standing VALUES (?, ?, ?, ?)", (one.index, agency_of(one), thing, one.envelope))
    if not isinstance(one, Admission):
        # All that was asked before this entry, whatever the record is dated: the log's order can't be postponed.
        closed = "revoked" if isinstance(one, Ended) else "suspended"
        tx.execute("UPDATE log_requests SET closed = ? WHERE agency = ? AND closed IS NULL", (closed, agency_of(one)))


def _row(kept: Kept) -> tuple[int, bytes, bytes | None, int | None, bytes | None, int, int, int]:
    where = kept.edge.size, kept.edge.encode(), kept.note, kept.at_s
    return *where, kept.own_note, kept.own_us, kept.posted_us, kept.void
