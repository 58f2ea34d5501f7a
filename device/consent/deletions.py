"""The owner asks for what was shared to be deleted: kept, told to the inbox until it signs for it, and never undone.

1. Only what left can be asked for: the request is received, or its bundle is on its way. That then gets no more bytes;
   if not all had arrived, nothing was given, and there is nothing to tell.
2. The notice is signed once, by the one-time key of the upload, and kept with its ledger entry before it is sent: after
   a power cut the very same bytes go again. The key is forgotten once the inbox has signed for the notice.
3. A pair of state and step that the table lacks raises and changes nothing.

Blocking; the daemon calls it off the event loop.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.wire.deletions import Deletion
from broker.wire.envelopes import public_bytes
from broker.wire.records import Approval
from device.vault.ledger import Ledger
from device.vault.state import Schema, State, Transaction

from .errors import ConsentError, TransitionError
from .requests import RequestState, RequestStore, StoredRequest

log = structlog.get_logger()

SCHEMA = Schema(
    "deletions",
    (
        (
            """CREATE TABLE deletions (
                leaf TEXT PRIMARY KEY REFERENCES requests (leaf) ON DELETE CASCADE, state TEXT NOT NULL,
                notice BLOB NOT NULL, receipt BLOB, message TEXT NOT NULL, at_us INTEGER NOT NULL) STRICT,
                WITHOUT ROWID""",
        ),
    ),
)
MOST_REASON: Final = 500  # characters


class DeletionState(StrEnum):
    """How far a notice is: kept, signed for by the inbox, or of no avail."""

    ASKED = "asked"
    TOLD = "told"
    FAILED = "failed"


class Step(StrEnum):
    """What can happen to a notice."""

    ASK = "ask"
    TELL = "tell"
    FAIL = "fail"


_S = DeletionState
TABLE: Final[dict[tuple[DeletionState | None, Step], DeletionState]] = {
    (None, Step.ASK): _S.ASKED,
    (_S.FAILED, Step.ASK): _S.ASKED,  # an inbox that was restored may know the bundle again
    (_S.ASKED, Step.TELL): _S.TOLD,
    (_S.ASKED, Step.FAIL): _S.FAILED,
}
LEFT: Final = frozenset({RequestState.RELEASED, RequestState.RECEIVED})


@dataclass(frozen=True, slots=True)
class KeptDeletion:
    """A notice as the device keeps it; `message` says why it failed."""

    state: DeletionState
    notice: bytes
    receipt: bytes | None
    message: str
    at_us: int

    def summary(self) -> dict[str, Any]:
        """Return what the owner's tools are told."""
        return {"state": str(self.state), "at_us": self.at_us, "message": self.message}


