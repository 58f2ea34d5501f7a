"""DSSE envelopes: stock tools verify ours, and only the exact bytes that were signed pass."""

import json
import subprocess
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope as PeerEnvelope
from securesystemslib.signer._crypto_signer import CryptoSigner
from securesystemslib.signer._key import SSlibKey

from broker.wire.encoding import WireError, canonical, from_base64, to_base64
from broker.wire.envelopes import (
    MAX_ENVELOPE_BYTES,
    key_id,
    open_envelope,
    pae,
    parse_envelope,
    payload_type,
    public_bytes,
    sign_envelope,
)
from tests.conftest import need
from tests.wire.support import FORGED, WEAK_KEYS, key_of

KEY = key_of("police")
PUBLIC = public_bytes(KEY)
TYPE = payload_type("request")


def test_the_encoding_is_the_one_of_the_specification() -> None:
    """The example of the DSSE protocol comes out to the letter."""
    assert pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


@given(st.binary(max_size=200))
def test_what_was_signed_comes_back(payload: bytes) -> None:
    """Signing and opening are inverse, for any payload."""
    envelope = sign_envelope(payload, TYPE, KEY)
    assert open_envelope(envelope, payload_type=TYPE, key=PUBLIC) == payload
    assert parse_envelope(envelope).payload == payload


def test_securesystemslib_verifies_ours_and_we_verify_theirs() -> None:
    """An implementation that is not ours agrees in both directions."""
    ours = PeerEnvelope.from_dict(json.loads(sign_envelope(b"payload", TYPE, KEY)))
    keyid = next(iter(ours.signatures))
    key = SSlibKey(keyid, "ed25519", "ed25519", {"public": PUBLIC.hex()})
    assert list(ours.verify([key], 1)) == [keyid]
    theirs = PeerEnvelope(b"payload", TYPE, {})
    theirs.sign(CryptoSigner(KEY, key))
    assert open_envelope(canonical(theirs.to_dict()), payload_type=TYPE, key=PUBLIC) == b"payload"


