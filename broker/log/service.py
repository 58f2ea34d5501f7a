"""The operator's log as one thing: intake, log, history and announcements joined. The server and the feed stand on it.

Order of a submission: decided, appended, taken into the book; cosigned and published with all that was appended
meanwhile; answered, and announced right after. Submissions of one agency are decided one after the other, so that no
two posts of a case slip past its limit together. Where the cosignatures take too long the answer has no proof yet.
"""

import asyncio
import sqlite3
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import httpx
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.wire.deletions import DeletionsAsked
from broker.wire.encoding import WireError
from broker.wire.envelopes import public_bytes
from broker.wire.merkle import leaf_hash
from broker.wire.rules import Limits

from .announcer import Announcer, Publish
from .asynclog import AsyncLog
from .cosigned.panel import CosignerStatus, CosignTiming
from .cosigned.publication import Publication
from .errors import BookError, LogError
from .history.book import Book
from .history.deletions import due
from .history.entries import Entry, Posted, Revoked, Updated
from .history.refusals import RefusalJournal
from .intake import Accepted, Duplicate, Refused, decide
from .sequencer import Sequencer

log = structlog.get_logger()

_LANES = 64
TALLY_EVERY_S = 60.0
ANSWER_AFTER_S = 10.0


@dataclass(frozen=True, slots=True)
class Submitted:
    """An entry that is in the log; `created` is false where it was there before.

    `proof` is tlog-proof text; None while the entry awaits its cosignatures.
    """

    index: int
    leaf: str
    proof: bytes | None
    created: bool


