"""The durable outbox: what the device has said and the reader may not have got yet. Tables and rules; no network.

What holds:

1. A message is added inside the caller's transaction: the event's own row and the message about it commit together.
2. A numbered message has the next `seq` of this outbox's `epoch`. A seq is never used twice, not even after its row
   is gone. So a reader sees by the numbers alone what it missed.
3. Without receipts a row goes on its PUBACK. With receipts a numbered row goes when a receipt covers it, and not
   before.
4. The box is bounded in rows and in bytes. When it is full, the oldest droppable message goes (an `update`, a bell);
   if there is none, the oldest of all; but a droppable newcomer never pushes out one that is not. Each drop is
   counted, and leaves a gap in seq.
5. A message with a time to live is not sent after it: a bell that rings an hour late is worse than none. (The event
   that tells of it has no such limit.)

A gap that a drop left never closes. A reader that waits for it learns so from the device's health: everything below
`outbox_oldest_seq` is either received or gone for good.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from secrets import token_hex

from device.vault.state import Schema, State, Transaction

MAX_PAYLOAD_BYTES = 65_536
# AUTOINCREMENT: an id that was deleted must not come again, for senders go by "after id n".
_MESSAGES = """
    CREATE TABLE outbox (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        seq INTEGER UNIQUE,
        leaf TEXT NOT NULL,
        payload BLOB NOT NULL,
        droppable INTEGER NOT NULL,
        until_us INTEGER
    ) STRICT
"""
_COUNTERS = """
    CREATE TABLE outbox_counters (
        only INTEGER PRIMARY KEY CHECK (only = 1),
        epoch TEXT NOT NULL,
        next_seq INTEGER NOT NULL DEFAULT 1,
        messages INTEGER NOT NULL DEFAULT 0,
        bytes INTEGER NOT NULL DEFAULT 0,
        dropped INTEGER NOT NULL DEFAULT 0,
        expired INTEGER NOT NULL DEFAULT 0
    ) STRICT
"""
# Triggers, so that the totals can't get out of step with the rows.
_COUNT_IN = """
    CREATE TRIGGER outbox_in AFTER INSERT ON outbox BEGIN
        UPDATE outbox_counters SET messages = messages + 1, bytes = bytes + length(NEW.payload);
    END
"""
_COUNT_OUT = """
    CREATE TRIGGER outbox_out AFTER DELETE ON outbox BEGIN
        UPDATE outbox_counters SET messages = messages - 1, bytes = bytes - length(OLD.payload);
    END
"""
_DROPPABLE = "CREATE INDEX outbox_droppable ON outbox (id) WHERE droppable"
_TIMED = "CREATE INDEX outbox_timed ON outbox (until_us) WHERE until_us IS NOT NULL"
SCHEMA = Schema("outbox", ((_MESSAGES, _COUNTERS, _DROPPABLE, _TIMED, _COUNT_IN, _COUNT_OUT),))


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxLimits:
    """How much may wait: weeks of events at some 300 bytes each."""

    max_messages: int = 50_000
    max_bytes: int = 32 * 1024 * 1024

    def __post_init__(self) -> None:
        if self.max_messages < 1 or self.max_bytes < MAX_PAYLOAD_BYTES:
            raise ValueError(f"an outbox holds at least one message and {MAX_PAYLOAD_BYTES} bytes")


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message to publish; `leaf` is the topic below the device's, `seq` is None where it is not numbered."""

    id: int
    seq: int | None
    leaf: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class OutboxStats:
    """What is in the box, for the device's health; `oldest_seq` equals `next_seq` where nothing numbered waits."""

    epoch: str
    oldest_seq: int
    next_seq: int
    messages: int
    bytes: int
    dropped: int
    expired: int


class ReceiptEffect(Enum):
    """What a receipt did."""

    PROGRESS = auto()  # rows were let go
    STALE = auto()  # nothing new in it
    FOREIGN = auto()  # for another epoch
    AHEAD = auto()  # for what was never said: ignored, or a wrong number would erase what comes next


