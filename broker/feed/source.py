"""What the feed reads of the log's service: published entries alone, and little at a time.

The book knows entries a moment before they are published: those that await their cosignatures. They are left out, and
what they changed is undone, with two exceptions: the sums of agencies (`totals`, `record_of`) hold them already, and
the pages say so while there are any (`awaiting`); and a filter by status goes by what the book says closed a request.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final, Protocol

import h3

from broker.log.cosigned.panel import CosignerStatus
from broker.log.history.book import Book
from broker.log.history.deletions import Counted
from broker.log.history.entries import Admitted, Posted, Revoked
from broker.log.history.lists import Count, Lists, Mark, Page
from broker.log.history.query import COUNTED_CELLS, Filter, PublicRecord, Status, status_of
from broker.wire.encoding import to_base64
from broker.wire.geo import E7, Point
from broker.wire.notes import VerifierKey
from broker.wire.records import Update
from broker.wire.rules import Limits

from .geometry import box_around, box_e7
from .query import Query

COUNTED: Final = 1_000  # beyond it a list is just long
_PARSED = 1_024
_LEAF = re.compile(r"[0-9a-f]{64}", re.ASCII)


class PublishedLog(Protocol):
    """What the feed asks of the log itself; `broker.log.asynclog.AsyncLog` answers it."""

    @property
    def published_size(self) -> int: ...  # noqa: D102 - as there
    @property
    def origin(self) -> str: ...  # noqa: D102
    @property
    def verifier(self) -> VerifierKey: ...  # noqa: D102
    async def published(self) -> bytes | None: ...  # noqa: D102
    async def entry(self, index: int) -> bytes: ...  # noqa: D102


class Service(Protocol):
    """What the feed asks of the operator's service; `broker.log.service.LogService` answers it."""

    @property
    def book(self) -> Book: ...  # noqa: D102 - as there
    @property
    def log(self) -> PublishedLog: ...  # noqa: D102
    @property
    def limits(self) -> Limits: ...  # noqa: D102
    @property
    def url(self) -> str: ...  # noqa: D102
    @property
    def operator_key(self) -> bytes: ...  # noqa: D102
    @property
    def policy(self) -> str: ...  # noqa: D102
    @property
    def cosigners(self) -> Sequence[CosignerStatus]: ...  # noqa: D102
    @property
    def now_us(self) -> Callable[[], int]: ...  # noqa: D102


