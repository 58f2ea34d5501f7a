"""Signed notes, checkpoints and cosignatures, each accepted by a peer and refused when forged."""

import contextlib
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from tlog_scales.signing import PlainEd25519Signer, Vkey
from tlog_scales.tlog import Checkpoint as PeerCheckpoint

from broker.wire.encoding import WireError, format_time, parse_time, to_base64
from broker.wire.envelopes import public_bytes
from broker.wire.notes import (
    COSIGNATURE_V1,
    ED25519,
    MAX_NOTE_BYTES,
    MAX_SIGNATURES,
    Checkpoint,
    Note,
    Signature,
    VerifierKey,
    check_key_name,
    cosign_note,
    cosigned_at,
    parse_checkpoint,
    parse_note,
    parse_verifier_key,
    sign_note,
    signed_by,
)
from tests.wire.support import FORGED, WEAK_KEYS, key_of

ORIGIN = "log.example.org/test"
LOG = key_of("log")
LOG_KEY = VerifierKey(ORIGIN, ED25519, public_bytes(LOG))
WITNESS = key_of("witness")
WITNESS_KEY = VerifierKey("witness.example.org", COSIGNATURE_V1, public_bytes(WITNESS))
CHECKPOINT = Checkpoint(ORIGIN, 42, b"\x07" * 32)
SIGNED = sign_note(CHECKPOINT.text, ORIGIN, LOG)


def sound_key(seed: bytes) -> bytes:
    return public_bytes(Ed25519PrivateKey.from_private_bytes(seed))


def data_of(note: Note) -> bytes:
    return str(note).encode()


def test_a_checkpoint_reads_like_this() -> None:
    """Three lines, a blank one, a dash, the name, and the key id before the signature."""
    lines = str(SIGNED).split("\n")
    assert lines[:4] == [ORIGIN, "42", to_base64(b"\x07" * 32), ""]
    assert lines[4].startswith(f"\u2014 {ORIGIN} ")
    assert lines[5:] == [""]


def test_a_peer_accepts_ours_and_we_accept_theirs(tmp_path: Path) -> None:
    """tlog-scales verifies our checkpoint and cosignature; we verify its checkpoint."""
    del tmp_path
    note = cosign_note(SIGNED, WITNESS_KEY.name, WITNESS, at_s=1_777_777_777)
    peer = PeerCheckpoint.from_text(str(note))
    assert (peer.origin, peer.size, peer.root_hash) == (ORIGIN, 42, b"\x07" * 32)
    peer.verify(Vkey.from_string(str(LOG_KEY)))
    peer.verify(Vkey.from_string(str(WITNESS_KEY)))
    theirs = PeerCheckpoint.make_signed(ORIGIN, 7, b"\x01" * 32, [PlainEd25519Signer(ORIGIN, LOG)])
    parsed = parse_note(theirs.serialize().encode())
    assert signed_by(parsed, LOG_KEY)
    assert parse_checkpoint(parsed.text) == Checkpoint(ORIGIN, 7, b"\x01" * 32)


def test_notes_come_back() -> None:
    """Parsing and writing are inverse, also with several signatures and blank lines in the text."""
    note = cosign_note(SIGNED, WITNESS_KEY.name, WITNESS, at_s=1)
    assert parse_note(data_of(note)) == note
    odd = sign_note("a\n\nb\n", "name", LOG)
    assert parse_note(data_of(odd)) == odd


def test_only_the_named_key_counts() -> None:
    """A signature is looked up by name and id; another's does not count, and a false one under a known id raises."""
    assert signed_by(SIGNED, LOG_KEY)
    assert not signed_by(SIGNED, VerifierKey("other", ED25519, LOG_KEY.key))
    assert not signed_by(SIGNED, VerifierKey(ORIGIN, ED25519, public_bytes(WITNESS)))
    assert not signed_by(SIGNED, VerifierKey(ORIGIN, COSIGNATURE_V1, LOG_KEY.key))
    (signature,) = SIGNED.signatures
    edited = Note(Checkpoint(ORIGIN, 43, b"\x07" * 32).text, SIGNED.signatures)
    short = Note(SIGNED.text, (Signature(ORIGIN, signature.key_id, signature.signature[:-1]),))
    twice = Note(SIGNED.text, (signature, Signature(ORIGIN, signature.key_id, b"\0" * 64)))
    for bad in (edited, short, twice):
        with pytest.raises(WireError, match=r"signature by|signed twice"):
            signed_by(bad, LOG_KEY)


