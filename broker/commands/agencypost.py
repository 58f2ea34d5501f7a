"""`latchstring agency post`: what the public will read and the rules it keeps are shown first, then it is sent."""

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from broker.agency import (
    AgencyError,
    AgencyFolder,
    PreviewRow,
    RemoteError,
    UnreachableError,
    load_request_file,
    post,
    preview,
)
from broker.agency.files import write_page
from broker.agency.line import NOT_FOUND
from broker.agency.listing import Listed, earlier_posts, listed, open_now, unconfirmed
from broker.agency.post import confirm
from broker.agency.public import PublicView, preview_page, preview_text, public_view
from broker.agency.rulebook import broken_text
from broker.clock import system_now_us
from broker.terminal import AsJson, say, say_json
from broker.wire.records import EXCLUDED_PURPOSES, INCIDENTS

from .agencycommon import ANOTHER_CASE, DEFAULT_WAIT_S, Folder, Wait, load, log_of, patient_log, say_aside

_YES = frozenset({"y", "yes"})


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class RequestFlags:
    """Every value of a request file as a flag; a flag wins over the file."""

    case: Annotated[str | None, Parameter(help="The case number; a case may be posted twice.")] = None
    incident: Annotated[str | None, Parameter(help=f"One of: {', '.join(INCIDENTS)}.")] = None
    description: Annotated[str | None, Parameter(help="What happened, and what you look for; lines are kept.")] = None
    at: Annotated[
        str | None, Parameter(help="The middle of the area, such as '52.5203N 13.4054E' or '52.5203, 13.4054'.")
    ] = None
    lat: Annotated[str | None, Parameter(help="Instead: its latitude, such as 52.5203 or 52.5203N.")] = None
    lon: Annotated[str | None, Parameter(help="And its longitude, such as 13.4054 or 13.4054E.")] = None
    radius_m: Annotated[int | None, Parameter(help="How far the area reaches, in metres: 144 to 642.")] = None
    area_m2: Annotated[int | None, Parameter(help="Instead: its size in square metres, never rounded up.")] = None
    area_sq_mi: Annotated[
        float | None, Parameter(help="Instead: its size in square miles, 0.025 to 0.5, never rounded up.")
    ] = None
    start: Annotated[
        str | None,
        Parameter(help="Begin of the window: 2026-05-04T18:00:00+02:00, or '2026-05-04 18:00' with --zone."),
    ] = None
    end: Annotated[str | None, Parameter(help="End of the window, 15 minutes to 12 hours later, and in the past.")] = (
        None
    )
    window: Annotated[
        str | None, Parameter(help="Instead of one of the two: how long it is, such as 2h or '90 min'.")
    ] = None
    zone: Annotated[
        str | None, Parameter(help="The zone of times that don't say theirs, such as Europe/Berlin or UTC.")
    ] = None
    devices: Annotated[
        Sequence[str] | None,
        Parameter(name="--device", negative="", help="doorbell or camera; may be repeated. Both, unless given."),
    ] = None
    purpose: Annotated[str | None, Parameter(help="What the footage is for, in one line.")] = None
    retention_days: Annotated[int | None, Parameter(help="How many days shared footage is kept: 1 to 180.")] = None
    sharing: Annotated[
        Sequence[str] | None,
        Parameter(
            negative="--no-sharing", help="With whom it is shared onward; may be repeated. Nobody, unless given."
        ),
    ] = None
    excludes: Annotated[
        Sequence[str] | None,
        Parameter(
            name="--exclude", negative="",
            help=f"What it declares not to serve; may be repeated. All, unless given: {', '.join(EXCLUDED_PURPOSES)}.",
        ),
    ] = None  # fmt: skip
    contact: Annotated[str | None, Parameter(help="An address in the agency's domain. The agency's, unless given.")] = (
        None
    )
    expires_in_days: Annotated[
        float | None, Parameter(help="How many days it is open: 14, unless given; 30 at the most.")
    ] = None


