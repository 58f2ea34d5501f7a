"""What the console asks of an authenticator, and which answers it takes. No file, no clock.

The library checks kind, origin, challenge, rp id, presence, verification, credential and signature. What it leaves open
stands here: exactly the console's own origin with its port, no frame of another site, the algorithms that were offered,
the form and size of what is read.
"""

import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from fido2 import cbor
from fido2.cose import ES256, RS256, EdDSA
from fido2.server import Fido2Server
from fido2.utils import websafe_decode, websafe_encode
from fido2.webauthn import (
    AttestationConveyancePreference,
    AttestedCredentialData,
    AuthenticationResponse,
    AuthenticatorData,
    AuthenticatorTransport,
    CollectedClientData,
    PublicKeyCredentialDescriptor,
    PublicKeyCredentialParameters,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialType,
    PublicKeyCredentialUserEntity,
    RegistrationResponse,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

RP_ID = "localhost"
RP_NAME = "Latchstring console"
USER_NAME = "Latchstring owner"
PRF_BYTES = 32
CEREMONY_US = 3 * 60 * 1_000_000
ALGORITHMS = (ES256.ALGORITHM, EdDSA.ALGORITHM, RS256.ALGORITHM)  # phones and keys; young keys; Windows Hello
MAX_FIELD = 16_384
MAX_TRANSPORTS = 8
# Read from CBOR and JSON by a library that takes each value for what it should be.
MALFORMED = (
    ValueError, KeyError, IndexError, TypeError, AttributeError, AssertionError, OverflowError, RecursionError,
    struct.error, UnsupportedAlgorithm,
)  # fmt: skip
State = Mapping[str, Any]


class PasskeyError(Exception):
    """A passkey can't be added or does not open the owner key; the message is one line for a person."""


@dataclass(frozen=True, slots=True)
class Known:
    """A passkey that may answer."""

    credential: AttestedCredentialData
    salt: bytes
    transports: tuple[str, ...]

    @property
    def id(self) -> str:
        """How pages and browsers name it."""
        return websafe_encode(self.credential.credential_id)


@dataclass(frozen=True, slots=True)
class Created:
    """A new passkey: its record and counter, and by what ways the browser reaches it."""

    credential: AttestedCredentialData
    counter: int
    transports: tuple[str, ...]


class RelyingParty:
    """Asks and checks, for one origin."""

    def __init__(self, origin: str) -> None:
        self._server = Fido2Server(
            PublicKeyCredentialRpEntity(id=RP_ID, name=RP_NAME),
            attestation=AttestationConveyancePreference.NONE,
            verify_origin=lambda given: given == origin,
        )
        self._server.allowed_algorithms = [
            PublicKeyCredentialParameters(type=PublicKeyCredentialType.PUBLIC_KEY, alg=alg) for alg in ALGORITHMS
        ]
        self._server.timeout = CEREMONY_US // 1_000  # type: ignore[assignment]  # the library says None alone

    def creation(
        self, challenge: bytes, *, user: bytes, salt: bytes, known: Sequence[Known]
    ) -> tuple[dict[str, Any], State]:
        """Return what navigator.credentials.create is given as JSON, and what `created` needs."""
        options, state = self._server.register_begin(
            PublicKeyCredentialUserEntity(id=user, name=USER_NAME, display_name=USER_NAME),
            credentials=_descriptors(known),
            resident_key_requirement=ResidentKeyRequirement.PREFERRED,
            user_verification=UserVerificationRequirement.REQUIRED,
            challenge=challenge,
            extensions={"prf": {"eval": {"first": websafe_encode(salt)}}},
        )
        return dict(options.public_key), state

    def request(self, challenge: bytes, known: Sequence[Known]) -> tuple[dict[str, Any], State]:
        """Return what navigator.credentials.get is given as JSON, and what `asserted` needs."""
        salts = {one.id: {"first": websafe_encode(one.salt)} for one in known}
        options, state = self._server.authenticate_begin(
            _descriptors(known),
            user_verification=UserVerificationRequirement.REQUIRED,
            challenge=challenge,
            extensions={"prf": {"evalByCredential": salts}},
        )
        return dict(options.public_key), state

    def created(self, state: State, credential: object) -> Created:
        """Check a new passkey; raises PasskeyError."""
        clean = _clean(credential, ("clientDataJSON", "attestationObject"))
        try:
            _check_attestation(clean["response"]["attestationObject"])
            answer = RegistrationResponse.from_dict(clean)
            data = answer.response.attestation_object.auth_data
            _check_person(data, answer.response.client_data)
            self._server.register_complete(state, answer)
            made = data.credential_data
            if made is None or made.credential_id != answer.raw_id or made.public_key[3] not in ALGORITHMS:
                raise ValueError("it is not the kind of passkey that was asked for")
        except MALFORMED as error:
            raise _refused(error) from error
        return Created(made, data.counter, _transports(credential))

    def asserted(self, state: State, credential: object, known: Sequence[Known]) -> tuple[Known, int]:
        """Check an answer; returns whose it is, and its counter. Raises PasskeyError."""
        clean = _clean(credential, ("clientDataJSON", "authenticatorData", "signature"))
        by_id = {one.credential.credential_id: one for one in known}
        try:
            answer = AuthenticationResponse.from_dict(clean)
            if answer.raw_id not in by_id:
                raise PasskeyError("this passkey was never added to this console, or was removed; use the passphrase")
            data = answer.response.authenticator_data
            _check_person(data, answer.response.client_data)
            used = self._server.authenticate_complete(state, [one.credential for one in known], answer)
        except MALFORMED as error:
            raise _refused(error) from error
        return by_id[used.credential_id], data.counter


def read_base64url(text: object, *, size: int | None = None, what: str) -> bytes:
    """Decode unpadded base64url in its one spelling; raises PasskeyError."""
    if not isinstance(text, str) or len(text) > MAX_FIELD or not re.fullmatch(r"[A-Za-z0-9_-]*", text, re.ASCII):
        raise PasskeyError(f"{what} is not base64url")
    try:
        data = websafe_decode(text)
    except ValueError as error:
        raise PasskeyError(f"{what} is not base64url") from error
    if websafe_encode(data) != text or size not in (None, len(data)):
        raise PasskeyError(f"{what} has the wrong length or form")
    return data


def _descriptors(known: Sequence[Known]) -> list[PublicKeyCredentialDescriptor]:
    return [
        PublicKeyCredentialDescriptor(
            type=PublicKeyCredentialType.PUBLIC_KEY,
            id=one.credential.credential_id,
            transports=[AuthenticatorTransport(way) for way in one.transports] or None,
        )
        for one in known
    ]


def _clean(credential: object, names: Sequence[str]) -> dict[str, Any]:
    """Return of a browser's answer what is looked at, each field plain base64url of bounded length."""
    response = credential.get("response") if isinstance(credential, Mapping) else None
    if not isinstance(credential, Mapping) or not isinstance(response, Mapping):
        raise PasskeyError("the browser's answer about the passkey can't be read")
    raw_id, fields = credential.get("rawId"), {name: response.get(name) for name in names}
    for name, value in {"rawId": raw_id, **fields}.items():
        read_base64url(value, what=name)
    return {"id": credential.get("id"), "rawId": raw_id, "response": fields, "type": "public-key"}


def _check_attestation(text: str) -> None:
    # Where the library expects bytes and finds a number, it makes as many bytes.
    said = cbor.decode(websafe_decode(text))
    if not isinstance(said, Mapping) or not isinstance(said.get("authData"), bytes):
        raise TypeError("authData")


def _transports(credential: object) -> tuple[str, ...]:
    """Return the known ones among what the browser said: a hint for it and nothing more."""
    said = credential["response"].get("transports") if isinstance(credential, Mapping) else None
    named = {one for one in said[:MAX_TRANSPORTS] if isinstance(one, str)} if isinstance(said, list) else set()
    return tuple(sorted(named & {way.value for way in AuthenticatorTransport}))


def _check_person(data: AuthenticatorData, client: CollectedClientData) -> None:
    if not data.is_user_verified():
        raise PasskeyError("this passkey did not ask for a PIN, a fingerprint or a face; it can't open the owner key")
    if client.cross_origin is not False:
        raise ValueError("it was asked for from inside another site's page")


def _refused(error: BaseException) -> PasskeyError:
    said = str(error) if type(error) is ValueError else "it can't be read"  # a subclass tells of bytes, not of rules
    return PasskeyError(
        f"this passkey's answer is not accepted: {said[:120].rstrip('.')}; try again or use the passphrase"
    )
