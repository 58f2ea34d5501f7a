"""The life of a request on a device: one table, and the store that keeps where each request stands.

A pair of state and step that the table lacks raises and changes nothing. The store changes a state only inside a
transaction of the caller, so that a decision's ledger entry and its effect are kept together or not at all.
"""

import sqlite3
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from device.vault.state import Row, Schema, State, Transaction

from .errors import ConsentError, TransitionError


class RequestState(StrEnum):
    """Where a request stands on this device."""

    ANNOUNCED = "announced"
    VERIFIED = "verified"
    MATCHED = "matched"
    OFFERED = "offered"
    APPROVED = "approved"
    RELEASED = "released"
    RECEIVED = "received"
    REFUSED = "refused"
    UNMATCHED = "unmatched"
    DECLINED = "declined"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    UNDELIVERED = "undelivered"


class Step(StrEnum):
    """What can happen to a request."""

    VERIFY = "verify"
    REFUSE = "refuse"
    MATCH = "match"
    NO_MATCH = "no-match"
    OFFER = "offer"
    APPROVE = "approve"
    DECLINE = "decline"
    RELEASE = "release"
    RECEIVE = "receive"
    EXPIRE = "expire"
    WITHDRAW = "withdraw"
    FAIL = "fail"


_S, _E = RequestState, Step
TABLE: Final[dict[tuple[RequestState, Step], RequestState]] = {
    (_S.ANNOUNCED, _E.VERIFY): _S.VERIFIED,
    (_S.ANNOUNCED, _E.REFUSE): _S.REFUSED,
    (_S.VERIFIED, _E.MATCH): _S.MATCHED,
    (_S.VERIFIED, _E.NO_MATCH): _S.UNMATCHED,
    (_S.UNMATCHED, _E.MATCH): _S.MATCHED,  # the end of the window may still be on its way into the ring
    (_S.MATCHED, _E.OFFER): _S.OFFERED,
    (_S.OFFERED, _E.APPROVE): _S.APPROVED,
    (_S.OFFERED, _E.DECLINE): _S.DECLINED,
    (_S.APPROVED, _E.RELEASE): _S.RELEASED,
    # Released means that bytes may be on their way: only a receipt ends that, or that none can come any more.
    (_S.RELEASED, _E.RECEIVE): _S.RECEIVED,
    (_S.RELEASED, _E.FAIL): _S.UNDELIVERED,
    **{
        (state, step): target
        for state in (_S.ANNOUNCED, _S.VERIFIED, _S.UNMATCHED, _S.MATCHED, _S.OFFERED, _S.APPROVED)
        for step, target in ((_E.EXPIRE, _S.EXPIRED), (_E.WITHDRAW, _S.WITHDRAWN))
    },
}
CLOSABLE = frozenset(state for state, step in TABLE if step is _E.EXPIRE)
FINAL = frozenset(_S) - {state for state, _ in TABLE}

SCHEMA = Schema(
    "requests",
    (
        (
            """CREATE TABLE requests (
                leaf TEXT PRIMARY KEY, state TEXT NOT NULL, rule TEXT NOT NULL, message TEXT NOT NULL,
                announcement BLOB NOT NULL, expires_us INTEGER NOT NULL, changed_us INTEGER NOT NULL,
                settles_us INTEGER NOT NULL, updates INTEGER NOT NULL DEFAULT 0, closed_by TEXT,
                approval BLOB, bundle TEXT, upload_seed BLOB, receipt BLOB) STRICT""",
            "CREATE INDEX requests_by_state ON requests (state)",
            """CREATE TABLE request_clips (
                leaf TEXT NOT NULL REFERENCES requests (leaf) ON DELETE CASCADE, clip TEXT NOT NULL,
                start_us INTEGER NOT NULL, end_us INTEGER NOT NULL, PRIMARY KEY (leaf, clip)) STRICT""",
        ),
        (
            # Announcements had another form, and come again; what was decided stays.
            "DELETE FROM requests WHERE approval IS NULL AND state <> 'declined'",
            "ALTER TABLE requests DROP COLUMN updates",
        ),
    ),
)
_COLUMNS = (
    "leaf, state, rule, message, announcement, expires_us, changed_us, closed_by, approval, bundle, upload_seed,"
    " receipt"
)


