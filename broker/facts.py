"""`neighbourhood.json`: the public facts of a neighbourhood, from which devices, agencies and verifiers are set up."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from broker.files import PUBLIC_FILE, read_bytes, replace_durably
from broker.settings import SettingsError
from broker.wire.encoding import WireError, parse_json

FACTS_NAME = "neighbourhood.json"
MAX_FACTS_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Facts:
    """What everybody may know of a neighbourhood. `policy` is tlog-policy text; keys are base64."""

    origin: str
    policy: str
    operator_key: str
    inbox_key: str
    url: str
    mqtt_host: str
    mqtt_port: int
    mqtt_tls: bool = False  # files of an earlier version don't say

    @property
    def inbox_url(self) -> str:
        """Where bundles go."""
        return f"{self.url}/inbox"

    @property
    def log_url(self) -> str:
        """Where the log is read and submitted to."""
        return f"{self.url}/log"

    def write(self, folder: Path) -> None:
        """Write `neighbourhood.json`, whole or not at all."""
        text = json.dumps(asdict(self), indent=2) + "\n"
        replace_durably(folder / FACTS_NAME, text.encode(), mode=PUBLIC_FILE)


def read_facts(path: Path) -> Facts:
    """Read a `neighbourhood.json`; raises SettingsError with one line."""
    data = read_bytes(path, max_bytes=MAX_FACTS_BYTES, error=_unreadable)
    try:
        facts = Facts(**parse_json(data, max_bytes=MAX_FACTS_BYTES, what="it"))
    except (WireError, TypeError) as error:
        raise SettingsError(f"{path} is not what 'latchstring broker run' writes: {error}") from error
    for field in fields(facts):
        if type(getattr(facts, field.name)) is not field.type:
            raise SettingsError(f"{path} is not what 'latchstring broker run' writes: {field.name} has another type")
    return facts


def _unreadable(message: str) -> SettingsError:
    return SettingsError(f"{message}; 'latchstring broker run' writes it")
