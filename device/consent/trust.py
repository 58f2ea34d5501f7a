"""Whom a device believes: the only maker of a `VerifiedRequest`. Pure; what was read of the log is passed in.

"Is it valid" stands here and always raises; whether it matters to this household now is for `policy` and `matching`.
A request is verified when, in this order,

1. it is in a log of the pinned policy (inclusion proof under a checkpoint that the log and the quorum signed),
2. the device has itself read the log as far as that: until then it is not judged (NotReadYetError),
3. its agency's admission is in force at its entry: in the log before it, signed by the pinned operator key, and not
   revoked,
4. the key of that admission signed it,
5. the device has read this very entry at this very place.

What the agency said of it since, and that the agency was revoked since, comes from what was read: an operator can't
leave it out of an announcement.
"""

from dataclasses import dataclass
from typing import Final, Protocol

from broker.wire.encoding import WireError
from broker.wire.envelopes import parse_envelope
from broker.wire.proofs import Policy, verify_proof
from broker.wire.records import Agency, Request, Update
from broker.wire.topics import Announcement, parse_announcement

from .errors import NotReadYetError, RefusedError
from .reading.kept import Logged
from .reading.register import Admission, Ended, Standing, Suspended

_MAKER: Final = object()


class LogView(Protocol):
    """What a device has read of the log."""

    @property
    def size(self) -> int:
        """How many entries were read."""

    def standing(self, agency: str, index: int) -> Standing | None:
        """Return how an agency stood for an entry, None if it was never admitted before."""

    def request(self, leaf: str) -> Logged | None:
        """Return a request that was read, by its leaf hash in hex."""


@dataclass(frozen=True, slots=True)
class VerifiedRequest:
    """A request that everyone can read in the log, its agency as admitted then, and what became of it since.

    `logged` says how often its case had been posted before, and how many requests its agency had open.
    """

    leaf: str
    index: int
    request: Request
    admission: Admission
    logged: Logged
    entry: Announcement
    maker: object

    def __post_init__(self) -> None:
        if self.maker is not _MAKER:
            raise TypeError("only consent.trust makes a VerifiedRequest")

    @property
    def agency(self) -> Agency:
        """The agency's record that was in force."""
        return self.admission.agency

    @property
    def updates(self) -> tuple[Update, ...]:
        """What the agency said of it since."""
        return self.logged.updates

    @property
    def closed_by(self) -> str | None:
        """`withdrawn` or `resolved` if the agency said so, `revoked` or `suspended` if it may not ask any more."""
        return self.logged.closed


class Trust:
    """The pinned policy, and what was read of its log."""

    def __init__(self, *, policy: Policy, view: LogView) -> None:
        self._policy = policy
        self._view = view

    def verify(self, payload: bytes, *, leaf: str | None = None) -> VerifiedRequest:
        """Verify an announcement's exact bytes; `leaf` is the hash in its topic.

        Raises RefusedError with the rule, NotReadYetError if the log was not read so far.
        """
        try:
            announcement = parse_announcement(payload)
        except WireError as error:
            raise RefusedError("malformed", str(error)) from error
        if leaf is not None and announcement.leaf != leaf:
            raise RefusedError("topic", "the announcement holds another request than its topic names")
        try:
            index, _ = verify_proof(announcement.envelope, announcement.proof, self._policy)
        except WireError as error:
            raise RefusedError("proof", f"the request is not shown to be in the log: {error}") from error
        return self._read(announcement, index)

    def _read(self, announcement: Announcement, index: int) -> VerifiedRequest:
        try:
            envelope = parse_envelope(announcement.envelope, what="request")
            request = Request.from_payload(envelope.payload)
        except WireError as error:
            raise RefusedError("malformed", f"the entry is no request: {error}") from error
        if envelope.payload_type != Request.payload_type():
            raise RefusedError("malformed", f"the entry is no request but {envelope.payload_type[:80]!r}")
        if index >= self._view.size:
            raise NotReadYetError(request, index=index, size=self._view.size)
        admission = self._admission(request.agency, index)
        try:
            envelope.verify(admission.agency.key)
        except WireError as error:
            raise RefusedError("signature", f"the request is not the agency's: {error}") from error
        leaf = announcement.leaf
        logged = self._view.request(leaf)
        if logged is None or logged.index != index:
            raise RefusedError("not-in-log", f"entry {index} of the public log, as it was read here, is another")
        return VerifiedRequest(leaf, index, request, admission, logged, announcement, _MAKER)

    def _admission(self, agency: str, index: int) -> Admission:
        standing = self._view.standing(agency, index)
        if standing is None:
            raise RefusedError("admission", f"{agency} was not admitted before it asked")
        if isinstance(standing, Ended):
            raise RefusedError("revoked", f"the admission of {agency} was revoked before it asked")
        if isinstance(standing, Suspended):
            raise RefusedError("admission", f"the newest record of {agency} before it asked is one that can't be taken")
        return standing
