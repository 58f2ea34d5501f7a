"""The commands of whoever is not at home: `latchstring broker`, `agency` and `log`. They join and print."""

import asyncio
import json
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table

from broker import logs, mqtt
from broker.agency import (
    AgencyError,
    AgencyFolder,
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
from broker.keyfiles import load_signing_key
from broker.log.admission import admit
from broker.log.readers import folder_reader, http_reader
from broker.log.verify import verify_log
from broker.neighbourhood import FACTS_NAME, read_facts, run, system_now_us
from broker.settings import SettingsError, load_settings
from broker.wire.encoding import format_time, from_base64, parse_json
from broker.wire.envelopes import KEY_BYTES
from broker.wire.proofs import parse_policy

AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON, for programs.")]
Folder = Annotated[Path, Parameter(name="--dir", help="The agency's folder.")]
Leaf = Annotated[str, Parameter(help="The request's leaf hash, or its first six digits or more.")]

broker_app = App(name="broker", help="The neighbourhood: MQTT broker, public log, feed and evidence inbox.")
agency_app = App(name="agency", help="An agency's tools: ask in public, fetch what was shared, open and check it.")
log_app = App(name="log", help="The public log, checked as a stranger would.")


def say(*lines: str) -> None:
    """Print plain lines."""
    for line in lines:
        sys.stdout.write(line + "\n")


def say_json(value: Any) -> None:
    """Print one JSON document."""
    say(json.dumps(value, indent=2, ensure_ascii=False))


@broker_app.command(name="run")
def broker_run(
    *,
    folder: Annotated[Path, Parameter(name="--dir", help="Where keys, log and inbox are kept; made if need be.")],
    mqtt_port: Annotated[int | None, Parameter(help="Port of the embedded MQTT broker; 0 takes a free one.")] = None,
    http_port: Annotated[int | None, Parameter(help="Port of log, feed and inbox; 0 takes a free one.")] = None,
    origin: Annotated[str | None, Parameter(help="The log's name, such as log.example.org/requests.")] = None,
) -> None:
    """Serve a neighbourhood until interrupted.

    Settings come from DIR/neighbourhood.toml if there is one, LATCHSTRING_BROKER_ variables, and these flags.
    Everything listens on 127.0.0.1 unless the settings say otherwise. DIR/neighbourhood.json tells devices and agencies
    what they need.
    """
    flags: dict[str, dict[str, Any]] = {
        "mqtt": {} if mqtt_port is None else {"port": mqtt_port},
        "http": {} if http_port is None else {"port": http_port},
        "log": {} if origin is None else {"origin": origin},
    }
    settings = load_settings(folder, flags)
    folder.mkdir(parents=True, exist_ok=True)
    logs.configure()
    asyncio.run(
        run(
            folder,
            settings,
            on_ready=lambda facts: say(f"ready: feed {facts.url}/  mqtt {facts.mqtt_host}:{facts.mqtt_port}"),
        )
    )


@broker_app.command(name="admit")
def broker_admit(
    application_file: Annotated[Path, Parameter(help="What 'latchstring agency init' printed, as a file.")],
    *,
    folder: Annotated[Path, Parameter(name="--dir", help="The neighbourhood's folder, with its operator.key.")],
    evidence: Annotated[str, Parameter(help="On what evidence the agency is admitted; it is published.")],
    admitted_by: Annotated[str, Parameter(help="Who admits it; it is published.")] = "the operator",
) -> None:
    """Admit an agency: sign its record and have it logged by the running neighbourhood."""
    facts = read_facts(folder / FACTS_NAME)
    fields = _application(application_file)
    envelope = admit(
        agency=fields["agency"],
        name=fields["name"],
        domain=fields["domain"],
        contact=fields["contact"],
        agency_key=from_base64(fields["key"], size=KEY_BYTES, what="key"),
        admitted_by=admitted_by,
        evidence=evidence,
        key=load_signing_key(folder / "operator.key"),
        now_us=system_now_us(),
    )
    submitted = LogClient(facts.log_url, policy=parse_policy(facts.policy)).submit(envelope)
    say(f"admitted {fields['agency']}: entry {submitted.index}, {facts.url}/agencies/{fields['agency']}")


@broker_app.command(name="mosquitto")
def broker_mosquitto(
    access_file: Annotated[Path, Parameter(help="The access policy, as in config/access.toml.")],
    *,
    out: Annotated[Path, Parameter(help="The folder to write mosquitto.conf, acl and passwd to.")],
    host: Annotated[str, Parameter(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, Parameter(help="The port to listen on.")] = 1883,
    run_as: Annotated[
        str | None, Parameter(help="The system user that Mosquitto runs as, if root starts it; must read the files.")
    ] = None,
) -> None:
    """Write the access policy as Mosquitto's files, so that Mosquitto enforces what the embedded broker does."""
    try:
        policy = mqtt.policy_from_toml(access_file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{access_file} can't be read: {error.strerror}") from error
    say(f"start it with: mosquitto -c {mqtt.write_mosquitto(policy, out, host=host, port=port, run_as=run_as)}")


@broker_app.command(name="password")
def broker_password() -> None:
    """Read a password from standard input and print its hash for the access policy."""
    say(mqtt.hash_password(sys.stdin.readline().rstrip("\n").encode()))


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
    with _working("fetching", as_json=as_json):
        bundles = fetch(place, _whole(place, leaf), inbox=inbox)
    if as_json:
        say_json([{**asdict(bundle), "path": str(bundle.path)} for bundle in bundles])
    else:
        say(*(f"{bundle.path}  {bundle.bytes:,} bytes{'  (new)' if bundle.is_new else ''}" for bundle in bundles))
        say(f"{len(bundles)} bundle{'' if len(bundles) == 1 else 's'} for this request")


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
    leaf = request or bundle.resolve().parent.parent.name
    with _working("opening and checking", as_json=as_json):
        opened = open_bundle(bundle, place.identity(), out, request_leaf=_whole(place, leaf), policy=place.policy())
    if as_json:
        say_json(_opened(opened))
    else:
        _show_opened(opened)
    if not opened.verified:
        raise AgencyError(f"{bundle} was opened into {out}, but not all of it could be verified")


@log_app.command(name="verify")
def log_verify(
    where: Annotated[str, Parameter(help="The log's folder, or its URL such as http://host/log.")],
    *,
    policy: Annotated[Path | None, Parameter(help="The pinned tlog-policy of the log.")] = None,
    operator_key: Annotated[
        str | None, Parameter(help="The operator's public key (base64) that admits agencies.")
    ] = None,
    neighbourhood: Annotated[Path | None, Parameter(help="Instead of both: a pinned neighbourhood.json.")] = None,
    since: Annotated[Path | None, Parameter(help="An older signed checkpoint that the log must still contain.")] = None,
    as_json: AsJson = False,
) -> None:
    """Check a whole log: signatures, every tile, every entry against the rules, growth since an older checkpoint."""
    if neighbourhood is not None:
        facts = read_facts(neighbourhood)
        policy_text, key = facts.policy, facts.operator_key
    elif policy is not None and operator_key is not None:
        policy_text, key = policy.read_text(encoding="utf-8"), operator_key
    else:
        raise SettingsError("give --neighbourhood FILE, or both --policy FILE and --operator-key KEY")
    read = http_reader(where) if where.startswith(("http://", "https://")) else folder_reader(Path(where))
    with _working("checking the log", as_json=as_json):
        report = verify_log(
            read,
            parse_policy(policy_text),
            operator_key=from_base64(key, size=KEY_BYTES, what="operator key"),
            old_checkpoint=None if since is None else since.read_bytes(),
        )
    if as_json:
        say_json(report.to_json())
    else:
        say(report.to_text())
    if not report.ok:
        raise SettingsError(f"the log at {where} does not hold: {report.finding_count} findings")


def _application(path: Path) -> dict[str, str]:
    try:
        fields = parse_json(path.read_bytes(), max_bytes=65_536, what=str(path))
    except OSError as error:
        raise SettingsError(f"{path} can't be read: {error.strerror}") from error
    wanted = {"agency", "name", "domain", "contact", "key", "recipient"}
    if not isinstance(fields, dict) or set(fields) != wanted or not all(isinstance(v, str) for v in fields.values()):
        raise SettingsError(f"{path} is not an application as 'latchstring agency init' prints it")
    return fields


def _whole(place: AgencyFolder, leaf: str) -> str:
    found = [known for known, _, _ in posted_requests(place) if known.startswith(leaf)]
    if len(found) != 1 or len(leaf) < 6:  # noqa: PLR2004 - enough to mean one
        how = "no request" if not found else "more than one request"
        raise AgencyError(f"{how} of this agency begins with {leaf[:64]!r}; they are in {place.path / 'requests'}")
    return found[0]


def _show_rules(rows: Sequence[Any]) -> None:
    table = Table("rule", "the request says", "")
    for row in rows:
        table.add_row(row.rule, row.value, "kept" if row.kept else f"[red]broken:[/red] {row.message}")
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
        table.add_row(file.name, f"{file.bytes:,}", "yes" if file.verified else "[red]no[/red]", file.note)
    console = Console()
    console.print(table)
    for clip in opened.clips:
        console.print(f"{clip.file}: {clip.seal}, {format_time(clip.start_us)} to {format_time(clip.end_us)}")
    console.print(f"opened into {opened.folder}")


def _working(what: str, *, as_json: bool) -> AbstractContextManager[Any]:
    """Show that something goes on, on the terminal alone."""
    console = Console(stderr=True)
    return nullcontext() if as_json or not console.is_terminal else console.status(what)
