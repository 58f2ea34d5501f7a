"""`latchstring broker`: found and run a neighbourhood, invite cosigners, admit agencies, write Mosquitto's files."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from broker import mqtt
from broker.agency import AwaitingError, LogClient, Patience, Submitted
from broker.clock import system_now_us
from broker.facts import FACTS_NAME, Facts, read_facts
from broker.files import PUBLIC_FOLDER, make_folder, read_bytes, read_text
from broker.founding import dismiss, found, invite
from broker.keyfiles import load_signing_key
from broker.log.admission import admit, revoke
from broker.log.witness.identity import read_identity
from broker.neighbourhood import run
from broker.settings import NeighbourhoodSettings, SettingsError, load_settings
from broker.terminal import say, working
from broker.wire.encoding import from_base64, parse_json
from broker.wire.envelopes import KEY_BYTES
from broker.wire.proofs import MIRRORS, parse_policy

MAX_APPLICATION_BYTES = 65_536

broker_app = App(name="broker", help="The neighbourhood: MQTT broker, public log, feed and evidence inbox.")


Folder = Annotated[Path, Parameter(name="--dir", help="The neighbourhood's folder: keys, log, inbox.")]
MqttPort = Annotated[int | None, Parameter(help="Port of the embedded MQTT broker; 0 takes a free one.")]
HttpPort = Annotated[int | None, Parameter(help="Port of log, feed and inbox; 0 takes a free one.")]
Wait = Annotated[float, Parameter(help="How many seconds the log's cosigners are waited for at most.")]
Origin = Annotated[str | None, Parameter(help="The log's name, such as log.example.org/requests.")]


@broker_app.command(name="init")
def broker_init(
    *, folder: Folder, mqtt_port: MqttPort = None, http_port: HttpPort = None, origin: Origin = None
) -> None:
    """Make a neighbourhood's keys and its neighbourhood.json without serving, so that cosigners can be invited first.

    Settings come from DIR/neighbourhood.toml if there is one, LATCHSTRING_BROKER_ variables, and these flags; 'broker
    run' needs the same.
    """
    facts = found(folder, _settings(folder, mqtt_port, http_port, origin))
    say(f"made {folder / FACTS_NAME}: the log {facts.origin}, to be served at {facts.url}")


@broker_app.command(name="invite")
def broker_invite(
    first: Annotated[Path, Parameter(help="What 'latchstring witness init' or 'mirror init' wrote.")],
    *more: Annotated[Path, Parameter(help="The same of others.")],
    folder: Folder,
) -> None:
    """Have witnesses and mirrors cosign the log from the next 'broker run' on. Devices that are set up then ask for it.

    They need DIR/neighbourhood.json. [log] in DIR/neighbourhood.toml may say how many of them are needed.
    """
    identities = [read_identity(path) for path in (first, *more)]
    facts = invite(folder, identities, load_settings(folder).log)
    say(
        *(f"invited {one.kind} {one.name}, asked at {one.url}" for one in identities),
        _asked_for(facts),
        "'latchstring broker run' asks them from its next start on. Devices and agencies that are set up already keep"
        " the policy they pinned: a device's is policy.txt in its folder",
    )


@broker_app.command(name="dismiss")
def broker_dismiss(name: Annotated[str, Parameter(help="The name of a witness or mirror.")], *, folder: Folder) -> None:
    """Do without a witness or mirror from the next 'broker run' on.

    Devices keep the policy that they were set up with: what it needs they go on asking for.
    """
    facts = dismiss(folder, name, load_settings(folder).log)
    say(f"dismissed {name}", _asked_for(facts))
    if not parse_policy(facts.policy).needs(MIRRORS):
        say("no mirror has to vouch for the log now: new devices refuse it, unless they are told --unwitnessed")


@broker_app.command(name="run")
def broker_run(
    *, folder: Folder, mqtt_port: MqttPort = None, http_port: HttpPort = None, origin: Origin = None
) -> None:
    """Serve a neighbourhood until interrupted.

    Settings come from DIR/neighbourhood.toml if there is one, LATCHSTRING_BROKER_ variables, and these flags.
    Everything listens on 127.0.0.1 unless the settings say otherwise. DIR/neighbourhood.json tells devices and agencies
    what they need.
    """
    settings = _settings(folder, mqtt_port, http_port, origin)
    try:
        make_folder(folder, mode=PUBLIC_FOLDER)
    except OSError as error:
        raise SettingsError(f"{folder} can't be made: {error.strerror}; choose another --dir") from error
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
    folder: Folder,
    evidence: Annotated[str, Parameter(help="On what evidence the agency is admitted; it is published.")],
    admitted_by: Annotated[str, Parameter(help="Who admits it; it is published.")] = "the operator",
    wait: Wait = 30.0,
) -> None:
    """Admit an agency: sign its record and have it logged by the running neighbourhood.

    An agency that is admitted already gets a new key or new particulars by it, from that entry on.
    """
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
    submitted = _submit(facts, envelope, wait_s=wait)
    say(f"admitted {fields['agency']}: entry {submitted.index}, {facts.url}/agencies/{fields['agency']}")


@broker_app.command(name="revoke")
def broker_revoke(
    agency: Annotated[str, Parameter(help="The agency's id.")],
    *,
    folder: Folder,
    reason: Annotated[str, Parameter(help="Why; it is published.")],
    revoked_by: Annotated[str, Parameter(help="Who revokes it; it is published.")] = "the operator",
    wait: Wait = 30.0,
) -> None:
    """End an agency's admission: its key counts no more from that entry on, and what it still asks is closed."""
    facts = read_facts(folder / FACTS_NAME)
    key = load_signing_key(folder / "operator.key")
    envelope = revoke(agency=agency, revoked_by=revoked_by, reason=reason, key=key, now_us=system_now_us())
    submitted = _submit(facts, envelope, wait_s=wait)
    say(f"revoked {agency}: entry {submitted.index}, {facts.url}/agencies/{agency}")


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
    policy = mqtt.policy_from_toml(read_text(access_file, error=SettingsError))
    try:
        config = mqtt.write_mosquitto(policy, out, host=host, port=port, run_as=run_as)
    except OSError as error:
        raise SettingsError(
            f"{error.filename or out} can't be written: {error.strerror}; choose another --out"
        ) from error
    say(f"start it with: mosquitto -c {config}")


