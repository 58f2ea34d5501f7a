"""How times, places, sizes and reasons are written for people. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from broker.wire.encoding import EPOCH, format_time
from broker.wire.geo import Point
from broker.wire.rules import DAY_US, HOUR_US, MINUTE_US

SQUARE_MILE_M2: Final = 2_589_988.11
KILOMETRE_M: Final = 1_000
EXCLUDED: Final = {
    "lawful-assembly": "lawful assembly",
    "lawful-expression": "lawful expression",
    "profiling": "profiling",
    "protected-traits": "people by protected traits",
    "victim-personal-data": "personal data of victims",
}
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
    at = _at(at_us)
    return Moment(f"{_day(at)}, {at:%H:%M} UTC", format_time(at_us))


def day(at_us: int) -> str:
    """Return a date in UTC, like 3 May 2026."""
    return _day(_at(at_us))


def window_text(start_us: int, end_us: int) -> str:
    """Return a window of time, the date once where it begins and ends on one."""
    start, end = _at(start_us), _at(end_us)
    until = f"{end:%H:%M}" if start.date() == end.date() else f"{_day(end)}, {end:%H:%M}"
    return f"{_day(start)}, {start:%H:%M} to {until} UTC"


def duration_text(duration_us: int) -> str:
    """Return days, or hours and minutes."""
    if duration_us >= 2 * DAY_US:
        return count_text(round(duration_us / DAY_US), "day")
    hours, minutes = divmod(duration_us // MINUTE_US, HOUR_US // MINUTE_US)
    parts = [count_text(hours, "hour") if hours else "", count_text(minutes, "minute") if minutes or not hours else ""]
    return " ".join(part for part in parts if part)


def ago_text(duration_us: int) -> str:
    """Return how long ago something was, roughly."""
    if duration_us < MINUTE_US:
        return f"{max(0, duration_us) // 1_000_000} s ago"
    for unit_us, word in ((DAY_US, "day"), (HOUR_US, "hour"), (MINUTE_US, "minute")):
        if duration_us >= unit_us:
            return f"{count_text(duration_us // unit_us, word)} ago"
    return "now"


def place_text(point: Point, decimals: int = 5) -> str:
    """Return coordinates, by default to a metre, with hemispheres."""
    return f"{degrees_text(point.lat, decimals, 'NS')}, {degrees_text(point.lon, decimals, 'EW')}"


def degrees_text(value: float, decimals: int, hemispheres: str) -> str:
    """Return degrees with a hemisphere; `hemispheres` are the letters of positive and negative ones."""
    return f"{abs(value):.{decimals}f}° {hemispheres[value < 0]}"


def area_text(area_m2: float) -> str:
    """Return an area in square kilometres and miles."""
    return f"{area_m2 / 1e6:.3g} km² ({area_m2 / SQUARE_MILE_M2:.3g} sq mi)"


def length_text(length_m: float) -> str:
    """Return a round length in metres or kilometres."""
    return f"{length_m / KILOMETRE_M:,g} km" if length_m >= KILOMETRE_M else f"{length_m:g} m"


def number_text(number: int) -> str:
    """Return a whole number with its thousands apart."""
    return f"{number:,}"


def count_text(number: int, word: str, plural: str = "") -> str:
    """Return a number and its word, in the plural where there are several."""
    return f"{number:,} {word if number == 1 else plural or f'{word}s'}"


def incident_text(incident: str) -> str:
    """Return an incident type as a title."""
    return incident.replace("-", " ").capitalize()


def reason_text(code: str) -> str:
    """Return why something was refused, in words."""
    return REASONS.get(code, code.replace("-", " "))


def _at(at_us: int) -> datetime:
    return EPOCH + timedelta(microseconds=at_us)


def _day(at: datetime) -> str:
    return f"{at.day} {at:%B %Y}"
