"""What may be asked of a list of requests: parameters, strictly read, and written in one way only. Pure.

    agency=<id>  incident=<type>  status=<status>  area=<south>,<west>,<north>,<east>  cell=<H3 cell>
    since=<YYYY-MM-DD>  until=<YYYY-MM-DD>  before=<entry index>  limit=<1 to 100>

Days are in UTC, both included. An area or a cell holds a request if its circle's centre lies in it.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final
from urllib.parse import urlencode

import h3

from broker.log.history.query import PLACED_CELLS, Filter, Status
from broker.wire.encoding import WireError, parse_decimal
from broker.wire.geo import E7
from broker.wire.records import INCIDENTS
from broker.wire.rules import DAY_US
from broker.wire.topics import NAME_FORM

from .geometry import box_e7, cell_box

PAGE_SIZE: Final = 30
MOST: Final = 100
FILTERS: Final = ("agency", "incident", "status", "area", "cell", "since", "until")
PAGING: Final = ("before", "limit")
_DEGREES = re.compile(r"-?(?:0|[1-9]\d{0,2})(?:\.\d{1,7})?", re.ASCII)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_CELL = re.compile(r"[0-9a-f]{15}", re.ASCII)
_EPOCH_DAY = date(1970, 1, 1)
_SIDES = 4
_SHOWN = 60  # characters of what was wrong

BoxE7 = tuple[int, int, int, int]


class QueryError(ValueError):
    """A parameter can't be used. `field` is its name; the message says in one line what is wrong."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field


@dataclass(frozen=True, slots=True)
class Query:
    """Which requests, and which page of them. `area` is (south, west, north, east) in ten-millionths of a degree."""

    agency: str | None = None
    incident: str | None = None
    status: Status | None = None
    area: BoxE7 | None = None
    cell: str | None = None
    since: date | None = None
    until: date | None = None
    before: int | None = None
    limit: int = PAGE_SIZE

    @property
    def filtered(self) -> bool:
        """Whether it leaves anything out."""
        return any(getattr(self, name) is not None for name in FILTERS)

    def filter(self) -> Filter:
        """Return the book's filter; small cells, of which it keeps no lists, it is told to look for in a box."""
        small = self.cell is not None and h3.get_resolution(self.cell) > PLACED_CELLS
        box = box_e7(cell_box(self.cell)) if self.cell is not None and small else self.area
        return Filter(
            agency=self.agency,
            incident=self.incident,
            status=self.status,
            box=box,
            cell=self.cell,
            since_us=None if self.since is None else _start_us(self.since),
            until_us=None if self.until is None else _start_us(self.until) + DAY_US,
        )

    def pairs(self) -> list[tuple[str, str]]:
        """Return the parameters that say this, in their one order and spelling."""
        written = {
            "agency": self.agency,
            "incident": self.incident,
            "status": self.status,
            "area": None if self.area is None else box_text(self.area),
            "cell": self.cell,
            "since": None if self.since is None else self.since.isoformat(),
            "until": None if self.until is None else self.until.isoformat(),
            "before": self.before,
            "limit": None if self.limit == PAGE_SIZE else self.limit,
        }
        return [(name, str(value)) for name, value in written.items() if value is not None]

    def to(self, path: str) -> str:
        """Return `path` with these parameters."""
        pairs = self.pairs()
        return f"{path}?{urlencode(pairs, safe=',')}" if pairs else path


def parse_query(pairs: Iterable[tuple[str, str]], *, known: Iterable[str] = (*FILTERS, *PAGING)) -> Query:
    """Read parameters strictly; raises QueryError. One that is empty, as forms send it, is one that is not given."""
    allowed = tuple(known)
    values: dict[str, Any] = {}
    seen: set[str] = set()
    for name, text in pairs:
        if name not in allowed:
            raise QueryError(
                repr(_brief(name))[1:-1], f"no such parameter; there are {', '.join(allowed) or 'none here'}"
            )
        if name in seen:
            raise QueryError(name, "is given twice")
        seen.add(name)
        if text:
            values[name] = _PARSERS[name](text)
    query = Query(**values)
    if query.area is not None and query.cell is not None:
        raise QueryError("cell", "give either an area or a cell")
    if query.since is not None and query.until is not None and query.until < query.since:
        raise QueryError("until", f"{query.until} is before {query.since}")
    return query


def box_text(area: BoxE7) -> str:
    """Return a box as its parameter spells it."""
    return ",".join(_degrees_text(side) for side in area)


def _agency(text: str) -> str:
    if not NAME_FORM.fullmatch(text):
        raise QueryError("agency", f"{_brief(text)!r} is no agency's id: a-z, 0-9 and -, up to 63")
    return text


def _incident(text: str) -> str:
    if text not in INCIDENTS:
        raise QueryError("incident", f"{_brief(text)!r} is not one of {', '.join(INCIDENTS)}")
    return text


def _status(text: str) -> Status:
    try:
        return Status(text)
    except ValueError as error:
        raise QueryError("status", f"{_brief(text)!r} is not one of {', '.join(Status)}") from error


def _area(text: str) -> BoxE7:
    sides = text.split(",")
    if len(sides) != _SIDES or not all(_DEGREES.fullmatch(side) for side in sides):
        raise QueryError("area", f"{_brief(text)!r} is not south,west,north,east in degrees, like 52.5,13.3,52.6,13.5")
    south, west, north, east = (_e7(side) for side in sides)
    if not -90 * E7 <= south < north <= 90 * E7:
        raise QueryError("area", "south must be less than north, both from -90 to 90")
    if not all(-180 * E7 <= side <= 180 * E7 for side in (west, east)) or west == east:
        raise QueryError("area", "west and east must be from -180 to 180, and differ")
    return south, west, north, east


def _cell(text: str) -> str:
    if not _CELL.fullmatch(text) or not h3.is_valid_cell(text):
        raise QueryError("cell", f"{_brief(text)!r} is no H3 cell: 15 hex digits, like 841f1d5ffffffff")
    return text


def _day(name: str) -> Callable[[str], date]:
    def parse(text: str) -> date:
        try:
            day = date.fromisoformat(text) if _DAY.fullmatch(text) else None
        except ValueError:
            day = None
        if day is None or day < _EPOCH_DAY:
            raise QueryError(name, f"{_brief(text)!r} is not a day since 1970, like 2026-05-03")
        return day

    return parse


def _before(text: str) -> int:
    try:
        found = parse_decimal(text, what="before")
    except WireError as error:
        raise QueryError("before", f"{_brief(text)!r} is not an entry's index: 0, 1, 2 and so on") from error
    return found


def _limit(text: str) -> int:
    try:
        count = parse_decimal(text, what="limit")
    except WireError:
        count = 0
    if not 1 <= count <= MOST:
        raise QueryError("limit", f"{_brief(text)!r} is not a number from 1 to {MOST}")
    return count


_PARSERS: dict[str, Callable[[str], Any]] = {
    "agency": _agency,
    "incident": _incident,
    "status": _status,
    "area": _area,
    "cell": _cell,
    "since": _day("since"),
    "until": _day("until"),
    "before": _before,
    "limit": _limit,
}


def _e7(text: str) -> int:
    whole, _, fraction = text.removeprefix("-").partition(".")
    size = int(whole) * E7 + int(fraction.ljust(7, "0") or "0")
    return -size if text.startswith("-") else size


def _degrees_text(value_e7: int) -> str:
    whole, fraction = divmod(abs(value_e7), E7)
    text = f"{whole}.{fraction:07d}".rstrip("0").rstrip(".")
    return f"-{text}" if value_e7 < 0 else text


def _start_us(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000_000


def _brief(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
