"""What a log asks of its witnesses, as C2SP tlog-witness spells it, and what it takes of their answers."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.wire.cosigning import (
    CACHED_US,
    MAX_ADD_BYTES,
    AddCheckpoint,
    add_lines,
    mirror_prefix,
    parse_add_checkpoint,
    went_back,
)
from broker.wire.encoding import WireError, to_base64
from broker.wire.envelopes import public_bytes
from broker.wire.notes import COSIGNATURE_V1, Checkpoint, VerifierKey, cosign_note, cosigned_at, sign_note
from tests.wire.support import key_of

ORIGIN = "log.example.org/test"
NOTE = sign_note(Checkpoint(ORIGIN, 42, b"\x07" * 32).text, ORIGIN, key_of("log"))
DATA = str(NOTE).encode()
ASKED = AddCheckpoint(40, (b"\1" * 32, b"\2" * 32), DATA)
HASH = to_base64(b"\0" * 32)
WITNESS = VerifierKey("witness.example.org", COSIGNATURE_V1, public_bytes(key_of("witness")))
LINE = str(cosign_note(NOTE, WITNESS.name, key_of("witness"), at_s=7)).removeprefix(str(NOTE)).encode()


def test_a_body_reads_like_this() -> None:
    """The old size, the proof, a blank line, the checkpoint verbatim; and no proof line where none is needed."""
    lines = ASKED.encode().decode().split("\n")
    assert lines[:5] == ["old 40", to_base64(b"\1" * 32), to_base64(b"\2" * 32), "", ORIGIN]
    assert AddCheckpoint(0, (), DATA).encode() == b"old 0\n\n" + DATA


@given(st.integers(0, 2**63 - 1), st.lists(st.binary(min_size=32, max_size=32), max_size=63), st.binary(max_size=60))
def test_bodies_come_back(old_size: int, proof: list[bytes], checkpoint: bytes) -> None:
    """Whatever was asked is what is read."""
    asked = AddCheckpoint(old_size, tuple(proof), checkpoint.hex().encode())
    assert parse_add_checkpoint(asked.encode()) == asked


@pytest.mark.parametrize(
    "data",
    [
        b"",
        DATA,
        b"old 40\n" + DATA.replace(b"\n\n", b"\n"),
        b"old 040\n\n" + DATA,
        b"old -1\n\n" + DATA,
        b"old  40\n\n" + DATA,
        b"old 40 \n\n" + DATA,
        b"old\n\n" + DATA,
        b"OLD 40\n\n" + DATA,
        b"old 40\r\n\r\n" + DATA,
        b"old %d\n\n" % (1 << 63) + DATA,
        b"old 40\n" + HASH[:-1].encode() + b"\n\n" + DATA,
        b"old 40\n" + to_base64(b"x" * 31).encode() + b"\n\n" + DATA,
        b"old 40\n" + b" " + HASH.encode() + b"\n\n" + DATA,
        b"old 40\n" + f"{HASH}\n".encode() * 64 + b"\n" + DATA,
        b"old 40\n\n\xff" + DATA,
        b"old 40\n\n" + b"x" * MAX_ADD_BYTES,
    ],
)
def test_loose_bodies_are_refused(data: bytes) -> None:
    """Whatever `AddCheckpoint` would not write raises."""
    with pytest.raises(WireError):
        parse_add_checkpoint(data)


@given(st.binary(max_size=120))
def test_no_bytes_crash_the_body_parser(data: bytes) -> None:
    """Any bytes are a body that writes itself again, or a WireError."""
    for candidate in (data, b"old 3\n" + data, b"old 3\n\n" + data):
        with contextlib.suppress(WireError):
            assert parse_add_checkpoint(candidate).encode() == candidate


def test_a_witness_adds_its_line() -> None:
    """What it answered stands below what the log signed."""
    cosigned = add_lines(DATA, LINE)
    assert cosigned.text == NOTE.text
    assert cosigned.signatures[:1] == NOTE.signatures
    assert cosigned_at(cosigned, WITNESS) == 7
    assert add_lines(DATA, b"") == NOTE


@pytest.mark.parametrize(
    "lines",
    [
        LINE[:-1],
        b"\n" + LINE,
        b"\nmore\n\n" + LINE,
        LINE + b"\n" + LINE,
        b"42\n",
        b"<html>\n",
        LINE * 100,
        b"x" * 200_000,
    ],
)
def test_a_witness_adds_nothing_but_signature_lines(lines: bytes) -> None:
    """An answer can't turn the log's signature into text, nor bring anything else."""
    with pytest.raises(WireError):
        add_lines(DATA, lines)


@given(st.binary(max_size=60))
def test_no_answer_changes_what_the_log_said(lines: bytes) -> None:
    """Any bytes leave the checkpoint as it was, or raise."""
    for candidate in (lines, LINE + lines, lines + LINE):
        with contextlib.suppress(WireError):
            assert add_lines(DATA, candidate).text == NOTE.text


def test_a_mirror_serves_a_log_below_its_origin() -> None:
    """Its prefix, and the SHA-256 of the origin in lower-case hex."""
    digest = "5fd2dc0beb4ce54da5050cf6d5c75248b023abad441c3cecde3976fbe9da4fe4"
    for url in ("https://mirror.example.org/logs", "https://mirror.example.org/logs/"):
        assert mirror_prefix(url, "example.com/behind-the-sofa") == f"https://mirror.example.org/logs/{digest}"


@pytest.mark.parametrize(
    ("size", "after_us", "back"),
    [(41, CACHED_US + 1, True), (41, CACHED_US, False), (41, 0, False), (42, CACHED_US + 1, False), (41, -5, False)],
)
def test_a_log_went_back_once_no_cache_explains_it(size: int, after_us: int, back: bool) -> None:
    """Less than was shown is a cache's lag for ten minutes; a clock that was set back accuses nobody."""
    assert went_back(size, shown=42, shown_us=1_000, now_us=1_000 + after_us) is back
