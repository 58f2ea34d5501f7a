"""`latchstring log`: the public log, checked as a stranger would."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from broker.facts import read_facts
from broker.files import read_bytes, read_text
from broker.log.errors import LogReadError
from broker.log.readers import LogReader, folder_reader, http_reader
from broker.log.storage.folder import CHECKPOINT_PATH
from broker.log.verify import verify_log
from broker.settings import SettingsError
from broker.terminal import AsJson, say, say_json, working
from broker.wire.encoding import WireError, from_base64
from broker.wire.envelopes import KEY_BYTES
from broker.wire.merkle import leaf_hash
from broker.wire.notes import MAX_NOTE_BYTES
from broker.wire.proofs import MAX_POLICY_BYTES, MAX_PROOF_BYTES, parse_policy, verify_proof
from broker.wire.tiles import MAX_ENTRY_BYTES

_URL_STARTS = ("http://", "https://")

log_app = App(name="log", help="The public log, checked as a stranger would.")


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
        policy_text = read_text(policy, max_bytes=MAX_POLICY_BYTES, error=SettingsError)
        key = operator_key
    else:
        raise SettingsError("give --neighbourhood FILE, or both --policy FILE and --operator-key KEY")
    kept = None if since is None else read_bytes(since, max_bytes=MAX_NOTE_BYTES, error=SettingsError)
    read = http_reader(where) if where.startswith(_URL_STARTS) else folder_reader(Path(where))
    _demand_log(where, read)
    with working("checking the log", as_json=as_json):
        report = verify_log(
            read,
            parse_policy(policy_text),
            operator_key=from_base64(key, size=KEY_BYTES, what="operator key"),
            old_checkpoint=kept,
        )
    if as_json:
        say_json(report.to_json())
    else:
        say(report.to_text())
    if not report.ok:
        raise SettingsError(f"the log at {where} does not hold: {report.finding_count} findings")


def _demand_log(where: str, read: LogReader) -> None:
    """Refuse where no log is served: a log that can't be reached is not one that does not hold."""
    try:
        read(CHECKPOINT_PATH)
    except LogReadError as error:
        if not where.startswith(_URL_STARTS):
            raise SettingsError(f"no log in {where}: {error}") from error
        raise SettingsError(
            f"no log at {where}: {error}; a neighbourhood's is at its address and /log, a mirror's below its address as"
            " its 'ready' line says"
        ) from error


@log_app.command(name="check")
def log_check(
    entry: Annotated[Path, Parameter(help="An entry's exact bytes, such as a request.dsse.json from the feed.")],
    proof: Annotated[Path, Parameter(help="Its tlog-proof.")],
    *,
    policy: Annotated[Path | None, Parameter(help="The pinned tlog-policy of the log.")] = None,
    neighbourhood: Annotated[Path | None, Parameter(help="Instead: a pinned neighbourhood.json.")] = None,
    as_json: AsJson = False,
) -> None:
    """Check, offline, that an entry is in the log: inclusion, the log's signature, the quorum's cosignatures."""
    if neighbourhood is not None:
        policy_text = read_facts(neighbourhood).policy
    elif policy is not None:
        policy_text = read_text(policy, max_bytes=MAX_POLICY_BYTES, error=SettingsError)
    else:
        raise SettingsError("give --policy FILE or --neighbourhood FILE")
    data = read_bytes(entry, max_bytes=MAX_ENTRY_BYTES, error=SettingsError)
    proof_data = read_bytes(proof, max_bytes=MAX_PROOF_BYTES, error=SettingsError)
    try:
        index, checkpoint = verify_proof(data, proof_data, parse_policy(policy_text))
    except WireError as error:
        raise SettingsError(f"{entry} is not shown to be in the log by {proof}: {error}") from error
    if as_json:
        say_json({"index": index, "leaf": leaf_hash(data).hex(), "origin": checkpoint.origin, "size": checkpoint.size})
    else:
        say(f"entry {index} of {checkpoint.origin}, under a checkpoint of {checkpoint.size} entries")
