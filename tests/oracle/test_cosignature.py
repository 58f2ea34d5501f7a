"""cosignature/v1: aics-tlog, tlog-scales and a verifier in Go accept ours, we theirs, and nobody a forged one."""

import contextlib
from collections.abc import Callable

import pytest
from tlog_scales.signing import Vkey
from tlog_scales.tlog import Checkpoint as ScalesCheckpoint

from broker.wire.encoding import WireError
from broker.wire.notes import Note, Signature, cosign_note, cosigned_at, parse_checkpoint, parse_note, sign_note
from tests.oracle.golang import Oracle, RefusedError
from tests.oracle.support import (
    AT_S,
    FORGERIES,
    LOG,
    LOG_KEY,
    MIRROR_KEY,
    ORIGIN,
    WITNESS,
    WITNESS_KEY,
    checkpoint_of,
    cosigned,
    entries_of,
    need_module,
    seed_of,
)

NOTE = checkpoint_of(entries_of(13))
CHECKPOINT = parse_checkpoint(NOTE.text)
OURS = cosign_note(NOTE, WITNESS_KEY.name, WITNESS, at_s=AT_S)
KEYS = [str(LOG_KEY), str(WITNESS_KEY)]


def changed_time(note: Note) -> Note:
    *others, last = note.signatures
    later = (AT_S + 1).to_bytes(8, "big") + last.signature[8:]
    return Note(note.text, (*others, Signature(last.name, last.key_id, later)))


def as_log_signature(note: Note) -> Note:
    """The cosigner's plain signature of the text, put behind a time."""
    *others, last = note.signatures
    plain = AT_S.to_bytes(8, "big") + WITNESS.sign(note.text.encode())
    return Note(note.text, (*others, Signature(last.name, last.key_id, plain)))


def of_another_checkpoint(note: Note) -> Note:
    other = cosign_note(checkpoint_of(entries_of(12)), WITNESS_KEY.name, WITNESS, at_s=AT_S)
    return Note(note.text, (*note.signatures[:-1], other.signatures[-1]))


def without_time(note: Note) -> Note:
    *others, last = note.signatures
    return Note(note.text, (*others, Signature(last.name, last.key_id, last.signature[8:])))


FALSE: dict[str, Callable[[str], str]] = {
    **FORGERIES,
    "another time": lambda note: str(changed_time(parse_note(note.encode()))),
    "a plain signature": lambda note: str(as_log_signature(parse_note(note.encode()))),
    "of another checkpoint": lambda note: str(of_another_checkpoint(parse_note(note.encode()))),
    "no time": lambda note: str(without_time(parse_note(note.encode()))),
}
each = pytest.mark.parametrize("what", FALSE)


def we_accept(data: bytes) -> bool:
    try:
        return cosigned_at(parse_note(data), WITNESS_KEY) == AT_S
    except WireError:
        return False


@pytest.mark.go
class TestGo:
    """Go's crypto/ed25519 and x/mod's notes."""

    def test_it_accepts_ours(self, go: Oracle) -> None:
        """The log and both cosigners are found to have signed."""
        found = go.ask("open", note=str(cosigned(NOTE)).encode(), keys=[*KEYS, str(MIRROR_KEY)])
        assert found["names"] == [ORIGIN, WITNESS_KEY.name, MIRROR_KEY.name]

    @pytest.mark.parametrize("at_s", [0, 1, AT_S, 253_402_300_799])
    def test_it_signs_the_same(self, go: Oracle, at_s: int) -> None:
        """The same key, checkpoint and time give the same line, byte for byte."""
        found = go.ask(
            "cosign",
            note=str(NOTE).encode(),
            keys=[str(LOG_KEY)],
            name=WITNESS_KEY.name,
            seed=seed_of("witness"),
            time=at_s,
        )
        assert found["note"] == str(cosign_note(NOTE, WITNESS_KEY.name, WITNESS, at_s=at_s)).encode()
        assert cosigned_at(parse_note(found["note"]), WITNESS_KEY) == at_s

    @each
    def test_nobody_accepts_a_false_one(self, go: Oracle, what: str) -> None:
        """Whatever was changed in or around a cosignature, neither counts it."""
        data = FALSE[what](str(OURS)).encode()
        with contextlib.suppress(RefusedError):
            assert WITNESS_KEY.name not in go.ask("open", note=data, keys=KEYS)["names"]
        assert not we_accept(data)


