"""C2SP signed notes, checkpoints and cosignatures: texts that keys with names sign. Pure.

A note is a text that ends in a newline, a blank line, and signature lines:

    — <key name> <base64 of 4 bytes key id and the signature>

A verifier key reads `<name>+<key id, 8 hex digits>+<base64 of one type byte and the key>`.
Type 0x01 is Ed25519 over the text; 0x04 is cosignature/v1: 8 bytes of POSIX time, then Ed25519 over

    cosignature/v1
    time <POSIX seconds>
    <the text>

A checkpoint is a note whose text is origin, tree size and base64 root, a line each.
"""

import hashlib
import re
import struct
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from .encoding import WireError, from_base64, parse_decimal, to_base64
from .envelopes import KEY_BYTES, SIGNATURE_BYTES, check_key, public_bytes
from .merkle import HASH_BYTES

MAX_NOTE_BYTES = 131_072  # sixteen signatures have to fit, and those of other kinds take up to 5 kB each
MAX_SIGNATURES = 64  # of a log, and of as many witnesses as a policy may name
ED25519 = 0x01
COSIGNATURE_V1 = 0x04
_NOT_PLAIN = re.compile(r"[\x00-\x09\x0b-\x1f\ud800-\udfff]")
_DASH = "\u2014 "
_KEY_ID_BYTES = 4
_TIME_BYTES = 8
_TIME_END = 253_402_300_800  # the year 10000: so far ahead that a verifier may refuse it, and no text can say it
_CHECKPOINT_LINES = 3


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A named public key of one signature type."""

    name: str
    kind: int
    key: bytes

    @property
    def id(self) -> bytes:
        """The 4-byte key id."""
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.key).digest()[:_KEY_ID_BYTES]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{to_base64(bytes([self.kind]) + self.key)}"


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line."""

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A parsed note; its signatures are not checked yet."""

    text: str
    signatures: tuple[Signature, ...]

    def __str__(self) -> str:
        lines = [f"{_DASH}{s.name} {to_base64(s.key_id + s.signature)}\n" for s in self.signatures]
        return f"{self.text}\n{''.join(lines)}"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's tree head."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The note text."""
        return f"{self.origin}\n{self.size}\n{to_base64(self.root)}\n"


def check_key_name(name: str) -> str:
    """Return a key name, or raise WireError if it can't stand in a note."""
    if not name or "+" in name or any(char.isspace() for char in name) or not _is_plain(name):
        raise WireError(f"{name[:60]!r} cannot be a key name: no spaces, no plus sign, not empty")
    return name


def parse_verifier_key(text: str) -> VerifierKey:
    """Parse `<name>+<id>+<base64>`; only Ed25519 and cosignature/v1 keys are known."""
    parts = text.split("+", 2)
    if len(parts) != 3:  # noqa: PLR2004 - name, id, key
        raise WireError(f"{text[:80]!r} is no verifier key (name+id+key)")
    name, _, encoded = parts
    raw = from_base64(encoded, size=1 + KEY_BYTES, what="verifier key")
    if raw[0] not in {ED25519, COSIGNATURE_V1}:
        raise WireError(f"verifier key of {name[:60]!r} has the unknown type {raw[0]:#04x}")
    key = VerifierKey(check_key_name(name), raw[0], check_key(raw[1:], what=f"verifier key of {name[:60]!r}"))
    if str(key) != text:
        raise WireError(f"verifier key of {name[:60]!r} has a key id that does not belong to it")
    return key


