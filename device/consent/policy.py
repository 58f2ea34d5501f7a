"""Whether a verified request may be asked of this household: the published limits again, then the owner's. Pure."""

from dataclasses import dataclass, field

from broker.wire.rules import (
    DAY_US,
    DEFAULT_LOOK_BACK_US,
    Limits,
    Violation,
    check_open,
    check_posts,
    check_request,
)

from .trust import VerifiedRequest


@dataclass(frozen=True, slots=True)
class HouseholdPolicy:
    """What the owner of a device allows beyond the published limits, which nobody can widen."""

    indoor: bool = False
    indoor_takes_part: bool = False
    look_back_us: int = DEFAULT_LOOK_BACK_US
    limits: Limits = field(default_factory=Limits)


def refusals(verified: VerifiedRequest, policy: HouseholdPolicy, *, now_us: int) -> list[Violation]:
    """Return why a request is not considered here, every reason; empty if it is."""
    found = [
        *check_request(verified.request, verified.agency, limits=policy.limits, now_us=now_us),
        *check_posts(verified.logged.earlier_posts, limits=policy.limits),
        *check_open(verified.logged.open_before, limits=policy.limits),
    ]
    if verified.closed_by is not None:
        found.append(Violation(verified.closed_by, ended(verified.closed_by)))
    if policy.indoor and not policy.indoor_takes_part:
        found.append(Violation("indoor", "this device is indoors and its owner has not said that it takes part"))
    if now_us - verified.request.start > policy.look_back_us:
        days = policy.look_back_us // DAY_US
        found.append(Violation("look-back", f"the window begins more than the owner's {days} days back"))
    return found


def ended(reason: str) -> str:
    """Return in words why a request has ended: expired, withdrawn, resolved, revoked, suspended, not-in-log."""
    if reason == "expired":
        return "the request has expired"
    if reason == "revoked":
        return "the agency's admission was revoked"
    if reason == "suspended":
        return "the public log's newest record of the agency is one that can't be taken"
    if reason == "not-in-log":
        return "the request is not in the public log any more, as it was read here"
    return f"the agency has {reason} the request"
