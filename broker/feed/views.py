"""What the pages say of requests and agencies, as values for the templates. Pure: from the book, at a given time."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import dropwhile, islice

from broker.log.book import Admitted, Book, Posted, Status, Updated
from broker.wire.encoding import EPOCH, format_time
from broker.wire.geo import Point, circle_area_m2
from broker.wire.records import Area
from broker.wire.rules import DAY_US, HOUR_US, MINUTE_US, Limits

PAGE_SIZE = 30
_FIGURE_RADIUS = 92  # of the drawn circle, in the figure's own units (240 wide)
_SCALE_STEPS_M = (50, 100, 200, 250, 500)
_EXCLUDED = {
    "lawful-assembly": "lawful assembly",
    "lawful-expression": "lawful expression",
    "profiling": "profiling",
    "protected-traits": "people by protected traits",
    "victim-personal-data": "personal data of victims",
}


@dataclass(frozen=True, slots=True)
class Moment:
    """A time for people and for programs."""

    text: str
    iso: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A circle drawn to scale: its radius and the scale bar's length in units of the figure, and the bar's label."""

    radius: int
    bar: float
    label: str
    description: str


@dataclass(frozen=True, slots=True)
class RequestView:
    """Everything a page shows of a request."""

    leaf: str
    index: int
    title: str
    status: str
    status_text: str
    agency: str
    agency_name: str
    agency_domain: str
    admitted: Moment
    admitted_by: str
    evidence: str
    case: str
    post_text: str
    description: tuple[str, ...]
    date: str
    window: str
    start: Moment
    end: Moment
    place: str
    radius_m: int
    area: str
    figure: Figure
    devices: str
    contact: str
    recipient: str
    purpose: str
    retention: str
    sharing: tuple[str, ...]
    excludes: tuple[str, ...]
    posted: Moment
    expires: Moment
    updates: tuple["UpdateView", ...]


@dataclass(frozen=True, slots=True)
class UpdateView:
    """One update."""

    kind: str
    note: str
    at: Moment
    index: int


@dataclass(frozen=True, slots=True)
class AgencyView:
    """An agency's public record: who it is, who admitted it on what evidence, and what its requests add up to."""

    agency: str
    name: str
    domain: str
    contact: str
    records: tuple["RecordView", ...]
    asked: int
    open: int
    resolved: int
    withdrawn: int
    refused: int
    mean_area: str
    mean_window: str


@dataclass(frozen=True, slots=True)
class RecordView:
    """One admission record."""

    index: int
    at: Moment
    by: str
    evidence: str
    key: str


@dataclass(frozen=True, slots=True)
class Page:
    """A stretch of the feed, newest first; `older` is the log index to ask for next, None at the end."""

    requests: tuple[RequestView, ...]
    older: int | None


def page_of(book: Book, posted: Iterable[Posted], *, before: int | None, now_us: int) -> Page:
    """Return the requests logged before entry `before` (None: the newest), out of `posted`, newest first."""
    rest = posted if before is None else dropwhile(lambda one: one.index >= before, posted)
    found = list(islice(rest, PAGE_SIZE + 1))
    older = found[PAGE_SIZE - 1].index if len(found) > PAGE_SIZE else None
    return Page(tuple(view_request(book, one, now_us=now_us) for one in found[:PAGE_SIZE]), older)


def view_request(book: Book, posted: Posted, *, now_us: int) -> RequestView:
    """Return what there is to show of a request at `now_us`."""
    request, agency = posted.request, posted.admission.agency
    status = book.status(posted.leaf, now_us)
    return RequestView(
        leaf=posted.leaf,
        index=posted.index,
        title=request.incident.replace("-", " ").capitalize(),
        status=status,
        status_text=_status_text(status, request.expires_at, now_us),
        agency=agency.agency,
        agency_name=agency.name,
        agency_domain=agency.domain,
        admitted=moment(agency.admitted_at),
        admitted_by=agency.admitted_by,
        evidence=agency.evidence,
        case=request.case,
        post_text="first post of this case" if posted.post == 1 else "second and last post of this case",
        description=tuple(line for line in request.description.split("\n") if line.strip()),
        date=day(request.start),
        window=window_text(request.start, request.end),
        start=moment(request.start),
        end=moment(request.end),
        place=place_text(request.area.centre),
        radius_m=request.area.radius_m,
        area=area_text(circle_area_m2(request.area.radius_m)),
        figure=figure_of(request.area),
        devices=" and ".join(f"{kind}s" for kind in request.devices),
        contact=request.contact,
        recipient=request.recipient,
        purpose=request.purpose,
        retention=_count(request.retention_days, "day"),
        sharing=request.sharing,
        excludes=tuple(_EXCLUDED.get(code, code) for code in request.excludes),
        posted=moment(request.posted_at),
        expires=moment(request.expires_at),
        updates=tuple(_update(updated) for updated in book.updates_of(posted.leaf)),
    )