def parse_note(data: bytes, *, what: str = "note") -> Note:
    """Parse a signed note strictly."""
    if len(data) > MAX_NOTE_BYTES:
        raise WireError(f"{what} has {len(data)} bytes, more than the {MAX_NOTE_BYTES} allowed")
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise WireError(f"{what} is not UTF-8") from error
    if not _is_plain(whole):
        raise WireError(f"{what} contains control characters")
    cut = whole.rfind("\n\n")
    if cut < 0 or not whole.endswith("\n"):
        raise WireError(f"{what} has no signatures")
    lines = whole[cut + 2 : -1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise WireError(f"{what} has more than {MAX_SIGNATURES} signatures")
    return Note(whole[: cut + 1], tuple(_parse_signature(line, what) for line in lines))


def sign_note(text: str, name: str, key: Ed25519PrivateKey) -> Note:
    """Sign a text, which must end in a newline, with a plain Ed25519 note signature."""
    if not text.endswith("\n") or not _is_plain(text):
        raise WireError("what a note says must be lines of text, each with its newline")
    verifier = VerifierKey(check_key_name(name), ED25519, public_bytes(key))
    return Note(text, (Signature(name, verifier.id, key.sign(text.encode())),))


def cosign_note(note: Note, name: str, key: Ed25519PrivateKey, *, at_s: int) -> Note:
    """Return the note with a cosignature/v1 added; `at_s` is POSIX time in seconds."""
    if not 0 <= at_s < _TIME_END:
        raise WireError(f"a cosignature cannot carry the time {at_s}")
    verifier = VerifierKey(check_key_name(name), COSIGNATURE_V1, public_bytes(key))
    signed = struct.pack(">Q", at_s) + key.sign(_cosigned(note.text, at_s))
    return Note(note.text, (*note.signatures, Signature(name, verifier.id, signed)))


def signed_by(note: Note, key: VerifierKey) -> bool:
    """Tell whether `key` signed the note; a false signature under its name and id raises WireError, and so do two."""
    return _signature_by(note, key) is not None


def cosigned_at(note: Note, key: VerifierKey) -> int | None:
    """Return the POSIX time of the cosignature by `key`, None if there is none; raises as `signed_by` does."""
    found = cosignature_by(note, key)
    return None if found is None else found[1]


def cosignature_by(note: Note, key: VerifierKey) -> tuple[Signature, int] | None:
    """Return the cosignature by `key` and its POSIX time, None if there is none; raises as `signed_by` does."""
    if key.kind != COSIGNATURE_V1:
        return None
    found = _signature_by(note, key)
    return None if found is None else (found, int.from_bytes(found.signature[:_TIME_BYTES], "big"))


def parse_checkpoint(text: str) -> Checkpoint:
    """Parse a note's text as a checkpoint; extension lines are refused, since nobody can audit them."""
    lines = text.split("\n")
    if len(lines) != _CHECKPOINT_LINES + 1 or lines[-1] or not lines[0]:
        raise WireError("a checkpoint must have exactly three lines: origin, size, root")
    return Checkpoint(
        origin=lines[0],
        size=parse_decimal(lines[1], what="tree size"),
        root=from_base64(lines[2], size=HASH_BYTES, what="root hash"),
    )


def _is_plain(text: str) -> bool:
    """Tell whether a text has no ASCII control but newlines, and no half of a surrogate pair."""
    return not _NOT_PLAIN.search(text)


def _parse_signature(line: str, what: str) -> Signature:
    if not line.startswith(_DASH):
        raise WireError(f"{what} has a signature line that does not begin with a dash")
    name, space, encoded = line[len(_DASH) :].partition(" ")
    if not space:
        raise WireError(f"{what} has a signature line without a signature")
    raw = from_base64(encoded, what=f"{what} signature")
    if len(raw) <= _KEY_ID_BYTES:
        raise WireError(f"{what} has a signature that is too short")
    return Signature(check_key_name(name), raw[:_KEY_ID_BYTES], raw[_KEY_ID_BYTES:])


def _signature_by(note: Note, key: VerifierKey) -> Signature | None:
    found = None
    for one in note.signatures:
        if one.name != key.name or one.key_id != key.id:
            continue
        if found is not None:
            raise WireError(f"{key.name!r} signed twice, where a checkpoint has one line of each key")
        _verify(note.text, one, key)
        found = one
    return found


def _verify(text: str, signature: Signature, key: VerifierKey) -> None:
    message, raw = text.encode(), signature.signature
    if key.kind == COSIGNATURE_V1:
        at_s, raw = int.from_bytes(raw[:_TIME_BYTES], "big"), raw[_TIME_BYTES:]
        message = _cosigned(text, at_s)
        if at_s >= _TIME_END:
            raise WireError(f"cosignature by {key.name!r} carries a time that there is not")
    check_key(key.key, what=f"verifier key of {key.name[:60]!r}")
    if len(raw) != SIGNATURE_BYTES:
        raise WireError(f"signature by {key.name!r} has the wrong length")
    try:
        Ed25519PublicKey.from_public_bytes(key.key).verify(raw, message)
    except (InvalidSignature, ValueError) as error:
        raise WireError(f"signature by {key.name!r} does not verify") from error


def _cosigned(text: str, at_s: int) -> bytes:
    return f"cosignature/v1\ntime {at_s}\n{text}".encode()
