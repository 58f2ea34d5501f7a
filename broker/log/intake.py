"""Whether an envelope may be logged: one decision over the log's history. Pure.

Stable codes of a refusal:

    malformed        not a strict, canonical envelope of a record, or too large
    type             a record that has no place in the log
    signature        not signed by the key that has to sign it
    unknown-agency   no record in the log admits this agency
    revoked          the agency's admission was revoked
    revoked-key      an agency record with a key that was revoked before: it may never come back
    replaced-key     the same of one that the agency replaced by a newer
    unchanged        an agency record that says what the one in force says
    stale-admission  an agency record that is not newer than the one in force, or than its revocation
    overlap          refusals or asked deletions that were counted before
    posted-late      its time is too far in the past to be said now
    posted-ahead     its time lies in the future
    unknown-request  the log holds no request with this leaf hash
    not-yours        the request is another agency's
    closed           the request has expired or was withdrawn or revoked, or is resolved already
    updates          the request has as many updates as it may have
    and the rules of `broker.wire.rules`: window, window-past, look-back, expires, expired, area, agency, incident,
    contact, retention, excludes, devices, posts-per-case, posts-per-day, open-requests
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from broker.wire.deletions import DeletionsAsked
from broker.wire.encoding import WireError
from broker.wire.envelopes import Envelope
from broker.wire.merkle import leaf_hash
from broker.wire.records import Agency, Refusals, Request, Revocation, Update
from broker.wire.rules import (
    DAY_US,
    Limits,
    Violation,
    check_agency,
    check_open,
    check_posts,
    check_rate,
    check_request,
)

from .history.book import Book
from .history.entries import Admitted, AnyRecord, Posted, Revoked, UnknownTypeError, parse_record
from .history.query import Status


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
    now = _Now(book, operator_key, limits, now_us)
    match record:
        case Agency():
            refused = _agency(parsed, record, now)
        case Revocation():
            refused = _revocation(parsed, record, now)
        case Request():
            refused = _request(parsed, record, now)
        case Update():
            refused = _update(parsed, record, now)
        case Refusals():
            refused = _refusals(parsed, record, now)
        case DeletionsAsked():
            refused = _deletions(parsed, record, now)
    return refused or Accepted(record, leaf)


@dataclass(frozen=True, slots=True)
class _Now:
    """What a decision is made by."""

    book: Book
    operator_key: bytes
    limits: Limits
    now_us: int

    def off(self, at_us: int, what: str, agency: str | None = None) -> Refused | None:
        """Refuse what does not say the present time."""
        if abs(at_us - self.now_us) <= self.limits.clock_skew_us:
            return None
        code = "posted-late" if at_us < self.now_us else "posted-ahead"
        return Refused(code, f"the {what}'s time is not now; check the clock", agency)


def _agency(parsed: Envelope, record: Agency, now: _Now) -> Refused | None:
    if refused := _signature(parsed, now.operator_key, "agency record"):
        return refused
    standing = now.book.standing(record.agency)
    if standing and record.admitted_at <= _since(standing[-1]):
        # Otherwise a record that was signed but never logged could bring an old key back.
        return Refused("stale-admission", f"agency {record.agency} has a newer record in the log already")
    if record.admitted_at > now.now_us + now.limits.clock_skew_us:
        return Refused("posted-ahead", "the agency record says it was made in the future")
    return _spent(record, standing) or _violated(check_agency(record), None)


def _spent(record: Agency, standing: Sequence[Admitted | Revoked]) -> Refused | None:
    """Refuse a key that the agency had before, and a record that changes nothing."""
    need = "the agency needs a new one: 'latchstring agency rotate'"
    if record.key in revoked_keys(standing):
        return Refused("revoked-key", f"this key of {record.agency} was revoked; {need}")
    current = standing[-1] if standing else None
    in_force = current.agency if isinstance(current, Admitted) else None
    had = {one.agency.key for one in standing if isinstance(one, Admitted)}
    if record.key in had and (in_force is None or record.key != in_force.key):
        return Refused("replaced-key", f"this key of {record.agency} was replaced by a newer one; {need}")
    said = {"name", "domain", "contact", "key"}
    if in_force is not None and in_force.model_dump(include=said) == record.model_dump(include=said):
        index = standing[-1].index
        return Refused(
            "unchanged", f"{record.agency} is admitted already, with this key and these particulars: entry {index}"
        )
    return None


def _revocation(parsed: Envelope, record: Revocation, now: _Now) -> Refused | None:
    if refused := _signature(parsed, now.operator_key, "revocation"):
        return refused
    if now.book.agency(record.agency) is None:
        return Refused("unknown-agency", f"the log admits no agency {record.agency}, so there is nothing to revoke")
    return now.off(record.at, "revocation")


def _request(parsed: Envelope, record: Request, now: _Now) -> Refused | None:
    admission = now.book.agency(record.agency)
    if admission is None:
        return _not_admitted(record.agency, now.book)
    if refused := _signature(parsed, admission.agency.key, "request"):
        return refused
    if record.posted_at < now.now_us - now.limits.clock_skew_us:
        return Refused(
            "posted-late", "the request says it was posted long ago; post it when it is signed", record.agency
        )
    violations = [
        *check_request(record, admission.agency, limits=now.limits, now_us=now.now_us),
        *check_posts(now.book.posts(record.agency, record.case), limits=now.limits),
        *check_rate(
            now.book.posted_since(record.agency, now.now_us - DAY_US, most=now.limits.posts_per_day), limits=now.limits
        ),
        *check_open(now.book.open_requests(record.agency, now.now_us), limits=now.limits),
    ]
    return _violated(violations, record.agency)


def _update(parsed: Envelope, record: Update, now: _Now) -> Refused | None:
    posted = now.book.request(record.request)
    if posted is None:
        return Refused("unknown-request", f"the log holds no request {record.request}")
    if posted.request.agency != record.agency:
        return Refused("not-yours", f"that request was posted by {posted.request.agency}, not by {record.agency}")
    admission = now.book.agency(record.agency)
    if admission is None:
        return _not_admitted(record.agency, now.book)
    # By the key in force now: one that was given up, perhaps since it leaked, may say nothing any more.
    if refused := _signature(parsed, admission.agency.key, "update"):
        return refused
    return now.off(record.at, "update", record.agency) or _may_follow(posted, record, now)


def _may_follow(posted: Posted, record: Update, now: _Now) -> Refused | None:
    status = now.book.status(record.request, now.now_us)
    # What was resolved may still be answered, or withdrawn: that tells devices to stop offering it.
    may_follow = status is Status.OPEN or (status is Status.RESOLVED and record.kind != "resolved")
    if not may_follow or posted.request.expires_at <= now.now_us:
        return Refused("closed", f"the request is {status} and takes no such update", record.agency)
    # The last place is kept for a withdrawal: what closes a request must always fit.
    room = now.limits.updates_per_request - (0 if record.kind == "withdrawn" else 1)
    if len(now.book.updates_of(record.request)) >= room:
        return Refused("updates", f"the request has {room} updates already; it may still be withdrawn", record.agency)
    return None


def _refusals(parsed: Envelope, record: Refusals, now: _Now) -> Refused | None:
    if refused := _signature(parsed, now.operator_key, "count of refusals"):
        return refused
    if not now.book.standing(record.agency):
        return Refused("unknown-agency", f"the log never admitted an agency {record.agency}")
    if not now.book.last_refusals(record.agency) <= record.since < record.until:
        return Refused("overlap", f"refusals of {record.agency} are counted up to a later time already")
    codes = [one.code for one in record.counts]
    if sorted(set(codes)) != codes:
        return Refused("malformed", "refusals are counted once for each code, in the order of the codes")
    return now.off(record.until, "count of refusals")


def _deletions(parsed: Envelope, record: DeletionsAsked, now: _Now) -> Refused | None:
    if refused := _signature(parsed, now.operator_key, "count of asked deletions"):
        return refused
    posted = now.book.request(record.request)
    if posted is None:
        return Refused("unknown-request", f"the log holds no request {record.request}")
    if posted.request.agency != record.agency:
        return Refused("not-yours", f"that request was posted by {posted.request.agency}, not by {record.agency}")
    if record.day <= now.book.deletions.of_request(record.request).day_us:
        return Refused("overlap", "asked deletions of this request are counted up to a later day already")
    return _day_over(record, posted, now)


def _day_over(record: DeletionsAsked, posted: Posted, now: _Now) -> Refused | None:
    ends_us = record.day + DAY_US
    if ends_us <= posted.request.posted_at:
        return Refused("posted-late", "that day was over before the request was posted: nobody can have answered it")
    if ends_us > now.now_us:
        return Refused("posted-ahead", "asked deletions are counted once their day is over")
    return None


def revoked_keys(standing: Sequence[Admitted | Revoked]) -> set[bytes]:
    """Return the keys that were in force when an admission was revoked."""
    return {
        before.agency.key
        for before, after in pairwise(standing)
        if isinstance(before, Admitted) and isinstance(after, Revoked)
    }


def _since(one: Admitted | Revoked) -> int:
    return one.agency.admitted_at if isinstance(one, Admitted) else one.revocation.at


def _not_admitted(agency: str, book: Book) -> Refused:
    if book.standing(agency):
        return Refused("revoked", f"the admission of {agency} was revoked; see its page for the reason")
    return Refused("unknown-agency", f"the log admits no agency {agency}; the operator admits agencies")


def _signature(parsed: Envelope, key: bytes, what: str) -> Refused | None:
    try:
        parsed.verify(key, what=what)
    except WireError as error:
        return Refused("signature", str(error))
    return None


def _violated(violations: list[Violation], agency: str | None) -> Refused | None:
    if not violations:
        return None
    return Refused(violations[0].rule, "; ".join(violation.message for violation in violations), agency)
