"""What the pages say of requests, as values for the templates. Pure: from the book's values, at a given time."""

from collections.abc import Sequence
from dataclasses import dataclass

from broker.log.history.deletions import Counted
from broker.log.history.entries import Admitted, Posted, Revoked
from broker.log.history.lists import Mark
from broker.wire.encoding import to_base64
from broker.wire.geo import Point, circle_area_m2
from broker.wire.records import Update
from broker.wire.rules import DAY_US, Limits
from broker.words import (
    area_text,
    count_text,
    day_text,
    days_text,
    duration_text,
    excluded_text,
    incident_text,
    place_text,
    window_text,
)

from .texts import Moment, moment

Standing = Sequence[Admitted | Revoked]
_EXCERPT = 220  # characters


@dataclass(frozen=True, slots=True)
class Card:
    """What a list shows of a request."""

    leaf: str
    index: int
    title: str
    status: str
    status_text: str
    agency: str
    agency_name: str
    case: str
    excerpt: str
    window: str
    place: str
    radius_m: int
    posted: Moment
    answered: bool


@dataclass(frozen=True, slots=True)
class UpdateView:
    """One update."""

    kind: str
    note: str
    at: Moment
    index: int


@dataclass(frozen=True, slots=True)
class DeletionsView:
    """How many asked for deletion, in words; `index` is the entry that said so last."""

    text: str
    day: str
    index: int


@dataclass(frozen=True, slots=True)
class AdmissionView:
    """Who admitted an agency, on what evidence; and what has become of it since."""

    name: str
    domain: str
    contact: str
    at: Moment
    by: str
    evidence: str
    index: int
    leaf: str
    key: str
    now: str
    holds: bool


@dataclass(frozen=True, slots=True)
class RequestView:
    """Everything a page shows of a request."""

    card: Card
    description: tuple[str, ...]
    post_text: str
    date: str
    start: Moment
    end: Moment
    area: str
    devices: str
    contact: str
    recipient: str
    purpose: str
    retention: str
    sharing: tuple[str, ...]
    excludes: tuple[str, ...]
    expires: Moment
    open_for: str
    centre: str
    updates: tuple[UpdateView, ...]
    deletions: DeletionsView | None
    admission: AdmissionView


def card_of(mark: Mark, *, agency_name: str, description: str, answered: bool, now_us: int) -> Card:
    """Return a list's view of a request."""
    return Card(
        leaf=mark.leaf,
        index=mark.index,
        title=incident_text(mark.incident),
        status=mark.status,
        status_text=_status_text(mark.status, mark.expires_us, now_us),
        agency=mark.agency,
        agency_name=agency_name,
        case=mark.case,
        excerpt=_excerpt(description),
        window=window_text(mark.start_us, mark.end_us),
        place=place_text(Point(mark.lat_e7, mark.lon_e7), 4),
        radius_m=mark.radius_m,
        posted=moment(mark.posted_us),
        answered=answered,
    )


def view_request(
    posted: Posted,
    mark: Mark,
    updates: Sequence[tuple[int, Update]],
    standing: Standing,
    *,
    now_us: int,
    deletions: Counted = Counted(),  # noqa: B008 - frozen
) -> RequestView:
    """Return what there is to show of a request at `now_us`; `standing` is its agency's, `mark` its own."""
    request = posted.request
    answered = any(update.kind == "answered" for _, update in updates)
    return RequestView(
        card=card_of(
            mark,
            agency_name=posted.admission.agency.name,
            description=request.description,
            answered=answered,
            now_us=now_us,
        ),
        description=tuple(line for line in request.description.split("\n") if line.strip()),
        post_text="first post of this case" if posted.post == 1 else "second and last post of this case",
        date=day_text(request.start),
        start=moment(request.start),
        end=moment(request.end),
        area=area_text(circle_area_m2(request.area.radius_m)),
        devices=" and ".join(f"{kind}s" for kind in request.devices),
        contact=request.contact,
        recipient=request.recipient,
        purpose=request.purpose,
        retention=count_text(request.retention_days, "day"),
        sharing=request.sharing,
        excludes=tuple(excluded_text(code) for code in request.excludes),
        expires=moment(request.expires_at),
        open_for=days_text(request.expires_at - request.posted_at),
        centre=place_text(request.area.centre),
        updates=tuple(UpdateView(one.kind, one.note, moment(one.at), index) for index, one in updates),
        deletions=view_deletions(deletions),
        admission=view_admission(posted.admission, standing),
    )


