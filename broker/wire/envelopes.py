"""DSSE envelopes (Dead Simple Signing Envelope 1.0) with Ed25519: how every record is signed.

    {"payload":"<base64>","payloadType":"application/vnd.latchstring.<thing>.v1+json",
     "signatures":[{"keyid":"<hex>","sig":"<base64>"}]}

What is signed is the pre-authentication encoding of type and payload:

    "DSSEv1" SP len(type) SP type SP len(payload) SP payload

An envelope is identified by its exact bytes; nothing is re-encoded between signing and checking.
We write envelopes as canonical JSON with one signature, and accept nothing else, so that an entry has one spelling.
"""

import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from .encoding import WireError, canonical, from_base64, parse_canonical, to_base64

MAX_ENVELOPE_BYTES = 65_535  # one log entry (tlog-tiles prefixes entries with a uint16)
KEY_BYTES = 32
SIGNATURE_BYTES = 64
_FIELD = (1 << 255) - 19
# The y of the eight points of small order: under such a key anybody makes signatures, some of them for every message.
_WEAK = frozenset({
    0,
    1,
    _FIELD - 1,
    0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
    0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,
})  # fmt: skip


def payload_type(thing: str) -> str:
    """Return the media type of one kind of record, `request` say."""
    return f"application/vnd.latchstring.{thing}.v1+json"


def key_id(public_key: bytes) -> str:
    """Return the key id of an Ed25519 public key: the SHA-256 of its 32 bytes, in hex."""
    return hashlib.sha256(public_key).hexdigest()


def public_bytes(key: Ed25519PrivateKey) -> bytes:
    """Return the 32 bytes of the public half."""
    return key.public_key().public_bytes_raw()


def check_key(key: bytes, *, what: str = "key") -> bytes:
    """Return a 32-byte Ed25519 key in its one spelling; raises WireError, also for one that binds nobody."""
    if len(key) != KEY_BYTES:
        raise WireError(f"{what} has {len(key)} bytes where {KEY_BYTES} are expected")
    y = int.from_bytes(key, "little") & ((1 << 255) - 1)
    if y >= _FIELD or y in _WEAK:
        raise WireError(f"{what} is no key that only its owner can sign with")
    return key


@dataclass(frozen=True, slots=True)
class Envelope:
    """A parsed envelope whose signature is *not* checked yet."""

    data: bytes
    payload_type: str
    payload: bytes
    key_id: str
    signature: bytes

    def verify(self, public_key: bytes, *, what: str = "envelope") -> bytes:
        """Return the payload if `public_key` (32 bytes) signed it; raises WireError else."""
        if key_id(public_key) != self.key_id:
            raise WireError(f"{what} is signed by key {self.key_id[:16]}, not by {key_id(public_key)[:16]}")
        check_key(public_key, what=f"the key of {what}")
        try:
            Ed25519PublicKey.from_public_bytes(public_key).verify(self.signature, pae(self.payload_type, self.payload))
        except (InvalidSignature, ValueError) as error:
            raise WireError(f"{what} has a signature that does not verify") from error
        return self.payload


def pae(type_name: str, payload: bytes) -> bytes:
    """Return the DSSE pre-authentication encoding."""
    kind = type_name.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def sign_envelope(payload: bytes, type_name: str, key: Ed25519PrivateKey) -> bytes:
    """Sign a payload and return the envelope's exact bytes."""
    signature = key.sign(pae(type_name, payload))
    body = {
        "payload": to_base64(payload),
        "payloadType": type_name,
        "signatures": [{"keyid": key_id(public_bytes(key)), "sig": to_base64(signature)}],
    }
    return canonical(body)


def parse_envelope(data: bytes, *, max_bytes: int = MAX_ENVELOPE_BYTES, what: str = "envelope") -> Envelope:
    """Parse an envelope strictly, without checking its signature."""
    body = parse_canonical(data, max_bytes=max_bytes, what=what)
    if not isinstance(body, dict) or set(body) != {"payload", "payloadType", "signatures"}:
        raise WireError(f"{what} must have exactly payload, payloadType and signatures")
    payload, kind, signatures = body["payload"], body["payloadType"], body["signatures"]
    if not isinstance(payload, str) or not isinstance(kind, str):
        raise WireError(f"{what}: payload and payloadType must be strings")
    if not isinstance(signatures, list) or len(signatures) != 1:
        raise WireError(f"{what} must carry exactly one signature")
    (only,) = signatures
    if (
        not isinstance(only, dict)
        or set(only) != {"keyid", "sig"}
        or not all(isinstance(v, str) for v in only.values())
    ):
        raise WireError(f"{what}: a signature must have exactly keyid and sig")
    return Envelope(
        data=data,
        payload_type=kind,
        payload=from_base64(payload, what=f"{what} payload"),
        key_id=only["keyid"],
        signature=from_base64(only["sig"], size=SIGNATURE_BYTES, what=f"{what} signature"),
    )


def open_envelope(data: bytes, *, payload_type: str, key: bytes, max_bytes: int = MAX_ENVELOPE_BYTES) -> bytes:
    """Parse, check the type and the signature by `key` (32 bytes), and return the payload."""
    envelope = parse_envelope(data, max_bytes=max_bytes, what=payload_type)
    if envelope.payload_type != payload_type:
        raise WireError(f"envelope holds {envelope.payload_type[:80]!r} where {payload_type!r} is expected")
    return envelope.verify(key, what=payload_type)
