"""What the log says of an agency: admitted, rotated, revoked, refused. Read in the log itself, entry by entry.

Whole bundles are fetched, whatever is in them, and hashed onto what was hashed before: only if that leads to the root
of the log's checkpoint is any of it believed. `log.json` in the agency's folder keeps how far that went, so that the
next look reads only what is new, and notices a log that went back or says something else than before. A smaller log
than before is at first what a cache on the way still has; long after more was shown it is a log that went back. The
first note that can't be true is kept as `conflict.note`, whatever comes later.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from broker.wire.cosigning import went_back
from broker.wire.edge import Edge
from broker.wire.encoding import WireError, from_base64, to_base64
from broker.wire.envelopes import KEY_BYTES, Envelope, parse_envelope
from broker.wire.merkle import leaf_hash
from broker.wire.records import Agency, Digest, Refusals, Request, Revocation
from broker.wire.tiles import TILE_WIDTH

from .errors import AgencyError
from .files import read_file, write_file
from .keys import AgencyFolder
from .logclient import LogClient

STATE_FILE = "log.json"
CONFLICT_FILE = "conflict.note"
_MAX_STATE_BYTES = 4 << 20
_KEPT: Final = (Agency, Revocation)
_MARKS: Final = tuple(kind.payload_type().encode() for kind in (*_KEPT, Refusals))
_DAMAGED = "is damaged; remove it, and the log is read from its beginning again"
AnyStanding = Agency | Revocation


@dataclass(frozen=True, slots=True)
class Said:
    """An admission or revocation of the agency, and its entry."""

    index: int
    record: AnyStanding


@dataclass(frozen=True, slots=True)
class Standing:
    """All that a log of `size` entries says of an agency, oldest first.

    `refused` is how many of its envelopes the log turned away, by rule.
    """

    size: int
    said: tuple[Said, ...]
    refused: Mapping[str, int] = field(default_factory=dict)

    @property
    def newest(self) -> Said | None:
        """The newest admission or revocation."""
        return self.said[-1] if self.said else None

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


def kept_standing(folder: AgencyFolder) -> Standing:
    """Return what the log said when it was last read; raises AgencyError."""
    return _standing(_load(folder))


class _State(BaseModel):
    """What `log.json` holds: the note and size read, the roots of its complete subtrees, what was said, what refused.

    `shown_us` is when the log showed that size first. The roots are hex, largest first; what was said is (index, the
    entry in base64). Refusals are sums by rule: the log may count them for ever, and this does not grow with them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    note: str = ""
    size: Annotated[int, Field(ge=0, lt=1 << 62)] = 0
    shown_us: Annotated[int, Field(ge=0)] = 0
    edge: Annotated[tuple[Digest, ...], Field(max_length=62)] = ()
    said: tuple[tuple[Annotated[int, Field(ge=0)], str], ...] = ()
    refused: dict[str, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)


