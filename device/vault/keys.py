"""The owner's key pair, kept in a file that a passphrase opens, and the device's signing key. No prompt, no clock.

The owner key file is canonical JSON (RFC 8785), 0600:

    {"checksum": <SHA-256 hex of this object without it>, "cipher": "aes-256-gcm", "ciphertext": <base64>,
     "format": "latchstring-owner-key", "kdf": "argon2id", "iterations": 3, "lanes": 4, "memory_kib": 65536,
     "nonce": <base64, 12 bytes>, "salt": <base64, 16 bytes>, "version": 1}

The ciphertext holds {"identity": "AGE-SECRET-KEY-1…", "signing": <base64, 32 bytes>}; its associated data is the object
without ciphertext and checksum. The checksum has no secret in it: it tells a damaged file from a wrong passphrase.
"""

import hashlib
import re
import secrets
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from broker.wire.encoding import WireError, canonical, from_base64, parse_json, to_base64

from .disk import read_secret, write_secret
from .errors import KeyFileError, PassphraseError, SealError
from .sealing import check_recipient, new_identity, recipient_of

KEY_FORMAT = "latchstring-owner-key"
PUBLIC_FORMAT = "latchstring-owner-public"
VERSION = 1
KEY_BYTES = 32
SALT_BYTES = 16
NONCE_BYTES = 12
MAX_FILE_BYTES = 16 * 1024
HEADER_FIELDS = frozenset(
    {"format", "version", "kdf", "memory_kib", "iterations", "lanes", "salt", "cipher", "nonce"},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Argon2Cost:
    """What one guess at the passphrase costs. The default takes about half a second on a small machine."""

    memory_kib: int = 64 * 1024
    iterations: int = 3
    lanes: int = 4

    def __post_init__(self) -> None:
        """Refuse what no key file of ours has, before any memory is taken for it."""
        bounds = (
            ("memory_kib", self.memory_kib, 8 * 1024, 1024 * 1024),
            ("iterations", self.iterations, 1, 16),
            ("lanes", self.lanes, 1, 16),
        )
        for name, value, least, most in bounds:
            if type(value) is not int or not least <= value <= most:
                raise KeyFileError(f"Argon2id {name} is {str(value)[:24]}, outside {least} to {most}")


DEFAULT_COST = Argon2Cost()


@dataclass(frozen=True, slots=True)
class OwnerPublic:
    """What devices know of their owner: to whom they seal, and whose approvals they obey."""

    recipient: str  # age1…
    verify_key: bytes  # Ed25519, 32 bytes

    def to_json(self) -> bytes:
        """Return the public file's bytes: one line of canonical JSON."""
        body = {
            "format": PUBLIC_FORMAT,
            "recipient": self.recipient,
            "verify_key": to_base64(self.verify_key),
            "version": VERSION,
        }
        return canonical(body) + b"\n"

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Parse what `to_json` wrote, and nothing else; raises KeyFileError."""
        try:
            body = _fields(data, {"format", "version", "recipient", "verify_key"}, PUBLIC_FORMAT)
            verify_key = from_base64(_text(body, "verify_key"), size=KEY_BYTES, what="verify_key")
            Ed25519PublicKey.from_public_bytes(verify_key)
            return cls(recipient=check_recipient(_text(body, "recipient")), verify_key=verify_key)
        except (WireError, SealError, ValueError) as error:
            raise KeyFileError(f"this is not an owner's public key file: {error}") from error


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class OwnerKey:
    """The unlocked owner key: `identity` opens footage, `signing` approves. Keep it in memory, and only in review."""

    identity: str
    signing: Ed25519PrivateKey

    @property
    def public(self) -> OwnerPublic:
        """The half that devices get."""
        return OwnerPublic(recipient_of(self.identity), self.signing.public_key().public_bytes_raw())

    def to_secret(self) -> bytes:
        """Return what a key file encrypts."""
        return canonical({"identity": self.identity, "signing": to_base64(self.signing.private_bytes_raw())})

    @classmethod
    def from_secret(cls, secret: bytes) -> Self:
        """Read what `to_secret` wrote; raises KeyFileError."""
        try:
            body = _parts(parse_json(secret, max_bytes=MAX_FILE_BYTES, what="the key inside"), {"identity", "signing"})
            seed = from_base64(_text(body, "signing"), size=KEY_BYTES, what="signing")
            identity = _text(body, "identity")
            recipient_of(identity)
        except (WireError, SealError) as error:
            raise KeyFileError(f"the owner key file opened, but what is in it can't be used: {error}") from error
        return cls(identity, Ed25519PrivateKey.from_private_bytes(seed))

    def __repr__(self) -> str:
        return f"OwnerKey(public={self.public.recipient})"


def create_owner(
    passphrase: str,
    *,
    cost: Argon2Cost = DEFAULT_COST,
    random: Callable[[int], bytes] = secrets.token_bytes,
) -> tuple[bytes, OwnerPublic]:
    """Make an owner key; returns the key file's bytes and the public half. The age identity is pyrage's own random."""
    if not passphrase:
        raise PassphraseError("the passphrase is empty; choose one that you can remember and others can't guess")
    owner = OwnerKey(new_identity(), Ed25519PrivateKey.from_private_bytes(random(KEY_BYTES)))
    salt, nonce = random(SALT_BYTES), random(NONCE_BYTES)
    header = {
        "format": KEY_FORMAT,
        "version": VERSION,
        "kdf": "argon2id",
        "memory_kib": cost.memory_kib,
        "iterations": cost.iterations,
        "lanes": cost.lanes,
        "salt": to_base64(salt),
        "cipher": "aes-256-gcm",
        "nonce": to_base64(nonce),
    }
    ciphertext = AESGCM(_derive(passphrase, salt, cost)).encrypt(nonce, owner.to_secret(), canonical(header))
    body = header | {"ciphertext": to_base64(ciphertext)}
    return canonical(body | {"checksum": _checksum(body)}) + b"\n", owner.public


def unlock_owner(data: bytes, passphrase: str) -> OwnerKey:
    """Open a key file. PassphraseError: the passphrase is wrong; KeyFileError: the file is damaged, or no key file."""
    try:
        body = _fields(data, {*HEADER_FIELDS, "ciphertext", "checksum"}, KEY_FORMAT)
        _check_undamaged(body)
        cost = Argon2Cost(memory_kib=body["memory_kib"], iterations=body["iterations"], lanes=body["lanes"])
        salt = from_base64(_text(body, "salt"), size=SALT_BYTES, what="salt")
        nonce = from_base64(_text(body, "nonce"), size=NONCE_BYTES, what="nonce")
        ciphertext = from_base64(_text(body, "ciphertext"), what="ciphertext")
    except WireError as error:
        raise KeyFileError(f"the owner key file is damaged, or is no key file: {error}") from error
    header = {name: body[name] for name in HEADER_FIELDS}
    try:
        secret = AESGCM(_derive(passphrase, salt, cost)).decrypt(nonce, ciphertext, canonical(header))
    except InvalidTag as error:
        raise PassphraseError("the passphrase does not open this owner key; nothing was changed, try again") from error
    return OwnerKey.from_secret(secret)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class DeviceKey:
    """A device's Ed25519 key: it signs segment statements and the ledger, and opens nothing."""

    signing: Ed25519PrivateKey

    @property
    def public(self) -> bytes:
        """The 32 bytes that verify what the device signed."""
        return self.signing.public_key().public_bytes_raw()

    @classmethod
    def generate(cls, random: Callable[[int], bytes] = secrets.token_bytes) -> Self:
        """Make a key in memory."""
        return cls(Ed25519PrivateKey.from_private_bytes(random(KEY_BYTES)))

    @classmethod
    def create(cls, path: Path, *, random: Callable[[int], bytes] = secrets.token_bytes) -> Self:
        """Make a key and write it to a new file (PEM, PKCS #8, 0600); raises KeyFileError if the file exists."""
        key = cls.generate(random)
        write_secret(path, key.signing.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return key

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the file that `create` or `openssl genpkey` wrote; raises KeyFileError, also if others can read it."""
        data = read_secret(path)
        try:
            key = load_pem_private_key(data, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise KeyFileError(f"{path} is damaged, or is no PEM private key without a passphrase") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise KeyFileError(f"{path} holds another kind of key where Ed25519 is expected")
        return cls(key)

    def __repr__(self) -> str:
        return f"DeviceKey(public={self.public.hex()})"


def _derive(passphrase: str, salt: bytes, cost: Argon2Cost) -> bytes:
    # The same characters typed on another keyboard must give the same bytes.
    text = unicodedata.normalize("NFKC", passphrase).encode("utf-8", "surrogatepass")
    kdf = Argon2id(
        salt=salt, length=KEY_BYTES, iterations=cost.iterations, lanes=cost.lanes, memory_cost=cost.memory_kib
    )
    return kdf.derive(text)


def _fields(data: bytes, names: set[str], kind: str) -> dict[str, Any]:
    body = parse_json(data, max_bytes=MAX_FILE_BYTES, what="the file")
    if not isinstance(body, dict) or body.get("format") != kind:
        raise WireError(f"it does not say format {kind!r}")
    if body.get("version") != VERSION or type(body["version"]) is not int:
        raise WireError(f"it has version {str(body.get('version'))[:24]}, this program reads version {VERSION}")
    return _parts(body, names)


def _parts(body: Any, names: set[str]) -> dict[str, Any]:
    if not isinstance(body, dict) or set(body) != names:
        raise WireError("it has fields too many or too few")
    return body


def _check_undamaged(body: dict[str, Any]) -> None:
    rest = {name: value for name, value in body.items() if name != "checksum"}
    if body["checksum"] != _checksum(rest):
        raise WireError("its checksum does not match")
    if (body["kdf"], body["cipher"]) != ("argon2id", "aes-256-gcm"):
        raise WireError("it names a cipher or key derivation that this version doesn't know")


def _text(body: dict[str, Any], name: str) -> str:
    value = body[name]
    if not isinstance(value, str) or not re.fullmatch(r"[\x21-\x7e]*", value):
        raise WireError(f"{name} is not plain text")
    return value


def _checksum(body: dict[str, Any]) -> str:
    return hashlib.sha256(canonical(body)).hexdigest()
