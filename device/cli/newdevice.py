"""A new device: whether its owner may join a neighbourhood as it is, and the settings that are written for it."""

import json

from broker.facts import Facts, MirrorFacts
from broker.wire.encoding import WireError
from broker.wire.proofs import MIRRORS, parse_policy

from .errors import CommandError


def is_unwitnessed(facts: Facts, *, allowed: bool) -> bool:
    """Tell whether no mirror has to vouch for a neighbourhood's log; raises CommandError unless that is allowed."""
    try:
        policy = parse_policy(facts.policy)
    except WireError as error:
        raise CommandError(f"the neighbourhood's policy can't be used: {error}") from error
    if policy.needs(MIRRORS):
        return False
    if not allowed:
        raise CommandError(
            "no mirror has to vouch for this neighbourhood's log, so its operator could ask in secret or show you"
            " another log than the public; have the operator invite one first (latchstring broker invite), or"
            " --unwitnessed puts up with that"
        )
    return True


def settings_text(
    *,
    name: str,
    kind: str,
    lat: float,
    lon: float,
    source: str,
    seed: int,
    mqtt: str | None,
    facts: Facts | None,
    unwitnessed: bool,
) -> str:
    """Return the `device.toml` of a new device: what it was told, and the neighbourhood's pinned keys."""
    own = mqtt or (None if facts is None else f"{facts.mqtt_host}:{facts.mqtt_port}")
    lines = [
        "# Settings of one device; all of them, with what they mean, are in config/device.toml.",
        "[device]",
        f"name = {_text(name)}",
        f"kind = {_text(kind)}",
        f"lat = {lat!r}",
        f"lon = {lon!r}",
        "",
        "[camera]",
        f"source = {_text(source)}",
        f"seed = {seed}",
    ]
    if own is not None:
        host, port = _host_and_port(own)
        lines += ["", "[home]", f"host = {_text(host)}", f"port = {port}"]
        lines += ["tls = true"] if mqtt is None and facts is not None and facts.mqtt_tls else []
    if facts is not None:
        lines += [
            "",
            "[neighbourhood]",
            'policy_file = "policy.txt"',
            *(["unwitnessed = true"] if unwitnessed else []),
            f"log_url = {_text(facts.log_url)}",
            *(["mirrors = [", *(_mirror(one) for one in facts.mirrors), "]"] if facts.mirrors else []),
            f"operator_key = {_text(facts.operator_key)}",
            f"inbox_url = {_text(facts.inbox_url)}",
            f"inbox_key = {_text(facts.inbox_key)}",
            "",
            "[neighbourhood.mqtt]",
            f"host = {_text(facts.mqtt_host)}",
            f"port = {facts.mqtt_port}",
            *(["tls = true"] if facts.mqtt_tls else []),
        ]
    return "\n".join(lines) + "\n"


def _mirror(mirror: MirrorFacts) -> str:
    return f"    {{ name = {_text(mirror.name)}, url = {_text(mirror.url)} }},"


def _text(value: str) -> str:
    # A JSON string of printable text is a TOML basic string too.
    return json.dumps(value, ensure_ascii=False)


def _host_and_port(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon:
        return text, 1883
    if not port.isdecimal():
        raise CommandError(f"--mqtt {text!r} is not HOST:PORT")
    return host, int(port)
