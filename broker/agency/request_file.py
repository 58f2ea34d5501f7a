"""A request from a TOML file and flags, and how it stands against the rules before it is posted. No network.

case = "26-001234"
incident = "package-theft"
description = "…"
lat = 52.5200            # degrees, WGS 84
lon = 13.4050
radius_m = 300           # or area_m2
start = 2026-05-04T19:00:00+02:00
end = 2026-05-04T20:30:00+02:00
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
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from broker import files
from broker.wire.encoding import EPOCH, format_time
from broker.wire.geo import Point, circle_area_m2
from broker.wire.records import EXCLUDED_PURPOSES, Agency, Area, Line, Request, Slug, Text, explain
from broker.wire.rules import DAY_US, DEFAULT_OPEN_FOR_US, MINUTE_US, Limits, Violation, check_posts, check_request

from .errors import RequestFileError

MAX_FILE_BYTES = 65_536


def _moment(value: Any) -> Any:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError as error:
            raise ValueError("is no time like 2026-05-04T19:00:00+02:00") from error
    if not isinstance(value, datetime):
        raise ValueError("is no time like 2026-05-04T19:00:00+02:00")  # noqa: TRY004 - pydantic collects ValueError
    if value.utcoffset() is None:
        raise ValueError("has no offset from UTC; write 2026-05-04T19:00:00+02:00, or Z")
    return (value.astimezone(UTC) - EPOCH) // timedelta(microseconds=1)


def _listed(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


MomentUs = Annotated[int, BeforeValidator(_moment)]
Lines = Annotated[tuple[Line, ...], BeforeValidator(_listed)]


class RequestDraft(BaseModel):
    """What a request file holds; limits are not checked here, so that a preview can name all that is broken."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    case: Line
    incident: Slug
    description: Text
    lat: Annotated[float, Field(ge=-90, le=90)]
    lon: Annotated[float, Field(ge=-180, le=180)]
    radius_m: Annotated[int, Field(ge=1, le=100_000)] | None = None
    area_m2: Annotated[int, Field(ge=4, le=30_000_000_000)] | None = None
    start: MomentUs
    end: MomentUs
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
            raise RequestFileError(f"the request: {explain(error)}", key=_first_key(error)) from error


def load_request_file(path: Path | None, overrides: Mapping[str, Any] | None = None) -> RequestDraft:
    """Read a request file; what `overrides` gives (flags; None means not given) wins. Raises RequestFileError."""
    where = str(path) if path is not None else "the request"
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = tomllib.loads(files.read_text(path, max_bytes=MAX_FILE_BYTES, error=RequestFileError))
        except tomllib.TOMLDecodeError as error:
            raise RequestFileError(f"{where} is no TOML: {error}") from error
    given = {key: value for key, value in (overrides or {}).items() if value is not None}
    if "radius_m" in given or "area_m2" in given:  # the flag's size replaces the file's, in whichever unit
        values.pop("radius_m", None)
        values.pop("area_m2", None)
    values.update(given)
    if isinstance(values.get("description"), str):  # a text of several lines ends, in TOML, with a line break
        values["description"] = values["description"].strip("\n")
    for key in ("lat", "lon"):
        if type(values.get(key)) is int:  # whole degrees
            values[key] = float(values[key])
    if type(values.get("expires_in_days")) is int:
        values["expires_in_days"] = float(values["expires_in_days"])
    try:
        return RequestDraft.model_validate(values)
    except ValidationError as error:
        raise RequestFileError(f"{where}: {explain(error)}", key=_first_key(error)) from error


@dataclass(frozen=True, slots=True)
class PreviewRow:
    """One rule: what the request says to it, whether it is kept, and if not, why."""

    rule: str
    value: str
    kept: bool
    message: str = ""


def preview(
    request: Request, agency: Agency, *, now_us: int, earlier_posts: int = 0, limits: Limits | None = None
) -> list[PreviewRow]:
    """Return every rule, kept or broken, in the order in which the rules are published."""
    limits = limits or Limits()
    violations: list[Violation] = [
        *check_request(request, agency, limits=limits, now_us=now_us),
        *check_posts(earlier_posts, limits=limits),
    ]
    broken = {violation.rule: violation.message for violation in violations}
    values = _values(request, earlier_posts)
    rows = [PreviewRow(rule, value, rule not in broken, broken.get(rule, "")) for rule, value in values.items()]
    # A rule that this table does not know yet must still be seen when it is broken.
    rows += [
        PreviewRow(rule, "", kept=False, message=message) for rule, message in broken.items() if rule not in values
    ]
    return rows


def _values(request: Request, earlier_posts: int) -> dict[str, str]:
    back_days = (request.posted_at - request.start) / DAY_US
    return {
        "window": f"{(request.end - request.start) / MINUTE_US:g} minutes",
        "window-past": f"ends {format_time(request.end)}",
        "look-back": f"begins {back_days:.1f} days back",
        "area": f"radius {request.area.radius_m} m, {circle_area_m2(request.area.radius_m):,.0f} m2",
        "posts-per-case": f"{request.case}: {earlier_posts} earlier",
        "agency": request.agency,
        "incident": request.incident,
        "contact": request.contact,
        "retention": f"{request.retention_days} days",
        "excludes": ", ".join(request.excludes) or "nothing",
        "devices": ", ".join(request.devices),
        "expires": f"open for {(request.expires_at - request.posted_at) / DAY_US:g} days",
        "posted-ahead": f"posted {format_time(request.posted_at)}",
        "expired": f"until {format_time(request.expires_at)}",
    }


def _first_key(error: ValidationError) -> str | None:
    where = error.errors(include_url=False, include_context=False)[0]["loc"]
    return str(where[0]) if where else None
