"""How times, places and sizes are written for people, wherever they read them. Pure."""

from datetime import datetime, timedelta
from typing import Final

from broker.wire.encoding import EPOCH
from broker.wire.geo import Point
from broker.wire.rules import DAY_US, HOUR_US, MINUTE_US

SQUARE_MILE_M2: Final = 2_589_988.110336  # exactly
_M2_PER_KM2 = 1e6
_EXCLUDED: Final = {
    "lawful-assembly": "lawful assembly",
    "lawful-expression": "lawful expression",
    "profiling": "profiling",
    "protected-traits": "people by protected traits",
    "victim-personal-data": "personal data of victims",
}


def moment_text(at_us: int) -> str:
    """Return a time to the minute, in UTC."""
    return f"{day_text(at_us)}, {_at(at_us):%H:%M} UTC"


def day_text(at_us: int) -> str:
    """Return a date in UTC, like 3 May 2026."""
    at = _at(at_us)
    return f"{at.day} {at:%B} {at.year}"


def window_text(start_us: int, end_us: int) -> str:
    """Return a window of time, the date once where it begins and ends on one."""
    start, end = _at(start_us), _at(end_us)
    until = f"{end:%H:%M}" if start.date() == end.date() else f"{day_text(end_us)}, {end:%H:%M}"
    return f"{day_text(start_us)}, {start:%H:%M} to {until} UTC"


def duration_text(duration_us: int) -> str:
    """Return hours and minutes."""
    hours, minutes = divmod(duration_us // MINUTE_US, HOUR_US // MINUTE_US)
    parts = [count_text(hours, "hour") if hours else "", count_text(minutes, "minute") if minutes or not hours else ""]
    return " ".join(part for part in parts if part)


def days_text(duration_us: int) -> str:
    """Return days, rounded; less than two are told in hours and minutes."""
    return count_text(round(duration_us / DAY_US), "day") if duration_us >= 2 * DAY_US else duration_text(duration_us)


def place_text(point: Point, decimals: int = 5) -> str:
    """Return coordinates, by default to a metre, with hemispheres."""
    return f"{degrees_text(point.lat, decimals, 'NS')}, {degrees_text(point.lon, decimals, 'EW')}"


def degrees_text(value: float, decimals: int, hemispheres: str) -> str:
    """Return degrees with a hemisphere; `hemispheres` are the letters of positive and negative ones."""
    return f"{abs(value):.{decimals}f}° {hemispheres[value < 0]}"


def area_text(area_m2: float) -> str:
    """Return an area in square kilometres and miles."""
    return f"{area_m2 / _M2_PER_KM2:.3g} km² ({miles_text(area_m2)} sq mi)"


def miles_text(area_m2: float) -> str:
    """Return the number of square miles of an area."""
    return f"{area_m2 / SQUARE_MILE_M2:.3g}"


def count_text(number: int, word: str, plural: str = "") -> str:
    """Return a number and its word, in the plural where there are several."""
    return f"{number:,} {word if number == 1 else plural or f'{word}s'}"


def incident_text(incident: str) -> str:
    """Return an incident type as a title."""
    return incident.replace("-", " ").capitalize()


def excluded_text(code: str) -> str:
    """Return what a request declares not to serve, in words."""
    return _EXCLUDED.get(code, code)


def _at(at_us: int) -> datetime:
    return EPOCH + timedelta(microseconds=at_us)
