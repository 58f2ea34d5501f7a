"""`latchstring broker`: run a neighbourhood, admit agencies, hand the access policy to Mosquitto."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from broker import mqtt
from broker.agency import LogClient
from broker.clock import system_now_us
from broker.facts import FACTS_NAME, read_facts
from broker.files import PUBLIC_FOLDER, make_folder, read_bytes, read_text
from broker.keyfiles import load_signing_key
from broker.log.admission import admit
from broker.neighbourhood import run
from broker.settings import SettingsError, load_settings
from broker.terminal import say
from broker.wire.encoding import from_base64, parse_json
from broker.wire.envelopes import KEY_BYTES
from broker.wire.proofs import parse_policy

MAX_APPLICATION_BYTES = 65_536

broker_app = App(name="broker", help="The neighbourhood: MQTT broker, public log, feed and evidence inbox.")


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


def _application(path: Path) -> dict[str, str]:
    data = read_bytes(path, max_bytes=MAX_APPLICATION_BYTES, error=SettingsError)
    fields = parse_json(data, max_bytes=MAX_APPLICATION_BYTES, what=str(path))
    wanted = {"agency", "name", "domain", "contact", "key", "recipient"}
    if not isinstance(fields, dict) or set(fields) != wanted or not all(isinstance(v, str) for v in fields.values()):
        raise SettingsError(f"{path} is not an application as 'latchstring agency init' prints it")
    return fields
