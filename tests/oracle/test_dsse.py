"""DSSE: securesystemslib and openssl verify our envelopes, we open theirs, and nobody takes a forged one."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from securesystemslib.dsse import Envelope as PeerEnvelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer._crypto_signer import CryptoSigner
from securesystemslib.signer._key import SSlibKey

from broker.wire.encoding import WireError, canonical, from_base64, to_base64
from broker.wire.envelopes import key_id, open_envelope, pae, parse_envelope, payload_type, public_bytes
from broker.wire.records import Request
from tests.conftest import need
from tests.wire.support import key_of, request

KEY = key_of("police")
PUBLIC = public_bytes(KEY)
TYPE = payload_type("request")
OURS = request().sign(KEY)
PEER_KEY = SSlibKey(key_id(PUBLIC), "ed25519", "ed25519", {"public": PUBLIC.hex()})

Body = dict[str, Any]


def _signed(body: Body, change: Callable[[Body], Body]) -> Body:
    return body | {"signatures": [change(dict(body["signatures"][0]))]}


def _flipped(text: str, at: int) -> str:
    data = bytearray(from_base64(text))
    data[at] ^= 1
    return to_base64(bytes(data))


OTHER = request(case="26-001235").payload()
FORGERIES: dict[str, Callable[[Body], Body]] = {
    "another payload": lambda body: body | {"payload": to_base64(OTHER)},
    "a bit of the payload": lambda body: body | {"payload": _flipped(body["payload"], 3)},
    "a longer payload": lambda body: body | {"payload": to_base64(from_base64(body["payload"]) + b"\n")},
    "another type": lambda body: body | {"payloadType": payload_type("update")},
    "a longer type": lambda body: body | {"payloadType": body["payloadType"] + " "},
    "no type": lambda body: body | {"payloadType": ""},
    "first byte of the signature": lambda body: _signed(body, lambda one: one | {"sig": _flipped(one["sig"], 0)}),
    "last byte of the signature": lambda body: _signed(body, lambda one: one | {"sig": _flipped(one["sig"], -1)}),
    "a signature cut short": lambda body: _signed(
        body, lambda one: one | {"sig": to_base64(from_base64(one["sig"])[:-1])}
    ),
    "another key id": lambda body: _signed(body, lambda one: one | {"keyid": key_id(public_bytes(key_of("fire")))}),
    "no signature": lambda body: body | {"signatures": []},
    "a signature of the payload alone": lambda body: _signed(
        body, lambda one: one | {"sig": to_base64(KEY.sign(from_base64(body["payload"])))}
    ),
    "another key's signature": lambda body: _signed(
        body, lambda one: one | {"sig": to_base64(key_of("fire").sign(pae(TYPE, from_base64(body["payload"]))))}
    ),
}


def we_accept(data: bytes) -> bool:
    try:
        Request.open(data, key=PUBLIC)
    except WireError:
        return False
    return True


class TestSecuresystemslib:
    """The library behind TUF and in-toto."""

    def accepts(self, data: bytes) -> bool:
        try:
            PeerEnvelope.from_dict(json.loads(data)).verify([PEER_KEY], 1)
        except (VerificationError, ValueError):
            return False
        return True

    def test_both_sign_the_same_envelope(self) -> None:
        """Payload, type and key make one envelope, whoever signs."""
        theirs = PeerEnvelope(request().payload(), TYPE, {})
        theirs.sign(CryptoSigner(KEY, PEER_KEY))
        assert canonical(theirs.to_dict()) == OURS
        assert self.accepts(OURS)
        assert we_accept(canonical(theirs.to_dict()))

    @pytest.mark.parametrize("what", FORGERIES)
    def test_neither_takes_a_forged_one(self, what: str) -> None:
        """Whatever was changed in the envelope."""
        forged = canonical(FORGERIES[what](json.loads(OURS)))
        assert not self.accepts(forged)
        assert not we_accept(forged)


@pytest.mark.openssl
class TestOpenssl:
    """The command line tool, over the pre-authentication encoding that the specification defines."""

    @pytest.fixture
    def verifies(self, tmp_path: Path) -> Callable[[bytes], bool]:
        openssl = need("openssl")
        pem = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (tmp_path / "key.pem").write_bytes(pem)

        def verify(data: bytes) -> bool:
            body = json.loads(data)
            payload, kind = from_base64(body["payload"]), body["payloadType"].encode()
            (tmp_path / "message").write_bytes(
                b" ".join((b"DSSEv1", b"%d" % len(kind), kind, b"%d" % len(payload), payload))
            )
            (tmp_path / "sig").write_bytes(from_base64((body["signatures"] or [{"sig": ""}])[0]["sig"]))
            command = [openssl, "pkeyutl", "-verify", "-pubin", "-inkey", "key.pem", "-rawin", "-in", "message"]
            command += ["-sigfile", "sig"]
            return subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 0

        return verify

    def test_it_verifies_ours(self, verifies: Callable[[bytes], bool]) -> None:
        """With nothing but base64 and our public key."""
        assert verifies(OURS)

    @pytest.mark.parametrize("what", [name for name in FORGERIES if name != "another key id"])
    def test_neither_takes_a_forged_one(self, verifies: Callable[[bytes], bool], what: str) -> None:
        """Whatever was changed; the key id it is not shown."""
        forged = canonical(FORGERIES[what](json.loads(OURS)))
        assert not verifies(forged)
        assert not we_accept(forged)

    def test_we_open_what_it_signs(self, tmp_path: Path) -> None:
        """A signature made by openssl stands in our envelope like our own."""
        openssl = need("openssl")
        (tmp_path / "key.pem").write_bytes(KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        (tmp_path / "message").write_bytes(pae(TYPE, request().payload()))
        command = [openssl, "pkeyutl", "-sign", "-inkey", "key.pem", "-rawin", "-in", "message", "-out", "sig"]
        subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
        sig = to_base64((tmp_path / "sig").read_bytes())
        body = {"payload": to_base64(request().payload()), "payloadType": TYPE}
        theirs = canonical(body | {"signatures": [{"keyid": key_id(PUBLIC), "sig": sig}]})
        assert theirs == OURS
        assert open_envelope(theirs, payload_type=TYPE, key=PUBLIC) == request().payload()


def test_two_signatures_make_no_envelope_of_ours() -> None:
    """The specification allows several; an entry has one, so that it has one spelling. Theirs with two is refused."""
    body = json.loads(OURS)
    both = canonical(body | {"signatures": body["signatures"] * 2})
    with pytest.raises(WireError, match="exactly one"):
        parse_envelope(both)
