"""`latchstring device`: set up, run, look at and check one camera or doorbell."""

import json
import time
import tomllib
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from broker import logs
from broker.facts import read_facts
from broker.terminal import AsJson, say, say_json, working
from broker.wire.encoding import WireError, format_time
from broker.wire.topics import check_name
from device.control import ControlClient
from device.names import CLIPS_NAME, KEY_NAME, STATE_NAME
from device.service import become_service
from device.settings import FILE_NAME, check_settings, load_settings
from device.vault.disk import private_folder, write_secret
from device.vault.keys import DeviceKey, OwnerPublic

from .common import Home
from .errors import CommandError
from .newdevice import is_unwitnessed, settings_text
from .shownlog import export_evidence, log_rows, show_log

MAX_PUBLIC_BYTES = 65_536
logs.configure()  # to standard error, whatever a command imports: standard output is for answers
app = App(name="device", help="Set up and run a camera or doorbell.")


@app.command(name="init")
def device_init(
    *,
    home: Home,
    owner: Annotated[Path, Parameter(help="The owner's owner.pub.json, as 'latchstring owner init' made it.")],
    name: Annotated[str, Parameter(help="The device's name: a-z, 0-9 and -.")],
    source: Annotated[str, Parameter(help="file:PATH, scene:NAME, rtsp://HOST/PATH or v4l2:/dev/video0.")],
    lat: Annotated[float, Parameter(help="Where it stands, in degrees; never leaves home.")],
    lon: float,
    kind: Annotated[Literal["camera", "doorbell"], Parameter(help="What it is.")] = "camera",
    neighbourhood: Annotated[
        Path | None, Parameter(help="The operator's neighbourhood.json, whose keys are pinned; none: no requests.")
    ] = None,
    mqtt: Annotated[
        str | None, Parameter(help="Your own broker for events, HOST:PORT; by default the neighbourhood's.")
    ] = None,
    seed: Annotated[int, Parameter(help="For scenes: which of the many possible films.")] = 1,
    unwitnessed: Annotated[
        bool,
        Parameter(negative="", help="Put up with a neighbourhood whose log no mirror has to vouch for."),
    ] = False,
) -> None:
    """Make a device's folder: its key, its settings (device.toml), and the pinned keys of whom it believes."""
    from device.video.source.capture import parse_source  # noqa: PLC0415 - cv2 and av take their time

    try:
        check_name(name)
        with owner.open("rb") as file:
            public = OwnerPublic.from_json(file.read(MAX_PUBLIC_BYTES))
    except OSError as error:
        raise CommandError(f"{owner} can't be read: {error.strerror}; 'latchstring owner init' makes it") from error
    except WireError as error:
        raise CommandError(str(error)) from error
    spec = parse_source(source, base=Path.cwd())
    if (home / FILE_NAME).exists():
        raise CommandError(f"{home} is a device's folder already; choose another")
    facts = None if neighbourhood is None else read_facts(neighbourhood)
    unwitnessed = facts is not None and is_unwitnessed(facts, allowed=unwitnessed)
    where = spec.location if spec.kind == "rtsp" else f"{spec.kind}:{spec.location}"
    text = settings_text(
        name=name, kind=kind, lat=lat, lon=lon, source=where, seed=seed, mqtt=mqtt, facts=facts, unwitnessed=unwitnessed
    )
    check_settings(tomllib.loads(text), "the device's settings")  # first, so that a mistake leaves nothing behind
    private_folder(home)
    if not (home / KEY_NAME).exists():
        DeviceKey.create(home / KEY_NAME)
    (home / "owner.pub.json").write_bytes(public.to_json())
    if facts is not None:
        (home / "policy.txt").write_text(facts.policy, encoding="utf-8")
    # Last: a folder without its settings is no device's folder. Only for its owner: a source may hold a password.
    write_secret(home / FILE_NAME, text.encode())
    say(f"made {home}; start it: latchstring device run --home {home}")


@app.command(name="run")
def device_run(*, home: Home) -> None:
    """Film, seal, tell, and serve the owner's tools, until interrupted."""
    become_service(home)


@app.command(name="status")
def device_status(*, home: Home, as_json: AsJson = False) -> None:
    """Show how a running device is."""
    status = ControlClient(home).call("status")
    if as_json:
        say_json(status)
    else:
        _show_status(status)


@app.command(name="ring")
def device_ring(*, home: Home) -> None:
    """Ring a running doorbell, as its button does. Under privacy the bell is silent, too."""
    rung = ControlClient(home).call("ring")
    say(f"rang {rung['device']}")


