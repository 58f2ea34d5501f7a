"""Whom a device believes: the only maker of a `VerifiedRequest`. Pure; the pinned keys are passed in.

"Is it valid" stands here and always raises; whether it matters to this household now is for `policy` and `matching`.
A request is verified when, in this order,

1. it is in a log of the pinned policy (inclusion proof under a checkpoint that the log and the quorum signed),
2. its agency's admission is in that log before it, signed by the pinned operator key,
3. the agency's admitted key signed it,
4. every update that came with it is in the log after it and signed by the same key.
"""

from dataclasses import dataclass
from typing import Final

from broker.wire.encoding import WireError
from broker.wire.proofs import Policy, verify_proof
from broker.wire.records import Agency, Request, Update
from broker.wire.topics import Announcement, LoggedEntry, parse_announcement

from .errors import RefusedError

_MAKER: Final = object()


@dataclass(frozen=True, slots=True)
class VerifiedRequest:
    """A request that everyone can read in the log, its agency, and what the agency said of it since."""

    leaf: str
    index: int
    request: Request
    agency: Agency
    updates: tuple[Update, ...]
    entry: LoggedEntry
    maker: object

    def __post_init__(self) -> None:
        if self.maker is not _MAKER:
            raise TypeError("only consent.trust makes a VerifiedRequest")

    @property
    def closed_by(self) -> str | None:
        """`withdrawn` or `resolved` if the agency said so."""
        kinds = {update.kind for update in self.updates}
        return "withdrawn" if "withdrawn" in kinds else "resolved" if kinds else None


class Trust:
    """The keys that the owner pinned when the device was set up."""

    def __init__(self, *, policy: Policy, operator_key: bytes) -> None:
        self._policy = policy
        self._operator_key = operator_key

    def verify(self, payload: bytes, *, leaf: str | None = None) -> VerifiedRequest:
        """Verify an announcement's exact bytes; `leaf` is the hash in its topic. Raises RefusedError with the rule."""
        try:
            announcement = parse_announcement(payload)
        except WireError as error:
            raise RefusedError("malformed", str(error)) from error
        if leaf is not None and announcement.request.leaf != leaf:
            raise RefusedError("topic", "the announcement holds another request than its topic names")
        return self._verified(announcement)

    def _verified(self, announcement: Announcement) -> VerifiedRequest:
        index = self._logged("request", announcement.request)
        admitted_at = self._logged("admission", announcement.admission)
        try:
            agency = Agency.open(announcement.admission.envelope, key=self._operator_key)
        except WireError as error:
            raise RefusedError("admission", f"the agency is not admitted: {error}") from error
        if admitted_at >= index:
            raise RefusedError("admission", f"agency {agency.agency} was admitted only after it had asked")
        try:
            request = Request.open(announcement.request.envelope, key=agency.key)
        except WireError as error:
            raise RefusedError("signature", f"the request is not the agency's: {error}") from error
        if request.agency != agency.agency:
            raise RefusedError("agency", f"the request names {request.agency}, the admission {agency.agency}")
        leaf = announcement.request.leaf
        updates = tuple(self._update(entry, leaf, index, agency) for entry in announcement.updates)
        return VerifiedRequest(leaf, index, request, agency, updates, announcement.request, _MAKER)

    def _update(self, entry: LoggedEntry, leaf: str, after: int, agency: Agency) -> Update:
        index = self._logged("update", entry)
        try:
            update = Update.open(entry.envelope, key=agency.key)
        except WireError as error:
            raise RefusedError("update", f"an update is not the agency's: {error}") from error
        if update.request != leaf or update.agency != agency.agency or index <= after:
            raise RefusedError("update", "an update belongs to another request")
        return update

    def _logged(self, what: str, entry: LoggedEntry) -> int:
        try:
            index, _ = verify_proof(entry.envelope, entry.proof, self._policy)
        except WireError as error:
            raise RefusedError("proof", f"the {what} is not shown to be in the log: {error}") from error
        return index