class Deletions:
    """The notices of one device."""

    def __init__(self, state: State, *, store: RequestStore, ledger: Ledger, now_us: Callable[[], int]) -> None:
        state.migrate(SCHEMA)
        self._state = state
        self._store = store
        self._ledger = ledger
        self._now_us = now_us

    def of(self, leaf: str, tx: Transaction | None = None) -> KeptDeletion | None:
        """Return the notice about a request, None if its owner did not ask."""
        rows = (tx or self._state).query(
            "SELECT state, notice, receipt, message, at_us FROM deletions WHERE leaf = ?", (leaf,)
        )
        return KeptDeletion(DeletionState(rows[0][0]), *rows[0][1:]) if rows else None

    def wanted(self, leaf: str, tx: Transaction) -> bool:
        """Tell whether the owner has asked, and the inbox has not signed for it."""
        kept = self.of(leaf, tx)
        return kept is not None and kept.state is DeletionState.ASKED

    def ask(self, leaf: str) -> KeptDeletion:
        """Keep that the owner asks; once that was done it changes nothing. Raises ConsentError."""
        now_us = self._now_us()
        with self._state.transaction() as tx:
            kept, stored = self.of(leaf, tx), self._store.get(leaf, tx)
            if kept is not None and kept.state is not DeletionState.FAILED:
                return kept
            if stored is None or stored.state not in LEFT:
                where = "not known here" if stored is None else str(stored.state)
                raise ConsentError(f"request {leaf[:12]} is {where}: its agency was given nothing that it could delete")
            notice = _signed(stored, now_us) if kept is None else kept.notice
            asked = KeptDeletion(_after(kept, Step.ASK), notice, None, "", now_us)
            self._keep(tx, leaf, asked)
            self._ledger.append(tx, "deletion-asked", {"request": leaf, "notice": notice.decode()}, now_us)
        log.info("deletion_asked", request=leaf[:16])
        return asked

    def to_tell(self) -> list[tuple[str, bytes]]:
        """Return (leaf hash, notice) of what the inbox has to be told, oldest first: what it has signed to have."""
        rows = self._state.query(
            "SELECT leaf, notice FROM deletions JOIN requests USING (leaf)"
            " WHERE deletions.state = ? AND requests.state = ? ORDER BY at_us, leaf",
            (str(DeletionState.ASKED), str(RequestState.RECEIVED)),
        )
        return [(str(leaf), bytes(notice)) for leaf, notice in rows]

    def told(self, leaf: str, receipt: bytes) -> None:
        """Keep the inbox's receipt for the notice."""
        now_us = self._now_us()
        with self._state.transaction() as tx:
            self._step(tx, leaf, Step.TELL, now_us, receipt=receipt)
            self._store.forget_seed(tx, leaf)
            self._ledger.append(tx, "deletion-told", {"request": leaf, "receipt": receipt.decode()}, now_us)

    def failed(self, leaf: str, reason: str) -> None:
        """Keep that the inbox will not take the notice."""
        with self._state.transaction() as tx:
            self.fail(tx, leaf, reason, self._now_us())

    def fail(self, tx: Transaction, leaf: str, reason: str, now_us: int) -> None:
        """Keep that a notice is of no avail, in the caller's transaction; where none is on its way nothing changes."""
        if self.wanted(leaf, tx):
            self._step(tx, leaf, Step.FAIL, now_us, message=reason[:MOST_REASON])
            body = {"request": leaf, "reason": reason[:MOST_REASON]}
            self._ledger.append(tx, "deletion-not-told", body, now_us)

    def _step(
        self, tx: Transaction, leaf: str, step: Step, now_us: int, *, receipt: bytes | None = None, message: str = ""
    ) -> None:
        kept = self.of(leaf, tx)
        state = _after(kept, step)
        if kept is not None:
            self._keep(tx, leaf, KeptDeletion(state, kept.notice, receipt, message, now_us))

    def _keep(self, tx: Transaction, leaf: str, kept: KeptDeletion) -> None:
        tx.execute(
            "INSERT INTO deletions (leaf, state, notice, receipt, message, at_us) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET state = excluded.state, receipt = excluded.receipt,"
            " message = excluded.message, at_us = excluded.at_us",
            (leaf, str(kept.state), kept.notice, kept.receipt, kept.message, kept.at_us),
        )


def _after(kept: KeptDeletion | None, step: Step) -> DeletionState:
    try:
        return TABLE[None if kept is None else kept.state, step]
    except KeyError:
        where = "was not asked for" if kept is None else f"is {kept.state}"
        raise TransitionError(f"a deletion that {where} can't take the step '{step}'") from None


def _signed(stored: StoredRequest, now_us: int) -> bytes:
    """Return the notice: signed by who sent the bundle, and by nobody who could be told from any other sender."""
    if stored.approval is None or stored.upload_seed is None:
        raise ConsentError(
            f"the one-time key that {stored.leaf[:12]} was sent under is gone: an earlier version forgot it once the "
            "receipt was there. Write to the agency; 'latchstring review show' has its contact"
        )
    key = Ed25519PrivateKey.from_private_bytes(stored.upload_seed)
    digest = Approval.unverified(stored.approval).bundle_sha256
    return Deletion(request=stored.leaf, bundle_sha256=digest, key=public_bytes(key), at=now_us).sign(key)
