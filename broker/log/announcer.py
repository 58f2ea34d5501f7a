"""Tells the neighbourhood over MQTT what the log holds: the checkpoint, and every request that has not expired.

A request stands, retained, under each cell that its circle touches, from its publication until it has expired or is
closed; then an empty payload clears it. (Why it was closed, devices read in the log.) What no published checkpoint
covers yet is not announced; what is closed under the head already is cleared at once. A broker that was
away may have forgotten all of it, and is told everything again.
What could not be published stays due and is tried again; nothing here is lost, since all of it follows from the log.
"""

import asyncio
import heapq
from collections.abc import Callable
from typing import Protocol

import structlog

from broker.wire import topics
from broker.wire.geo import cells_of_circle
from broker.wire.rules import DAY_US
from broker.wire.topics import Announcement

from .asynclog import AsyncLog
from .errors import LogError
from .history.book import Book
from .history.entries import Posted
from .history.query import Filter, Status

log = structlog.get_logger()

TICK_S = 5.0
FIRST_RETRY_S = 0.5
LAST_RETRY_S = 30.0
CLEAR_BACK_US = 30 * DAY_US  # what expired while we were off for longer is the broker's to forget


class Publish(Protocol):
    """Publishes at QoS 1; returns once the broker has acknowledged, raises NotPublishedError or OSError else."""

    async def __call__(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Publish one message."""


class Announcer:
    """Keeps the retained messages equal to the log."""

    def __init__(self, *, book: Book, log: AsyncLog, publish: Publish, now_us: Callable[[], int]) -> None:
        self._book = book
        self._log = log
        self._publish = publish
        self._now_us = now_us
        self._due: dict[str, None] = {}
        self._unpublished: dict[str, None] = {}
        self._checkpoint_due = False
        self._all_due = True
        self._expiring: list[tuple[int, str]] = []
        self._wake = asyncio.Event()

    def posted(self, posted: Posted) -> None:
        """Take note of a request that is in the log now."""
        heapq.heappush(self._expiring, (posted.request.expires_at, posted.leaf))
        self.changed(posted.leaf)

    def changed(self, leaf: str) -> None:
        """Take note that there is something new to say of a request."""
        self._due[leaf] = None
        self._wake.set()

    def revoked(self, agency: str) -> None:
        """Take note that nothing of an agency's counts any more."""
        for leaf, _ in self._book.leaves(Filter(agency=agency, status=Status.REVOKED)):
            self.changed(leaf)

    def checkpoint_changed(self) -> None:
        """Take note of a newly published checkpoint."""
        self._checkpoint_due = True
        self._due.update(self._unpublished)
        self._unpublished.clear()
        self._wake.set()

    def reconnected(self) -> None:
        """Take note that the broker was away, and may have lost what it retained."""
        self._all_due = True
        self._wake.set()

    async def republish(self) -> None:
        """Publish everything again, after a start or when the broker may have lost it."""
        self._all_due = False  # from here on each request is due by itself
        now_us = self._now_us()
        recent = self._book.leaves(Filter(expires_after_us=now_us - CLEAR_BACK_US))
        self._expiring = [(expires_us, leaf) for leaf, expires_us in recent if expires_us > now_us]
        heapq.heapify(self._expiring)
        for leaf, _ in reversed(recent):
            self.changed(leaf)
        self.checkpoint_changed()
        await self.flush()

    async def tick(self, now_us: int) -> None:
        """Clear what has expired by `now_us`."""
        while self._expiring and self._expiring[0][0] <= now_us:
            _, leaf = heapq.heappop(self._expiring)
            self.changed(leaf)
        await self.flush()

    async def flush(self) -> None:
        """Publish what is due; raises LogError (NotPublishedError among them) or OSError and keeps the rest due."""
        self._wake.clear()
        if self._checkpoint_due:
            self._checkpoint_due = False
            try:
                if (note := await self._log.published()) is not None:
                    await self._publish(topics.CHECKPOINT, note, retain=True)
            except (LogError, OSError):
                self._checkpoint_due = True
                raise
        while self._due:
            leaf = next(iter(self._due))
            # Taken off first: what changes while it is being published is due again.
            del self._due[leaf]
            try:
                await self._announce(leaf)
            except (LogError, OSError):
                self._due[leaf] = None
                raise

    async def run(self) -> None:
        """Keep the broker up to date until cancelled."""
        retry_s = FIRST_RETRY_S
        while True:
            try:
                await (self.republish() if self._all_due else self.tick(self._now_us()))
                retry_s = FIRST_RETRY_S
            except (LogError, OSError) as error:
                log.warning("announcement_failed", error=str(error), retry_s=retry_s)
                await self._wait(retry_s)
                retry_s = min(LAST_RETRY_S, 2 * retry_s)
            else:
                await self._wait(TICK_S)

    async def _wait(self, at_most_s: float) -> None:
        """Wait for something new to say, or for a broker that is back."""
        if self._all_due:
            return
        try:
            async with asyncio.timeout(at_most_s):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _announce(self, leaf: str) -> None:
        posted = self._book.request(leaf)
        if posted is None:
            return
        if posted.index >= self._log.published_size:
            self._unpublished[leaf] = None
            return
        closed = self._book.status(leaf, self._now_us()) is not Status.OPEN
        payload = b"" if closed else Announcement(*await self._log.logged(posted.index)).encode()
        area = posted.request.area
        for cell in cells_of_circle(area.centre, area.radius_m):
            await self._publish(topics.request(cell, leaf), payload, retain=True)
        log.info("request_cleared" if closed else "request_announced", request=leaf, bytes=len(payload))
