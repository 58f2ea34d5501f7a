"""Posting a request: signed, kept, logged, its proof verified and kept, in that order.

A request that was signed and never confirmed is taken up again by the same call, not signed anew: the log counts posts.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from broker.wire.encoding import WireError
from broker.wire.envelopes import MAX_ENVELOPE_BYTES
from broker.wire.merkle import leaf_hash
from broker.wire.records import Request

from .errors import AgencyError, RemoteError
from .files import make_folder, read_file, write_file
from .keys import AgencyFolder
from .logclient import LogClient, Submitted
from .sending import OUTDATED, send_kept

ENVELOPE_FILE = "request.dsse.json"
PROOF_FILE = "request.tlog-proof"
_WHEN = {"posted_at", "expires_at"}


@dataclass(frozen=True, slots=True)
class Posted:
    """A request of ours that is in the log; `leaf` is its leaf hash in hex."""

    leaf: str
    index: int
    request: Request
    folder: Path


def post(folder: AgencyFolder, request: Request, *, log: LogClient) -> Posted:
    """Post a request; raises RemoteError. Unless the log refused it, the envelope is kept: call again."""
    kept = _pending(folder, request)
    if kept is not None:
        try:
            return _send(folder, kept, log)
        except RemoteError as error:
            if error.code not in OUTDATED:
                raise
        if (posted := _logged_after_all(folder, kept, log)) is not None:
            return posted
    return _send(folder, request.sign(folder.signing_key()), log)


def requests(folder: AgencyFolder) -> Iterator[tuple[str, Request, bool]]:
    """Yield (leaf, request, confirmed) for each request that was signed here; raises AgencyError."""
    for file in sorted((folder.path / "requests").glob(f"*/{ENVELOPE_FILE}")):
        envelope = read_file(file, max_bytes=MAX_ENVELOPE_BYTES)
        try:
            request = Request.unverified(envelope)
        except WireError as error:
            raise AgencyError(f"{file}: {error}") from error
        yield leaf_hash(envelope).hex(), request, (file.parent / PROOF_FILE).exists()


def same_but_when(one: Request, other: Request) -> bool:
    """Tell whether two requests ask the same, whenever each is posted."""
    return one.model_dump(exclude=_WHEN) == other.model_dump(exclude=_WHEN)


def confirm(folder: AgencyFolder, leaf: str, *, log: LogClient) -> Submitted | None:
    """Fetch and keep the proof of a request that was sent and never confirmed; None while there is none.

    Raises RemoteError, with status 404 where the log does not hold the request.
    """
    place = folder.request_folder(leaf)
    found = log.proof(read_file(place / ENVELOPE_FILE, max_bytes=MAX_ENVELOPE_BYTES))
    if found is not None:
        write_file(place / PROOF_FILE, found.proof)
    return found


def _logged_after_all(folder: AgencyFolder, envelope: bytes, log: LogClient) -> Posted | None:
    """Look whether the log holds what it says it refused: signed anew it would be a second post of the case."""
    try:
        found = log.proof(envelope)
    except RemoteError:
        return None
    if found is None:
        return None
    leaf = leaf_hash(envelope).hex()
    place = folder.request_folder(leaf)
    make_folder(place)
    write_file(place / ENVELOPE_FILE, envelope)
    write_file(place / PROOF_FILE, found.proof)
    return Posted(leaf, found.index, Request.unverified(envelope), place)


def _send(folder: AgencyFolder, envelope: bytes, log: LogClient) -> Posted:
    leaf = leaf_hash(envelope).hex()
    place = folder.request_folder(leaf)
    make_folder(place)
    try:
        submitted = send_kept(place / ENVELOPE_FILE, envelope, log=log)
    except RemoteError:
        if not (place / ENVELOPE_FILE).exists():
            with suppress(OSError):  # something else lies in it
                place.rmdir()
        raise
    write_file(place / PROOF_FILE, submitted.proof)
    return Posted(leaf, submitted.index, Request.unverified(envelope), place)


def _pending(folder: AgencyFolder, wanted: Request) -> bytes | None:
    for leaf, request, confirmed in requests(folder):
        if not confirmed and same_but_when(request, wanted):
            return read_file(folder.request_folder(leaf) / ENVELOPE_FILE, max_bytes=MAX_ENVELOPE_BYTES)
    return None
