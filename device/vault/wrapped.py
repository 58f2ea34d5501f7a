"""The owner key wrapped once for each passkey: a file beside the key file. No prompt, no clock, no ceremony.

Canonical JSON (RFC 8785), 0600, at most 16 keys:

    {"checksum": <SHA-256 hex of this object without it>, "format": "latchstring-owner-passkeys",
     "keys": [{"ciphertext": <base64>, "counter": 7, "created_us": 1770000000000000, "credential": <base64>,
               "name": "Kim's phone", "nonce": <base64, 12 bytes>, "salt": <base64, 32 bytes>, "transports": ["usb"]}],
     "owner": {"recipient": "age1…", "verify_key": <base64, 32 bytes>}, "version": 1}

Each ciphertext is AES-256-GCM over what the key file holds, under HKDF-SHA256 of the 32 bytes that the authenticator
makes of `salt`. Its associated data is everything around it: format, version, owner, and its own entry. So neither a
counter set back, nor another credential or owner put in, leaves an entry that opens.

Invariants:

1. A file holds keys of one owner, and what is opened is held against the owner that it names.
2. Each change replaces the file as a whole and is durable when it returns; changes of several processes take turns.
3. Nothing in the file opens anything: it has no passphrase to be guessed, only keys of 256 bits that it lacks.
"""

import contextlib
import fcntl
import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from broker.wire.encoding import WireError, canonical, from_base64, parse_canonical, to_base64

from .disk import MAX_SECRET_BYTES, LocalDisk, read_secret, replace_secret
from .errors import KeyFileError, MisuseError, SealError
from .keys import KEY_BYTES, NONCE_BYTES, OwnerKey, OwnerPublic
from .sealing import check_recipient