@dataclass(frozen=True, slots=True)
class StoredRequest:
    """One request as the device keeps it.

    `closed_by` is what the log says of it since (withdrawn, resolved, revoked); `bundle` is a file name in the outgoing
    folder.
    """

    leaf: str
    state: RequestState
    rule: str
    message: str
    announcement: bytes
    expires_us: int
    changed_us: int
    closed_by: str | None
    approval: bytes | None
    bundle: str | None
    upload_seed: bytes | None
    receipt: bytes | None


def after(state: RequestState, step: Step) -> RequestState:
    """Return the state that a step leads to; raises TransitionError if the table has no such pair."""
    try:
        return TABLE[state, step]
    except KeyError:
        raise TransitionError(f"a request that is {state} can't take the step '{step}'") from None


class RequestStore:
    """The requests table. Reads are free, or part of the caller's transaction; every change takes one."""

    def __init__(self, state: State) -> None:
        state.migrate(SCHEMA)
        self._state = state

    def get(self, leaf: str, tx: Transaction | None = None) -> StoredRequest | None:
        """Return one request, within a transaction if what follows depends on it."""
        rows = (tx or self._state).query(f"SELECT {_COLUMNS} FROM requests WHERE leaf = ?", (leaf,))  # noqa: S608 - constant columns
        return _stored(rows[0]) if rows else None

    def every(self, *states: RequestState, tx: Transaction | None = None) -> list[StoredRequest]:
        """Return all requests, or those in the given states, newest change first."""
        marks = ",".join("?" * len(states))
        where = f"WHERE state IN ({marks})" if states else ""
        rows = (tx or self._state).query(
            f"SELECT {_COLUMNS} FROM requests {where} ORDER BY changed_us DESC, leaf",  # noqa: S608 - only marks are put in
            tuple(str(state) for state in states),
        )
        return [_stored(row) for row in rows]

    def bundles(self, *states: RequestState) -> set[str]:
        """Return the bundle files of the requests in some states."""
        marks = ",".join("?" * len(states))
        rows = self._state.query(
            f"SELECT bundle FROM requests WHERE bundle IS NOT NULL AND state IN ({marks})",  # noqa: S608 - only marks are put in
            tuple(str(state) for state in states),
        )
        return {str(bundle) for (bundle,) in rows}

    def expired(self, now_us: int) -> list[str]:
        """Return the leaf hashes of what is open still and has expired."""
        marks = ",".join("?" * len(CLOSABLE))
        rows = self._state.query(
            f"SELECT leaf FROM requests WHERE expires_us <= ? AND state IN ({marks})",  # noqa: S608 - only marks are put in
            (now_us, *(str(state) for state in CLOSABLE)),
        )
        return [str(leaf) for (leaf,) in rows]

    def count(self, state: RequestState) -> int:
        """Return how many requests are in a state."""
        ((count,),) = self._state.query("SELECT count(*) FROM requests WHERE state = ?", (str(state),))
        return int(count)

    def clips(self, leaf: str) -> list[tuple[str, int, int]]:
        """Return the matching clips (id, start_us, end_us), oldest first."""
        rows = self._state.query(
            "SELECT clip, start_us, end_us FROM request_clips WHERE leaf = ? ORDER BY start_us, clip", (leaf,)
        )
        return [(str(clip), int(start), int(end)) for clip, start, end in rows]

    def unsettled(self, now_us: int) -> list[StoredRequest]:
        """Return what was not judged yet, and what may find a match still, or more of one."""
        rows = self._state.query(
            f"SELECT {_COLUMNS} FROM requests WHERE state = ? OR (state IN (?, ?) AND settles_us > ?)",  # noqa: S608 - constant columns
            (str(RequestState.ANNOUNCED), str(RequestState.UNMATCHED), str(RequestState.OFFERED), now_us),
        )
        return [_stored(row) for row in rows]

    def announce(
        self, tx: Transaction, leaf: str, announcement: bytes, *, expires_us: int, settles_us: int, now_us: int
    ) -> None:
        """Keep a request that was not known; raises ConsentError if it is.

        Until `settles_us` a clip that matches may still be on its way into the ring.
        """
        try:
            tx.execute(
                "INSERT INTO requests (leaf, state, rule, message, announcement, expires_us, settles_us, changed_us)"
                " VALUES (?, ?, '', '', ?, ?, ?, ?)",
                (leaf, str(RequestState.ANNOUNCED), announcement, expires_us, settles_us, now_us),
            )
        except sqlite3.IntegrityError as error:
            raise ConsentError(f"request {leaf[:12]} is known already") from error

    def set_closed(self, tx: Transaction, leaf: str, closed_by: str) -> None:
        """Keep what the log says of a request since."""
        tx.execute("UPDATE requests SET closed_by = ? WHERE leaf = ?", (closed_by, leaf))

    def forget(self, tx: Transaction, *, expired_before_us: int) -> int:
        """Delete what ended without a decision and expired before a time; returns how many."""
        states = [str(state) for state in FINAL | {RequestState.UNMATCHED} if state is not RequestState.DECLINED]
        marks = ",".join("?" * len(states))
        return tx.execute(
            f"DELETE FROM requests WHERE expires_us < ? AND approval IS NULL AND state IN ({marks})",  # noqa: S608 - only marks are put in
            (expired_before_us, *states),
        )

    def step(
        self, tx: Transaction, leaf: str, step: Step, *, now_us: int, rule: str = "", message: str = ""
    ) -> RequestState:
        """Take a step by the table; raises TransitionError, or ConsentError for an unknown request."""
        rows = tx.query("SELECT state FROM requests WHERE leaf = ?", (leaf,))
        if not rows:
            raise ConsentError(f"no request {leaf[:12]} is known here")
        target = after(RequestState(rows[0][0]), step)
        tx.execute(
            "UPDATE requests SET state = ?, rule = ?, message = ?, changed_us = ? WHERE leaf = ?",
            (str(target), rule, message, now_us, leaf),
        )
        return target

    def set_clips(self, tx: Transaction, leaf: str, clips: list[tuple[str, int, int]]) -> None:
        """Keep which clips match."""
        tx.execute("DELETE FROM request_clips WHERE leaf = ?", (leaf,))
        for clip, start_us, end_us in clips:
            tx.execute("INSERT INTO request_clips VALUES (?, ?, ?, ?)", (leaf, clip, start_us, end_us))

    def set_approval(self, tx: Transaction, leaf: str, *, approval: bytes, bundle: str, upload_seed: bytes) -> None:
        """Keep the owner's approval, the sealed bundle's file name and the one-time key of the upload."""
        tx.execute(
            "UPDATE requests SET approval = ?, bundle = ?, upload_seed = ? WHERE leaf = ?",
            (approval, bundle, upload_seed, leaf),
        )

    def set_receipt(self, tx: Transaction, leaf: str, receipt: bytes) -> None:
        """Keep the inbox's receipt; the one-time key stays, since only it can ask for what was sent to be deleted."""
        tx.execute("UPDATE requests SET receipt = ? WHERE leaf = ?", (receipt, leaf))

    def forget_seed(self, tx: Transaction, leaf: str) -> None:
        """Forget the one-time key of the upload: it has served."""
        tx.execute("UPDATE requests SET upload_seed = NULL WHERE leaf = ?", (leaf,))


def _stored(row: Row) -> StoredRequest:
    leaf, state, *rest = row
    return StoredRequest(leaf, RequestState(state), *rest)
