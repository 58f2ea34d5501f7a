"""Whether an envelope may be logged: one decision over the log's history. Pure.

Stable codes of a refusal:

    malformed        not a strict, canonical envelope of a record, or too large
    type             a record that has no place in the log
    signature        not signed by the key that has to sign it
    unknown-agency   no record in the log admits this agency
    stale-admission  an agency record that is not newer than the one in force
    posted-late      its time is too far in the past to be said now
    posted-ahead     its time lies in the future
    unknown-request  the log holds no request with this leaf hash
    not-yours        the request is another agency's
    closed           the request has expired or was withdrawn, or is resolved already
    and the rules of `broker.wire.rules`: window, window-past, look-back, expires, expired, area, agency, incident,
    contact, retention, excludes, devices, posts-per-case
"""

from dataclasses import dataclass

from broker.wire.encoding import WireError
from broker.wire.envelopes import Envelope
from broker.wire.merkle import leaf_hash
from broker.wire.records import Agency, Request, Update
from broker.wire.rules import Limits, Violation, check_posts, check_request

from .book import AnyRecord, Book, Status, UnknownTypeError, parse_record


@dataclass(frozen=True, slots=True)
class Accepted:
    """The envelope may be logged."""

    record: AnyRecord
    leaf: str


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The very same envelope is logged already."""

    index: int
    leaf: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The envelope may not be logged: a stable code, a sentence for people, and the agency that really signed it."""

    code: str
    message: str
    agency: str | None = None


def decide(
    envelope: bytes, book: Book, *, operator_key: bytes, limits: Limits, now_us: int
) -> Accepted | Duplicate | Refused:
    """Decide on an envelope at `now_us`; `operator_key` (32 bytes) signs agency records."""
    try:
        parsed, record = parse_record(envelope)
    except UnknownTypeError as error:
        return Refused("type", str(error))
    except WireError as error:
        return Refused("malformed", str(error))
    leaf = leaf_hash(envelope).hex()
    index = book.index_of(leaf)
    if index is not None:
        return Duplicate(index, leaf)
    match record:
        case Agency():
            refused = _agency(parsed, record, book, operator_key=operator_key, ahead_us=now_us + limits.clock_skew_us)
        case Request():
            refused = _request(parsed, record, book, limits, now_us)
        case Update():
            refused = _update(parsed, record, book, limits, now_us)
    return refused or Accepted(record, leaf)


def _agency(parsed: Envelope, record: Agency, book: Book, *, operator_key: bytes, ahead_us: int) -> Refused | None:
    if refused := _signature(parsed, operator_key, "agency record"):
        return refused
    current = book.agency(record.agency)
    if current is not None and record.admitted_at <= current.agency.admitted_at:
        # Otherwise a record that was signed but never logged could bring an old key back.
        return Refused("stale-admission", f"agency {record.agency} has a newer record in the log already")
    if record.admitted_at > ahead_us:
        return Refused("posted-ahead", "the agency record says it was made in the future")
    return None


def _request(parsed: Envelope, record: Request, book: Book, limits: Limits, now_us: int) -> Refused | None:
    admission = book.agency(record.agency)
    if admission is None:
        return Refused("unknown-agency", f"the log admits no agency {record.agency}; the operator admits agencies")
    if refused := _signature(parsed, admission.agency.key, "request"):
        return refused
    if record.posted_at < now_us - limits.clock_skew_us:
        return Refused(
            "posted-late", "the request says it was posted long ago; post it when it is signed", record.agency
        )
    violations = [
        *check_request(record, admission.agency, limits=limits, now_us=now_us),
        *check_posts(book.posts(record.agency, record.case), limits=limits),
    ]
    return _violated(violations, record.agency)


def _update(parsed: Envelope, record: Update, book: Book, limits: Limits, now_us: int) -> Refused | None:
    posted = book.request(record.request)
    if posted is None:
        return Refused("unknown-request", f"the log holds no request {record.request}")
    if posted.request.agency != record.agency:
        return Refused("not-yours", f"that request was posted by {posted.request.agency}, not by {record.agency}")
    # By the key that the request was posted under, even if the agency has a newer one: a device checks an update
    # with the admission that came with the request, and must not miss a withdrawal.
    if refused := _signature(parsed, posted.admission.agency.key, "update"):
        return refused
    if abs(record.at - now_us) > limits.clock_skew_us:
        code = "posted-late" if record.at < now_us else "posted-ahead"
        return Refused(code, "the update's time is not now; check the clock", record.agency)
    status = book.status(record.request, now_us)
    # A resolved request may still be withdrawn: that tells devices to stop offering it.
    may_follow = status is Status.OPEN or (status is Status.RESOLVED and record.kind == "withdrawn")
    if not may_follow or posted.request.expires_at <= now_us:
        return Refused("closed", f"the request is {status} and takes no such update", record.agency)
    return None


def _signature(parsed: Envelope, key: bytes, what: str) -> Refused | None:
    try:
        parsed.verify(key, what=what)
    except WireError as error:
        return Refused("signature", str(error))
    return None


def _violated(violations: list[Violation], agency: str) -> Refused | None:
    if not violations:
        return None
    return Refused(violations[0].rule, "; ".join(violation.message for violation in violations), agency)
