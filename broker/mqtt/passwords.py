"""Password hashes in Mosquitto's own form, so that one store serves the embedded broker and Mosquitto.

The text is `$7$<iterations>$<base64 salt>$<base64 hash>`: PBKDF2-HMAC-SHA512, 64 bytes.
"""

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import Final

from broker.mqtt.errors import PolicyError

DEFAULT_ITERATIONS: Final = (
    10_000  # some 6 ms; machines' passwords are random, and Mosquitto checks them on its one thread
)
MAX_ITERATIONS: Final = 10_000_000

_SALT_BYTES: Final = 12
_HASH_BYTES: Final = 64
_FORM: Final = re.compile(r"\$7\$([1-9][0-9]{0,7})\$([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+)")


@dataclass(frozen=True, slots=True)
class PasswordHash:
    """A hash taken apart; `str()` gives the text back."""

    iterations: int
    salt: bytes
    digest: bytes

    @classmethod
    def parse(cls, text: str) -> "PasswordHash":
        """Read the text form; raises PolicyError."""
        form = _FORM.fullmatch(text)
        if form is None:
            raise PolicyError(
                "a password hash is not of the form $7$iterations$salt$hash; make one with `mosquitto_passwd`"
            )
        try:
            parsed = cls(int(form[1]), *(base64.b64decode(part, validate=True) for part in form.group(2, 3)))
        except binascii.Error:
            raise PolicyError("a password hash has a salt or hash that is not base64") from None
        if str(parsed) != text or not parsed.salt or len(parsed.digest) != _HASH_BYTES:
            raise PolicyError("a password hash has a salt or hash of the wrong length or spelling")
        if parsed.iterations > MAX_ITERATIONS:
            raise PolicyError(
                f"a password hash wants {parsed.iterations} iterations; at most {MAX_ITERATIONS} are done"
            )
        return parsed

    def __str__(self) -> str:
        salt, digest = (base64.b64encode(part).decode() for part in (self.salt, self.digest))
        return f"$7${self.iterations}${salt}${digest}"

    def fits(self, password: bytes) -> bool:
        """Say whether `password` is the one hashed, in a time that does not depend on where they differ."""
        return hmac.compare_digest(_derive(password, self.salt, self.iterations), self.digest)


def hash_password(password: bytes, *, iterations: int = DEFAULT_ITERATIONS, salt: bytes | None = None) -> str:
    """Return the text form of a new hash, with a random salt unless one is given."""
    salt = secrets.token_bytes(_SALT_BYTES) if salt is None else salt
    return str(PasswordHash(iterations, salt, _derive(password, salt, iterations)))


def _derive(password: bytes, salt: bytes, iterations: int) -> bytes:
    return hashlib.pbkdf2_hmac("sha512", password, salt, iterations, _HASH_BYTES)