@pytest.mark.openssl
def test_openssl_verifies_ours(tmp_path: Path) -> None:
    """Anybody can check an envelope with openssl alone, over the pre-authentication encoding."""
    openssl = need("openssl")
    envelope = parse_envelope(sign_envelope(b"payload", TYPE, KEY))
    (tmp_path / "key.pem").write_bytes(KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    (tmp_path / "sig").write_bytes(envelope.signature)

    def verify(message: bytes) -> subprocess.CompletedProcess[bytes]:
        (tmp_path / "message").write_bytes(message)
        command = [openssl, "pkeyutl", "-verify", "-pubin", "-inkey", "key.pem", "-rawin", "-in", "message"]
        return subprocess.run([*command, "-sigfile", "sig"], cwd=tmp_path, capture_output=True, check=False)

    assert verify(pae(TYPE, b"payload")).returncode == 0
    assert verify(pae(TYPE, b"another")).returncode != 0


def test_openssl_takes_a_signature_that_nobody_made() -> None:
    """The library verifies it for each of these keys, over one of a hundred messages at least: hence `check_key`."""
    for key in WEAK_KEYS:
        assert any(_verifies(key, b"%d" % number) for number in range(200))


def _verifies(key: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(FORGED, message)
    except InvalidSignature:
        return False
    return True


@pytest.mark.parametrize("key", WEAK_KEYS, ids=bytes.hex)
def test_a_key_that_anybody_signs_with_opens_nothing(key: bytes) -> None:
    """An envelope under a key of small order says nothing of who signed it, and is refused before its signature."""
    body = {"payload": to_base64(b"x"), "payloadType": TYPE}
    forged = canonical(body | {"signatures": [{"keyid": key_id(key), "sig": to_base64(FORGED)}]})
    with pytest.raises(WireError, match="only its owner"):
        open_envelope(forged, payload_type=TYPE, key=key)


@given(st.binary(max_size=40), st.integers(1, 7))
def test_nobody_makes_a_second_envelope_of_a_first(payload: bytes, times: int) -> None:
    """A signature with the group's order added to it says the same, and would be another entry: it is refused."""
    body = json.loads(sign_envelope(payload, TYPE, KEY))
    signature = from_base64(body["signatures"][0]["sig"])
    scalar = int.from_bytes(signature[32:], "little") + times * (2**252 + 27742317777372353535851937790883648493)
    other = signature[:32] + scalar.to_bytes(32, "little")
    body["signatures"][0]["sig"] = to_base64(other)
    with pytest.raises(WireError, match="does not verify"):
        open_envelope(canonical(body), payload_type=TYPE, key=PUBLIC)


def test_another_key_type_or_payload_is_refused() -> None:
    """A signature holds for its key, its type and its payload."""
    envelope = sign_envelope(b"payload", TYPE, KEY)
    with pytest.raises(WireError, match="not by"):
        open_envelope(envelope, payload_type=TYPE, key=public_bytes(key_of("fire")))
    with pytest.raises(WireError, match="is expected"):
        open_envelope(envelope, payload_type=payload_type("update"), key=PUBLIC)
    body = json.loads(envelope)
    for change in ({"payload": "YW5vdGhlcg=="}, {"payloadType": payload_type("update")}):
        with pytest.raises(WireError, match="does not verify"):
            parse_envelope(canonical(body | change)).verify(PUBLIC)
    with pytest.raises(WireError):
        parse_envelope(envelope).verify(b"short")


@given(st.data())
def test_no_flipped_bit_passes(data: st.DataObject) -> None:
    """Wherever one bit of an envelope changes, it is refused."""
    envelope = bytearray(sign_envelope(b'{"a":1}', TYPE, KEY))
    at = data.draw(st.integers(0, len(envelope) - 1))
    envelope[at] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(WireError):
        open_envelope(bytes(envelope), payload_type=TYPE, key=PUBLIC)


GOOD = json.loads(sign_envelope(b"payload", TYPE, KEY))


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        GOOD | {"more": 1},
        {name: GOOD[name] for name in ("payload", "payloadType")},
        GOOD | {"payload": 1},
        GOOD | {"payloadType": None},
        GOOD | {"payload": "YQ"},
        GOOD | {"signatures": {}},
        GOOD | {"signatures": []},
        GOOD | {"signatures": GOOD["signatures"] * 2},
        GOOD | {"signatures": ["x"]},
        GOOD | {"signatures": [{"sig": GOOD["signatures"][0]["sig"]}]},
        GOOD | {"signatures": [GOOD["signatures"][0] | {"cert": "x"}]},
        GOOD | {"signatures": [GOOD["signatures"][0] | {"keyid": 1}]},
        GOOD | {"signatures": [GOOD["signatures"][0] | {"sig": "YWJj"}]},
    ],
)
def test_other_shapes_are_refused(body: object) -> None:
    """Exactly one signature, known fields only, each of its kind."""
    with pytest.raises(WireError):
        parse_envelope(canonical(body))


def test_size_and_spelling_are_strict() -> None:
    """An envelope fits a log entry, and has one spelling."""
    envelope = sign_envelope(b"payload", TYPE, KEY)
    for bad in (envelope + b"\n", b" " + envelope, json.dumps(GOOD).encode(), b"", b"null"):
        with pytest.raises(WireError):
            parse_envelope(bad)
    fits = (MAX_ENVELOPE_BYTES - len(sign_envelope(b"", TYPE, KEY))) // 4 * 3
    assert parse_envelope(sign_envelope(b"x" * fits, TYPE, KEY)).payload == b"x" * fits
    with pytest.raises(WireError, match="more than the 65535"):
        parse_envelope(sign_envelope(b"x" * (fits + 3), TYPE, KEY))
