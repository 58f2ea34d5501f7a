"""A request from a TOML file and flags. No network.

case = "26-001234"
incident = "package-theft"
description = "…"
lat = 52.5200            # degrees, WGS 84; or "52.52N", or both at once: at = "52.52N 13.405E"
lon = 13.4050
radius_m = 300           # or area_m2, or area_sq_mi
start = 2026-05-04T19:00:00+02:00
end = 2026-05-04T20:30:00+02:00
zone = "Europe/Berlin"   # of times that don't say theirs
window = "90 min"        # instead of start, or of end
devices = ["camera", "doorbell"]
purpose = "…"
retention_days = 30
sharing = []             # whom it may be passed on to
expires_in_days = 14
contact = "…"            # the agency's, unless given
excludes = [...]         # what it declares not to serve: all that may not be asked, unless given
"""

import math
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from broker import files
from broker.wire.geo import Point
from broker.wire.records import EXCLUDED_PURPOSES, Agency, Area, Line, Request, Slug, Text
from broker.wire.rules import DAY_US, DEFAULT_OPEN_FOR_US

from .errors import Mistake, RequestFileError
from .mistakes import from_validation, tell
from .values import check_zone, degrees, moment_us, place, span_us, square_miles_m2

MAX_FILE_BYTES = 65_536
Value = TypeVar("Value")
_SIZE = ("radius_m", "area_m2", "area_sq_mi")
_TIMES = ("start", "end", "window")
# What a file may hold besides the fields of a draft, and is turned into them.
FRIENDLY_KEYS = ("at", "area_sq_mi", "zone", "window")


