"""`latchstring agency`: ask in public, fetch what was shared, open and check it."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from broker.agency import (
    AgencyError,
    AgencyFolder,
    Fetched,
    FetchError,
    InboxClient,
    LogClient,
    OpenedBundle,
    application,
    fetch,
    fetch_policy,
    init,
    load_request_file,
    open_bundle,
    post,
    preview,
    update,
)
from broker.agency.post import requests as posted_requests
from broker.clock import system_now_us
from broker.facts import read_facts
from broker.terminal import AsJson, say, say_json, working
from broker.wire.encoding import format_time

Folder = Annotated[Path, Parameter(name="--dir", help="The agency's folder.")]
Leaf = Annotated[str, Parameter(name="request", help="The request's leaf hash, or its first six digits or more.")]

agency_app = App(name="agency", help="An agency's tools: ask in public, fetch what was shared, open and check it.")


@agency_app.command(name="init")
def agency_init(
    *,
    folder: Folder,
    agency: Annotated[str, Parameter(name="--id", help="A short name: a-z, 0-9 and -.")],
    name: Annotated[str, Parameter(help="The full name, as the public knows it.")],
    domain: Annotated[str, Parameter(help="The official domain.")],
    contact: Annotated[str, Parameter(help="An address in that domain.")],
    neighbourhood: Annotated[
        Path | None, Parameter(help="The operator's neighbourhood.json: URLs and the log's key.")
    ] = None,
    url: Annotated[
        str | None, Parameter(help="Instead: the neighbourhood's address; its key is trusted on first use.")
    ] = None,
) -> None:
    """Make an agency's folder with new keys, and print the application that the operator needs to admit it."""
    if (neighbourhood is None) == (url is None):
        raise AgencyError("give either --neighbourhood FILE or --url URL")
    if neighbourhood is not None:
        facts = read_facts(neighbourhood)
        log_url, inbox_url, policy = facts.log_url, facts.inbox_url, facts.policy
    else:
        base = (url or "").rstrip("/")
        log_url, inbox_url, policy = f"{base}/log", f"{base}/inbox", fetch_policy(f"{base}/log")
    made = init(
        folder,
        agency=agency,
        name=name,
        domain=domain,
        contact=contact,
        log_url=log_url,
        inbox_url=inbox_url,
        policy=policy,
        now_us=system_now_us(),
    )
    say_json(application(made))


