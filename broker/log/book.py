"""What the log says so far: its entries, replayed in order, as agencies, requests and updates.

No I/O, no clock, no signatures: `intake` decides what may be logged; the book knows what was.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from broker.wire.encoding import WireError
from broker.wire.envelopes import Envelope, parse_envelope
from broker.wire.merkle import leaf_hash
from broker.wire.records import Agency, Request, Update

AnyRecord = Agency | Request | Update
_TYPES: dict[str, type[AnyRecord]] = {kind.payload_type(): kind for kind in (Agency, Request, Update)}


class Status(StrEnum):
    """What a request is at a moment. Withdrawn outlasts expiry; resolved means that nobody needs to answer any more."""

    OPEN = "open"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Admitted:
    """An agency's record, in force from entry `index` on; `leaf` is the entry's leaf hash in hex."""

    index: int
    leaf: str
    agency: Agency


@dataclass(frozen=True, slots=True)
class Posted:
    """A request as logged, under the record that admitted its agency then; `post` counts the case's posts from 1."""

    index: int
    leaf: str
    request: Request
    admission: Admitted
    post: int


@dataclass(frozen=True, slots=True)
class Updated:
    """An update as logged."""

    index: int
    leaf: str
    update: Update


def parse_record(data: bytes) -> tuple[Envelope, AnyRecord]:
    """Parse an entry as one of the records that the log holds; its signature is not checked. Raises WireError."""
    envelope = parse_envelope(data, what="entry")
    kind = _TYPES.get(envelope.payload_type)
    if kind is None:
        raise UnknownTypeError(f"the log holds agency, request and update, not {envelope.payload_type[:80]!r}")
    return envelope, kind.from_payload(envelope.payload)


class UnknownTypeError(WireError):
    """A well-formed envelope of a type that has no place in the log."""


class Book:
    """The log's history up to `size` entries."""

    def __init__(self) -> None:
        self._size = 0
        self._index_of: dict[bytes, int] = {}
        self._agencies: dict[str, list[Admitted]] = {}
        self._requests: dict[str, Posted] = {}
        self._by_agency: dict[str, list[Posted]] = {}
        self._posts: dict[tuple[str, str], int] = {}
        self._updates: dict[str, list[Updated]] = {}

    @property
    def size(self) -> int:
        """How many entries were applied or skipped."""
        return self._size

    def apply(self, index: int, data: bytes) -> Admitted | Posted | Updated:
        """Take in the next entry, which intake accepted; raises WireError and changes nothing if it can't follow."""
        if index != self._size:
            raise WireError(f"entry {index} cannot follow {self._size} entries")
        _, record = parse_record(data)
        leaf = leaf_hash(data)
        entry: Admitted | Posted | Updated
        match record:
            case Agency():
                entry = self._admit(Admitted(index, leaf.hex(), record))
            case Request():
                entry = self._post(index, leaf.hex(), record)
            case Update():
                entry = self._update(Updated(index, leaf.hex(), record))
        self._index_of.setdefault(leaf, index)
        self._size += 1
        return entry

    def skip(self) -> None:
        """Count an entry that a verifier refused or could not read, so that the next one keeps its index."""
        self._size += 1

    def index_of(self, leaf: str) -> int | None:
        """Return the index of the entry with this leaf hash, None if the log does not hold it."""
        return self._index_of.get(bytes.fromhex(leaf))

    def agency(self, agency: str) -> Admitted | None:
        """Return an agency's newest record, None for an agency that the log does not admit."""
        records = self._agencies.get(agency)
        return records[-1] if records else None

    def agencies(self) -> list[Admitted]:
        """Return the newest record of every agency, by id."""
        return [records[-1] for _, records in sorted(self._agencies.items())]

    def admissions(self, agency: str) -> Sequence[Admitted]:
        """Return all records of an agency, oldest first."""
        return tuple(self._agencies.get(agency, ()))

    def request(self, leaf: str) -> Posted | None:
        """Return the request with this leaf hash (hex)."""
        return self._requests.get(leaf)

    def posts(self, agency: str, case: str) -> int:
        """Return how often a case was posted."""
        return self._posts.get((agency, case), 0)

    def updates_of(self, leaf: str) -> tuple[Updated, ...]:
        """Return what was said of a request since, oldest first."""
        return tuple(self._updates.get(leaf, ()))

    def requests(self) -> Iterator[Posted]:
        """Yield every request, newest first."""
        return reversed(self._requests.values())

    def requests_by(self, agency: str) -> Iterator[Posted]:
        """Yield an agency's requests, newest first."""
        return reversed(self._by_agency.get(agency, []))

    def request_count(self, agency: str | None = None) -> int:
        """Return how many requests were posted, by one agency or by all."""
        return len(self._requests) if agency is None else len(self._by_agency.get(agency, ()))

    def status(self, leaf: str, now_us: int) -> Status:
        """Return what a request is at `now_us`; raises WireError for one that the log does not hold."""
        posted = self._requests.get(leaf)
        if posted is None:
            raise WireError(f"the log holds no request {leaf[:64]}")
        kinds = {updated.update.kind for updated in self._updates.get(leaf, ())}
        if "withdrawn" in kinds:
            return Status.WITHDRAWN
        if "resolved" in kinds:
            return Status.RESOLVED
        return Status.EXPIRED if posted.request.expires_at <= now_us else Status.OPEN

    def _admit(self, admitted: Admitted) -> Admitted:
        self._agencies.setdefault(admitted.agency.agency, []).append(admitted)
        return admitted

    def _post(self, index: int, leaf: str, request: Request) -> Posted:
        admission = self.agency(request.agency)
        if admission is None:
            raise WireError(f"the log admits no agency {request.agency}")
        if leaf in self._requests:
            raise WireError(f"request {leaf} is logged already")
        case = (request.agency, request.case)
        posted = Posted(index, leaf, request, admission, self._posts.get(case, 0) + 1)
        self._posts[case] = posted.post
        self._requests[leaf] = posted
        self._by_agency.setdefault(request.agency, []).append(posted)
        return posted

    def _update(self, updated: Updated) -> Updated:
        if updated.update.request not in self._requests:
            raise WireError(f"the log holds no request {updated.update.request}")
        self._updates.setdefault(updated.update.request, []).append(updated)
        return updated
