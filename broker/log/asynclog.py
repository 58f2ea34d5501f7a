"""The sequencer for asyncio: concurrent adds share one publication, and all its I/O stays in one thread."""

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
MAX_BATCH = 256  # entries in one publication
REPLAY_BATCH = 256  # entries handed over at a time at start

T = TypeVar("T")
Published = Callable[[int, Sequence[bytes]], None]


@dataclass(slots=True)
class _Waiting:
    entry: bytes
    index: asyncio.Future[int] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class AsyncLog:
    """The log as the server sees it.

    `on_published(first_index, entries)` is called on the event loop for every entry of the log, once and in order,
    before the `add` that waits for it returns; at start for what the log holds already.
    """

    def __init__(self, sequencer: Sequencer, *, on_published: Published, max_waiting: int = MAX_WAITING) -> None:
        self._sequencer = sequencer
        self._on_published = on_published
        self._max_waiting = max_waiting
        self._seen = 0
        self._waiting: list[_Waiting] = []
        self._flushing: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sequencer")
        self._broken = False

    async def open(self) -> None:
        """Open the sequencer and hand over all entries."""
        await self._run(self._sequencer.open)
        await self._catch_up()

    async def close(self) -> None:
        """Publish what waits, then give up the log."""
        while self._flushing is not None:
            await asyncio.wait([self._flushing])
        await self._run(self._sequencer.close)
        self._thread.shutdown()

    @property
    def size(self) -> int:
        """How many entries are published and handed over."""
        return self._seen

    @property
    def origin(self) -> str:
        """The log's name."""
        return self._sequencer.origin

    @property
    def verifier(self) -> VerifierKey:
        """The log's verifier key."""
        return self._sequencer.verifier

    async def checkpoint(self) -> bytes:
        """Return the current signed checkpoint."""
        return await self._run(lambda: self._sequencer.checkpoint_note)

    async def add(self, entry: bytes) -> int:
        """Append one entry; returns its index once it is public and durable.

        Raises WireError (too large), LogBusyError (too many wait) or what the storage raised: then it is not known
        whether the entry went in, and `on_published` has told it if it did.
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

    async def proof(self, index: int) -> bytes:
        """Return the tlog-proof of an entry under the current checkpoint."""
        return await self._run(lambda: self._sequencer.proof(index))

    async def logged(self, index: int) -> tuple[bytes, bytes]:
        """Return (entry, proof)."""
        return await self._run(lambda: (self._sequencer.entry(index), self._sequencer.proof(index)))

    async def _flush(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
                try:
                    await self._publish(batch)
                finally:
                    _fail(batch, LogError("the log stopped while this entry was being added; look whether it went in"))
        finally:
            self._flushing = None

    async def _publish(self, batch: list[_Waiting]) -> None:
        entries = [waiting.entry for waiting in batch]
        try:
            if self._broken:
                await self._reopen()
            self._broken = True  # until it is known to have gone well
            indices = await self._run(lambda: self._sequencer.append(entries))
        except (OSError, LogError, WireError) as error:
            log.warning("log_append_failed", entries=len(entries), error=str(error))
            await self._try_reopen()
            _fail(batch, error)
            return
        first, self._seen = self._seen, self._seen + len(entries)
        self._broken = False
        self._on_published(first, entries)
        for waiting, index in zip(batch, indices, strict=True):
            if not waiting.index.done():
                waiting.index.set_result(index)

    async def _try_reopen(self) -> None:
        try:
            await self._reopen()
        except (OSError, LogError, WireError) as error:  # tried again before the next append
            log.warning("log_reopen_failed", error=str(error))

    async def _reopen(self) -> None:
        """Learn whether a failed append went in after all."""
        await self._run(self._sequencer.open)
        await self._catch_up()
        self._broken = False

    async def _catch_up(self) -> None:
        entries = await self._run(lambda: self._sequencer.entries(self._seen))

        def some() -> list[bytes]:
            return [entry for _, entry in islice(entries, REPLAY_BATCH)]

        while batch := await self._run(some):
            first = self._seen
            self._seen += len(batch)
            self._on_published(first, batch)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _fail(batch: list[_Waiting], error: Exception) -> None:
    for waiting in batch:
        if not waiting.index.done():
            waiting.index.set_exception(error)
