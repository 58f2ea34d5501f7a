"""What the feed's pages alone write for people: moments, ages, lengths, numbers, reasons of refusals. Pure."""

from dataclasses import dataclass
from typing import Final

from broker.wire.encoding import format_time
from broker.wire.rules import DAY_US, HOUR_US, MINUTE_US
from broker.words import count_text, moment_text

KILOMETRE_M: Final = 1_000
REASONS: Final = {
    "agency": "in another agency's name",
    "area": "area too small or too large",
    "closed": "update to a request that was closed",
    "contact": "contact outside the agency's domain",
    "devices": "kinds of device not clear",
    "excludes": "forbidden purposes not ruled out",
    "expired": "had expired already",
    "expires": "open for too long",
    "incident": "incident not on the list",
    "look-back": "too far in the past",
    "malformed": "not well-formed",
    "not-yours": "update to another agency's request",
    "open-requests": "too many requests open at once",
    "posted-ahead": "dated in the future",
    "posted-late": "dated too far back",
    "posts-per-case": "case posted too often",
    "posts-per-day": "too many requests posted within a day",
    "replaced-key": "a key that was replaced by a newer one",
    "unchanged": "an admission that changes nothing",
    "overlap": "refusals counted twice",
    "retention": "footage kept for too long",
    "revoked": "agency not admitted any more",
    "revoked-key": "signed with a key that was revoked",
    "signature": "signature not the agency's",
    "stale-admission": "older than the admission in force",
    "type": "no record of the log",
    "unknown-agency": "agency not admitted",
    "unknown-request": "update to a request that is not in the log",
    "updates": "too many updates to a request",
    "window": "window of time too short or too long",
    "window-past": "window of time not over",
}


@dataclass(frozen=True, slots=True)
class Moment:
    """A time for people and for programs."""

    text: str
    iso: str


def moment(at_us: int) -> Moment:
    """Return a time to the minute, in UTC."""
    return Moment(moment_text(at_us), format_time(at_us))


def ago_text(duration_us: int) -> str:
    """Return how long ago something was, roughly."""
    if duration_us < MINUTE_US:
        return f"{max(0, duration_us) // 1_000_000} s ago"
    for unit_us, word in ((DAY_US, "day"), (HOUR_US, "hour"), (MINUTE_US, "minute")):
        if duration_us >= unit_us:
            return f"{count_text(duration_us // unit_us, word)} ago"
    return "now"


def length_text(length_m: float) -> str:
    """Return a round length in metres or kilometres."""
    return f"{length_m / KILOMETRE_M:,g} km" if length_m >= KILOMETRE_M else f"{length_m:g} m"


def number_text(number: int) -> str:
    """Return a whole number with its thousands apart."""
    return f"{number:,}"


def reason_text(code: str) -> str:
    """Return why something was refused, in words."""
    return REASONS.get(code, code.replace("-", " "))
