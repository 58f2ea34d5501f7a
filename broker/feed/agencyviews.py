"""What the pages say of agencies: their public record, in numbers, words and a chart. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from broker.log.history.entries import Admitted, Revoked
from broker.log.history.query import PublicRecord, Status
from broker.wire.encoding import to_base64
from broker.wire.rules import DAY_US
from broker.words import area_text, count_text, day_text, days_text, duration_text, incident_text

from .frame import path_of
from .texts import Moment, moment, number_text, reason_text
from .views import Standing

MONTHS: Final = 24
CHART_WIDTH: Final = 640
_BASE = 116
_TOP = 14
_LEFT = 4
_EPOCH_DAY = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Change:
    """An admission, a renewal or a revocation, as logged. `key` is base64, or empty for a revocation."""

    what: str
    at: Moment
    by: str
    evidence: str
    key: str
    index: int
    leaf: str


@dataclass(frozen=True, slots=True)
class Bar:
    """One month of a chart: where its bar stands, and what it says; `year` where a new one begins."""

    x: float
    y: float
    width: float
    height: float
    month: str
    count: int
    year: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Requests by month."""

    bars: tuple[Bar, ...]
    most: int
    line: str
    description: str


@dataclass(frozen=True, slots=True)
class Share:
    """One row of a table: what, how many, and how much of all in percent."""

    name: str
    count: str
    percent: int


@dataclass(frozen=True, slots=True)
class AgencyView:
    """An agency's public record: who it is, who admitted it on what evidence, and what its requests add up to."""

    agency: str
    name: str
    domain: str
    contact: str
    admitted: bool
    standing_text: str
    changes: tuple[Change, ...]
    figures: tuple[tuple[str, str], ...]
    mean_area: str
    mean_window: str
    mean_open: str
    incidents: tuple[Share, ...]
    refused: tuple[Share, ...]
    chart: Chart
    deletions: str


@dataclass(frozen=True, slots=True)
class AgencyRow:
    """An agency in the list of all."""

    agency: str
    name: str
    domain: str
    admitted: bool
    since: Moment
    since_day: str
    asked: str
    open: str


def view_agency(standing: Standing, record: PublicRecord, *, now_us: int) -> AgencyView:
    """Return an agency's public record; raises ValueError for one that never was admitted."""
    newest = [one for one in standing if isinstance(one, Admitted)][-1]
    agency, last = newest.agency, standing[-1]
    refused = sum(record.refused.values())
    return AgencyView(
        agency=agency.agency,
        name=agency.name,
        domain=agency.domain,
        contact=agency.contact,
        admitted=isinstance(last, Admitted),
        standing_text=_standing_text(last),
        changes=_changes(standing),
        figures=(
            ("asked", number_text(record.asked)),
            *((str(status), number_text(record.by_status.get(status, 0))) for status in Status),
            ("refused", number_text(refused)),
            ("asked to delete", number_text(record.deletions)),
        ),
        deletions=_deletions_text(record),
        mean_area=area_text(record.mean_area_m2) if record.asked else "nothing asked yet",
        mean_window=duration_text(record.mean_window_us) if record.asked else "nothing asked yet",
        mean_open=days_text(record.mean_open_us) if record.asked else "nothing asked yet",
        incidents=_shares([(incident_text(name), count) for name, count in record.by_incident.items()], record.asked),
        refused=_shares([(reason_text(code), count) for code, count in record.refused.items()], refused),
        chart=chart_of(record.days, now_us=now_us),
    )


def row_of(admitted: Admitted, last: Admitted | Revoked, totals: tuple[int, int]) -> AgencyRow:
    """Return an agency's row in the list of all; `totals` are the requests that it asked and has open."""
    agency = admitted.agency
    at_us = last.agency.admitted_at if isinstance(last, Admitted) else last.revocation.at
    asked, still_open = totals
    return AgencyRow(
        agency=agency.agency,
        name=agency.name,
        domain=agency.domain,
        admitted=isinstance(last, Admitted),
        since=moment(at_us),
        since_day=day_text(at_us),
        asked=number_text(asked),
        open=number_text(still_open),
    )


def chart_of(days: Sequence[tuple[int, int]], *, now_us: int) -> Chart:
    """Return the last months' requests as bars; `days` are (day since the epoch, requests)."""
    now = _EPOCH_DAY + timedelta(days=now_us // DAY_US)
    last = now.year * 12 + now.month - 1
    counts = dict.fromkeys(range(last - MONTHS + 1, last + 1), 0)
    for number_of_day, count in days:
        on = _EPOCH_DAY + timedelta(days=number_of_day)
        number = on.year * 12 + on.month - 1
        if number in counts:
            counts[number] += count
    most = max(counts.values())
    slot = (CHART_WIDTH - 2 * _LEFT) / MONTHS
    bars = tuple(
        _bar(number, count, x=_LEFT + slot * place, slot=slot, most=most, first=place == 0)
        for place, (number, count) in enumerate(counts.items())
    )
    total = sum(counts.values())
    return Chart(
        bars=bars,
        most=most,
        line=path_of([(_LEFT, _BASE), (CHART_WIDTH - _LEFT, _BASE)], closed=False),
        description=f"Requests by month: {total:,} in the last {MONTHS} months, {most:,} in the busiest",
    )


def _bar(number: int, count: int, *, x: float, slot: float, most: int, first: bool) -> Bar:
    year, month = divmod(number, 12)
    height = (_BASE - _TOP) * count / most if most else 0.0
    height = max(height, 2.0) if count else 0.0
    named = f"{date(year, month + 1, 1):%B %Y}"
    return Bar(
        round(x + slot * 0.14, 1), round(_BASE - height, 1), round(slot * 0.72, 1), round(height, 1), named, count,
        str(year) if month == 0 or (first and month < 10) else "",  # noqa: PLR2004 - room for the label
    )  # fmt: skip


def _deletions_text(record: PublicRecord) -> str:
    if not record.deletions:
        return "Nobody who gave it footage has asked it to delete that."
    owners = count_text(record.deletions, "owner")
    return (
        f"{owners} who answered {count_text(record.deletions_of, 'request')} of it asked it to delete what they gave."
        " The inbox counts senders, and can't see what they sent: rubbish counts as footage does."
    )


def _standing_text(last: Admitted | Revoked) -> str:
    if isinstance(last, Admitted):
        return f"Admitted. The record in force is of {moment(last.agency.admitted_at).text}."
    return f"Revoked on {moment(last.revocation.at).text}: it may not ask any more, and what it had open is closed."


def _changes(standing: Standing) -> tuple[Change, ...]:
    """Return the whole history, newest first."""
    found: list[Change] = []
    revoked = False
    for one in standing:
        match one:
            case Admitted(index, leaf, agency):
                what = "Admitted" if not found else "Admitted again" if revoked else "Record renewed"
                key = to_base64(agency.key)
                if found and not revoked and all(key != earlier.key for earlier in found):
                    what = "Key changed"
                found.append(
                    Change(what, moment(agency.admitted_at), agency.admitted_by, agency.evidence, key, index, leaf)
                )
                revoked = False
            case Revoked(index, leaf, revocation):
                found.append(
                    Change("Revoked", moment(revocation.at), revocation.revoked_by, revocation.reason, "", index, leaf)
                )
                revoked = True
    return tuple(reversed(found))


def _shares(rows: Sequence[tuple[str, int]], total: int) -> tuple[Share, ...]:
    return tuple(Share(name, number_text(count), round(100 * count / total)) for name, count in rows)
