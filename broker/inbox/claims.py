"""What the envelopes say that are shown to the inbox: a sender's promise, an agency's claim. No storage, no HTTP."""

from typing import Protocol

from broker.wire.encoding import WireError
from broker.wire.inbox import FETCH_FRESH_US
from broker.wire.records import Agency, Fetch, Request, Upload

from .errors import Refused


class RequestBook(Protocol):
    """What the inbox asks of the log: which requests there are. `leaf` is the entry's leaf hash in hex."""

    def open_request(self, leaf: str, now_us: int) -> tuple[Request, Agency] | None:
        """Return a request that is in the log, not expired, withdrawn nor resolved, with its agency; None else."""

    def known_request(self, leaf: str) -> tuple[Request, Agency] | None:
        """Return a request that is in the log, open or not, with its agency's current record; None else."""

    def closes_us(self, leaf: str) -> int | None:
        """Return when a request expires, or was withdrawn or resolved, µs; None for one that is not in the log."""


def open_promise(envelope: bytes, length: int) -> Upload:
    """Return what an `Upload` envelope promises, signed by the key it names, `length` bytes; raises Refused (400)."""
    try:
        promise = Upload.open(envelope, key=Upload.unverified(envelope).key)
    except WireError as error:
        raise Refused(400, "bad-envelope", f"the upload envelope is not sound: {error}") from error
    if length != promise.bundle_bytes or not length:
        raise Refused(400, "wrong-length", f"Upload-Length is {length}, the envelope promises {promise.bundle_bytes}")
    return promise


def check_claim(envelope: bytes, *, book: RequestBook, now_us: int, leaf: str | None) -> str:
    """Return the request (leaf hash) that a `Fetch` envelope opens; raises Refused.

    Unknown request, other agency, wrong signature, and a request that is not `leaf`, get one answer.
    """
    unknown = Refused(404, "not-found", "nothing here for this claim")
    try:
        claim = Fetch.unverified(envelope)
    except WireError as error:
        raise Refused(401, "bad-claim", f"the Authorization header holds no fetch envelope: {error}") from error
    found = book.known_request(claim.request)
    if found is None or claim.agency != found[0].agency or leaf not in {None, claim.request}:
        raise unknown
    try:
        Fetch.open(envelope, key=found[1].key)
    except WireError:
        raise unknown from None
    if abs(now_us - claim.at) > FETCH_FRESH_US:
        raise Refused(403, "stale", "the claim is not of the last five minutes; sign a new one, or set the clock")
    return claim.request
