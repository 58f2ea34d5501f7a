"""C2SP tlog-witness: what is asked of a witness or mirror when a log has grown, and what it answers. Pure.

    POST <submission prefix>/add-checkpoint

    old <tree size that it cosigned last>
    <base64 hash of the consistency proof, a line each>

    <checkpoint, verbatim>

It answers with signature lines of a note, or in a conflict (409) with the size that it did cosign last. A mirror
answers with no line: its cosignature stands on the checkpoint that it serves, once it serves all entries.
"""

import hashlib
from dataclasses import dataclass
from typing import Literal

from .encoding import WireError, from_base64, parse_decimal, to_base64
from .merkle import HASH_BYTES
from .notes import MAX_NOTE_BYTES, Note, parse_note
from .rules import MINUTE_US

ADD_CHECKPOINT = "add-checkpoint"
SIZE_TYPE = "text/x.tlog.size"
MAX_CONSISTENCY = 63
MAX_ADD_BYTES = MAX_NOTE_BYTES + 8_192
CACHED_US = 10 * MINUTE_US  # no cache on the way keeps a checkpoint for so long

Kind = Literal["witness", "mirror"]


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """One request to a witness; nothing in it is checked yet. `checkpoint` is the signed note, verbatim."""

    old_size: int
    proof: tuple[bytes, ...]
    checkpoint: bytes

    def encode(self) -> bytes:
        """Return the body."""
        hashes = "".join(f"{to_base64(one)}\n" for one in self.proof)
        return f"old {self.old_size}\n{hashes}\n".encode() + self.checkpoint


def parse_add_checkpoint(data: bytes) -> AddCheckpoint:
    """Parse a body strictly; raises WireError."""
    if len(data) > MAX_ADD_BYTES:
        raise WireError(f"the body has {len(data)} bytes, more than the {MAX_ADD_BYTES} allowed")
    try:
        head, blank, checkpoint = data.decode("utf-8").partition("\n\n")
    except UnicodeDecodeError as error:
        raise WireError("the body is not UTF-8") from error
    first, *lines = head.split("\n")
    if not blank or not first.startswith("old "):
        raise WireError("the body does not begin with 'old' and a size, or has no checkpoint")
    if len(lines) > MAX_CONSISTENCY:
        raise WireError(f"the body has more than {MAX_CONSISTENCY} lines of proof")
    return AddCheckpoint(
        old_size=parse_decimal(first.removeprefix("old "), what="old size"),
        proof=tuple(from_base64(line, size=HASH_BYTES, what="proof hash") for line in lines),
        checkpoint=checkpoint.encode(),
    )


def add_lines(note: bytes, lines: bytes) -> Note:
    """Return a note with the signature lines that a witness answered; nothing is verified. Raises WireError."""
    if len(lines) > MAX_NOTE_BYTES:
        raise WireError("the witness answered more than a note can hold")
    cosigned = parse_note(note + lines, what="cosigned checkpoint")
    if cosigned.text != parse_note(note).text:  # a blank line in the answer would make all above it the text
        raise WireError("the witness answered something else than signature lines")
    return cosigned


def went_back(size: int, *, shown: int, shown_us: int, now_us: int) -> bool:
    """Tell whether a log that shows `size` entries at its own URL went back from `shown`, first seen at `shown_us`.

    A cache on the way may show what the log showed before: for `CACHED_US`, less is no sign of anything.
    """
    return size < shown and now_us > shown_us + CACHED_US


def mirror_prefix(url: str, origin: str) -> str:
    """Return where a mirror serves a log: below its monitoring prefix, by the hash of the log's origin."""
    return f"{url.rstrip('/')}/{hashlib.sha256(origin.encode()).hexdigest()}"