@app.command(name="privacy")
def device_privacy(
    state: Annotated[Literal["on", "off"], Parameter(help="on: nothing is filmed or kept, and the bell is silent.")],
    *,
    home: Home,
) -> None:
    """Stop or resume filming."""
    ControlClient(home).call("privacy", on=state == "on")
    say(f"privacy is {state}")


@app.command(name="check")
def device_check(
    *,
    home: Home,
    rebuild: Annotated[
        bool, Parameter(negative="", help="First make the index anew from the clip files; the device must not run.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Verify the whole store: files, index, seals of capture, ledger. The device may run; no owner's key is needed."""
    from device.vault.check import check_store  # noqa: PLC0415 - only this command needs it

    key = DeviceKey.load(home / KEY_NAME)
    with working("checking", as_json=as_json):
        if rebuild:
            _rebuild(home)
        report = check_store(home / CLIPS_NAME, home / STATE_NAME, key.public)
    if as_json:
        say_json({**asdict(report), "sound": report.sound, "clean": report.clean})
    else:
        say(
            f"{report.clips} clips, {report.segments} segments, {report.bytes:,} bytes,"
            f" {report.ledger_entries} decisions"
        )
        say(*(str(one) for one in report.findings))
        say("sound" if report.sound else "NOT SOUND")
    if not report.sound:
        raise CommandError(f"the store in {home} is damaged; see the findings above")


@app.command(name="log")
def device_log(
    *,
    home: Home,
    export: Annotated[
        Path | None, Parameter(help="Write what proves that the log contradicts itself into this folder.")
    ] = None,
    read_again: Annotated[
        bool,
        Parameter(
            negative="",
            help="Believe the log again after it contradicted itself: forget what was read, and read it anew as it is"
            " shown now. The evidence is kept.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what this device has read of the public log, how fresh that is, and who vouches for it."""
    client = ControlClient(home)
    if read_again:
        client.call("log_read_again")
    if export is not None:
        export_evidence(export, json.loads(client.exchange("log_evidence")[1]))
    told = client.call("log")
    if as_json:
        say_json(told)
        return
    show_log(told)
    if read_again:
        say("what was read is forgotten; the log is read anew from its first entry")


def _rebuild(home: Path) -> None:
    from device.vault.clipring import ClipRing  # noqa: PLC0415 - only this command needs it
    from device.vault.state import State  # noqa: PLC0415 - only this command needs it

    settings = load_settings(home)
    storage = settings.storage
    with State.open(home / STATE_NAME) as state:
        ring = ClipRing(
            home / CLIPS_NAME,
            state,
            device=settings.device.name,
            max_bytes=storage.max_bytes,
            max_age_s=storage.max_age_days * 86_400,
            pinned_share=storage.pinned_share,
            clock=lambda: time.time_ns() // 1_000,
        )
        recovery = ring.rebuild_index()
    say(f"rebuilt: {recovery.indexed} records indexed, {recovery.forgotten} gone, {recovery.cut_bytes} bytes cut off")


def _show_status(status: dict[str, Any]) -> None:
    film, storage, requests = status["filming"], status["storage"], status["requests"]
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_row("device", f"{status['device']} ({status['kind']})")
    table.add_row("filming", f"{film['state']}, {film['fps']} frames a second, {film['dropped']} dropped")
    share = f", {100 * film['decoded'] / film['watched']:.0f} % of them decoded" if film["watched"] else ""
    table.add_row("looking", f"{film['decode_ms']} ms for each frame{share}; {film['lag_ms']} ms behind")
    if status["problem"]:
        table.add_row("[red]problem[/red]", f"[red]{escape(status['problem'])}[/red]")
    table.add_row("privacy", "on: nothing is filmed or kept" if status["privacy"] else "off")
    table.add_row("storage", f"{storage['bytes']:,} of {storage['max_bytes']:,} bytes, {storage['clips']} clips")
    table.add_row("outbox", f"{status['outbox']['messages']} messages wait")
    for one in status["links"]:
        how = "connected" if one["connected"] else f"not connected: {one['last_error'] or 'trying'}"
        table.add_row("broker", escape(f"{one['broker']} {how}"))
    unsound = requests["unverified"]
    more = f", {unsound} announcement{'s' * (unsound != 1)} did not verify" if unsound else ""
    table.add_row("requests", f"{requests['waiting']} wait for you, {requests['known']} known{more}")
    if status["log"] is not None:
        for name, line in log_rows(status["log"]):
            table.add_row(name, escape(line))
    for event in status["events"][:5]:
        label = f", {event['label']} (by {event['labelled_by']})" if event["label"] else ""
        table.add_row("event", f"{format_time(event['start_us'])} {event['kind']}, score {event['score']}{label}")
    Console().print(table)