def agency_post(
    file: Annotated[Path | None, Parameter(help="The request as TOML; samples/requests/ has some.")] = None,
    *,
    folder: Folder,
    flags: RequestFlags | None = None,
    check: Annotated[
        bool, Parameter(negative="", help="Only show what the public would read and which rules it keeps.")
    ] = False,
    preview_file: Annotated[
        Path | None, Parameter(name="--preview", help="Write what the public will read as a page, FILE.html.")
    ] = None,
    yes: Annotated[
        bool, Parameter(negative="", help="Don't ask; for scripts. Nobody is asked without a terminal.")
    ] = False,
    wait_s: Wait = DEFAULT_WAIT_S,
    as_json: AsJson = False,
) -> None:
    """Post a public request: shown with every rule it keeps or breaks, and sent once all are kept and you say yes.

    The request comes from a file, from flags, or from both; flags win.
    """
    place = load(folder)
    now_us = system_now_us()
    agency = place.as_admitted(now_us)
    given = {} if flags is None else {key: _plain(value) for key, value in asdict(flags).items()}
    request = load_request_file(file, given).build(agency, recipient=place.recipient(), now_us=now_us)
    known = _settled(place, request.case, now_us=now_us)
    rows = preview(
        request, agency, now_us=now_us, earlier_posts=earlier_posts(known, request), now_open=open_now(known)
    )
    broken = broken_text(rows).replace("[posts-per-case]", f"({ANOTHER_CASE}) [posts-per-case]")
    if preview_file is not None:
        write_page(preview_file, preview_page(public_view(request, agency), rows))
    ask = sys.stdin.isatty() and not (yes or as_json or check)
    if check and as_json:
        say_json(
            {"kept": not broken, "rules": [asdict(row) for row in rows], "request": request.model_dump(mode="json")}
        )
    elif check or ask or (broken and not as_json):
        _show(public_view(request, agency), rows)
    if broken:
        raise AgencyError(f"not posted, {_count(rows)}:\n{broken}")
    if check:
        return
    for one in unconfirmed(known, request):
        say_aside(f"note: another request of this case, {one.leaf[:12]}, may be in the log: latchstring agency status")
    if ask and input("Post this? It can't be edited or deleted afterwards. [y/N] ").strip().lower() not in _YES:
        raise AgencyError("not posted: you did not say yes")
    with patient_log(place, "posting", wait_s=wait_s, as_json=as_json) as log:
        posted = post(place, request, log=log)
    if as_json:
        say_json({"leaf": posted.leaf, "index": posted.index, "request": posted.request.model_dump(mode="json")})
    else:
        say(f"posted: entry {posted.index}, request {posted.leaf}", f"kept in {posted.folder}")


def _settled(place: AgencyFolder, case: str, *, now_us: int) -> list[Listed]:
    """Return the agency's requests, those of a case confirmed as far as the log can be reached.

    One that the log does not hold, by its own answer, is left out: nothing was posted by it.
    """
    known = listed(place, now_us=now_us)
    pending = [one.leaf for one in known if one.state == "unconfirmed" and one.request.case == case]
    absent, log = set(), log_of(place)
    for leaf in pending:
        try:
            confirm(place, leaf, log=log)
        except UnreachableError:
            break
        except RemoteError as error:
            if error.status == NOT_FOUND:
                absent.add(leaf)
    return [one for one in listed(place, now_us=now_us) if one.leaf not in absent] if pending else known


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _count(rows: Sequence[PreviewRow]) -> str:
    number = sum(not row.kept for row in rows)
    return "a rule is broken" if number == 1 else f"{number} rules are broken"


def _show(view: PublicView, rows: Sequence[PreviewRow]) -> None:
    console = Console(soft_wrap=False)
    console.print("[dim]What the public will read:[/dim]")
    console.print(escape(preview_text(view, width=console.width)), highlight=False)
    table = Table("rule", "this request", "limit", "", title="Rules", title_justify="left")
    for row in rows:
        how = "[green]kept[/green]" if row.kept else f"[red]broken:[/red] {escape(row.message)}"
        table.add_row(escape(row.rule), escape(row.value), escape(row.limit), how)
    console.print(table)
