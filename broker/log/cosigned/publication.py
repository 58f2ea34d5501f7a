"""Carries each head to the public: cosigned by a quorum, published, and cosigned again while nothing new comes.

Recovery is the same path: at start the head may be ahead of what is published, and is carried on like any other.
Until there is a quorum the public keeps the checkpoint before, and what was appended since stays unannounced.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

import httpx
import structlog

from broker.log.errors import LogError
from broker.wire.encoding import WireError
from broker.wire.notes import Note, parse_checkpoint, parse_note
from broker.wire.proofs import Policy

from .cosigners import Head
from .panel import CosignerStatus, CosignTiming, Panel
from .quorum import Quorum

log = structlog.get_logger()

FIRST_RETRY_S = 0.5
LAST_RETRY_S = 30.0


class PublishedLog(Protocol):
    """What a publication needs of the log; each raises LogError or OSError where that is not to be had now."""

    async def head(self) -> bytes:
        """Return the newest head, signed by the log alone."""

    async def published(self) -> bytes | None:
        """Return the published checkpoint, None before the first."""

    async def consistency(self, old_size: int, size: int) -> list[bytes]:
        """Return the proof that the tree of `size` entries only added to the one of `old_size`."""

    async def publish(self, note: bytes) -> None:
        """Replace the published checkpoint."""


class Publication:
    """`run` is to be a task for as long as the log is open."""

    def __init__(
        self,
        log_: PublishedLog,
        panel: Panel,
        *,
        policy: Policy,
        now_us: Callable[[], int],
        http: httpx.AsyncClient | None = None,
        timing: CosignTiming | None = None,
    ) -> None:
        self._log = log_
        self._timing = timing or CosignTiming()
        self._wake = asyncio.Event()
        self._quorum = Quorum(
            panel, policy=policy, http=http, now_us=now_us, timing=self._timing, on_late=self.head_changed
        )
        self.tried = asyncio.Event()  # set once the head of the start is published, or could not be
        self._published: bytes | None = None
        self._since_s = 0.0

    @property
    def cosigners(self) -> Sequence[CosignerStatus]:
        """How each cosigner keeps up."""
        return self._quorum.status

    def head_changed(self) -> None:
        """Take note that there is a newer head, or a cosignature more for the one there is."""
        self._wake.set()

    async def run(self) -> None:
        """Publish until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._quorum.run(), name="quorum")
            await self._start()
            retry_s = FIRST_RETRY_S
            while True:
                self._wake.clear()
                try:
                    until_s = await self._publish_head()
                    retry_s = FIRST_RETRY_S
                except (LogError, OSError, WireError) as error:
                    log.warning("publication_failed", error=str(error), retry_s=retry_s)
                    until_s, retry_s = _now_s() + retry_s, min(LAST_RETRY_S, 2 * retry_s)
                self.tried.set()
                await self._wait(until_s)

    async def _start(self) -> None:
        self._since_s = _now_s()  # everybody is asked once after a start
        self._published = await self._log.published()
        if self._published is not None:
            self._quorum.learn(parse_note(self._published, what="published checkpoint"))

    async def _publish_head(self) -> float:
        """Publish the head if a quorum cosigns it; returns when to go on if nothing happens until then."""
        head = self._head(await self._log.head())
        if _now_s() >= self._since_s + self._timing.again_every_s:
            self._since_s = _now_s()
        cosigned = await self._quorum.gather(head, since_s=self._since_s)
        if cosigned is None:
            log.warning("checkpoint_awaits_quorum", size=head.checkpoint.size)
        elif (note := str(cosigned).encode()) != self._published:
            await self._log.publish(note)
            self._published = note
            log.debug("checkpoint_published", size=head.checkpoint.size, cosignatures=len(cosigned.signatures) - 1)
        again_s = self._since_s + self._timing.again_every_s
        next_s = self._quorum.next_s(head, since_s=self._since_s)
        return again_s if next_s is None else min(again_s, next_s)

    def _head(self, data: bytes) -> Head:
        note: Note = parse_note(data, what="head")
        checkpoint = parse_checkpoint(note.text)
        return Head(note, checkpoint, lambda old_size: self._log.consistency(old_size, checkpoint.size))

    async def _wait(self, until_s: float) -> None:
        try:
            async with asyncio.timeout_at(until_s):
                await self._wake.wait()
        except TimeoutError:
            return


def _now_s() -> float:
    return asyncio.get_running_loop().time()