FORMAT = "latchstring-owner-passkeys"
VERSION = 1
CONTEXT = b"latchstring owner key wrapped for a passkey, version 1"
PASSKEY_SALT_BYTES = 32
MOST_KEYS = 16
MAX_CREDENTIAL_BYTES = 2_048
MAX_CIPHERTEXT_BYTES = 1_024
MAX_NAME = 60
MAX_COUNTER = (1 << 32) - 1
MAX_TIME_US = (1 << 53) - 1
TRANSPORTS = ("ble", "hybrid", "internal", "nfc", "usb")
ENTRY_FIELDS = frozenset(
    {"ciphertext", "counter", "created_us", "credential", "name", "nonce", "salt", "transports"},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What is known of a passkey without it. `credential` is the authenticator's own record, opaque to the vault."""

    credential: bytes
    salt: bytes
    name: str
    created_us: int
    counter: int
    transports: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what no file of ours may hold; raises KeyFileError."""
        if not 1 <= len(self.credential) <= MAX_CREDENTIAL_BYTES or len(self.salt) != PASSKEY_SALT_BYTES:
            raise KeyFileError("a passkey's record or salt is too long or too short")
        if not 1 <= len(self.name) <= MAX_NAME or not self.name.isprintable() or self.name != self.name.strip():
            raise KeyFileError(f"a passkey's name has 1 to {MAX_NAME} characters that can be shown")
        for value, most in ((self.created_us, MAX_TIME_US), (self.counter, MAX_COUNTER)):
            if type(value) is not int or not 0 <= value <= most:
                raise KeyFileError("a passkey's time or counter is no number that it can have")
        if list(self.transports) != [one for one in TRANSPORTS if one in self.transports]:
            raise KeyFileError("a passkey names a transport that is not known, or one twice")

    def to_fields(self) -> dict[str, Any]:
        """Return the entry's fields in the clear, but for the nonce."""
        return {
            "counter": self.counter,
            "created_us": self.created_us,
            "credential": to_base64(self.credential),
            "name": self.name,
            "salt": to_base64(self.salt),
            "transports": list(self.transports),
        }


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """The owner key under one passkey."""

    label: Label
    nonce: bytes
    ciphertext: bytes

    @classmethod
    def wrap(
        cls, owner: OwnerKey, secret: bytes, label: Label, *, random: Callable[[int], bytes] = secrets.token_bytes
    ) -> Self:
        """Encrypt the owner key under a passkey's 32 bytes."""
        nonce = random(NONCE_BYTES)
        around = _around(owner.public, label, nonce)
        return cls(label, nonce, AESGCM(_derive(secret)).encrypt(nonce, owner.to_secret(), around))

    def unwrap(self, secret: bytes, public: OwnerPublic) -> OwnerKey:
        """Open the key again, and see that it is this owner's; raises KeyFileError."""
        try:
            around = _around(public, self.label, self.nonce)
            opened = AESGCM(_derive(secret)).decrypt(self.nonce, self.ciphertext, around)
        except InvalidTag as error:
            raise KeyFileError("what this passkey gives does not open the owner key that was kept under it") from error
        owner = OwnerKey.from_secret(opened)
        if owner.public != public:
            raise KeyFileError("this passkey opens another owner's key than it says")
        return owner


@dataclass(frozen=True, slots=True)
class WrappedKeys:
    """A whole file: one owner, and the passkeys that open their key."""

    owner: OwnerPublic
    keys: tuple[WrappedKey, ...]

    def to_json(self) -> bytes:
        """Return the file's bytes: one line of canonical JSON."""
        if not 1 <= len(self.keys) <= MOST_KEYS:
            raise MisuseError(f"a file of passkeys holds 1 to {MOST_KEYS}, not {len(self.keys)}")
        entries = [
            key.label.to_fields() | {"nonce": to_base64(key.nonce), "ciphertext": to_base64(key.ciphertext)}
            for key in self.keys
        ]
        body = _head(self.owner) | {"keys": entries}
        return canonical(body | {"checksum": _checksum(body)}) + b"\n"

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Parse what `to_json` wrote, and nothing else; raises KeyFileError."""
        try:
            return cls(*_read(parse_canonical(_line(data), max_bytes=MAX_SECRET_BYTES, what="the file")))
        except (WireError, SealError, KeyFileError) as error:
            raise KeyFileError(f"the file of passkeys is damaged, or is no such file: {error}") from error


def load_wrapped(path: Path) -> WrappedKeys | None:
    """Return the passkeys kept at `path`, None if there is no file; raises KeyFileError."""
    return WrappedKeys.from_json(read_secret(path)) if os.path.lexists(path) else None


def save_wrapped(path: Path, wrapped: WrappedKeys) -> None:
    """Replace the file, or delete it with its last passkey; raises KeyFileError, and is then old or new."""
    if wrapped.keys:
        replace_secret(path, wrapped.to_json())
        return
    try:
        LocalDisk().remove(path)
    except OSError as error:
        raise KeyFileError(f"{path} could not be deleted: {error.strerror}") from error


@contextlib.contextmanager
def changing(path: Path) -> Iterator[None]:
    """Hold off others who would change the file meanwhile: what is between reading and replacing it is one step."""
    try:
        # The file itself is replaced; its folder stays.
        fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise KeyFileError(f"{path.parent} can't be opened: {error.strerror}") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _head(owner: OwnerPublic) -> dict[str, Any]:
    named = {"recipient": owner.recipient, "verify_key": to_base64(owner.verify_key)}
    return {"format": FORMAT, "version": VERSION, "owner": named}


def _around(owner: OwnerPublic, label: Label, nonce: bytes) -> bytes:
    return canonical(_head(owner) | label.to_fields() | {"nonce": to_base64(nonce)})


def _derive(secret: bytes) -> bytes:
    if len(secret) != KEY_BYTES:
        raise MisuseError(f"a passkey's secret has {KEY_BYTES} bytes, not {len(secret)}")
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=CONTEXT).derive(secret)


def _line(data: bytes) -> bytes:
    if not data.endswith(b"\n"):
        raise WireError("it does not end with a newline")
    return data[:-1]


def _read(body: Any) -> tuple[OwnerPublic, tuple[WrappedKey, ...]]:
    rest = _exactly(body, {"checksum", "format", "keys", "owner", "version"}, "the file")
    checksum = rest.pop("checksum")
    if (rest["format"], rest["version"], type(rest["version"])) != (FORMAT, VERSION, int):
        raise WireError(f"it is not {FORMAT!r}, version {VERSION}")
    if checksum != _checksum(rest):
        raise WireError("its checksum does not match")
    named = _exactly(rest["owner"], {"recipient", "verify_key"}, "the owner")
    owner = OwnerPublic(check_recipient(_text(named["recipient"])), _bytes(named, "verify_key", size=KEY_BYTES))
    if not isinstance(rest["keys"], list) or not 1 <= len(rest["keys"]) <= MOST_KEYS:
        raise WireError(f"it does not hold 1 to {MOST_KEYS} keys")
    return owner, tuple(_read_key(entry) for entry in rest["keys"])


def _read_key(body: Any) -> WrappedKey:
    entry = _exactly(body, set(ENTRY_FIELDS), "a key")
    if not isinstance(entry["transports"], list):
        raise WireError("transports is no list")
    label = Label(
        credential=_bytes(entry, "credential"),
        salt=_bytes(entry, "salt"),
        name=_text(entry["name"]),
        created_us=entry["created_us"],
        counter=entry["counter"],
        transports=tuple(_text(one) for one in entry["transports"]),
    )
    ciphertext = _bytes(entry, "ciphertext")
    if len(ciphertext) > MAX_CIPHERTEXT_BYTES:
        raise WireError("a ciphertext is too long")
    return WrappedKey(label, _bytes(entry, "nonce", size=NONCE_BYTES), ciphertext)


def _exactly(body: Any, names: set[str], what: str) -> dict[str, Any]:
    if not isinstance(body, dict) or set(body) != names:
        raise WireError(f"{what} has fields too many or too few")
    return dict(body)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise WireError("a field is no text")
    return value


def _bytes(body: dict[str, Any], name: str, *, size: int | None = None) -> bytes:
    return from_base64(_text(body[name]), size=size, what=name)


def _checksum(body: dict[str, Any]) -> str:
    return hashlib.sha256(canonical(body)).hexdigest()
