"""`neighbourhood.json`: the public facts of a neighbourhood, from which devices, agencies and verifiers are set up."""

import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from broker.files import PUBLIC_FILE, read_bytes, replace_durably
from broker.settings import SettingsError
from broker.wire.cosigning import mirror_prefix
from broker.wire.encoding import WireError, parse_json

FACTS_NAME = "neighbourhood.json"
MAX_FACTS_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class MirrorFacts:
    """A mirror of the log: its name in the policy, and its monitoring prefix, which may serve other logs as well."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What everybody may know of a neighbourhood. `policy` is tlog-policy text with its cosigners; keys are base64."""

    origin: str
    policy: str
    operator_key: str
    inbox_key: str
    url: str
    mqtt_host: str
    mqtt_port: int
    # Files of an earlier version don't have these.
    mqtt_tls: bool = False
    mirrors: tuple[MirrorFacts, ...] = ()

    @property
    def inbox_url(self) -> str:
        """Where bundles go."""
        return f"{self.url}/inbox"

    @property
    def log_url(self) -> str:
        """Where the log is read and submitted to."""
        return f"{self.url}/log"

    @property
    def mirror_urls(self) -> tuple[str, ...]:
        """Where mirrors serve this log, as `log_url` does."""
        return tuple(mirror_prefix(mirror.url, self.origin) for mirror in self.mirrors)

    def write(self, folder: Path) -> None:
        """Write `neighbourhood.json`, whole or not at all."""
        text = json.dumps(asdict(self), indent=2) + "\n"
        replace_durably(folder / FACTS_NAME, text.encode(), mode=PUBLIC_FILE)


def read_facts(path: Path) -> Facts:
    """Read a `neighbourhood.json`, also of an earlier version; raises SettingsError with one line."""
    data = read_bytes(path, max_bytes=MAX_FACTS_BYTES, error=_unreadable)
    try:
        return _facts(parse_json(data, max_bytes=MAX_FACTS_BYTES, what="it"))
    except (WireError, TypeError) as error:
        raise SettingsError(f"{path} is not what 'latchstring broker init' writes: {error}") from error


def _facts(values: Any) -> Facts:
    if not isinstance(values, dict):
        raise WireError("it is no object")
    mirrors = values.pop("mirrors", [])
    if not isinstance(mirrors, list):
        raise WireError("mirrors is no list")
    facts = Facts(**values)
    _check_types(facts)
    return replace(facts, mirrors=tuple(_mirror(one) for one in mirrors))


def _mirror(values: Any) -> MirrorFacts:
    mirror = MirrorFacts(**values)
    _check_types(mirror)
    return mirror


def _check_types(facts: Facts | MirrorFacts) -> None:
    for field in fields(facts):
        if field.name != "mirrors" and type(getattr(facts, field.name)) is not field.type:
            raise WireError(f"{field.name} has another type")


def _unreadable(message: str) -> SettingsError:
    return SettingsError(f"{message}; 'latchstring broker init' or 'run' writes it")