def test_a_cosignature_carries_its_time() -> None:
    """It can't be altered without the key, and there is one of each key."""
    note = cosign_note(SIGNED, WITNESS_KEY.name, WITNESS, at_s=100)
    assert cosigned_at(note, WITNESS_KEY) == 100
    assert cosigned_at(SIGNED, WITNESS_KEY) is None
    assert cosigned_at(SIGNED, LOG_KEY) is None
    with pytest.raises(WireError, match="twice"):
        cosigned_at(cosign_note(note, WITNESS_KEY.name, WITNESS, at_s=101), WITNESS_KEY)
    one = note.signatures[1]
    later = Signature(one.name, one.key_id, (101).to_bytes(8, "big") + one.signature[8:])
    with pytest.raises(WireError, match="does not verify"):
        cosigned_at(Note(note.text, (later,)), WITNESS_KEY)


@given(st.sampled_from([ED25519, COSIGNATURE_V1]), st.binary(min_size=32, max_size=32).map(sound_key))
def test_verifier_keys_come_back(kind: int, key: bytes) -> None:
    """Name, id and key are in the text."""
    verifier = VerifierKey("log.example.org/test", kind, key)
    assert parse_verifier_key(str(verifier)) == verifier


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "name+00000000",
        str(LOG_KEY).replace(f"+{LOG_KEY.id.hex()}+", "+00000000+"),
        str(LOG_KEY).replace("log.example", "LOG.example"),
        str(LOG_KEY) + "=",
        f"na me+{LOG_KEY.id.hex()}+{to_base64(bytes([1]) + LOG_KEY.key)}",
        str(VerifierKey("name", 2, LOG_KEY.key)),
        *(str(VerifierKey("name", kind, key)) for kind in (ED25519, COSIGNATURE_V1) for key in WEAK_KEYS),
        str(VerifierKey("name", 1, LOG_KEY.key[:-1])),
        str(VerifierKey("name", 1, LOG_KEY.key)).upper(),
    ],
)
def test_other_verifier_keys_are_refused(text: str) -> None:
    """A wrong id, another type, another length or another spelling raises."""
    with pytest.raises(WireError):
        parse_verifier_key(text)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "a\x00", "a\x1c", "a\u00a0b", "a\u3000b", "a\ud800"])
def test_names_that_can_not_stand_in_a_note_are_refused(name: str) -> None:
    """A name is one word without a plus sign."""
    with pytest.raises(WireError):
        check_key_name(name)


GOOD = str(SIGNED)
TEXT, _, SIGNATURES = GOOD.partition("\u2014")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "text\n",
        GOOD[:-1],
        GOOD + "\n",
        GOOD + "junk\n",
        GOOD.replace("\u2014 ", "- "),
        GOOD.replace("\n\n", "\n"),
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("42", "4\x002"),
        GOOD.replace("= \n", "\n").replace("=\n", "\n"),
        TEXT,
        TEXT + "\u2014 name AAAA\n",
        TEXT + "\u2014 name\n",
        TEXT + f"\u2014 {ORIGIN}  {SIGNATURES.split()[1]}\n",
        GOOD + f"\u2014{SIGNATURES}" * MAX_SIGNATURES,
        "x" * MAX_NOTE_BYTES + GOOD,
    ],
)
def test_loose_notes_are_refused(text: str) -> None:
    """Whatever `Note` would not write raises."""
    with pytest.raises(WireError):
        parse_note(text.encode())


def test_a_note_that_is_not_text_is_refused() -> None:
    """Bytes that are not UTF-8 raise."""
    with pytest.raises(WireError, match="UTF-8"):
        parse_note(b"\xff\n\n")


