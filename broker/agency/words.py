"""Times, places and sizes in the words in which an agency reads its own request. Pure."""

from datetime import datetime, timedelta

from broker.wire.encoding import EPOCH
from broker.wire.geo import Point
from broker.wire.rules import HOUR_US, MINUTE_US

_M2_PER_KM2 = 1e6
_M2_PER_SQUARE_MILE = 2_589_988.110336


def moment_text(at_us: int) -> str:
    """Return a time to the minute, in UTC."""
    return f"{_day(_at(at_us))}, {_at(at_us):%H:%M} UTC"


def window_text(start_us: int, end_us: int) -> str:
    """Return a window of time, the date once where it begins and ends on one."""
    start, end = _at(start_us), _at(end_us)
    until = f"{end:%H:%M}" if start.date() == end.date() else f"{_day(end)}, {end:%H:%M}"
    return f"{_day(start)}, {start:%H:%M} to {until} UTC"


def duration_text(duration_us: int) -> str:
    """Return hours and minutes."""
    hours, minutes = divmod(duration_us // MINUTE_US, HOUR_US // MINUTE_US)
    parts = [count_text(hours, "hour") if hours else "", count_text(minutes, "minute") if minutes or not hours else ""]
    return " ".join(part for part in parts if part)


def place_text(point: Point) -> str:
    """Return coordinates to a metre, with hemispheres."""
    north, east = "N" if point.lat >= 0 else "S", "E" if point.lon >= 0 else "W"
    return f"{abs(point.lat):.5f}° {north}, {abs(point.lon):.5f}° {east}"


def area_text(area_m2: float) -> str:
    """Return an area in square kilometres and miles."""
    return f"{area_m2 / _M2_PER_KM2:.3g} km² ({miles_text(area_m2)} sq mi)"


def miles_text(area_m2: float) -> str:
    """Return the number of square miles of an area."""
    return f"{area_m2 / _M2_PER_SQUARE_MILE:.3g}"


def count_text(number: int, word: str) -> str:
    """Return a number of things."""
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


def incident_text(incident: str) -> str:
    """Return a kind of incident as a heading."""
    return incident.replace("-", " ").capitalize()


def _at(at_us: int) -> datetime:
    return EPOCH + timedelta(microseconds=at_us)


def _day(at: datetime) -> str:
    return f"{at.day} {at:%B} {at.year}"
