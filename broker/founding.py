"""A neighbourhood's folder before it serves: its keys, the cosigners that were invited, and the facts they make.

    operator.key  admits agencies           cosigners/          who was invited: the cosigner.json of each
    log.key       signs the log's heads     neighbourhood.json  what everybody may know
    inbox.key     signs receipts

What devices pin is in the facts: so who is to cosign is invited before devices are set up.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.facts import FACTS_NAME, Facts, MirrorFacts, read_facts
from broker.files import PUBLIC_FILE, PUBLIC_FOLDER, make_folder, replace_many, sync_folder
from broker.keyfiles import load_or_create_signing_key
from broker.log.cosigned.panel import Panel
from broker.log.witness.identity import Identity, read_identity
from broker.settings import LogSection, NeighbourhoodSettings, SettingsError
from broker.wire.encoding import WireError, to_base64
from broker.wire.envelopes import public_bytes
from broker.wire.notes import ED25519, VerifierKey
from broker.wire.proofs import Cosigner, parse_policy

COSIGNERS_NAME = "cosigners"


@dataclass(frozen=True, slots=True)
class Keys:
    """The operator's keys."""

    operator: Ed25519PrivateKey
    log: Ed25519PrivateKey
    inbox: Ed25519PrivateKey


def load_keys(folder: Path) -> Keys:
    """Load the keys of a folder, and make those that are missing."""
    return Keys(*(load_or_create_signing_key(folder / f"{name}.key") for name in ("operator", "log", "inbox")))


def load_panel(folder: Path, section: LogSection) -> Panel:
    """Return who was invited, and how many of them the settings need; raises SettingsError."""
    return _panel(_read_cosigners(folder), section)


def found(folder: Path, settings: NeighbourhoodSettings) -> Facts:
    """Make a folder's keys and facts, without serving; raises SettingsError where the settings leave a port open."""
    if not settings.http.port and not settings.http.url:
        raise SettingsError("the address of log and feed is not settled yet: give --http-port, or url in [http]")
    if not settings.mqtt.port:
        raise SettingsError("the port of the MQTT broker is not settled yet: give --mqtt-port")
    make_folder(folder, mode=PUBLIC_FOLDER)
    url = settings.http.url or f"http://{settings.http.host}:{settings.http.port}"
    panel = load_panel(folder, settings.log)
    facts = facts_of(load_keys(folder), panel, settings, url=url, mqtt_port=settings.mqtt.port)
    facts.write(folder)
    return facts


def facts_of(keys: Keys, panel: Panel, settings: NeighbourhoodSettings, *, url: str, mqtt_port: int) -> Facts:
    """Return the facts of a neighbourhood that is reached at `url`."""
    verifier = VerifierKey(settings.log.origin, ED25519, public_bytes(keys.log))
    return Facts(
        origin=settings.log.origin,
        policy=panel.policy(verifier),
        operator_key=to_base64(public_bytes(keys.operator)),
        inbox_key=to_base64(public_bytes(keys.inbox)),
        url=url,
        mqtt_host=settings.mqtt.public_host or settings.mqtt.host,
        mqtt_port=mqtt_port,
        mqtt_tls=settings.mqtt.tls,
        mirrors=_mirrors(panel),
    )


def invite(folder: Path, identities: Sequence[Identity], section: LogSection) -> Facts:
    """Add cosigners, or change the address of some; returns the facts with them, which it wrote.

    Raises SettingsError for a folder that has no facts yet, or a name or key that is taken; then nothing was written.
    """
    facts = read_facts(folder / FACTS_NAME)
    known = {one.name: one for one in _read_cosigners(folder)}
    for identity in identities:
        same = known.get(identity.name)
        if same is not None and replace(same, url=identity.url) != identity:
            raise SettingsError(f"another {same.kind} is called {identity.name} already; dismiss it first")
        known[identity.name] = identity
    return _write(folder, facts, [*known.values()], section)


def dismiss(folder: Path, name: str, section: LogSection) -> Facts:
    """Take a cosigner off; devices that were set up before still ask for its cosignature."""
    facts = read_facts(folder / FACTS_NAME)
    known = {one.name: one for one in _read_cosigners(folder)}
    if name not in known:
        raise SettingsError(f"no cosigner is called {name[:80]!r}; there are: {', '.join(known) or 'none'}")
    return _write(folder, facts, [one for one in known.values() if one.name != name], section)


def _write(folder: Path, facts: Facts, cosigners: Sequence[Identity], section: LogSection) -> Facts:
    (verifier,) = parse_policy(facts.policy).logs
    try:
        panel = _panel(cosigners, section)
    except SettingsError:  # fewer than are needed, until the next one is invited
        panel = _panel(cosigners, LogSection())
    try:
        changed = replace(facts, policy=panel.policy(verifier), mirrors=_mirrors(panel))
    except WireError as error:
        raise SettingsError(f"the cosigners of {folder} don't go together: {error}") from error
    _write_cosigners(folder, cosigners)
    changed.write(folder)
    return changed


def _panel(cosigners: Sequence[Identity], section: LogSection) -> Panel:
    def of(kind: str) -> tuple[Cosigner, ...]:
        return tuple(Cosigner(one.name, one.verifier, one.url) for one in cosigners if one.kind == kind)

    try:
        return Panel(of("witness"), of("mirror"), section.witnesses_needed, section.mirrors_needed)
    except WireError as error:
        raise SettingsError(f"log: {error}; invite more with 'latchstring broker invite'") from error


def _mirrors(panel: Panel) -> tuple[MirrorFacts, ...]:
    return tuple(MirrorFacts(one.name, one.url) for one in panel.mirrors)


def _read_cosigners(folder: Path) -> list[Identity]:
    return sorted((read_identity(path) for path in (folder / COSIGNERS_NAME).glob("*.json")), key=lambda one: one.name)


def _write_cosigners(folder: Path, cosigners: Sequence[Identity]) -> None:
    where = folder / COSIGNERS_NAME
    make_folder(where, mode=PUBLIC_FOLDER)
    wanted = {where / f"{one.verifier.id.hex()}.json": json.dumps(asdict(one), indent=2) + "\n" for one in cosigners}
    replace_many({path: text.encode() for path, text in wanted.items()}, mode=PUBLIC_FILE)
    for path in where.glob("*.json"):
        if path not in wanted:
            path.unlink()
    sync_folder(where)