def read_standing(
    folder: AgencyFolder, *, log: LogClient, now_us: int, told: Callable[[int, int], None] = lambda _done, _size: None
) -> Standing:
    """Read the log up to its published checkpoint; `told(done, size)` hears of progress.

    What was read before stands if less is shown now, by a cache on the way as it may be. Raises RemoteError, and
    AgencyError where the log contradicts its checkpoint, or what it was before.
    """
    note, checkpoint = log.checkpoint()
    state = _load(folder)
    if checkpoint.size < state.size:
        if went_back(checkpoint.size, shown=state.size, shown_us=state.shown_us, now_us=now_us):
            raise _conflict(folder, note, f"the log has {checkpoint.size} entries where it had {state.size} before")
        return _standing(state)
    edge = Edge(state.size, tuple(bytes.fromhex(one) for one in state.edge))
    said, refused = list(state.said), dict(state.refused)
    operator_key = _operator_key(folder)
    last = -(-checkpoint.size // TILE_WIDTH) if checkpoint.size > state.size else 0
    # The newest bundle first: a log that grows does not keep a partial one for ever.
    part = checkpoint.size % TILE_WIDTH
    newest = {last - 1: log.entries(last - 1, part)} if last and part else {}
    for number in range(state.size // TILE_WIDTH, last):
        bundle = newest.get(number) or log.entries(number, TILE_WIDTH)
        entries = bundle[edge.size - number * TILE_WIDTH :]
        for index, entry in enumerate(entries, edge.size):
            match _word_on(folder.settings.id, entry, operator_key):
                case Refusals(counts=counts):
                    for one in counts:
                        refused[one.code] = refused.get(one.code, 0) + one.count
                case Agency() | Revocation():
                    said.append((index, to_base64(entry)))
        edge = edge.extended((0, leaf_hash(entry)) for entry in entries)
        told(edge.size, checkpoint.size)
    if edge.root != checkpoint.root:
        raise _conflict(folder, note, "the log's entries don't lead to the root that its checkpoint signs")
    new = _State(
        note=note.decode(),
        size=edge.size,
        shown_us=now_us,
        edge=tuple(one.hex() for one in edge.hashes),
        said=tuple(said),
        refused=refused,
    )
    if new.size != state.size or not state.note:
        _save(folder, new)
    return _standing(new)


def _conflict(folder: AgencyFolder, note: bytes, what: str) -> AgencyError:
    """Keep the first note that can't be true beside the one that was kept, and say so."""
    if not (folder.path / CONFLICT_FILE).exists():
        write_file(folder.path / CONFLICT_FILE, note)
    return AgencyError(
        f"{what}: it says something else than before, or what it serves is not what it signed. "
        f"Don't rely on it; show its operator and others {folder.path / CONFLICT_FILE} and {folder.path / STATE_FILE}"
    )


def _save(folder: AgencyFolder, state: _State) -> None:
    data = state.model_dump_json().encode()
    if len(data) > _MAX_STATE_BYTES:  # what is written has to be read again
        raise AgencyError(
            f"the log admits and revokes {folder.settings.id} in more than the {_MAX_STATE_BYTES} bytes that "
            f"{folder.path / STATE_FILE} may have; ask its operator"
        )
    write_file(folder.path / STATE_FILE, data)


def _load(folder: AgencyFolder) -> _State:
    file = folder.path / STATE_FILE
    if not file.exists():
        return _State()
    try:
        state = _State.model_validate_json(read_file(file, max_bytes=_MAX_STATE_BYTES))
        _standing(state)
    except (ValidationError, WireError) as error:
        raise AgencyError(f"{file} {_DAMAGED}") from error
    if len(state.edge) != state.size.bit_count():
        raise AgencyError(f"{file} {_DAMAGED}")
    return state


def _standing(state: _State) -> Standing:
    said = tuple(Said(index, _kept(from_base64(text))) for index, text in state.said)
    return Standing(state.size, said, dict(state.refused))


def _kept(entry: bytes) -> AnyStanding:
    record = _parse(parse_envelope(entry, what="entry"))
    if isinstance(record, Refusals):
        raise WireError("refusals are kept as sums")
    return record


def _parse(envelope: Envelope) -> AnyStanding | Refusals:
    for kind in (*_KEPT, Refusals):
        if envelope.payload_type == kind.payload_type():
            return kind.from_payload(envelope.payload)
    raise WireError(f"an entry of the type {envelope.payload_type[:80]!r} says nothing of an agency's standing")


def _word_on(agency: str, entry: bytes, operator_key: bytes | None) -> AnyStanding | Refusals | None:
    """Return the operator's word on this agency, None if an entry is something else."""
    if not any(mark in entry for mark in _MARKS):
        return None
    try:
        envelope = parse_envelope(entry, what="entry")
        record = _parse(envelope)
        if record.agency == agency and operator_key is not None:
            envelope.verify(operator_key, what=record.thing)
    except WireError:
        return None  # not the operator's word, whoever put it there
    return record if record.agency == agency else None


def _operator_key(folder: AgencyFolder) -> bytes | None:
    text = folder.settings.operator_key
    return None if text is None else from_base64(text, size=KEY_BYTES, what="operator_key")
