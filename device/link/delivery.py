"""Which outbox messages go out next on one connection: order, window, acknowledgements, resending. No network.

A new Delivery is made for each connection and begins with the oldest message, so whatever a lost connection left open
goes out again. Within a connection messages go out in order, at most `window` without their PUBACK. Where receipts
are expected and none that helps has come for a while, all that is still in the box is sent again, from the oldest;
the pause grows each time and is short again after progress. Times (`now_s`) are monotonic seconds.
"""

from collections.abc import Callable, Sequence

import structlog

from .outbox import Outbox, Outgoing, ReceiptEffect
from .settings import Backoff

log = structlog.get_logger()


class Delivery:
    """One connection's way through the outbox. Use it from one task; its methods block on the disk."""

    def __init__(self, outbox: Outbox, *, window: int, resend: Backoff, random: Callable[[], float]) -> None:
        self._outbox = outbox
        self._window = window
        self._resend = resend
        self._random = random
        self._cursor = 0  # the highest id that was sent in this round
        self._in_flight: set[int] = set()
        self._unreceipted = False  # something numbered was acknowledged by the broker, and not yet by the reader
        self._rounds = 0  # since the last progress
        self._again_at_s: float | None = None

    @property
    def in_flight(self) -> int:
        """How many messages wait for their PUBACK."""
        return len(self._in_flight)

    @property
    def rounds(self) -> int:
        """How often everything was sent again since the reader last made progress."""
        return self._rounds

    def take(self, *, now_s: float, now_us: int) -> list[Outgoing]:
        """Return what is to be published now, in order; each must end in `acked` or with the connection."""
        if self._again_at_s is not None and now_s >= self._again_at_s:
            self._rewind()
        taken: list[Outgoing] = []
        while (room := self._window - len(self._in_flight)) > 0:
            found = self._outbox.pending(after=self._cursor, limit=room, now_us=now_us)
            if not found:
                break
            self._cursor = found[-1].id
            fresh = [message for message in found if message.id not in self._in_flight]
            self._in_flight.update(message.id for message in fresh)
            taken += fresh
        return taken

    def acked(self, messages: Sequence[Outgoing], *, now_s: float) -> None:
        """Note the PUBACKs of what `take` returned."""
        self._outbox.published([message.id for message in messages])
        self._in_flight.difference_update(message.id for message in messages)
        if self._outbox.expect_receipts and any(message.seq is not None for message in messages):
            self._unreceipted = True
            self._start_timer(now_s)

    def receipt(self, *, epoch: str, seq: int, now_s: float) -> ReceiptEffect:
        """Note that the reader has stored everything up to `seq`."""
        effect = self._outbox.receipt(epoch=epoch, seq=seq)
        if effect is ReceiptEffect.PROGRESS:
            stats = self._outbox.stats()
            self._unreceipted = stats.oldest_seq < stats.next_seq
            self._rounds = 0
            self._again_at_s = None
            self._start_timer(now_s)
        return effect

    def wait_s(self, *, now_s: float) -> float | None:
        """Return how long `take` has nothing new to say by itself; None: until something happens."""
        return None if self._again_at_s is None else max(0.0, self._again_at_s - now_s)

    def _rewind(self) -> None:
        stats = self._outbox.stats()
        self._again_at_s = None
        self._unreceipted = stats.oldest_seq < stats.next_seq  # what waited may have been dropped meanwhile
        if self._unreceipted:
            self._cursor = 0
            self._rounds += 1
            log.warning("outbox_sent_again", rounds=self._rounds, oldest_seq=stats.oldest_seq, next_seq=stats.next_seq)

    def _start_timer(self, now_s: float) -> None:
        if self._unreceipted and self._again_at_s is None:
            ceiling = self._resend.ceiling_s(self._rounds)
            # Half fixed, half jitter: the reader must get time to store and answer.
            self._again_at_s = now_s + ceiling / 2 + self._random() * ceiling / 2