class Outbox:
    """The outbox of one device, over the tables of SCHEMA. Its methods block on the disk; use it from any thread."""

    def __init__(
        self,
        state: State,
        *,
        limits: OutboxLimits,
        expect_receipts: bool,
        make_epoch: Callable[[], str] = lambda: token_hex(8),
    ) -> None:
        self._state = state
        self._limits = limits
        self.expect_receipts = expect_receipts
        with state.transaction() as tx:
            tx.execute("INSERT OR IGNORE INTO outbox_counters (only, epoch) VALUES (1, ?)", (make_epoch(),))
            ((epoch,),) = tx.query("SELECT epoch FROM outbox_counters")
        self.epoch = str(epoch)

    def add_numbered(
        self, tx: Transaction, leaf: str, payload: Callable[[str, int], bytes], *, droppable: bool = False
    ) -> int:
        """Add a message that carries its number: `payload(epoch, seq)` makes it. Returns seq."""
        ((seq,),) = tx.query("UPDATE outbox_counters SET next_seq = next_seq + 1 RETURNING next_seq - 1")
        self._insert(tx, int(seq), leaf, payload(self.epoch, int(seq)), droppable=droppable, until_us=None)
        return int(seq)

    def add(
        self, tx: Transaction, leaf: str, payload: bytes, *, droppable: bool = False, until_us: int | None = None
    ) -> None:
        """Add a message without a number, to be let go on its PUBACK; after `until_us` it is not sent any more."""
        self._insert(tx, None, leaf, payload, droppable=droppable, until_us=until_us)

    def pending(self, *, after: int, limit: int, now_us: int) -> list[Outgoing]:
        """Return the oldest messages whose id is above `after`, in order; what has outlived its time is removed."""
        query = (
            "SELECT id, seq, leaf, payload FROM outbox WHERE id > ? AND coalesce(until_us, ?) >= ? ORDER BY id LIMIT ?"
        )
        expired = "SELECT 1 FROM outbox WHERE until_us < ? LIMIT 1"
        if self._state.query(expired, (now_us,)):
            with self._state.transaction() as tx:
                gone = tx.execute("DELETE FROM outbox WHERE until_us < ?", (now_us,))
                tx.execute("UPDATE outbox_counters SET expired = expired + ?", (gone,))
        rows = self._state.query(query, (after, now_us, now_us, limit))
        return [Outgoing(int(row[0]), row[1], str(row[2]), bytes(row[3])) for row in rows]

    def published(self, ids: Sequence[int]) -> None:
        """Note PUBACKs, in one transaction; unknown ids (dropped meanwhile) are fine."""
        # Without receipts the broker's word is all there is; with them it counts only for what has no number.
        delete = "DELETE FROM outbox WHERE id = ? AND (? OR seq IS NULL)"
        with self._state.transaction() as tx:
            for number in ids:
                tx.execute(delete, (number, not self.expect_receipts))

    def receipt(self, *, epoch: str, seq: int) -> ReceiptEffect:
        """Let go of all numbered messages up to `seq`: the reader has stored them."""
        if epoch != self.epoch:
            return ReceiptEffect.FOREIGN
        with self._state.transaction() as tx:
            ((next_seq,),) = tx.query("SELECT next_seq FROM outbox_counters")
            if seq >= next_seq:
                return ReceiptEffect.AHEAD
            gone = tx.execute("DELETE FROM outbox WHERE seq <= ?", (seq,))
        return ReceiptEffect.PROGRESS if gone else ReceiptEffect.STALE

    def stats(self) -> OutboxStats:
        """Return what is in the box."""
        (row,) = self._state.query(
            "SELECT coalesce((SELECT min(seq) FROM outbox), next_seq), next_seq, messages, bytes, dropped, expired"
            " FROM outbox_counters"
        )
        return OutboxStats(self.epoch, *(int(value) for value in row))

    def _insert(
        self, tx: Transaction, seq: int | None, leaf: str, payload: bytes, *, droppable: bool, until_us: int | None
    ) -> None:
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise ValueError(f"a message of {len(payload)} bytes to {leaf} is above the {MAX_PAYLOAD_BYTES} allowed")
        if not self._make_room(tx, len(payload), droppable=droppable):
            return
        tx.execute(
            "INSERT INTO outbox (seq, leaf, payload, droppable, until_us) VALUES (?, ?, ?, ?, ?)",
            (seq, leaf, payload, int(droppable), until_us),
        )

    def _make_room(self, tx: Transaction, size: int, *, droppable: bool) -> bool:
        """Drop by the rule until `size` bytes fit; returns False if it is the newcomer that has to go."""
        while True:
            ((messages, used),) = tx.query("SELECT messages, bytes FROM outbox_counters")
            if messages < self._limits.max_messages and used + size <= self._limits.max_bytes:
                return True
            tx.execute("UPDATE outbox_counters SET dropped = dropped + 1")
            if tx.execute("DELETE FROM outbox WHERE id = (SELECT min(id) FROM outbox WHERE droppable)"):
                continue
            if droppable:
                return False
            tx.execute("DELETE FROM outbox WHERE id = (SELECT min(id) FROM outbox)")