def view_deletions(counted: Counted) -> DeletionsView | None:
    """Return what to say of asked deletions, None if nobody asked."""
    if not counted.count:
        return None
    asked = "owner who answered has" if counted.count == 1 else "owners who answered have"
    return DeletionsView(f"{counted.count:,} {asked} asked for it", day_text(counted.day_us), counted.index)


def view_admission(admitted: Admitted, standing: Standing) -> AdmissionView:
    """Return the admission that a request was posted under, and whether it still is the one in force."""
    agency = admitted.agency
    now, holds = _since(admitted, standing)
    return AdmissionView(
        name=agency.name,
        domain=agency.domain,
        contact=agency.contact,
        at=moment(agency.admitted_at),
        by=agency.admitted_by,
        evidence=agency.evidence,
        index=admitted.index,
        leaf=admitted.leaf,
        key=to_base64(agency.key),
        now=now,
        holds=holds,
    )


def rules_text(limits: Limits) -> tuple[str, ...]:
    """Return what every request has to keep to, a sentence each."""
    return (
        (
            f"It asks for a window of {duration_text(limits.window_min_us)} to {duration_text(limits.window_max_us)}"
            f" that is over, and began at most {limits.look_back_max_us // DAY_US} days ago."
        ),
        f"It asks within a circle of {area_text(limits.area_min_m2)} to {area_text(limits.area_max_m2)}.",
        (
            "It names the incident by a type from the published list, with a case number, a description, and a contact"
            " in the agency's official domain."
        ),
        (
            f"A case is posted {limits.posts_per_case} times at the most. Nothing is edited or deleted: a request can"
            " only be answered, resolved or withdrawn."
        ),
        (
            f"It is open for {limits.open_for_max_us // DAY_US} days at the most, and an agency has at most"
            f" {limits.open_per_agency} requests open at a time."
        ),
        (
            f"It says what the footage is for, who else gets it, and how long it is kept:"
            f" {limits.retention_max_days} days at the most."
        ),
        (
            "It must rule out lawful assembly, lawful expression, profiling, people by protected traits, and personal"
            " data of victims."
        ),
        (
            f"A share is at most {limits.clips_per_share} clips of {duration_text(limits.clip_max_us)}, from devices"
            " outdoors, without sound."
        ),
    )


def _since(admitted: Admitted, standing: Standing) -> tuple[str, bool]:
    later = [one for one in standing if one.index > admitted.index]
    if not later:
        return "This admission is in force.", True
    match later[-1]:
        case Revoked(index, _, revocation):
            return (
                (
                    f"Not any more: revoked on {moment(revocation.at).text} by {revocation.revoked_by}"
                    f" (entry {index:,}): {revocation.reason}"
                ),
                False,
            )
        case Admitted(index, _, agency):
            return (
                f"Still admitted, by a newer record: since {moment(agency.admitted_at).text} (entry {index:,}).",
                True,
            )


def _excerpt(description: str) -> str:
    text = next(line for line in description.split("\n") if line.strip())
    return text if len(text) <= _EXCERPT else f"{text[:_EXCERPT].rsplit(' ', 1)[0]}…"


def _status_text(status: str, expires_us: int, now_us: int) -> str:
    if status != "open":
        return "agency revoked" if status == "revoked" else status
    days = (expires_us - now_us) // DAY_US
    return f"open, {count_text(days, 'day')} left" if days else "open, ends within a day"
