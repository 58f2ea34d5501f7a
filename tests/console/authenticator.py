"""An authenticator of software: it answers as a browser with a security key would, and can be bent."""

import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from fido2.cose import ES256, CoseKey, EdDSA
from fido2.utils import websafe_decode, websafe_encode
from fido2.webauthn import Aaguid, AttestationObject, AttestedCredentialData, AuthenticatorData

FLAG = AuthenticatorData.FLAG
Key = EllipticCurvePrivateKey | Ed25519PrivateKey


@dataclass
class Authenticator:
    """One credential. The fields after `key` are what a test bends; `None` leaves the honest value."""

    key: Key = field(default_factory=lambda: generate_private_key(SECP256R1()))
    origin: str = "http://localhost:8440"
    rp_id: str = "localhost"
    counter: int = 1
    step: int = 1
    flags: int = FLAG.UP | FLAG.UV
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    cred_random: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    algorithm: int | None = None
    challenge: str | None = None
    kind: str | None = None
    cross_origin: bool = False

    def create(self, options: dict[str, Any]) -> tuple[dict[str, Any], str]:
        """Answer navigator.credentials.create: the credential as JSON, and the PRF."""
        public: CoseKey
        if isinstance(self.key, Ed25519PrivateKey):
            public = EdDSA.from_cryptography_key(self.key.public_key())  # type: ignore[no-untyped-call]
        else:
            public = ES256.from_cryptography_key(self.key.public_key())  # type: ignore[no-untyped-call]
        if self.algorithm is not None:
            public[3] = self.algorithm
        made = AttestedCredentialData.create(Aaguid.NONE, self.credential_id, public)
        data = self._data(FLAG.AT, bytes(made))
        response = {
            "clientDataJSON": websafe_encode(self._client("webauthn.create", options)),
            "attestationObject": websafe_encode(AttestationObject.create("none", data, {})),
            "transports": ["usb", "carrier-pigeon"],
        }
        return self._answer(response), self._prf(options["extensions"]["prf"]["eval"]["first"])

    def get(self, options: dict[str, Any]) -> tuple[dict[str, Any], str]:
        """Answer navigator.credentials.get: the assertion as JSON, and the PRF."""
        data, client = self._data(), self._client("webauthn.get", options)
        signed = bytes(data) + hashlib.sha256(client).digest()
        if isinstance(self.key, Ed25519PrivateKey):
            signature = self.key.sign(signed)
        else:
            signature = self.key.sign(signed, ECDSA(SHA256()))
        response = {
            "clientDataJSON": websafe_encode(client),
            "authenticatorData": websafe_encode(data),
            "signature": websafe_encode(signature),
            "userHandle": None,
        }
        salts = options["extensions"]["prf"]["evalByCredential"]
        salt = salts.get(websafe_encode(self.credential_id), {"first": websafe_encode(bytes(32))})
        return self._answer(response), self._prf(salt["first"])

    def _data(self, flags: int = 0, made: bytes = b"") -> AuthenticatorData:
        counter, self.counter = self.counter, self.counter + self.step
        hashed = hashlib.sha256(self.rp_id.encode()).digest()
        data: AuthenticatorData = AuthenticatorData.create(hashed, FLAG(self.flags | flags), counter, made)
        return data

    def _client(self, kind: str, options: dict[str, Any]) -> bytes:
        told = {
            "type": self.kind or kind,
            "challenge": self.challenge or options["challenge"],
            "origin": self.origin,
            "crossOrigin": self.cross_origin,
        }
        return json.dumps(told).encode()

    def _prf(self, salt: str) -> str:
        # What CTAP's hmac-secret computes of a salt that a page gave through the PRF extension.
        hashed = hashlib.sha256(b"WebAuthn PRF\0" + websafe_decode(salt)).digest()
        return websafe_encode(hmac.digest(self.cred_random, hashed, "sha256"))

    def _answer(self, response: dict[str, Any]) -> dict[str, Any]:
        name = websafe_encode(self.credential_id)
        return {"id": name, "rawId": name, "type": "public-key", "response": response}
