"""Writing age v1 files (age-encryption.org/v1) to X25519 recipients. Reading them is pyrage's, see `sealing`.

    header   lines: "age-encryption.org/v1", for each recipient "-> X25519 " share and the wrapped file key, "--- " mac
    payload  nonce (16 bytes), then the plaintext in chunks of 64 KiB, each ChaCha20-Poly1305 with a nonce of its own:
             the chunk's number in 11 bytes, and 1 for the last chunk, 0 for the others

Written here since a camera seals every second of its life: OpenSSL's cipher takes a quarter of pyrage's time, and a
daemon that opens nothing need not hold pyrage in memory. Each file has its own random file key, and each recipient's
share a key pair made for it alone, so that no key ever meets the same nonce twice. The randomness is the system's.
"""

import base64
import hmac
import os
from collections.abc import Iterator, Sequence
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

VERSION_LINE = b"age-encryption.org/v1\n"
CHUNK_BYTES = 64 * 1024
KEY_BYTES = 32
FILE_KEY_BYTES = PAYLOAD_NONCE_BYTES = 16
WRAP_NONCE = bytes(12)  # the key that it goes with is used once

PREFIX = "age"
ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
CHECKSUM_SYMBOLS = 6
_GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_SUM_MASK = 0x1FFFFFF


def encrypt(plaintext: bytes, recipients: Sequence[bytes]) -> bytes:
    """Return the age file that each of the recipients (32 bytes, `recipient_key`) can open.

    Raises ValueError for a recipient that is no point to share a secret with.
    """
    file_key = os.urandom(FILE_KEY_BYTES)
    header = VERSION_LINE + b"".join(_stanza(file_key, key) for key in recipients) + b"---"
    mac = hmac.digest(_derived(file_key, salt=b"", info=b"header"), header, "sha256")
    nonce = os.urandom(PAYLOAD_NONCE_BYTES)
    payload_key = _derived(file_key, salt=nonce, info=b"payload")
    return b"".join((header, b" ", _base64(mac), b"\n", nonce, *_chunks(plaintext, payload_key)))


@lru_cache(maxsize=16)
def recipient_key(recipient: str) -> bytes:
    """Return the 32 bytes of an `age1…` recipient (BIP 173, in lower case); ValueError if it is none."""
    start = len(PREFIX) + 1
    if not recipient.startswith(f"{PREFIX}1") or any(char not in ALPHABET for char in recipient[start:]):
        raise ValueError("it does not look like age1…")
    symbols = [ALPHABET.index(char) for char in recipient[start:]]
    spelled = [ord(char) >> 5 for char in PREFIX] + [0] + [ord(char) & 31 for char in PREFIX]
    if _polymod([*spelled, *symbols]) != 1:
        raise ValueError("its checksum does not match")
    number, bits = 0, 5 * (len(symbols) - CHECKSUM_SYMBOLS)
    for symbol in symbols[:-CHECKSUM_SYMBOLS]:
        number = number << 5 | symbol
    spare = bits - 8 * KEY_BYTES
    if not 0 <= spare < 5 or number & ((1 << spare) - 1):  # noqa: PLR2004 - the bits of one symbol
        raise ValueError(f"it does not hold {KEY_BYTES} bytes")
    return (number >> spare).to_bytes(KEY_BYTES, "big")


def _stanza(file_key: bytes, recipient: bytes) -> bytes:
    own = X25519PrivateKey.generate()
    share = own.public_key().public_bytes_raw()
    secret = own.exchange(X25519PublicKey.from_public_bytes(recipient))
    wrapping = _derived(secret, salt=share + recipient, info=b"age-encryption.org/v1/X25519")
    wrapped = ChaCha20Poly1305(wrapping).encrypt(WRAP_NONCE, file_key, None)
    return b"-> X25519 " + _base64(share) + b"\n" + _base64(wrapped) + b"\n"


def _chunks(plaintext: bytes, key: bytes) -> Iterator[bytes]:
    cipher, view = ChaCha20Poly1305(key), memoryview(plaintext)
    # An empty plaintext is one empty chunk; any other has no empty one.
    last = max(0, len(view) - 1) // CHUNK_BYTES
    for number in range(last + 1):
        nonce = number.to_bytes(11, "big") + bytes((number == last,))
        yield cipher.encrypt(nonce, view[number * CHUNK_BYTES : (number + 1) * CHUNK_BYTES], None)


def _derived(secret: bytes, *, salt: bytes, info: bytes) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, salt, info).derive(secret)


def _base64(data: bytes) -> bytes:
    return base64.b64encode(data).rstrip(b"=")


def _polymod(symbols: Sequence[int]) -> int:
    total = 1
    for symbol in symbols:
        top = total >> 25
        total = (total & _SUM_MASK) << 5 ^ symbol
        for place, generator in enumerate(_GENERATORS):
            if top >> place & 1:
                total ^= generator
    return total
