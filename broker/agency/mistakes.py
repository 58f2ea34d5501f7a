"""How a wrong value of a request is told, in a line: the file or flag, the key, what is wrong, what to write."""

import difflib
from collections.abc import Callable, Iterable

from pydantic import ValidationError

from .errors import Mistake

HINTS = {
    "case": 'such as case = "26-001234"',
    "incident": 'one word of the list, such as incident = "package-theft"',
    "description": "what happened, in up to 4,000 characters",
    "at": 'such as at = "52.5203N 13.4054E"',
    "lat": 'degrees, -90 to 90, such as lat = 52.5203 or lat = "52.5203N"',
    "lon": 'degrees, -180 to 180, such as lon = 13.4054 or lon = "13.4054E"',
    "radius_m": "whole metres, such as radius_m = 250",
    "area_m2": "whole square metres, such as area_m2 = 200000",
    "area_sq_mi": "square miles, such as area_sq_mi = 0.1",
    "zone": 'such as zone = "Europe/Berlin", or "UTC"',
    "start": "such as 2026-05-04T19:00:00+02:00, or 2026-05-04 19:00 with a zone: --zone Europe/Berlin",
    "end": "such as 2026-05-04T20:30:00+02:00, or 2026-05-04 20:30 with a zone: --zone Europe/Berlin",
    "window": 'such as window = "2h" or "90 min", with one of start and end',
    "devices": 'such as devices = ["camera", "doorbell"]',
    "purpose": "what the footage is for, in one line of up to 200 characters",
    "retention_days": "whole days, such as retention_days = 30",
    "sharing": "a list of names, a line each; sharing = [] for nobody",
    "excludes": 'a list of words, such as excludes = ["profiling"]',
    "contact": 'an address, such as contact = "desk@police.example"',
    "expires_in_days": "days, such as expires_in_days = 14",
}  # fmt: skip
_PLAIN = {
    "missing": "is missing",
    "extra_forbidden": "is not a key that is known here",
    "string_type": "is no text",
    "int_type": "is no whole number",
    "float_type": "is no number",
    "finite_number": "is no number",
    "string_too_short": "is empty",
}


def from_validation(error: ValidationError) -> list[Mistake]:
    """Return every mistake that pydantic found."""
    found = []
    for one in error.errors(include_url=False, include_context=False):
        key = str(one["loc"][0]) if one["loc"] else None
        what = _PLAIN.get(one["type"]) or one["msg"].removeprefix("Value error, ").removeprefix("Input ")
        if key is not None and not key.isprintable():
            key = repr(key)
        if one["type"] == "extra_forbidden" and (near := difflib.get_close_matches(key or "", HINTS, n=1)):
            what += f"; did you mean {near[0]}?"
        found.append(Mistake(key, what))
    return found


def tell(mistakes: Iterable[Mistake], where: Callable[[str | None], str]) -> str:
    """Return a line for each mistake; `where` says of a key in which file or flag it stands."""
    lines = []
    for one in dict.fromkeys(mistakes):
        place, hint = where(one.key), HINTS.get(one.key or "")
        key = "" if one.key is None or place.startswith("--") else f"{one.key}: "  # a flag names its key
        lines.append(f"{place}: {key}{one.what}{f' ({hint})' if hint else ''}")
    return "\n".join(lines)
