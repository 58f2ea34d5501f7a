"""Signed heads of the log, as they come from those who serve it. Pure."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from broker.wire.encoding import WireError
from broker.wire.merkle import EMPTY_ROOT
from broker.wire.notes import (
    COSIGNATURE_V1,
    Checkpoint,
    Note,
    Signature,
    VerifierKey,
    cosigned_at,
    parse_checkpoint,
    parse_note,
    signed_by,
)
from broker.wire.proofs import MIRRORS, Policy

SECOND_US = 1_000_000
TIME_BYTES = 8


@dataclass(frozen=True, slots=True)
class Head:
    """A checkpoint that the log signed, as it came, and the newest time by which a quorum had cosigned it."""

    note: bytes
    checkpoint: Checkpoint
    at_s: int | None

    @property
    def size(self) -> int:
        """How many entries it stands for."""
        return self.checkpoint.size


class Outcome(StrEnum):
    """What became of a head that was heard."""

    REFUSED = "refused"  # the log that the policy names did not sign it
    CONTRADICTED = "contradicted"  # by it or by an earlier one: nothing of this log counts
    UNMET = "unmet"  # the log signed it, and not as many others as the policy needs
    KNOWN = "known"  # it counts, and is no larger than what was read
    MORE = "more"  # it counts, and there is more to read


@dataclass(frozen=True, slots=True)
class Heard:
    """What became of a head, and why it does not count; `head` is None if it is refused."""

    outcome: Outcome
    head: Head | None = None
    why: str = ""

    @property
    def more(self) -> Head | None:
        """The head, if there is more to read on the way to it."""
        return self.head if self.outcome is Outcome.MORE else None


def signed_by_log(note: bytes, policy: Policy) -> Checkpoint:
    """Return the checkpoint in a note that the policy's one log signed, whoever cosigned it; raises WireError."""
    (key,) = policy.logs
    parsed = parse_note(note, what="checkpoint")
    checkpoint = parse_checkpoint(parsed.text)
    if checkpoint.origin != key.name or not signed_by(parsed, key):
        raise WireError(f"checkpoint of {checkpoint.origin[:80]!r} is not signed by the log that the policy names")
    if checkpoint.size == 0 and checkpoint.root != EMPTY_ROOT:
        raise WireError("checkpoint of no entries has another root than an empty log")
    return checkpoint


def gather(notes: Sequence[bytes], policy: Policy) -> dict[bytes, bytes]:
    """Return for each note one with the signatures of all that say the same: mirrors cosign what they serve themselves.

    Of each key of the policy the newest signature that verifies is taken, so that nobody can spoil the others' notes.
    A note that can't be parsed, or that no key of the policy signed, is left out.
    """
    parsed: dict[bytes, Note] = {}
    found: dict[str, dict[bytes, Signature]] = {}
    for note in dict.fromkeys(notes):
        try:
            one = parse_note(note)
        except WireError:
            continue
        for key in (*policy.logs, *policy.witnesses.values()):
            for signature in _by(one, key):
                parsed[note] = one
                best = found.setdefault(one.text, {}).setdefault(key.key, signature)
                if _later(signature, best, key):
                    found[one.text][key.key] = signature
    return {note: str(Note(one.text, tuple(found[one.text].values()))).encode() for note, one in parsed.items()}


def cosigners(note: bytes | None, policy: Policy) -> list[dict[str, Any]]:
    """Return the policy's witnesses and mirrors, and when (µs) each cosigned a head, None if it has not."""
    parsed = None if note is None else parse_note(note)
    mirrors = policy.groups[MIRRORS].members if MIRRORS in policy.groups else ()
    found = []
    for name, key in policy.witnesses.items():
        at_s = None if parsed is None else cosigned_at(parsed, key)
        kind = "mirror" if name in mirrors else "witness"
        found.append({"name": name, "kind": kind, "cosigned_us": None if at_s is None else at_s * SECOND_US})
    return found


def _by(note: Note, key: VerifierKey) -> Iterator[Signature]:
    """Yield the signatures of a key that verify."""
    for signature in note.signatures:
        if (signature.name, signature.key_id) == (key.name, key.id):
            with contextlib.suppress(WireError):
                signed_by(Note(note.text, (signature,)), key)
                yield signature


def _later(one: Signature, other: Signature, key: VerifierKey) -> bool:
    # A cosignature begins with its time, big-endian.
    return key.kind == COSIGNATURE_V1 and one.signature[:TIME_BYTES] > other.signature[:TIME_BYTES]