class LogService:
    """`start` first, then `run` in a task beside the server, `close` last.

    `operator` signs agency records and counts of refusals; `book` and `journal` are the service's own from then on.
    Without a journal refusals are answered, but counted nowhere. `url` is where `/log` is reached from outside,
    without it. `http` asks the cosigners of the sequencer's panel; after `answer_after_s` a submitter is answered
    without them.
    """

    def __init__(
        self,
        *,
        sequencer: Sequencer,
        operator: Ed25519PrivateKey,
        publish: Publish,
        now_us: Callable[[], int],
        book: Book | None = None,
        journal: RefusalJournal | None = None,
        limits: Limits | None = None,
        url: str = "",
        http: httpx.AsyncClient | None = None,
        timing: CosignTiming | None = None,
        answer_after_s: float = ANSWER_AFTER_S,
    ) -> None:
        self.book = book or Book()
        self.log = AsyncLog(sequencer, on_logged=self._logged, on_published=self._published)
        self.announcer = Announcer(book=self.book, log=self.log, publish=publish, now_us=now_us)
        self._timing = timing or CosignTiming()
        self._publication = Publication(
            self.log, sequencer.panel, policy=sequencer.policy, now_us=now_us, http=http, timing=self._timing
        )
        self._publishing: asyncio.Task[None] | None = None
        self._panel = sequencer.panel
        self._answer_after_s = answer_after_s
        self.limits = limits or Limits()
        self.now_us = now_us
        self.url = url.rstrip("/")
        self.journal = journal
        self.operator_key = public_bytes(operator)
        self._operator = operator
        self._counted: dict[str, int] = {}
        self._journal_lock = asyncio.Lock()
        self._lanes = [asyncio.Lock() for _ in range(_LANES)]

    async def start(self) -> None:
        """Open the log, replay what the book does not have yet, and go on publishing from there."""
        size = await self.log.open()
        if not await self._book_fits(size):
            log.warning("book_made_anew", book=self.book.size, size=size)
            self.book.clear()
        await self.log.replay(self.book.size)
        self._publishing = asyncio.create_task(self._publication.run(), name="publication")
        if not self._panel.cosigners:  # they may need our server to be there first
            await self._publication.tried.wait()

    async def run(self) -> None:
        """Announce until cancelled, everything at first; log now and then what was refused."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.announcer.run(), name="announcer")
            tasks.create_task(self._tally(), name="refusals")
            if self._publishing is not None:
                await asyncio.shield(self._publishing)  # it ends with `close`, or by a fault that is ours

    async def close(self) -> None:
        """Publish what waits, as far as that is soon done, and give up the log."""
        await self.log.settle()
        if self._publishing is not None:
            await self.log.until_published(self.log.size - 1, within_s=self._timing.close_s)
            self._publishing.cancel()
            await asyncio.gather(self._publishing, return_exceptions=True)
        await self.log.close()
        self.book.close()

    @property
    def policy(self) -> str:
        """The tlog-policy of this log, with its cosigners."""
        return self._panel.policy(self.log.verifier, url=self.url)

    @property
    def cosigners(self) -> Sequence[CosignerStatus]:
        """How the log's witnesses and mirrors keep up."""
        return self._publication.cosigners

    async def submit(self, envelope: bytes) -> Submitted | Refused:
        """Log an envelope if it may be, and wait until it is public, but not forever.

        Raises LogError or OSError where the log itself fails.
        """
        entered = await self._enter(envelope)
        if isinstance(entered, Refused):
            return entered
        public = await self.log.until_published(entered.index, within_s=self._answer_after_s)
        return replace(entered, proof=await self.log.proof(entered.index)) if public else entered

    async def proof_of(self, leaf: str) -> bytes | None:
        """Return the tlog-proof of the entry with this leaf hash (64 hex digits), None if the log does not hold it.

        Raises NotYetPublishedError.
        """
        index = self.book.index_of(leaf)
        return None if index is None else await self.log.proof(index)

    def _decide(self, envelope: bytes) -> Accepted | Duplicate | Refused:
        now_us = self.now_us()
        return decide(envelope, self.book, operator_key=self.operator_key, limits=self.limits, now_us=now_us)

    async def _enter(self, envelope: bytes) -> Submitted | Refused:
        """Append an envelope if it may be, and don't wait for its publication."""
        await self.log.recover()
        seen = self.book.size
        decision = self._decide(envelope)
        if isinstance(decision, Accepted):
            async with self._lanes[zlib.crc32(decision.record.agency.encode()) % _LANES]:
                if self.book.size != seen:
                    decision = self._decide(envelope)  # what was logged while this one waited counts
                if isinstance(decision, Accepted):
                    index = await self.log.append(envelope)
                    log.info("entry_logged", thing=decision.record.thing, agency=decision.record.agency, index=index)
                    return Submitted(index, decision.leaf, None, created=True)
        return await self._answer(decision, leaf_hash(envelope).hex())

    async def _answer(self, decision: Duplicate | Refused, leaf: str) -> Submitted | Refused:
        if isinstance(decision, Duplicate):
            return Submitted(decision.index, decision.leaf, None, created=False)
        if self.journal is not None and decision.agency is not None:
            async with self._journal_lock:
                await asyncio.to_thread(
                    self.journal.note, decision.agency, decision.code, leaf=leaf, now_us=self.now_us()
                )
        log.info("entry_refused", code=decision.code, agency=decision.agency)
        return decision

    async def tally(self) -> None:
        """Log the counts of refusals that are due; what can't be logged now is tried again at the next call."""
        if self.journal is None:
            return
        async with self._journal_lock:
            due = await asyncio.to_thread(self.journal.sealed, now_us=self.now_us())
        for record in due:
            answer = await self._enter(record.sign(self._operator))
            async with self._journal_lock:
                if isinstance(answer, Refused):
                    since_us = self.book.last_refusals(record.agency)
                    await asyncio.to_thread(self.journal.unsealed, record, since_us=since_us)
                else:
                    await asyncio.to_thread(self.journal.logged, record)

    async def tell_deletions(self, taken: Mapping[str, Sequence[int]]) -> None:
        """Log what is due of asked deletions; `taken` has the times of all notices of each request, µs.

        What can't be logged now is due at the next call still. Raises LogError or OSError.
        """
        for leaf, times in taken.items():
            if len(times) <= self._counted.get(leaf, 0):
                continue
            await asyncio.sleep(0)  # there may be many, and others wait for the loop
            counted = self.book.deletions.of_request(leaf)
            self._counted[leaf] = counted.count
            found = due(times, counted, now_us=self.now_us())
            posted = None if found is None else self.book.request(leaf)
            if posted is None or found is None:
                continue
            day_us, count = found
            record = DeletionsAsked(agency=posted.request.agency, request=leaf, day=day_us, count=count)
            answer = await self._enter(record.sign(self._operator))
            if isinstance(answer, Refused):
                log.error("deletions_not_logged", request=leaf[:16], code=answer.code)

    async def _tally(self) -> None:
        while True:
            try:
                await self.tally()
            except (LogError, OSError) as error:
                log.warning("refusals_not_logged", error=str(error))
            await asyncio.sleep(TALLY_EVERY_S)

    async def _book_fits(self, size: int) -> bool:
        """Tell whether the book is of this log, and not ahead of it."""
        newest = self.book.newest
        if newest is None:
            return self.book.size == 0
        index, leaf = newest
        return self.book.size <= size and leaf_hash(await self.log.entry(index)).hex() == leaf

    def _published(self) -> None:
        self.announcer.checkpoint_changed()

    def _logged(self, first: int, entries: Sequence[bytes]) -> None:
        try:
            applied = self._applied(first, entries)
        except sqlite3.Error as error:
            raise BookError(f"the log's history can't be written: {error}; see that its disk has room") from error
        for entry in applied:
            match entry:
                case Posted() as posted:
                    self.announcer.posted(posted)
                case Updated() as updated:
                    self.announcer.changed(updated.update.request)
                case Revoked() as revoked:
                    self.announcer.revoked(revoked.revocation.agency)
                case _:
                    pass
        self._publication.head_changed()

    def _applied(self, first: int, entries: Sequence[bytes]) -> list[Entry]:
        try:
            with self.book.batch():
                return [self.book.apply(index, data) for index, data in enumerate(entries, first)]
        except WireError as error:
            log.error("entry_out_of_place", first=first, error=str(error))  # noqa: TRY400 - there is no fault to trace
        # Intake lets none in; but one that stands in the log stands there for good, and must not keep us from starting.
        applied = []
        with self.book.batch():
            for index, data in enumerate(entries, first):
                try:
                    applied.append(self.book.apply(index, data))
                except WireError:
                    self.book.skip()
        return applied
