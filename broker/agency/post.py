"""Posting a request: signed, kept, logged, its proof verified and kept, in that order.

A request that was signed and never confirmed is taken up again by the same call, not signed anew: the log counts posts.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from broker.wire.encoding import WireError
from broker.wire.envelopes import MAX_ENVELOPE_BYTES
from broker.wire.merkle import leaf_hash
from broker.wire.records import Request

from .client import LogClient
from .errors import AgencyError, RemoteError
from .files import make_folder, read_file, write_file
from .keys import AgencyFolder

ENVELOPE_FILE = "request.dsse.json"
PROOF_FILE = "request.tlog-proof"
FINAL = frozenset({400, 403, 404, 409, 410, 413, 415, 422})
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
    envelope = _pending(folder, request) or request.sign(folder.signing_key())
    leaf = leaf_hash(envelope).hex()
    place = folder.request_folder(leaf)
    make_folder(place)
    write_file(place / ENVELOPE_FILE, envelope)
    try:
        submitted = log.submit(envelope)
    except RemoteError as error:
        # The log said no. Anything else, an answer that can't be believed among it, leaves open whether it is logged.
        if error.status is not None and error.status in FINAL:
            (place / ENVELOPE_FILE).unlink()
            place.rmdir()
        raise
    write_file(place / PROOF_FILE, submitted.proof)
    return Posted(leaf, submitted.index, Request.unverified(envelope), place)


def requests(folder: AgencyFolder) -> Iterator[tuple[str, Request, bool]]:
    """Yield (leaf, request, confirmed) for each request that was signed here; raises AgencyError."""
    for file in sorted((folder.path / "requests").glob(f"*/{ENVELOPE_FILE}")):
        envelope = read_file(file, max_bytes=MAX_ENVELOPE_BYTES)
        try:
            request = Request.unverified(envelope)
        except WireError as error:
            raise AgencyError(f"{file}: {error}") from error
        yield leaf_hash(envelope).hex(), request, (file.parent / PROOF_FILE).exists()


def _pending(folder: AgencyFolder, wanted: Request) -> bytes | None:
    for leaf, request, confirmed in requests(folder):
        if not confirmed and request.model_dump(exclude=_WHEN) == wanted.model_dump(exclude=_WHEN):
            return read_file(folder.request_folder(leaf) / ENVELOPE_FILE, max_bytes=MAX_ENVELOPE_BYTES)
    return None
