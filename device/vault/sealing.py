"""Sealing with age v1 to X25519 recipients, readable by the stock `age`. The only module that knows pyrage.

Bytes in, bytes out: an age file that is cut or altered anywhere gives an error and no plaintext at all, since the
whole of it is authenticated before any of it is returned.
"""

from collections.abc import Sequence

import pyrage

from .errors import SealError

SEALED_START = b"age-encryption.org/v1\n"


def seal(plaintext: bytes, recipients: Sequence[str]) -> bytes:
    """Seal to each of the `age1…` recipients; keep segments under 5 MB, since this holds the GIL."""
    if not recipients:
        raise SealError("there is no recipient to seal to")
    try:
        keys = [pyrage.x25519.Recipient.from_str(text) for text in recipients]
        return bytes(pyrage.encrypt(plaintext, keys))
    except pyrage.RecipientError as error:
        raise SealError(f"a recipient is not an age X25519 key (age1…): {error}") from error
    except pyrage.EncryptError as error:
        raise SealError(f"sealing failed: {error}") from error


def unseal(sealed: bytes, identity: str) -> bytes:
    """Open what `seal` or `age` made with an `AGE-SECRET-KEY-1…` identity; raises SealError, and then gives nothing."""
    if not is_sealed(sealed):
        raise SealError("this is not an age file")
    try:
        return bytes(pyrage.decrypt(sealed, [pyrage.x25519.Identity.from_str(identity)]))
    except pyrage.IdentityError as error:
        raise SealError("the identity is not an age X25519 secret key") from error
    except pyrage.DecryptError as error:
        raise SealError(f"it does not open: cut, damaged, or sealed to another key ({error})") from error


def is_sealed(data: bytes) -> bool:
    """Tell whether the bytes begin as an age file does; it says nothing about the rest."""
    return data.startswith(SEALED_START)


def new_identity() -> str:
    """Make an age identity from the system's randomness."""
    return str(pyrage.x25519.Identity.generate())


def recipient_of(identity: str) -> str:
    """Return the public `age1…` half of an identity."""
    try:
        return str(pyrage.x25519.Identity.from_str(identity).to_public())
    except pyrage.IdentityError as error:
        raise SealError("the identity is not an age X25519 secret key") from error


def check_recipient(recipient: str) -> str:
    """Return the recipient if it is a well-formed `age1…` key in its one spelling; raises SealError."""
    try:
        key = pyrage.x25519.Recipient.from_str(recipient)
    except pyrage.RecipientError as error:
        raise SealError(f"{recipient[:80]!r} is not an age X25519 recipient (age1…): {error}") from error
    if str(key) != recipient:
        raise SealError(f"{recipient[:80]!r} is not in the one spelling of an age recipient")
    return recipient
