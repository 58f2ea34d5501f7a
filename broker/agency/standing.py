"""What the log says of an agency: admitted, rotated, revoked, refused. Read in the log itself, entry by entry.

Whole bundles are fetched, whatever is in them, and hashed onto what was hashed before: only if that leads to the root
of the log's checkpoint is any of it believed. `log.json` in the agency's folder keeps how far that went, so that the
next look reads only what is new, and notices a log that went back or says something else than before.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from broker.wire.encoding import WireError, from_base64, to_base64
from broker.wire.envelopes import KEY_BYTES, parse_envelope
from broker.wire.merkle import EMPTY_ROOT, leaf_hash, node_hash
from broker.wire.records import Agency, Digest, Refusals, Request, Revocation
from broker.wire.tiles import TILE_WIDTH

from .errors import AgencyError
from .files import read_file, write_file
from .keys import AgencyFolder
from .logclient import LogClient

STATE_FILE = "log.json"
CONFLICT_FILE = "conflict.note"
_MAX_STATE_BYTES = 4 << 20
_KINDS: Final = (Agency, Revocation, Refusals)
_MARKS: Final = tuple(kind.payload_type().encode() for kind in _KINDS)
AnyStanding = Agency | Revocation | Refusals


@dataclass(frozen=True, slots=True)
class Said:
    """What one entry of the log says of the agency."""

    index: int
    record: AnyStanding


@dataclass(frozen=True, slots=True)
class Standing:
    """All that a log of `size` entries says of an agency, oldest first."""

    size: int
    said: tuple[Said, ...]

    @property
    def newest(self) -> Said | None:
        """The newest admission or revocation."""
        found = [one for one in self.said if not isinstance(one.record, Refusals)]
        return found[-1] if found else None

    @property
    def in_force(self) -> Agency | None:
        """The record under which the agency asks; None if the log does not admit it, or not any more."""
        newest = self.newest
        return newest.record if newest is not None and isinstance(newest.record, Agency) else None

    def ended(self, request: Request) -> bool:
        """Tell whether a revocation closed a request of the agency, for good."""
        return any(
            isinstance(one.record, Revocation) and request.posted_at <= one.record.at < request.expires_at
            for one in self.said
        )

    @property
    def refused(self) -> dict[str, int]:
        """How many of its envelopes the log turned away, by rule."""
        found: dict[str, int] = {}
        for one in self.said:
            if isinstance(one.record, Refusals):
                for each in one.record.counts:
                    found[each.code] = found.get(each.code, 0) + each.count
        return found


def kept_standing(folder: AgencyFolder) -> Standing:
    """Return what the log said when it was last read; raises AgencyError."""
    return _standing(_load(folder))


class _State(BaseModel):
    """What `log.json` holds: the note and size read, the roots of its complete subtrees, what was said.

    The roots are hex, largest first; what was said is (index, the entry in base64).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    note: str = ""
    size: Annotated[int, Field(ge=0, lt=1 << 62)] = 0
    edge: Annotated[tuple[Digest, ...], Field(max_length=62)] = ()
    said: tuple[tuple[Annotated[int, Field(ge=0)], str], ...] = ()


def read_standing(
    folder: AgencyFolder, *, log: LogClient, told: Callable[[int, int], None] = lambda _done, _size: None
) -> Standing:
    """Read the log up to its published checkpoint; `told(done, size)` hears of progress.

    Raises RemoteError, and AgencyError where the log contradicts its checkpoint, or what it was before.
    """
    note, checkpoint = log.checkpoint()
    state = _load(folder)
    if checkpoint.size < state.size:
        raise _conflict(folder, note, f"the log has {checkpoint.size} entries where it had {state.size} before")
    tree = _Tree(state.size, [bytes.fromhex(one) for one in state.edge])
    said = list(state.said)
    operator_key = _operator_key(folder)
    last = -(-checkpoint.size // TILE_WIDTH) if checkpoint.size > state.size else 0
    for number in range(state.size // TILE_WIDTH, last):
        width = min(TILE_WIDTH, checkpoint.size - number * TILE_WIDTH)
        for entry in log.entries(number, width)[tree.size - number * TILE_WIDTH :]:
            if _concerns(entry, folder.settings.id, operator_key):
                said.append((tree.size, to_base64(entry)))
            tree.add(leaf_hash(entry))
        told(tree.size, checkpoint.size)
    if tree.root() != checkpoint.root:
        raise _conflict(folder, note, "the log's entries don't lead to the root that its checkpoint signs")
    new = _State(note=note.decode(), size=tree.size, edge=tuple(one.hex() for one in tree.roots), said=tuple(said))
    if new.size != state.size or not state.note:
        write_file(folder.path / STATE_FILE, new.model_dump_json().encode())
    return _standing(new)


class _Tree:
    """A Merkle tree's right edge: the roots of its complete subtrees, largest first."""

    def __init__(self, size: int, roots: list[bytes]) -> None:
        self.size = size
        self.roots = roots

    def add(self, leaf: bytes) -> None:
        """Take in the next leaf hash."""
        at = self.size
        while at & 1:
            leaf = node_hash(self.roots.pop(), leaf)
            at >>= 1
        self.roots.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """Return the root of all."""
        if not self.roots:
            return EMPTY_ROOT
        folded = self.roots[-1]
        for one in reversed(self.roots[:-1]):
            folded = node_hash(one, folded)
        return folded


def _conflict(folder: AgencyFolder, note: bytes, what: str) -> AgencyError:
    """Keep the note that can't be true beside the one that was kept, and say so."""
    write_file(folder.path / CONFLICT_FILE, note)
    return AgencyError(
        f"{what}: it says something else than before, or what it serves is not what it signed. "
        f"Don't rely on it; show its operator and others {folder.path / CONFLICT_FILE} and {folder.path / STATE_FILE}"
    )


def _load(folder: AgencyFolder) -> _State:
    file = folder.path / STATE_FILE
    if not file.exists():
        return _State()
    try:
        state = _State.model_validate_json(read_file(file, max_bytes=_MAX_STATE_BYTES))
        _standing(state)
    except (ValidationError, WireError) as error:
        raise AgencyError(f"{file} is damaged; remove it, and the log is read from its beginning again") from error
    if len(state.edge) != state.size.bit_count():
        raise AgencyError(f"{file} is damaged; remove it, and the log is read from its beginning again")
    return state


def _standing(state: _State) -> Standing:
    return Standing(state.size, tuple(Said(index, _parse(from_base64(text))) for index, text in state.said))


def _parse(entry: bytes) -> AnyStanding:
    envelope = parse_envelope(entry, what="entry")
    for kind in _KINDS:
        if envelope.payload_type == kind.payload_type():
            return kind.from_payload(envelope.payload)
    raise WireError(f"an entry of the type {envelope.payload_type[:80]!r} says nothing of an agency's standing")


def _concerns(entry: bytes, agency: str, operator_key: bytes | None) -> bool:
    """Tell whether an entry is the operator's word on this agency."""
    if not any(mark in entry for mark in _MARKS):
        return False
    try:
        record = _parse(entry)
        if record.agency == agency and operator_key is not None:
            parse_envelope(entry, what="entry").verify(operator_key, what=record.thing)
    except WireError:
        return False  # not the operator's word, whoever put it there
    return record.agency == agency


def _operator_key(folder: AgencyFolder) -> bytes | None:
    text = folder.settings.operator_key
    return None if text is None else from_base64(text, size=KEY_BYTES, what="operator_key")
