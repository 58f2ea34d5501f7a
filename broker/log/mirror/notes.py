"""The checkpoint that a mirror serves: what the log signed, the mirror's cosignature, and those of witnesses. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.log.witness.answer import Head, LogKeys, Refusal, signed_head
from broker.wire.encoding import WireError
from broker.wire.envelopes import SIGNATURE_BYTES, public_bytes
from broker.wire.notes import (
    COSIGNATURE_V1,
    Note,
    Signature,
    VerifierKey,
    check_key_name,
    cosign_note,
    cosignature_by,
    cosigned_at,
    parse_note,
)

MAX_WITNESSES = 32
_TIME_BYTES = 8
_COSIGNATURE_BYTES = _TIME_BYTES + SIGNATURE_BYTES


@dataclass(frozen=True, slots=True)
class Served:
    """A checkpoint as it is served, and when the mirror cosigned it. `witnesses` are the lines of others."""

    head: Head
    cosignature: Signature
    at_s: int
    witnesses: tuple[Signature, ...] = ()

    @property
    def note(self) -> Note:
        """The log's signatures first, then the mirror's, then all others."""
        return Note(self.head.note.text, (*self.head.note.signatures, self.cosignature, *self.witnesses))


class MirrorSigner:
    """The mirror's name and key."""

    def __init__(self, name: str, key: Ed25519PrivateKey) -> None:
        self.verifier = VerifierKey(check_key_name(name), COSIGNATURE_V1, public_bytes(key))
        self._key = key

    def sign(self, head: Head, *, at_s: int, witnesses: tuple[Signature, ...] = ()) -> Served:
        """Return the note to serve."""
        signed = cosign_note(Note(head.note.text, ()), self.verifier.name, self._key, at_s=at_s)
        return Served(head, signed.signatures[0], at_s, witnesses)

    def parse(self, data: bytes, logs: LogKeys) -> Served:
        """Parse a note that was stored; raises WireError unless the log and this mirror signed it."""
        head = signed_head(data, logs)
        if isinstance(head, Refusal):
            raise WireError(head.message)
        note = parse_note(data, what="stored checkpoint")
        found = cosignature_by(note, self.verifier)
        if found is None:
            raise WireError("it is not cosigned with this mirror's key")
        return Served(head, *found, witness_lines(note, apart_from=[self.verifier, *logs[head.checkpoint.origin]]))


def witness_lines(
    note: Note, *, apart_from: Iterable[VerifierKey], known: Sequence[VerifierKey] = ()
) -> tuple[Signature, ...]:
    """Return the cosignatures of others on a note, the newest of each, at most MAX_WITNESSES.

    Those of `known` witnesses must verify. Of others no key is at hand: they are handed on for who has it.
    """
    skipped = {(key.name, key.id) for key in apart_from}
    keys = {(key.name, key.id): key for key in known}
    found: dict[tuple[str, bytes], Signature] = {}
    for one in note.signatures:
        who = (one.name, one.key_id)
        if who in skipped or len(one.signature) != _COSIGNATURE_BYTES or not _holds(note, one, keys.get(who)):
            continue
        if who not in found or found[who].signature[:_TIME_BYTES] < one.signature[:_TIME_BYTES]:
            found[who] = one
    return tuple(found.values())[:MAX_WITNESSES]


def _holds(note: Note, one: Signature, key: VerifierKey | None) -> bool:
    if key is None:
        return True
    try:
        return cosigned_at(Note(note.text, (one,)), key) is not None
    except WireError:
        return False