def view_agency(book: Book, admitted: Admitted, *, refused: int, now_us: int) -> AgencyView:
    """Return an agency's record; `refused` is how many of its envelopes intake turned away."""
    agency = admitted.agency
    asked = list(book.requests_by(agency.agency))
    statuses = [book.status(posted.leaf, now_us) for posted in asked]
    areas = [circle_area_m2(posted.request.area.radius_m) for posted in asked]
    windows = [posted.request.end - posted.request.start for posted in asked]
    return AgencyView(
        agency=agency.agency,
        name=agency.name,
        domain=agency.domain,
        contact=agency.contact,
        records=tuple(_record(record) for record in reversed(book.admissions(agency.agency))),
        asked=len(asked),
        open=statuses.count(Status.OPEN),
        resolved=statuses.count(Status.RESOLVED),
        withdrawn=statuses.count(Status.WITHDRAWN),
        refused=refused,
        mean_area=area_text(sum(areas) / len(areas)) if areas else "none yet",
        mean_window=duration_text(sum(windows) // len(windows)) if windows else "none yet",
    )


def rules_text(limits: Limits) -> tuple[str, ...]:
    """Return what every request has to keep to, a sentence each."""
    return (
        f"a window of {duration_text(limits.window_min_us)} to {duration_text(limits.window_max_us)}, in the past",
        f"at most {limits.look_back_max_us // DAY_US} days back",
        f"a circle of {area_text(limits.area_min_m2)} to {area_text(limits.area_max_m2)}",
        f"at most {limits.posts_per_case} posts a case, never edited or deleted",
        f"open for {limits.open_for_max_us // DAY_US} days at the most",
    )


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
    """Return hours and minutes."""
    hours, minutes = divmod(duration_us // MINUTE_US, HOUR_US // MINUTE_US)
    parts = [_count(hours, "hour") if hours else "", _count(minutes, "minute") if minutes or not hours else ""]
    return " ".join(part for part in parts if part)


def place_text(point: Point) -> str:
    """Return coordinates to some ten metres, with hemispheres."""
    north, east = "N" if point.lat >= 0 else "S", "E" if point.lon >= 0 else "W"
    return f"{abs(point.lat):.5f}° {north}, {abs(point.lon):.5f}° {east}"


def area_text(area_m2: float) -> str:
    """Return an area in square kilometres and miles."""
    return f"{area_m2 / 1e6:.3g} km² ({area_m2 / 2_589_988.11:.3g} sq mi)"


def figure_of(area: Area) -> Figure:
    """Return the circle to scale, with the longest scale bar that fits its radius."""
    fitting = [step for step in _SCALE_STEPS_M if step <= area.radius_m] or [_SCALE_STEPS_M[0]]
    bar_m = fitting[-1]
    return Figure(
        radius=_FIGURE_RADIUS,
        bar=round(_FIGURE_RADIUS * bar_m / area.radius_m, 1),
        label=f"{bar_m} m",
        description=f"A circle of {area.radius_m} metres around {place_text(area.centre)}",
    )


def _status_text(status: str, expires_us: int, now_us: int) -> str:
    if status != "open":
        return status
    days = (expires_us - now_us) // DAY_US
    return f"open, {_count(days, 'day')} left" if days else "open, ends within a day"


def _update(updated: Updated) -> UpdateView:
    update = updated.update
    return UpdateView(kind=update.kind, note=update.note, at=moment(update.at), index=updated.index)


def _record(admitted: Admitted) -> RecordView:
    agency = admitted.agency
    at = moment(agency.admitted_at)
    return RecordView(admitted.index, at, agency.admitted_by, agency.evidence, agency.key.hex())


def _at(at_us: int) -> datetime:
    return EPOCH + timedelta(microseconds=at_us)


def _day(at: datetime) -> str:
    return f"{at.day} {at:%B %Y}"


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