class Source:
    """The published log, as pages ask it."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._parsed = lru_cache(_PARSED)(self._parse)
        self._named = lru_cache(_PARSED)(self._name)
        self._early = lru_cache(1)(self._read_early)

    @property
    def size(self) -> int:
        """How many entries the published checkpoint covers."""
        return self._service.log.published_size

    @property
    def awaiting(self) -> int:
        """How many entries the book has that await their cosignatures."""
        return max(0, self._book.size - self.size)

    @property
    def origin(self) -> str:
        """The log's name."""
        return self._service.log.origin

    @property
    def verifier(self) -> str:
        """The log's verifier key."""
        return str(self._service.log.verifier)

    @property
    def operator_key(self) -> str:
        """The operator's key in base64."""
        return to_base64(self._service.operator_key)

    @property
    def policy(self) -> str:
        """The text of the tlog-policy that the log is checked with."""
        return self._service.policy

    @property
    def limits(self) -> Limits:
        """What may be asked."""
        return self._service.limits

    @property
    def url(self) -> str:
        """Where the site is reached, without a slash at the end; empty if it was not told."""
        return self._service.url

    def now_us(self) -> int:
        """Return the time."""
        return self._service.now_us()

    async def checkpoint(self) -> bytes | None:
        """Return the published checkpoint, None while there is none that meets the policy."""
        return await self._service.log.published()

    @property
    def cosigners(self) -> Sequence[CosignerStatus]:
        """How the log's witnesses and mirrors keep up."""
        return self._service.cosigners

    async def entry(self, leaf: str) -> bytes | None:
        """Return a published entry's exact bytes by its leaf hash in hex."""
        index = self._index(leaf)
        return None if index is None else await self._service.log.entry(index)

    def request(self, leaf: str) -> Posted | None:
        """Return a published request."""
        return None if self._index(leaf) is None else self._parsed(leaf)

    def page(self, query: Query, *, now_us: int, limit: int) -> Page:
        """Return the newest requests that a query wants, before its `before`, as far as one answer may look."""
        before = self.size if query.before is None else min(query.before, self.size)
        page = self._lists.page(query.filter(), now_us=now_us, before=before, limit=limit)
        return Page(tuple(self._as_published(page.marks, now_us)), page.stopped)

    def nearby(self, centre: Point, half_m: float, *, now_us: int, limit: int) -> list[Mark]:
        """Return the newest requests whose centre is within a small box around a point."""
        wanted = Filter(box=box_e7(box_around(centre, half_m)))
        return list(self._lists.page(wanted, now_us=now_us, before=self.size, limit=limit).marks)

    def count(self, query: Query, *, now_us: int) -> Count:
        """Return how many requests a query wants, on all its pages, up to `COUNTED` where it is filtered."""
        if not query.filtered:
            return Count(self.total(), whole=True)
        return self._lists.count(query.filter(), now_us=now_us, before=self.size, most=COUNTED)

    def total(self) -> int:
        """Return how many requests there are."""
        return self._lists.total() - len(self._early(self._book.size, self.size))

    def descriptions(self, marks: Sequence[Mark]) -> dict[int, str]:
        """Return what requests say, by entry."""
        return self._lists.descriptions([mark.index for mark in marks])

    def agency_name(self, mark: Mark) -> str:
        """Return what a request's agency was called when it asked."""
        return self._named(mark.agency, mark.admission)

    def status(self, posted: Posted, *, now_us: int) -> Status:
        """Return what a request is now, as far as is published."""
        (mark,) = self._as_published([mark_of(posted, self._book.status(posted.leaf, now_us))], now_us)
        return mark.status

    def updates(self, leaves: list[str]) -> dict[str, list[tuple[int, Update]]]:
        """Return (index, update) of what was said of requests since."""
        return {
            leaf: [(index, update) for index, update in said if index < self.size]
            for leaf, said in self._lists.updates(leaves).items()
        }

    def deletions(self, leaf: str) -> Counted:
        """Return how many who answered a request have asked for deletion."""
        return self._book.deletions.of_request(leaf, before=self.size)

    def agencies(self) -> list[Admitted]:
        """Return the newest published admission of every agency."""
        return [one for one in self._book.agencies() if one.index < self.size]

    def standing(self, agency: str) -> list[Admitted | Revoked]:
        """Return the published admissions and revocations of an agency, oldest first."""
        return [one for one in self._book.standing(agency) if one.index < self.size]

    def totals(self, *, now_us: int) -> dict[str, tuple[int, int]]:
        """Return (requests asked, requests open) of every agency that asked, those that are awaited included."""
        return self._lists.totals(now_us=now_us)

    def record_of(self, agency: str, *, now_us: int) -> PublicRecord:
        """Return what an agency's requests add up to, those that are awaited included."""
        return self._book.record_of(agency, now_us=now_us)

    def cells(self) -> dict[str, int]:
        """Return how many requests there are in each H3 cell of resolution `COUNTED_CELLS`."""
        counts = self._lists.cells()
        for mark in self._early(self._book.size, self.size):
            cell = h3.latlng_to_cell(mark.lat_e7 / E7, mark.lon_e7 / E7, COUNTED_CELLS)
            counts[cell] -= 1
            if not counts[cell]:
                del counts[cell]
        return counts

    @property
    def _book(self) -> Book:
        return self._service.book

    @property
    def _lists(self) -> Lists:
        return self._service.book.lists

    def _read_early(self, known: int, published: int) -> tuple[Mark, ...]:
        """Return the requests among entries that nobody can read yet, of `known` entries: few, and the newest."""
        newest = self._lists.page(Filter(), now_us=0, limit=known - published).marks if known > published else ()
        return tuple(mark for mark in newest if mark.index >= published)

    def _as_published(self, marks: Sequence[Mark], now_us: int) -> Sequence[Mark]:
        """Undo what entries that nobody can read yet have changed: the book knows them before the public does."""
        if self._book.size <= self.size:
            return marks
        updated, revoked = self._lists.closed_since(self.size)
        early = [mark.leaf for mark in marks if mark.leaf in updated or mark.agency in revoked]
        said = {leaf: [update.kind for _, update in updates] for leaf, updates in self.updates(early).items()}
        return [
            replace(mark, status=published_status(said.get(mark.leaf, []), mark.expires_us, now_us))
            if mark.leaf in early and mark.status not in {Status.OPEN, Status.EXPIRED}
            else mark
            for mark in marks
        ]

    def _index(self, leaf: str) -> int | None:
        """Return the index of a published entry; one leaf hash has one spelling."""
        index = self._book.index_of(leaf) if _LEAF.fullmatch(leaf) else None
        return None if index is None or index >= self.size else index

    def _name(self, agency: str, admission: int) -> str:
        named = (one for one in self._book.standing(agency) if one.index == admission)
        return next(one.agency.name for one in named if isinstance(one, Admitted))

    def _parse(self, leaf: str) -> Posted | None:
        return self._book.request(leaf)


def mark_of(posted: Posted, status: Status) -> Mark:
    """Return a request's mark."""
    request, area = posted.request, posted.request.area
    return Mark(
        posted.index, posted.leaf, request.agency, request.incident, area.lat_e7, area.lon_e7, area.radius_m,
        request.posted_at, request.expires_at, request.start, request.end, request.case, posted.admission.index, status,
    )  # fmt: skip


def published_status(kinds: Sequence[str], expires_us: int, now_us: int) -> Status:
    """Return what a request is by the updates that were published of it."""
    closed = next((kind for kind in ("withdrawn", "resolved") if kind in kinds), None)
    return status_of(closed, expires_us, now_us)