@broker_app.command(name="password")
def broker_password() -> None:
    """Read a password from standard input and print its hash for the access policy."""
    say(mqtt.hash_password(sys.stdin.readline().rstrip("\n").encode()))


def _settings(folder: Path, mqtt_port: int | None, http_port: int | None, origin: str | None) -> NeighbourhoodSettings:
    flags: dict[str, dict[str, Any]] = {
        "mqtt": {} if mqtt_port is None else {"port": mqtt_port},
        "http": {} if http_port is None else {"port": http_port},
        "log": {} if origin is None else {"origin": origin},
    }
    return load_settings(folder, flags)


def _submit(facts: Facts, envelope: bytes, *, wait_s: float) -> Submitted:
    """Have an entry of the operator's logged and published; raises SettingsError if that takes longer than it may."""
    client = LogClient(facts.log_url, policy=parse_policy(facts.policy), patience=Patience(most_s=wait_s))
    try:
        with working("waiting for the log and its cosigners", as_json=False):
            return client.submit(envelope)
    except AwaitingError as error:
        raise SettingsError(
            f"it is logged as entry {error.index}, and counts once the witnesses and mirrors have cosigned it, which"
            f" they have not within {wait_s:g} s. Don't do it again; {facts.url}/log says whom it waits for"
        ) from error


def _asked_for(facts: Facts) -> str:
    policy = parse_policy(facts.policy)
    needed = [f"{group.threshold} of {len(group.members)} {name}" for name, group in policy.groups.items()]
    return f"a checkpoint is published once it is cosigned by {' and '.join(needed[:2]) or 'nobody'}"


def _application(path: Path) -> dict[str, str]:
    data = read_bytes(path, max_bytes=MAX_APPLICATION_BYTES, error=SettingsError)
    fields = parse_json(data, max_bytes=MAX_APPLICATION_BYTES, what=str(path))
    wanted = {"agency", "name", "domain", "contact", "key", "recipient"}
    if not isinstance(fields, dict) or set(fields) != wanted or not all(isinstance(v, str) for v in fields.values()):
        raise SettingsError(f"{path} is not an application as 'latchstring agency init' prints it")
    return fields