@pytest.mark.parametrize(
    "text",
    [
        "origin\n1\n",
        CHECKPOINT.text + "extension\n",
        CHECKPOINT.text[:-1],
        CHECKPOINT.text.replace("42", "042"),
        CHECKPOINT.text.replace("42", "-1"),
        CHECKPOINT.text.replace(ORIGIN, ""),
        f"{ORIGIN}\n42\n{to_base64(b'short')}\n",
        "",
    ],
)
def test_loose_checkpoints_are_refused(text: str) -> None:
    """Exactly three lines, a canonical size and a whole root."""
    with pytest.raises(WireError):
        parse_checkpoint(text)


@given(st.integers(0, 2**62), st.binary(min_size=32, max_size=32))
def test_checkpoints_come_back(size: int, root: bytes) -> None:
    """Origin, size and root survive."""
    checkpoint = Checkpoint(ORIGIN, size, root)
    assert parse_checkpoint(checkpoint.text) == checkpoint


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(lambda text: text.encode(errors="replace"))))
def test_no_bytes_crash_the_note_parser(data: bytes) -> None:
    """Any bytes are a note that writes itself again, or a WireError; so behind a good text."""
    for candidate in (data, b"text\n\n" + data, "text\n\n\u2014 ".encode() + data):
        with contextlib.suppress(WireError):
            assert data_of(parse_note(candidate)) == candidate


@given(st.data())
def test_no_flipped_bit_passes(data: st.DataObject) -> None:
    """Wherever one bit of a signed checkpoint changes, its log's key has not signed it."""
    note = bytearray(data_of(SIGNED))
    note[data.draw(st.integers(0, len(note) - 1))] ^= 1 << data.draw(st.integers(0, 7))

    def accepted() -> Any:
        return signed_by(parse_note(bytes(note)), LOG_KEY)

    with contextlib.suppress(WireError):
        assert not accepted()


def test_sixteen_signatures_of_other_kinds_are_no_hindrance() -> None:
    """A note stays readable with as many large signatures as the specification says must be accepted."""
    others = tuple(Signature(f"witness{n}.example.org", bytes([n] * 4), b"\xaa" * 5_000) for n in range(16))
    note = Note(SIGNED.text, (*others, *SIGNED.signatures))
    assert signed_by(parse_note(data_of(note)), LOG_KEY)


@pytest.mark.parametrize("text", ["", "no newline", "bell\x07\n", "half \ud800\n", "carriage\r\n"])
def test_what_no_note_can_say_is_not_signed(text: str) -> None:
    """Nothing is signed that a verifier would have to refuse."""
    with pytest.raises(WireError):
        sign_note(text, ORIGIN, LOG)


def test_a_cosignature_has_a_time_that_there_is() -> None:
    """Before the year 10000; whoever signs another is not believed, and every one that is can be written."""
    last_s = parse_time("9999-12-31T23:59:59.000000Z") // 1_000_000
    for at_s in (0, last_s):
        assert cosigned_at(cosign_note(SIGNED, WITNESS_KEY.name, WITNESS, at_s=at_s), WITNESS_KEY) == at_s
        assert format_time(at_s * 1_000_000)
    for at_s in (last_s + 1, 2**63 - 1, 2**63, 2**64 - 1):
        with pytest.raises(WireError):
            cosign_note(SIGNED, "w", WITNESS, at_s=at_s)
        signature = WITNESS.sign(f"cosignature/v1\ntime {at_s}\n{SIGNED.text}".encode())
        late = Signature(WITNESS_KEY.name, WITNESS_KEY.id, at_s.to_bytes(8, "big") + signature)
        with pytest.raises(WireError, match="time"):
            cosigned_at(Note(SIGNED.text, (late,)), WITNESS_KEY)
    with pytest.raises(WireError):
        cosign_note(SIGNED, "w", WITNESS, at_s=-1)


@pytest.mark.parametrize("key", WEAK_KEYS, ids=bytes.hex)
def test_a_key_that_anybody_signs_with_counts_for_nobody(key: bytes) -> None:
    """A key of small order, or spelled otherwise than it has to be, is refused where a signature under it verifies."""
    verifier = VerifierKey(ORIGIN, ED25519, key)
    note = Note(CHECKPOINT.text, (Signature(ORIGIN, verifier.id, FORGED),))
    with pytest.raises(WireError, match="only its owner"):
        signed_by(note, verifier)