class TestAics:
    """aics-tlog."""

    def names(self, data: bytes) -> list[str]:
        peer = need_module("aics_tlog")
        keys = [peer.parse_vkey(key) for key in KEYS]
        try:
            found = peer.verify_checkpoint(peer.parse_note(data), keys[0], keys[1:], 1, expected_origin=ORIGIN)
        except ValueError:
            return []
        return list(found.witnesses) if found.ok else []

    def test_it_accepts_ours_and_signs_the_same(self) -> None:
        """Its line over our checkpoint is ours, byte for byte."""
        peer = need_module("aics_tlog")
        assert self.names(str(OURS).encode()) == [WITNESS_KEY.name]
        _, line = peer.sign_cosignature(WITNESS, WITNESS_KEY.name, AT_S, ORIGIN, CHECKPOINT.size, CHECKPOINT.root)
        assert (line.name, line.key_id, line.signature) == (
            OURS.signatures[1].name, OURS.signatures[1].key_id, OURS.signatures[1].signature,
        )  # fmt: skip
        assert str(peer.format_vkey(peer.cosignature_vkey(WITNESS_KEY.name, WITNESS_KEY.key))) == str(WITNESS_KEY)

    @each
    def test_nobody_accepts_a_false_one(self, what: str) -> None:
        """Whatever was changed in or around a cosignature, neither counts it; it alone lets the last newline go."""
        data = FALSE[what](str(OURS)).encode()
        assert bool(self.names(data)) == (what == "no last newline")
        assert not we_accept(data)

    def test_a_line_that_stands_twice_is_refused(self) -> None:
        """A checkpoint carries no second line of the same key: nobody guesses which time counts."""
        twice = Note(OURS.text, (*OURS.signatures, OURS.signatures[-1]))
        later = cosign_note(OURS, WITNESS_KEY.name, WITNESS, at_s=AT_S + 1)
        for note in (twice, later):
            assert not self.names(str(note).encode())
            assert not we_accept(str(note).encode())

    def test_lines_of_a_checkpoint_that_we_do_not_know_are_signed(self) -> None:
        """Both sign extension lines of another log's checkpoint in the same way."""
        peer = need_module("aics_tlog")
        note = sign_note(NOTE.text + "extension\n", ORIGIN, LOG)
        _, line = peer.sign_cosignature(
            WITNESS, WITNESS_KEY.name, AT_S, ORIGIN, CHECKPOINT.size, CHECKPOINT.root, ("extension",)
        )
        assert cosign_note(note, WITNESS_KEY.name, WITNESS, at_s=AT_S).signatures[1].signature == line.signature


class TestScales:
    """tlog-scales."""

    def test_it_accepts_ours(self) -> None:
        """Under the key that we spell for it."""
        ScalesCheckpoint.from_text(str(OURS)).verify(Vkey.from_string(str(WITNESS_KEY)))

    @pytest.mark.parametrize(
        "what", [name for name in FALSE if any(word in name for word in ("another", "byte", "cut", "plain", "no time"))]
    )
    def test_it_refuses_what_was_not_signed(self, what: str) -> None:
        """Another checkpoint, time, name, key or signature; it is not strict about the form."""
        peer = ScalesCheckpoint.from_text(FALSE[what](str(OURS)))
        with pytest.raises(Exception, match=r".*"):
            peer.verify(Vkey.from_string(str(WITNESS_KEY)))
