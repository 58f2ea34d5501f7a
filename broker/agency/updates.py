"""Saying later what came of a request: answered, resolved or withdrawn. There is no editing and no deleting.

Beside its request lies an update as `update-<entry>.dsse.json` with its proof; one that is on its way, or awaits the
log's witnesses, as `pending-<leaf hash>.dsse.json`. The same update is never signed twice while one may be in the log.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from broker.wire.encoding import WireError
from broker.wire.envelopes import MAX_ENVELOPE_BYTES
from broker.wire.merkle import leaf_hash
from broker.wire.records import Update, explain

from .errors import AgencyError, RemoteError
from .files import read_file, write_file
from .keys import AgencyFolder
from .logclient import LogClient, Submitted
from .sending import OUTDATED, send_kept

Kind = Literal["answered", "resolved", "withdrawn"]
_PENDING = "pending-*.dsse.json"
_LOGGED = "update-*.dsse.json"


def update(folder: AgencyFolder, leaf: str, *, kind: Kind, note: str, log: LogClient, now_us: int) -> Submitted:
    """Log an update to a request of ours (leaf hash in hex); raises AgencyError or RemoteError.

    It is signed by the key in force. Unless the log refused it, the envelope is kept: call again.
    """
    place = folder.request_folder(leaf)
    if not place.is_dir():
        raise AgencyError(f"{place} is not there; only requests that were posted from this folder can be updated")
    try:
        said = Update(agency=folder.settings.id, request=leaf, kind=kind, note=note, at=now_us)
    except ValidationError as error:
        raise AgencyError(f"the update: {explain(error)}") from error
    for file, earlier in _updates(place, _PENDING):
        if (earlier.kind, earlier.note) != (kind, note):
            continue
        try:
            return _send(file, read_file(file, max_bytes=MAX_ENVELOPE_BYTES), log)
        except RemoteError as error:
            if error.code not in OUTDATED:
                raise
    envelope = said.sign(folder.signing_key())
    return _send(place / f"pending-{leaf_hash(envelope).hex()}.dsse.json", envelope, log)


def updates(folder: AgencyFolder, leaf: str) -> list[Update]:
    """Return what was said of a request and is logged, oldest first; raises AgencyError."""
    found = [said for _, said in _updates(folder.request_folder(leaf), _LOGGED)]
    return sorted(found, key=lambda said: said.at)


def confirm_updates(folder: AgencyFolder, leaf: str, *, log: LogClient) -> int:
    """Fetch and keep the proofs of updates that await them; returns how many still do. Raises RemoteError."""
    left = 0
    for file, _ in _updates(folder.request_folder(leaf), _PENDING):
        envelope = read_file(file, max_bytes=MAX_ENVELOPE_BYTES)
        try:
            found = log.proof(envelope)
        except RemoteError as error:
            if error.status is None:
                raise
            found = None
        if found is None:
            left += 1
        else:
            _settle(file, envelope, found)
    return left


def _send(file: Path, envelope: bytes, log: LogClient) -> Submitted:
    submitted = send_kept(file, envelope, log=log)
    _settle(file, envelope, submitted)
    return submitted


def _settle(file: Path, envelope: bytes, submitted: Submitted) -> None:
    """Name an update by its entry. A cut in between leaves both names, and the next call ends it."""
    write_file(file.with_name(f"update-{submitted.index}.tlog-proof"), submitted.proof)
    write_file(file.with_name(f"update-{submitted.index}.dsse.json"), envelope)
    file.unlink()


def _updates(place: Path, names: str) -> Iterator[tuple[Path, Update]]:
    for file in sorted(place.glob(names)):
        try:
            yield file, Update.unverified(read_file(file, max_bytes=MAX_ENVELOPE_BYTES))
        except WireError as error:
            raise AgencyError(f"{file}: {error}") from error
