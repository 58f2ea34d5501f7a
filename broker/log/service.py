"""The operator's log as one thing: intake, log, history and announcements joined. The server and the feed stand on it.

Order of a submission: decided, appended, checkpoint published, taken into the book, answered; announced right after.
Submissions of one agency go one after the other, so that no two posts of a case slip past its limit together;
those of different agencies share a publication.
"""

import asyncio
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from broker.wire.proofs import make_policy
from broker.wire.rules import Limits

from .announcer import Announcer, Publish
from .asynclog import AsyncLog
from .book import Book, Posted, Updated
from .intake import Accepted, Duplicate, Refused, decide
from .sequencer import Sequencer

log = structlog.get_logger()

_LANES = 64


@dataclass(frozen=True, slots=True)
class Submitted:
    """An entry that is in the log; `created` is false where it was there before. `proof` is tlog-proof text."""

    index: int
    leaf: str
    proof: bytes
    created: bool


class LogService:
    """`start` first, then `run` in a task beside the server, `close` last.

    `operator_key` (32 bytes) signs agency records; `url` is where `/log` is reached from outside, without it.
    """

    def __init__(
        self,
        *,
        sequencer: Sequencer,
        operator_key: bytes,
        publish: Publish,
        now_us: Callable[[], int],
        limits: Limits | None = None,
        url: str = "",
    ) -> None:
        self.book = Book()
        self.log = AsyncLog(sequencer, on_published=self._published)
        self.announcer = Announcer(book=self.book, log=self.log, publish=publish, now_us=now_us)
        self.limits = limits or Limits()
        self.now_us = now_us
        self.url = url.rstrip("/")
        self.refusals: Counter[tuple[str, str]] = Counter()
        self.operator_key = operator_key
        self._lanes = [asyncio.Lock() for _ in range(_LANES)]

    async def start(self) -> None:
        """Open the log and replay it."""
        await self.log.open()

    async def run(self) -> None:
        """Announce until cancelled, everything at first."""
        await self.announcer.run()

    async def close(self) -> None:
        """Publish what waits and give up the log."""
        await self.log.close()

    @property
    def policy(self) -> str:
        """The tlog-policy of this log alone."""
        return make_policy(self.log.verifier, url=self.url)

    async def submit(self, envelope: bytes) -> Submitted | Refused:
        """Log an envelope if it may be; raises LogError or OSError where the log itself fails."""
        seen = self.book.size
        decision = self._decide(envelope)
        if not isinstance(decision, Accepted):
            return await self._answer(decision)
        async with self._lanes[zlib.crc32(decision.record.agency.encode()) % _LANES]:
            if self.book.size != seen:
                decision = self._decide(envelope)  # what was logged while this one waited counts
            if not isinstance(decision, Accepted):
                return await self._answer(decision)
            index = await self.log.add(envelope)
        log.info("entry_logged", thing=decision.record.thing, agency=decision.record.agency, index=index)
        return Submitted(index, decision.leaf, await self.log.proof(index), created=True)

    async def proof_of(self, leaf: str) -> bytes | None:
        """Return the tlog-proof of the entry with this leaf hash (64 hex digits), None if the log does not hold it."""
        index = self.book.index_of(leaf)
        return None if index is None else await self.log.proof(index)

    def _decide(self, envelope: bytes) -> Accepted | Duplicate | Refused:
        now_us = self.now_us()
        return decide(envelope, self.book, operator_key=self.operator_key, limits=self.limits, now_us=now_us)

    async def _answer(self, decision: Duplicate | Refused) -> Submitted | Refused:
        if isinstance(decision, Duplicate):
            return Submitted(decision.index, decision.leaf, await self.log.proof(decision.index), created=False)
        self.refusals[decision.agency or "", decision.code] += 1
        log.info("entry_refused", code=decision.code, agency=decision.agency)
        return decision

    def _published(self, first: int, entries: Sequence[bytes]) -> None:
        for index, data in enumerate(entries, first):
            match self.book.apply(index, data):
                case Posted() as posted:
                    self.announcer.posted(posted)
                case Updated() as updated:
                    self.announcer.changed(updated.update.request)
        self.announcer.checkpoint_changed()
