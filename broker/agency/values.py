"""Values as people write them: a time in a zone, a length of time, a coordinate, an area. Pure.

Each function raises ValueError that says what is wrong; how to write it right is said in `mistakes`.
"""

import difflib
import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from broker.wire.encoding import EPOCH
from broker.wire.rules import HOUR_US, MINUTE_US
from broker.words import SQUARE_MILE_M2

_SQUARE_MILE_M2 = Decimal(repr(SQUARE_MILE_M2))
_MOMENT_FORM = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?) ?(\S*)", re.ASCII)
_OFFSET_FORM = re.compile(r"([+-])(\d\d):?(\d\d)", re.ASCII)
_HOURS = r"(?:(\d{1,4}(?:\.\d{1,6})?)\s*(?:h|hrs?|hours?))?"
_MINUTES = r"(?:(\d{1,6})\s*(?:m|mins?|minutes?))?"
_SPAN_FORM = re.compile(rf"{_HOURS}\s*{_MINUTES}", re.ASCII | re.IGNORECASE)
_DEGREES = r"[+-]?\d{1,3}(?:\.\d{1,12})?\s*°?\s*[NSEW]?"
_DEGREES_FORM = re.compile(r"([+-]?)(\d{1,3}(?:\.\d{1,12})?)\s*°?\s*([NSEW]?)", re.ASCII | re.IGNORECASE)
_PLACE_FORM = re.compile(rf"({_DEGREES})(?:\s*[,;]\s*|\s+)({_DEGREES})", re.ASCII | re.IGNORECASE)
_LONGEST = 100
NO_ZONE = "has no time zone"
_NORTH_SOUTH, _EAST_WEST = "NS", "EW"


def moment_us(value: object, zone: str | None) -> int:
    """Return the µs since the epoch of a time with its own zone or offset, or in `zone` where it has none."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value  # from a draft that was read before
    suffix = ""
    if isinstance(value, str):
        found = _MOMENT_FORM.fullmatch(value.strip())
        if found is None:
            raise ValueError(f"{value[:60]!r} is no date and time")
        try:
            value = datetime.fromisoformat(f"{found[1]}T{found[2]}")
        except ValueError as error:
            raise ValueError(f"{found[0][:60]!r} is no date and time: {error}") from error
        suffix = found[3]
    if not isinstance(value, datetime):
        raise ValueError("is no date and time")  # noqa: TRY004 - all mistakes in a file are told together
    if value.tzinfo is None:
        value = _placed(value, _zone_of(suffix or zone))
    try:
        return (value.astimezone(UTC) - EPOCH) // timedelta(microseconds=1)
    except OverflowError as error:
        raise ValueError("is outside the calendar") from error


def span_us(text: object) -> int:
    """Return the µs of a length of time such as `2h`, `90 min` or `1h 30m`."""
    found = _SPAN_FORM.fullmatch(_short(text)) if isinstance(text, str) else None
    if found is None or not (found[1] or found[2]):
        raise ValueError(f"{str(text)[:60]!r} is no length of time")
    return int(Decimal(found[1] or 0) * HOUR_US) + int(found[2] or 0) * MINUTE_US


def degrees(value: object, *, north_south: bool) -> float:
    """Return degrees, south and west negative, of a number or of a text such as `52.52N`."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, str):
        raise ValueError("is no number of degrees")  # noqa: TRY004 - all mistakes in a file are told together
    number, letter = _degrees(value)
    expected = _NORTH_SOUTH if north_south else _EAST_WEST
    if letter and letter not in expected:
        raise ValueError(f"{value[:40]!r} is not {'north or south' if north_south else 'east or west'}")
    return number


def place(value: object) -> tuple[float, float]:
    """Return (latitude, longitude) of a text such as `52.52N 13.405E` or `52.52, 13.405`."""
    found = _PLACE_FORM.fullmatch(_short(value)) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"{str(value)[:60]!r} is no pair of coordinates")
    (one, first), (other, second) = _degrees(found[1]), _degrees(found[2])
    if bool(first) != bool(second) or (first and (first in _NORTH_SOUTH) == (second in _NORTH_SOUTH)):
        raise ValueError(f"{str(value)[:60]!r} is not one latitude and one longitude")
    return (other, one) if first and first in _EAST_WEST else (one, other)


def square_miles_m2(value: object) -> int:
    """Return the whole m² of an area in square miles, rounded down."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 10_000:  # noqa: PLR2004 - nobody's neighbourhood
        raise ValueError(f"{str(value)[:40]!r} is no number of square miles")
    return int(Decimal(repr(value)) * _SQUARE_MILE_M2)


def local_window_text(start_us: int, end_us: int, zone: str) -> str:
    """Return a window of time by the clocks of a zone that is known here, and the zone's name."""
    start, end = (
        (EPOCH + timedelta(microseconds=at_us)).astimezone(ZoneInfo(check_zone(zone))) for at_us in (start_us, end_us)
    )
    first, last = (f"{at.day} {at:%B %Y}" for at in (start, end))
    return f"{first}, {start:%H:%M} to {'' if first == last else f'{last}, '}{end:%H:%M} {zone}"


@cache
def zone_names() -> frozenset[str]:
    """Return the names of the time zones that this machine knows."""
    return frozenset(available_timezones()) | {"UTC"}


def check_zone(name: object) -> str:
    """Return the name of a time zone that is known here."""
    if not isinstance(name, str) or name not in zone_names():
        said = str(name)[:60]
        cities = [zone for zone in sorted(zone_names()) if zone.rpartition("/")[2].lower() == said.lower()]
        near = cities[:1] or difflib.get_close_matches(said, zone_names(), n=1)
        raise ValueError(f"{said!r} is no time zone{f'; did you mean {near[0]}?' if near else ''}")
    return name


def _zone_of(text: str | None) -> tzinfo:
    if not text:
        raise ValueError(NO_ZONE)
    if text.upper() in {"Z", "UTC"}:
        return UTC
    if found := _OFFSET_FORM.fullmatch(text):
        offset = timedelta(hours=int(found[2]), minutes=int(found[3]))
        if offset >= timedelta(days=1):
            raise ValueError(f"{text!r} is no offset from UTC")
        return timezone(offset if found[1] == "+" else -offset)
    return ZoneInfo(check_zone(text))


def _placed(naive: datetime, zone: tzinfo) -> datetime:
    """Return a wall clock's time in a zone, unless the clock showed it twice or never."""
    first, second = (naive.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if first.utcoffset() == second.utcoffset():
        return first
    try:
        shown = first.astimezone(UTC).astimezone(zone).replace(tzinfo=None)
    except OverflowError as error:
        raise ValueError("is outside the calendar") from error
    often = "twice" if shown == naive else "never"
    raise ValueError(f"clocks were changed then, and showed {naive:%H:%M} {often}; give its offset from UTC, or UTC")


def _short(text: str) -> str:
    """Return a text with single spaces; nothing of one that no value is as long as: what is matched stays small."""
    return " ".join(text.split()) if len(text) <= _LONGEST else ""


def _degrees(text: str) -> tuple[float, str]:
    found = _DEGREES_FORM.fullmatch(_short(text))
    if found is None or (found[1] and found[3]):
        raise ValueError(f"{text[:40]!r} is no number of degrees")
    letter = found[3].upper()
    number = float(found[2])
    return (-number if found[1] == "-" or letter in {"S", "W"} else number), letter
