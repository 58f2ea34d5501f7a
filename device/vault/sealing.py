"""Sealing with age v1 to X25519 recipients, readable by the stock `age`. The only module that knows pyrage.

Bytes in, bytes out: an age file that is cut or altered anywhere gives an error and no plaintext at all, since the
whole of it is authenticated before any of it is returned. Sealing is `agefile`'s; opening loads pyrage.
"""

from collections.abc import Sequence
from typing import Any

from .agefile import VERSION_LINE, encrypt, recipient_key
from .errors import SealError

SEALED_START = VERSION_LINE


def seal(plaintext: bytes, recipients: Sequence[str]) -> bytes:
    """Seal to each of the `age1…` recipients; raises SealError."""
    if not recipients:
        raise SealError("there is no recipient to seal to")
    try:
        return encrypt(plaintext, [recipient_key(text) for text in recipients])
    except ValueError as error:
        raise SealError(f"a recipient is not an age X25519 key (age1…): {error}") from error


def unseal(sealed: bytes, identity: str) -> bytes:
    """Open what `seal` or `age` made with an `AGE-SECRET-KEY-1…` identity; raises SealError, and then gives nothing."""
    if not is_sealed(sealed):
        raise SealError("this is not an age file")
    age = _pyrage()
    try:
        return bytes(age.decrypt(sealed, [age.x25519.Identity.from_str(identity)]))
    except age.IdentityError as error:
        raise SealError("the identity is not an age X25519 secret key") from error
    except age.DecryptError as error:
        raise SealError(f"it does not open: cut, damaged, or sealed to another key ({error})") from error


def is_sealed(data: bytes) -> bool:
    """Tell whether the bytes begin as an age file does; it says nothing about the rest."""
    return data.startswith(SEALED_START)


def new_identity() -> str:
    """Make an age identity from the system's randomness."""
    return str(_pyrage().x25519.Identity.generate())


def recipient_of(identity: str) -> str:
    """Return the public `age1…` half of an identity."""
    age = _pyrage()
    try:
        return str(age.x25519.Identity.from_str(identity).to_public())
    except age.IdentityError as error:
        raise SealError("the identity is not an age X25519 secret key") from error


def check_recipient(recipient: str) -> str:
    """Return the recipient if it is a well-formed `age1…` key in its one spelling; raises SealError."""
    try:
        recipient_key(recipient)
    except ValueError as error:
        raise SealError(f"{recipient[:80]!r} is not an age X25519 recipient (age1…): {error}") from error
    return recipient


def _pyrage() -> Any:
    import pyrage  # noqa: PLC0415 - a daemon seals and never opens: it does without the memory

    return pyrage
