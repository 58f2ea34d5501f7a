"""What a witness answers when a log has grown: C2SP tlog-witness, add-checkpoint. Pure; no clock, file or socket.

`read_submission` tells whether a body is whole and signed by a log that is known, `judge` whether what it says
follows from the newest tree that is vouched for. In the order of the specification:

    400   not a body as specified, or an old size above the checkpoint's
    404   a log that is not known
    403   not signed by a key that is trusted for this log
    409   the old size is not the newest one vouched for, or it is and the root is another: the log forked.
          The newest size is the body, `text/x.tlog.size`
    422   the proof does not show that the newer tree only adds to the older one

Extension lines of a checkpoint are taken, as specified, and nothing is said about them by signing.
A mirror asks the same of a checkpoint before it begins to copy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from broker.wire.cosigning import parse_add_checkpoint
from broker.wire.encoding import WireError
from broker.wire.merkle import EMPTY_ROOT, roots_from_consistency, verify_consistency
from broker.wire.notes import Checkpoint, Note, VerifierKey, parse_checkpoint, parse_note, signed_by

CLOCK_SLACK_S = 300  # a clock set back by more is wrong, not adjusted
_HEAD_LINES = 3

LogKeys = Mapping[str, Sequence[VerifierKey]]
"""The keys that are trusted for each log, by its origin."""


@dataclass(frozen=True, slots=True)
class Head:
    """A tree head that a log signed; the note carries signatures of the log alone, all of them checked."""

    checkpoint: Checkpoint
    note: Note


@dataclass(frozen=True, slots=True)
class Submission:
    """A body of add-checkpoint that is whole and signed by its log."""

    old_size: int
    proof: tuple[bytes, ...]
    head: Head


@dataclass(frozen=True, slots=True)
class Evidence:
    """Two heads of one log that can't both be honest, or might not be.

    fork      both are signed by the log, and no tree contains both: they have one size and two roots, or a `proof` of
              consistency leads to the second's root and, for the first's size, to another root than the first's;
              a mirror found it with the log's own tiles where neither is the case
    unproven  whoever sent the second had no proof that it grew from the first; the log may have one
    rollback  the log itself published the second after the first, which is the larger
    """

    kind: Literal["fork", "unproven", "rollback"]
    first: Head
    second: Head
    proof: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nothing is cosigned. `size` is the newest one vouched for, where the sender can do better with it."""

    status: Literal[400, 403, 404, 409, 422]
    message: str
    size: int | None = None
    evidence: Evidence | None = None


def parse_head(note: Note) -> Checkpoint:
    """Return origin, size and root of a checkpoint that may have extension lines; raises WireError."""
    *lines, end = note.text.split("\n")
    if end or "" in lines:
        raise WireError("a checkpoint has an empty line")
    return parse_checkpoint("".join(f"{line}\n" for line in lines[:_HEAD_LINES]))


def signed_head(data: bytes, logs: LogKeys) -> Head | Refusal:
    """Return the head in a signed note of a known log, rid of all other signatures."""
    try:
        note = parse_note(data, what="checkpoint")
        checkpoint = parse_head(note)
    except WireError as error:
        return Refusal(400, str(error))
    keys = logs.get(checkpoint.origin)
    if keys is None:
        return Refusal(404, f"the log {checkpoint.origin[:80]!r} is not known here")
    try:
        signed = [(key.name, key.id) for key in keys if signed_by(note, key)]
    except WireError as error:
        return Refusal(403, str(error))
    if not signed:
        return Refusal(403, f"the checkpoint is not signed by a key of the log {checkpoint.origin[:80]!r}")
    own = tuple(one for one in note.signatures if (one.name, one.key_id) in signed)
    return Head(checkpoint, Note(note.text, own))


def read_submission(body: bytes, logs: LogKeys) -> Submission | Refusal:
    """Parse a body and check its signature."""
    try:
        asked = parse_add_checkpoint(body)
    except WireError as error:
        return Refusal(400, str(error))
    head = signed_head(asked.checkpoint, logs)
    if isinstance(head, Refusal):
        return head
    if asked.old_size > head.checkpoint.size:
        return Refusal(400, f"the old size {asked.old_size} is above the checkpoint's size {head.checkpoint.size}")
    return Submission(asked.old_size, asked.proof, head)


def judge(submission: Submission, latest: Head | None) -> Refusal | None:
    """Return why a head may not become the newest one vouched for; None if it may."""
    new = submission.head.checkpoint
    size, root = (0, EMPTY_ROOT) if latest is None else (latest.checkpoint.size, latest.checkpoint.root)
    # Before the sizes are compared: a fork is one whatever the sender believes of us.
    if new.size == size and new.root != root:
        fork = None if latest is None else Evidence("fork", latest, submission.head)
        return Refusal(409, f"another tree of size {size} is vouched for already", size=size, evidence=fork)
    if submission.old_size != size:
        return Refusal(409, f"the newest tree vouched for has size {size}", size=size)
    try:
        verify_consistency(size, root, new.size, new.root, submission.proof)
    except WireError as error:
        found = None if latest is None else _unproven(latest, submission)
        return Refusal(422, str(error), evidence=found)
    return None


def _unproven(latest: Head, submission: Submission) -> Evidence:
    """Return what a proof that does not verify says of the log: its sender may be wrong, or prove a fork by it."""
    old, new = latest.checkpoint, submission.head.checkpoint
    try:
        old_root, new_root = roots_from_consistency(old.size, old.root, new.size, submission.proof)
    except WireError:
        return Evidence("unproven", latest, submission.head)
    if new_root == new.root and old_root != old.root:
        return Evidence("fork", latest, submission.head, submission.proof)
    return Evidence("unproven", latest, submission.head)


def signing_time(now_s: int, last_s: int) -> int | None:
    """Return the time to cosign with, never before the last one; None while the clock is too far behind it.

    An earlier time would claim that the older tree was the newest at a time when it was not.
    """
    if now_s < last_s - CLOCK_SLACK_S:
        return None
    return max(now_s, last_s)
