"""A mirror of one log: C2SP tlog-mirror, by pulling. It cosigns a checkpoint once it serves all entries below it.

Where it differs from the specification: entries are not uploaded to it. `add-checkpoint` is as specified, and sets
the pending checkpoint; then the mirror reads bundles and tiles at the log's own URL, as any reader does. So
`add-entries` is not implemented, and there are no tickets. `add-checkpoint` answers without signature
lines, as specified, and may wait a while before it does, until the copy is complete: then one GET of the mirror's
checkpoint brings the cosignature. Besides, a mirror polls the log; a checkpoint found that way becomes pending
if the log's tiles show that it grew from the one before.

What holds at every moment, kills and power cuts included:

1. All pending checkpoints there ever were are trees that grew from each other (`WitnessStore` keeps the newest).
2. A tile or bundle is stored only once it was checked against a pending checkpoint's root.
3. The served checkpoint is swapped in after all that it covers is stored; only then is it said.
4. A log that forks or goes back is not followed; what it signed is kept as evidence. What is served stays. It went back
   if its own URL shows less long after it showed more: what a cache on the way still has is no sign of anything.
5. While some of the copy is known to be missing or damaged, nothing is cosigned and no checkpoint shown; it is fetched
   again from the log, checked as at first. What is known: presence and length of each file when the mirror starts, and
   the hashes of all that is served once a pass of `Checker` has come there. A copy of which the right edge or the
   checkpoint is damaged at the start stops it.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog

from broker.log.errors import LogDamagedError, LogError, LogReadError
from broker.log.witness.answer import Evidence, Head, LogKeys, Refusal, Submission, judge, signed_head
from broker.log.witness.store import WitnessStore
from broker.wire.cosigning import went_back
from broker.wire.encoding import WireError, format_time, to_base64
from broker.wire.notes import VerifierKey, parse_note

from .copied import Copy, ForkError, demand_growth
from .notes import witness_lines
from .source import Source

log = structlog.get_logger()

POLL_S = 60.0
SOON_S = 0.5
WAIT_S = 5.0  # a log waits some seconds longer for all of it
_SECOND_US = 1_000_000


class LogMirror:
    """Follows one log for as long as `run` runs. `witnesses` are those whose cosignatures can be checked here."""

    def __init__(
        self,
        *,
        origin: str,
        logs: LogKeys,
        copy: Copy,
        source: Source,
        store: WitnessStore,
        own: VerifierKey,
        now_us: Callable[[], int],
        witnesses: Sequence[VerifierKey] = (),
        poll_s: float = POLL_S,
        wait_s: float = WAIT_S,
    ) -> None:
        self.origin = origin
        self.copy = copy
        self.pending: Head | None = None
        self._logs = logs
        self._source = source
        self._store = store
        self._apart = [own, *logs[origin]]
        self._witnesses = witnesses
        self._now_us = now_us
        self._poll_s = poll_s
        self._wait_s = wait_s
        self._next_s = 0.0
        self._kept: Head | None = None
        self._deciding = asyncio.Lock()
        self._wake = asyncio.Event()
        self._changed = asyncio.Condition()
        self._asked = self._settled = 0
        self._published: Head | None = None
        self._published_us = 0  # when a head of its size was published first
        self._seen_us: int | None = None
        self._behind_us: int | None = None
        self._errors: dict[str, str] = {}

    def open(self) -> None:
        """Take over what is stored; raises LogDamagedError."""
        self.copy.open(self.origin, self._logs)
        self.pending = self._stored_pending()

    async def add_checkpoint(self, asked: Submission) -> bytes | Refusal:
        """Make a head the pending one, and wait a while for the copy; OSError: what is stored is unknown."""
        async with self._deciding:
            self._seen_us = self._now_us()
            refusal = judge(asked, self.pending)
            if refusal is not None:
                if refusal.evidence is not None:
                    await self._accuse(refusal.evidence)
                return refusal
            await self._keep_pending(asked.head)
            self._asked += 1
            mine = self._asked
        self._wake.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._wait_s), self._changed:
                await self._changed.wait_for(lambda: self._settled >= mine)
        return b""

    async def run(self) -> None:
        """Copy what is pending, poll, and wait; until cancelled. What the log or the disk does is retried."""
        while True:
            self._wake.clear()
            await self.catch_up()
            if not self._wake.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._next_s * random.uniform(0.8, 1.2)):  # noqa: S311 - spreads load
                        await self._wake.wait()
            if not self._wake.is_set():
                await self.poll()

    async def catch_up(self) -> bool:
        """Copy the pending checkpoint, or cosign it again if that was asked for; returns whether all is served."""
        asked, pending = self._asked, self.pending
        if pending is None:
            return False
        served = self.copy.served
        if served is not None and served.head == pending and asked == self._settled and self.copy.sound:
            return True
        done = await self._attempt("copy", lambda: self.copy.pull(pending))
        if done:
            self._next_s = SOON_S  # the log publishes it with its witnesses' cosignatures any moment now
        async with self._changed:
            self._settled = asked
            self._changed.notify_all()
        return done

    async def mended(self) -> None:
        """Have `run` fetch again what is damaged; returns once it has."""
        self._wake.set()
        async with self._changed:
            await self._changed.wait_for(lambda: self.copy.sound)

    async def poll(self) -> bool:
        """Read what the log publishes: adopt a newer checkpoint, take over cosignatures, notice forks."""
        self._next_s = min(self._poll_s, max(SOON_S, 2 * self._next_s))
        return await self._attempt("poll", self._poll)

    def status(self) -> dict[str, Any]:
        """Return what anybody may know of this copy."""
        served, pending = self.copy.served, self.pending
        behind = 0 if pending is None else pending.checkpoint.size - self.copy.size
        return {
            "origin": self.origin,
            "url": self._source.url,
            "size": None if served is None else self.copy.size,
            "root": None if served is None else to_base64(served.head.checkpoint.root),
            "cosigned_at": None if served is None else format_time(served.at_s * _SECOND_US),
            "pending": None if pending is None else pending.checkpoint.size,
            "behind": behind,
            "behind_since": None if self._behind_us is None else format_time(self._behind_us),
            "last_seen": None if self._seen_us is None else format_time(self._seen_us),
            "damaged": self.copy.damaged,
            "error": self._errors.get("copy") or self._errors.get("poll") or self.copy.problem,
            "evidence": self._store.evidence_count(self.origin),
        }

    async def _poll(self) -> None:
        data = await self._source.checkpoint()
        head = signed_head(data, self._logs)
        if isinstance(head, Refusal) or head.checkpoint.origin != self.origin:
            why = head.message if isinstance(head, Refusal) else f"it is of {head.checkpoint.origin!r}"
            raise LogReadError(f"{self._source.url}/checkpoint", why)
        self._seen_us = self._now_us()
        note = parse_note(data, what="checkpoint")
        await self._compare(head, Head(head.checkpoint, note))
        served = self.copy.served
        if served is not None and served.head.note.text == note.text:
            lines = witness_lines(note, apart_from=self._apart, known=self._witnesses)
            await self.copy.add_witnesses(lines)
            self._next_s = self._poll_s

    async def _compare(self, head: Head, whole: Head) -> None:
        """Adopt what is newer than the pending checkpoint; what is older must be contained in it."""
        before, size, now_us = self._published, head.checkpoint.size, self._now_us()
        if before is None or size >= before.checkpoint.size:
            if before is None or size > before.checkpoint.size:
                self._published_us = now_us
            self._published = whole
        elif went_back(size, shown=before.checkpoint.size, shown_us=self._published_us, now_us=now_us):
            await self._accuse(Evidence("rollback", before, whole))
        if self.pending is None or head.checkpoint.size > self.pending.checkpoint.size:
            await self._adopt(head)
        elif head.checkpoint.size <= self.copy.size and self.copy.served is not None:
            if await asyncio.to_thread(self.copy.root_at, head.checkpoint.size) != head.checkpoint.root:
                raise ForkError(Evidence("fork", self.copy.served.head, head))
        elif head.checkpoint.size == self.pending.checkpoint.size and head.checkpoint != self.pending.checkpoint:
            raise ForkError(Evidence("fork", self.pending, head))

    async def _adopt(self, head: Head) -> None:
        """Make a published head the pending one, once the log's tiles show that it grew from the present one."""
        pending = self.pending
        if pending is not None:
            await demand_growth(pending, head, await self.copy.tree(head))
        async with self._deciding:
            if self.pending is not pending:
                return  # it moved on meanwhile: the next poll compares with that
            await self._keep_pending(head)
        self._wake.set()

    async def _keep_pending(self, head: Head) -> None:
        if head == self._kept:
            return  # asked again: it is on the disk
        self._kept = None
        try:
            await asyncio.to_thread(self._store.keep, self.origin, str(head.note).encode())
        except OSError:
            self.pending = self._stored_pending()
            raise
        await asyncio.to_thread(self._store.clear, Evidence("unproven", head, head))
        self.pending = self._kept = head
        if head.checkpoint.size > self.copy.size and self._behind_us is None:
            self._behind_us = self._now_us()

    def _stored_pending(self) -> Head | None:
        data = self._store.latest(self.origin)
        if data is None:
            return None if self.copy.served is None else self.copy.served.head
        head = signed_head(data, self._logs)
        if isinstance(head, Refusal) or head.checkpoint.origin != self.origin:
            why = head.message if isinstance(head, Refusal) else f"it is of {head.checkpoint.origin!r}"
            raise self._store.damaged(self.origin, WireError(why))
        return head

    async def _attempt(self, what: str, action: Callable[[], Awaitable[None]]) -> bool:
        """Do it; what goes wrong is said in the status, logged once, and tried again later."""
        try:
            await action()
        except (LogError, OSError, WireError) as error:
            if isinstance(error, ForkError):
                await self._accuse(error.evidence)
            # Everybody may read the status: of the disk it says what is wrong, not where.
            match error:
                case OSError():
                    why = error.strerror or "the disk fails"
                case LogDamagedError():
                    why = "what is kept of this log can't be used: the operator has to see to it"
                case _:
                    why = str(error)
            if why != self._errors.get(what):
                log.warning("mirror_failed", origin=self.origin, what=what, error=str(error))
            self._errors[what] = why
            self._next_s = min(self._poll_s, max(2 * SOON_S, 2 * self._next_s))
            return False
        self._errors.pop(what, None)
        if self.pending is None or self.copy.size >= self.pending.checkpoint.size:
            self._behind_us = None
        return True

    async def _accuse(self, evidence: Evidence) -> None:
        try:
            is_new = await asyncio.to_thread(self._store.keep_evidence, evidence, now_us=self._now_us())
        except OSError as error:  # it is not followed all the same
            log.warning("evidence_not_kept", origin=self.origin, kind=evidence.kind, error=str(error))
            return
        if is_new:
            log.warning("evidence_kept", origin=self.origin, kind=evidence.kind)