@agency_app.command(name="post")
def agency_post(
    file: Annotated[Path | None, Parameter(help="The request as TOML; samples/requests/ has one.")] = None,
    *,
    folder: Folder,
    case: str | None = None,
    incident: str | None = None,
    description: str | None = None,
    lat: float | None = None,
    lon: float | None = None,
    radius_m: int | None = None,
    start: Annotated[str | None, Parameter(help="RFC 3339 time, such as 2026-05-04T18:00:00+02:00.")] = None,
    end: Annotated[str | None, Parameter(help="RFC 3339 time.")] = None,
    devices: Annotated[
        Sequence[str] | None, Parameter(name="--device", help="doorbell, camera; may be repeated.")
    ] = None,
    purpose: str | None = None,
    retention_days: int | None = None,
    expires_in_days: float | None = None,
    check: Annotated[
        bool, Parameter(negative="", help="Only show what would be posted and which rules it keeps.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Post a public request, once its rules are kept. Flags win over the file."""
    place = AgencyFolder.load(folder)
    given = {
        "case": case, "incident": incident, "description": description, "lat": lat, "lon": lon, "radius_m": radius_m,
        "start": start, "end": end, "devices": devices, "purpose": purpose, "retention_days": retention_days,
        "expires_in_days": expires_in_days,
    }  # fmt: skip
    now_us = system_now_us()
    agency = place.as_admitted(now_us)
    request = load_request_file(file, given).build(agency, recipient=place.recipient(), now_us=now_us)
    earlier = sum(known.case == request.case for _, known, confirmed in posted_requests(place) if confirmed)
    rows = preview(request, agency, now_us=now_us, earlier_posts=earlier)
    broken = [row for row in rows if not row.kept]
    if check or broken:
        if as_json:
            say_json({"kept": not broken, "rules": [asdict(row) for row in rows]})
        else:
            _show_rules(rows)
        if broken:
            raise AgencyError(f"not posted: {broken[0].message} [{broken[0].rule}]")
        return
    posted = post(place, request, log=LogClient(place.settings.log_url, policy=place.policy()))
    if as_json:
        say_json({"leaf": posted.leaf, "index": posted.index, "request": posted.request.model_dump(mode="json")})
    else:
        say(f"posted: entry {posted.index}, request {posted.leaf}", f"kept in {posted.folder}")


@agency_app.command(name="withdraw")
def agency_withdraw(
    leaf: Leaf,
    *,
    folder: Folder,
    note: Annotated[str, Parameter(help="Why; it is published.")] = "Withdrawn by the agency.",
    resolved: Annotated[bool, Parameter(negative="", help="Say instead that it is resolved.")] = False,
) -> None:
    """Withdraw a request: devices stop offering it, and late approvals are refused. Nothing is deleted."""
    place = AgencyFolder.load(folder)
    kind: Literal["resolved", "withdrawn"] = "resolved" if resolved else "withdrawn"
    log = LogClient(place.settings.log_url, policy=place.policy())
    submitted = update(place, _whole(place, leaf), kind=kind, note=note, log=log, now_us=system_now_us())
    say(f"{kind}: entry {submitted.index}")


@agency_app.command(name="fetch")
def agency_fetch(leaf: Leaf, *, folder: Folder, as_json: AsJson = False) -> None:
    """Fetch every bundle that owners shared for a request; an interrupted fetch goes on where it was."""
    place = AgencyFolder.load(folder)
    inbox = InboxClient(
        place.settings.inbox_url, agency=place.settings.id, key=place.signing_key(), clock=system_now_us
    )
    try:
        with working("fetching", as_json=as_json):
            bundles = fetch(place, _whole(place, leaf), inbox=inbox)
    except FetchError as error:
        _show_fetched(error.fetched, as_json=as_json)
        raise
    _show_fetched(bundles, as_json=as_json)


@agency_app.command(name="open")
def agency_open(
    bundle: Annotated[Path, Parameter(help="A sealed bundle (.age) that 'latchstring agency fetch' brought.")],
    *,
    folder: Folder,
    out: Annotated[Path, Parameter(help="A new folder for the files.")],
    request: Annotated[str | None, Parameter(help="The request's leaf hash, if the file was moved.")] = None,
    as_json: AsJson = False,
) -> None:
    """Open a bundle and check everything in it: the request, the log's proof, the seals of capture, each file."""
    place = AgencyFolder.load(folder)
    place_of = bundle.resolve().parent.parent
    if request is None and place_of.parent != (folder / "requests").resolve():
        raise AgencyError(f"{bundle} does not lie where it was fetched to; say whose it is: --request HASH")
    leaf = request or place_of.name
    with working("opening and checking", as_json=as_json):
        opened = open_bundle(bundle, place.identity(), out, request_leaf=_whole(place, leaf), policy=place.policy())
    if as_json:
        say_json(_opened(opened))
    else:
        _show_opened(opened)
    if not opened.verified:
        raise AgencyError(f"{bundle} was opened into {out}, but not all of it could be verified")


def _whole(place: AgencyFolder, leaf: str) -> str:
    found = [known for known, _, _ in posted_requests(place) if known.startswith(leaf)]
    if len(found) != 1 or len(leaf) < 6:  # noqa: PLR2004 - enough to mean one
        how = "no request" if not found else "more than one request"
        raise AgencyError(f"{how} of this agency begins with {leaf[:64]!r}; they are in {place.path / 'requests'}")
    return found[0]


def _show_fetched(bundles: Sequence[Fetched], *, as_json: bool) -> None:
    if as_json:
        say_json([{**asdict(bundle), "path": str(bundle.path)} for bundle in bundles])
    else:
        say(*(f"{bundle.path}  {bundle.bytes:,} bytes{'  (new)' if bundle.is_new else ''}" for bundle in bundles))
        say(f"{len(bundles)} bundle{'' if len(bundles) == 1 else 's'} for this request")


def _show_rules(rows: Sequence[Any]) -> None:
    table = Table("rule", "the request says", "")
    for row in rows:
        how = "kept" if row.kept else f"[red]broken:[/red] {escape(row.message)}"
        table.add_row(escape(row.rule), escape(row.value), how)
    Console().print(table)


def _opened(opened: OpenedBundle) -> dict[str, Any]:
    return {
        "verified": opened.verified,
        "folder": str(opened.folder),
        "sha256": opened.sha256,
        "device": None if opened.release is None else opened.release.device,
        "files": [asdict(file) for file in opened.files],
        "clips": [
            {**asdict(clip), "start": format_time(clip.start_us), "end": format_time(clip.end_us)}
            for clip in opened.clips
        ],
    }


def _show_opened(opened: OpenedBundle) -> None:
    table = Table("file", "bytes", "verified", "what was found")
    for file in opened.files:
        table.add_row(file.name, f"{file.bytes:,}", "yes" if file.verified else "[red]no[/red]", escape(file.note))
    console = Console()
    console.print(table)
    for clip in opened.clips:
        console.print(f"{clip.file}: {clip.seal}, {format_time(clip.start_us)} to {format_time(clip.end_us)}")
    console.print(f"opened into {opened.folder}")
