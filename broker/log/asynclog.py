"""The sequencer for asyncio: concurrent appends share one head, and all its I/O stays in one thread."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

import structlog

from broker.wire.encoding import WireError
from broker.wire.notes import VerifierKey
from broker.wire.tiles import MAX_ENTRY_BYTES

from .errors import LogBusyError, LogError
from .sequencer import Sequencer

log = structlog.get_logger()

MAX_WAITING = 4_096  # entries; beyond it `add` refuses instead of letting memory grow
MAX_BATCH = 256  # entries under one head
REPLAY_BATCH = 256  # entries handed over at a time at start

T = TypeVar("T")
Logged = Callable[[int, Sequence[bytes]], None]


@dataclass(slots=True)
class _Waiting:
    entry: bytes
    index: asyncio.Future[int] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class AsyncLog:
    """The log as the server sees it.

    `on_logged(first_index, entries)` is called on the event loop for every entry under the head, in order, before the
    `append` that waits for it returns; at start for what the log holds already. If it raises LogError it has taken
    none of them, and is told again. `on_published()` is called when the public can read a newer checkpoint.
    """

    def __init__(
        self,
        sequencer: Sequencer,
        *,
        on_logged: Logged,
        on_published: Callable[[], None] = lambda: None,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._sequencer = sequencer
        self._on_logged = on_logged
        self._on_published = on_published
        self._max_waiting = max_waiting
        self._seen = 0
        self._published: bytes | None = None
        self._published_size = 0
        self._publication = asyncio.Event()
        self._waiting: list[_Waiting] = []
        self._flushing: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sequencer")
        self._broken = False  # an append is under way, or did not go well
        self._failed = False  # one did not go well, and what it did is not known
        self._writing = asyncio.Lock()

    async def open(self) -> int:
        """Open the sequencer and return how many entries the log has; `replay` then hands them over."""
        await self._run(self._sequencer.open)
        self._look()
        return await self._run(lambda: self._sequencer.size)

    async def replay(self, known: int = 0) -> None:
        """Hand over all entries but the first `known`, which the caller has already."""
        self._seen = known
        await self._catch_up()

    async def entry(self, index: int) -> bytes:
        """Return one entry's exact bytes."""
        return await self._run(lambda: self._sequencer.entry(index))

    async def settle(self) -> None:
        """Wait until nothing waits to be appended."""
        while self._flushing is not None:
            await asyncio.wait([self._flushing])

    async def close(self) -> None:
        """Append what waits, then give up the log."""
        await self.settle()
        await self._run(self._sequencer.close)
        self._thread.shutdown()

    @property
    def size(self) -> int:
        """How many entries are logged and handed over."""
        return self._seen

    @property
    def published_size(self) -> int:
        """How many of them the public can read."""
        return self._published_size

    @property
    def origin(self) -> str:
        """The log's name."""
        return self._sequencer.origin

    @property
    def verifier(self) -> VerifierKey:
        """The log's verifier key."""
        return self._sequencer.verifier

    async def head(self) -> bytes:
        """Return the newest head, signed by the log alone."""
        return await self._run(lambda: self._sequencer.head_note)

    async def published(self) -> bytes | None:
        """Return the published checkpoint; None where none meets the policy yet."""
        return self._published

    async def consistency(self, old_size: int, size: int) -> list[bytes]:
        """Return the proof that the tree of `size` entries only added to the one of `old_size`."""
        return await self._run(lambda: self._sequencer.consistency(old_size, size))

    async def publish(self, note: bytes) -> None:
        """Let the public read a head with its cosignatures; raises WireError where it lacks a quorum."""
        await self._run(lambda: self._sequencer.publish(note))
        self._look()
        self._on_published()

    async def until_published(self, index: int, *, within_s: float | None = None) -> bool:
        """Wait until the public can read an entry; False if that takes longer."""
        try:
            async with asyncio.timeout(within_s):
                while index >= self._published_size:
                    await self._publication.wait()
        except TimeoutError:
            return False
        return True

    async def append(self, entry: bytes) -> int:
        """Append one entry; returns its index once it is durable under the head, though not yet public.

        Raises WireError (too large), LogBusyError (too many wait) or what the storage raised: then it is not known
        whether the entry went in, and `on_logged` has told it if it did.
        """
        if len(entry) > MAX_ENTRY_BYTES:
            raise WireError(f"an entry has {len(entry)} bytes, more than the {MAX_ENTRY_BYTES} the log can hold")
        if len(self._waiting) >= self._max_waiting:
            raise LogBusyError(f"{self._max_waiting} entries wait to be logged already; try again in a moment")
        waiting = _Waiting(entry)
        self._waiting.append(waiting)
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush(), name="log-flush")
        return await waiting.index

    async def add(self, entry: bytes) -> int:
        """Append one entry; returns its index once it is public, however long that takes. Raises as `append` does."""
        index = await self.append(entry)
        await self.until_published(index)
        return index

    async def proof(self, index: int) -> bytes:
        """Return the tlog-proof of an entry under the published checkpoint; raises NotYetPublishedError."""
        return await self._run(lambda: self._sequencer.proof(index))

    async def logged(self, index: int) -> tuple[bytes, bytes]:
        """Return (entry, proof); raises NotYetPublishedError."""
        return await self._run(lambda: (self._sequencer.entry(index), self._sequencer.proof(index)))

    async def _flush(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
                try:
                    await self._append(batch)
                finally:
                    _fail(batch, LogError("the log stopped while this entry was being added; look whether it went in"))
        finally:
            self._flushing = None

    async def _append(self, batch: list[_Waiting]) -> None:
        entries = [waiting.entry for waiting in batch]
        async with self._writing:
            try:
                if self._broken:
                    await self._reopen()
                    # They were decided on by a history that lacked what the failed append may have logged.
                    raise LogBusyError("the log had to be read again; send the same envelope again")
                self._broken = True  # until it is known to have gone well
                indices = await self._run(lambda: self._sequencer.append(entries))
                self._hand_over(entries)
                self._broken = False
            except (OSError, LogError, WireError) as error:
                log.warning("log_append_failed", entries=len(entries), error=str(error))
                self._failed = True
                await self._try_reopen()
                _fail(batch, error)
                return
        for waiting, index in zip(batch, indices, strict=True):
            if not waiting.index.done():
                waiting.index.set_result(index)

    async def recover(self) -> None:
        """Read again what a failed append may have logged, so that it counts in the next decision.

        Raises what the storage or `on_logged` raises: then nothing may be decided yet.
        """
        if not self._failed:
            return
        async with self._writing:
            if self._broken:
                await self._reopen()

    async def _try_reopen(self) -> None:
        if not self._broken:
            return
        try:
            await self._reopen()
        except (OSError, LogError, WireError) as error:  # tried again before the next decision
            log.warning("log_reopen_failed", error=str(error))

    async def _reopen(self) -> None:
        """Learn whether a failed append went in after all."""
        await self._run(self._sequencer.open)
        self._look()
        await self._catch_up()
        self._broken = self._failed = False

    def _look(self) -> None:
        """Take over what is published, and wake who waits for it."""
        self._published, self._published_size = self._sequencer.published_note, self._sequencer.published_size
        waiting, self._publication = self._publication, asyncio.Event()
        waiting.set()

    async def _catch_up(self) -> None:
        entries = await self._run(lambda: self._sequencer.entries(self._seen))

        def some() -> list[bytes]:
            return [entry for _, entry in islice(entries, REPLAY_BATCH)]

        while batch := await self._run(some):
            self._hand_over(batch)

    def _hand_over(self, entries: Sequence[bytes]) -> None:
        """Tell of entries; they count as seen only once whoever is told has taken them."""
        self._on_logged(self._seen, entries)
        self._seen += len(entries)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _fail(batch: list[_Waiting], error: Exception) -> None:
    for waiting in batch:
        if not waiting.index.done():
            waiting.index.set_exception(error)