def _listed(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


Lines = Annotated[tuple[Line, ...], BeforeValidator(_listed)]


class RequestDraft(BaseModel):
    """What an agency wants to ask; limits are not checked here, so that a preview can name all that is broken."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    case: Line
    incident: Slug
    description: Text
    lat: Annotated[float, Field(ge=-90, le=90)]
    lon: Annotated[float, Field(ge=-180, le=180)]
    radius_m: Annotated[int, Field(ge=1, le=100_000)] | None = None
    area_m2: Annotated[int, Field(ge=4, le=30_000_000_000)] | None = None
    start: int
    end: int
    devices: Annotated[tuple[str, ...], BeforeValidator(_listed)] = ("camera", "doorbell")
    purpose: Line
    retention_days: Annotated[int, Field(ge=0, le=100_000)]
    sharing: Lines = ()
    excludes: Lines = EXCLUDED_PURPOSES
    contact: str | None = None
    expires_in_days: Annotated[float, Field(gt=0, le=10_000)] = DEFAULT_OPEN_FOR_US / DAY_US

    @model_validator(mode="after")
    def _one_size(self) -> Self:
        if (self.radius_m is None) == (self.area_m2 is None):
            raise ValueError("give either radius_m or area_m2")
        return self

    @property
    def radius(self) -> int:
        """The circle's radius in whole metres; an area is never rounded up."""
        return self.radius_m if self.radius_m is not None else math.isqrt(int((self.area_m2 or 0) / math.pi))

    def build(self, agency: Agency, *, recipient: str, now_us: int) -> Request:
        """Return the request as it would be posted at `now_us`; raises RequestFileError."""
        centre = Point.from_degrees(self.lat, self.lon)
        values = {
            "agency": agency.agency,
            "case": self.case,
            "incident": self.incident,
            "description": self.description,
            "contact": self.contact or agency.contact,
            "area": Area(lat_e7=centre.lat_e7, lon_e7=centre.lon_e7, radius_m=self.radius),
            "start": self.start,
            "end": self.end,
            "devices": self.devices,
            "recipient": recipient,
            "purpose": self.purpose,
            "retention_days": self.retention_days,
            "sharing": self.sharing,
            "excludes": self.excludes,
            "posted_at": now_us,
            "expires_at": now_us + round(self.expires_in_days * DAY_US),
        }
        try:
            return Request.model_validate(values)
        except ValidationError as error:
            raise _wrong(from_validation(error), lambda _: "the request") from error


def load_request_file(path: Path | None, overrides: Mapping[str, Any] | None = None) -> RequestDraft:
    """Read a request file; what `overrides` gives (flags; None means not given) wins.

    Raises RequestFileError with a line for every mistake.
    """
    given = {key: value for key, value in (overrides or {}).items() if value is not None}
    file = {} if path is None else _read(path)

    def where(key: str | None) -> str:
        if key in given:
            return f"--{key.replace('_', '-')}"
        return "the request" if path is None else str(path)

    mistakes: list[Mistake] = []
    values = _merged(_plain_place(file, mistakes), _plain_place(given, mistakes))
    _take_times(values, mistakes)
    _take_rest(values)
    failed = {one.key for one in mistakes}
    try:
        draft = RequestDraft.model_validate(values)
    except ValidationError as error:
        # What could not be read is told as such, and not as missing besides.
        mistakes += [one for one in from_validation(error) if one.key not in failed]
        raise _wrong(mistakes, where) from error
    if mistakes:
        raise _wrong(mistakes, where)
    return draft


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(files.read_text(path, max_bytes=MAX_FILE_BYTES, error=RequestFileError))
    except tomllib.TOMLDecodeError as error:
        raise RequestFileError(f"{path} is no TOML: {error}") from error


def _wrong(mistakes: list[Mistake], where: Callable[[str | None], str]) -> RequestFileError:
    return RequestFileError(tell(mistakes, where), mistakes=mistakes)


def _plain_place(values: Mapping[str, Any], mistakes: list[Mistake]) -> dict[str, Any]:
    """Return a layer of values with its place and size as the draft has them."""
    plain = dict(values)
    if "at" in plain and ("lat" in plain or "lon" in plain):
        mistakes.append(Mistake("at", "stands beside lat or lon; give one or the other"))
    at = plain.pop("at", None)
    if at is not None:
        found = _tried("at", lambda: place(at), mistakes)
        plain.update(zip(("lat", "lon"), found or (0.0, 0.0), strict=True))
    for key in ("lat", "lon"):
        if key in plain:
            plain[key] = _tried(key, lambda: degrees(plain[key], north_south=key == "lat"), mistakes)  # noqa: B023 - called at once
    if plain.get("area_sq_mi") is not None:
        if "area_m2" in plain:
            mistakes.append(Mistake("area_sq_mi", "stands beside area_m2; give one or the other"))
        plain["area_m2"] = _tried("area_sq_mi", lambda: square_miles_m2(plain["area_sq_mi"]), mistakes) or 4
    plain.pop("area_sq_mi", None)
    return plain


def _merged(file: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Return the file's values with the flags' over them; what a flag says in another way replaces the file's."""
    kept = dict(file)
    if any(key in given for key in _SIZE):
        for key in _SIZE:
            kept.pop(key, None)
    if "window" in given:
        kept.pop("start" if "end" in given else "end", None)
    elif "end" in given and ("start" in given or "start" in kept):
        kept.pop("window", None)
    return {**kept, **given}


def _take_times(values: dict[str, Any], mistakes: list[Mistake]) -> None:
    """Replace start, end, window and zone by start and end in µs."""
    zone = values.pop("zone", None)
    if zone is not None:
        zone = _tried("zone", lambda: check_zone(zone), mistakes)
        if zone is None:
            zone = "UTC"  # told already; the times are still looked at
    given = {key: values.pop(key) for key in _TIMES if key in values}
    times: dict[str, int | None] = {
        key: _tried(key, lambda: moment_us(given[key], zone), mistakes)  # noqa: B023 - called at once
        for key in ("start", "end")
        if key in given
    }
    window = _tried("window", lambda: span_us(given["window"]), mistakes) if "window" in given else None
    if len(given) == len(_TIMES):
        mistakes.append(Mistake("window", "stands beside start and end; give two of the three"))
    elif window is not None and len(given) == 1:
        mistakes.append(Mistake("window", "needs a start or an end"))
        times = {"start": 0, "end": 0}
    elif "window" in given:
        start, end = times.get("start"), times.get("end")
        times = {"start": _less(end, window) if "end" in given else start,
                 "end": end if "end" in given else _less(start, window, -1)}  # fmt: skip
    values.update(times)


def _less(at_us: int | None, window_us: int | None, sign: int = 1) -> int:
    return (at_us or 0) - sign * (window_us or 0)


def _take_rest(values: dict[str, Any]) -> None:
    if isinstance(values.get("description"), str):  # a text of several lines ends, in TOML, with a line break
        values["description"] = values["description"].strip("\n")
    if type(values.get("expires_in_days")) is int:
        values["expires_in_days"] = float(values["expires_in_days"])


def _tried(key: str, read: Callable[[], Value], mistakes: list[Mistake]) -> Value | None:
    try:
        return read()
    except ValueError as error:
        mistakes.append(Mistake(key, str(error)))
        return None
