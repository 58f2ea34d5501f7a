"""Signed notes and checkpoints: x/mod, aics-tlog and tlog-scales open ours, we theirs, and nobody a forged one."""

import base64
import contextlib
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tlog_scales.signing import PlainEd25519Signer, Vkey
from tlog_scales.tlog import Checkpoint as ScalesCheckpoint

from broker.wire.encoding import WireError
from broker.wire.envelopes import public_bytes
from broker.wire.notes import (
    ED25519,
    Checkpoint,
    Note,
    VerifierKey,
    parse_checkpoint,
    parse_note,
    parse_verifier_key,
    sign_note,
    signed_by,
)
from tests.oracle.golang import Oracle, RefusedError
from tests.oracle.support import FORGERIES, LOG, LOG_KEY, ORIGIN, checkpoint_of, entries_of, need_module, seed_of
from tests.wire.support import WEAK_KEYS, key_of

NOTE = checkpoint_of(entries_of(13))
CHECKPOINT = parse_checkpoint(NOTE.text)
Forge = Callable[[str], str]
PLAIN = st.characters(exclude_categories=["Cs", "Cc"]) | st.just("\n")
forgery = pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)


def we_accept(data: bytes) -> bool:
    try:
        note = parse_note(data)
        return signed_by(note, LOG_KEY) and parse_checkpoint(note.text).origin == ORIGIN
    except WireError:
        return False


@pytest.mark.go
class TestGo:
    """golang.org/x/mod/sumdb/note."""

    def test_it_opens_ours(self, go: Oracle) -> None:
        """Text and signer come out of our checkpoint as we put them in."""
        found = go.ask("open", note=str(NOTE).encode(), keys=[str(LOG_KEY)])
        assert (found["text"], found["names"]) == (NOTE.text, [ORIGIN])

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(text=st.text(PLAIN, max_size=40), name=st.text(PLAIN, max_size=12))
    def test_it_opens_whatever_we_sign(self, go: Oracle, text: str, name: str) -> None:
        """Any text under any name: what we sign it opens, and the names that we refuse it refuses as well."""
        try:
            note = sign_note(text + "\n", name, LOG)
        except WireError:
            with pytest.raises(RefusedError):
                go.ask("sign", text=text + "\n", name=name, seed=seed_of("log"))
            return
        key = VerifierKey(name, ED25519, public_bytes(LOG))
        assert go.ask("open", note=str(note).encode(), keys=[str(key)])["text"] == text + "\n"

    @pytest.mark.parametrize("text", [NOTE.text, "one line\n", "a\n\nb\n\n", "\n", "\u00e8 subito sera \U0001f6b2\n"])
    def test_we_open_its(self, go: Oracle, text: str) -> None:
        """What it signs is byte for byte what we sign, under the key that it spells as we do."""
        found = go.ask("sign", text=text, name=ORIGIN, seed=seed_of("log"))
        assert found["key"] == str(LOG_KEY)
        assert found["note"] == str(sign_note(text, ORIGIN, LOG)).encode()
        note = parse_note(found["note"])
        assert (note.text, signed_by(note, parse_verifier_key(found["key"]))) == (text, True)

    @forgery
    def test_nobody_opens_a_forged_one(self, go: Oracle, forge: Forge) -> None:
        """Neither does it open ours, nor do we open its, once something was changed."""
        theirs = go.ask("sign", text=NOTE.text, name=ORIGIN, seed=seed_of("log"))["note"].decode()
        with pytest.raises(RefusedError):
            go.ask("open", note=forge(str(NOTE)).encode(), keys=[str(LOG_KEY)])
        assert not we_accept(forge(theirs).encode())
        assert we_accept(theirs.encode())

    def test_another_key_of_the_same_name_counts_for_nobody(self, go: Oracle) -> None:
        """A signature by somebody else under the log's name is ignored, and then nobody signed."""
        other = str(sign_note(NOTE.text, ORIGIN, key_of("somebody"))).encode()
        with pytest.raises(RefusedError):
            go.ask("open", note=other, keys=[str(LOG_KEY)])
        assert not we_accept(other)

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    def test_a_flipped_bit_is_seen_by_both(self, go: Oracle, data: st.DataObject) -> None:
        """Wherever one bit changes, it opens nothing that we do not open, and we nothing that says something else."""
        changed = bytearray(str(NOTE).encode())
        changed[data.draw(st.integers(0, len(changed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        assert not we_accept(bytes(changed))
        with contextlib.suppress(RefusedError):  # base64 with spare bits set says the same to it
            assert go.ask("open", note=bytes(changed), keys=[str(LOG_KEY)])["text"] == NOTE.text

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        lines=st.lists(
            st.sampled_from([*str(NOTE).split("\n"), "", "x", "\u2014 a AAAAAAAA", "\u2014 a b"]), max_size=9
        )
    )
    def test_what_we_open_it_opens_alike(self, go: Oracle, lines: list[str]) -> None:
        """However lines are put together: where we find a note, it finds the same text."""
        data = "\n".join(lines).encode()
        with contextlib.suppress(WireError):
            if signed_by(note := parse_note(data), LOG_KEY):
                assert go.ask("open", note=data, keys=[str(LOG_KEY)])["text"] == note.text


class TestAics:
    """aics-tlog."""

    def accepts(self, data: bytes) -> bool:
        peer = need_module("aics_tlog")
        try:
            return bool(
                peer.verify_checkpoint(peer.parse_note(data), peer.parse_vkey(str(LOG_KEY)), expected_origin=ORIGIN).ok
            )
        except ValueError:
            return False

    def test_it_accepts_ours_and_we_accept_its(self) -> None:
        """The same checkpoint, signed by either, is the same bytes."""
        peer = need_module("aics_tlog")
        assert self.accepts(str(NOTE).encode())
        theirs = peer.sign_checkpoint(peer.Checkpoint(ORIGIN, CHECKPOINT.size, CHECKPOINT.root), LOG, ORIGIN).to_bytes()
        assert theirs == str(NOTE).encode()
        assert we_accept(theirs)

    @pytest.mark.parametrize("what", FORGERIES)
    def test_nobody_accepts_a_forged_one(self, what: str) -> None:
        """Whatever was changed, both refuse it; it alone lets the last newline go."""
        data = FORGERIES[what](str(NOTE)).encode()
        assert self.accepts(data) == (what == "no last newline")
        assert not we_accept(data)

    def test_base64_has_one_spelling(self) -> None:
        """Spare bits that are set, and a root or size spelled otherwise, are refused by both."""
        note = str(NOTE)
        for line in (note.split("\n")[2], note.rstrip("\n").split(" ")[-1]):
            spare = (
                line[:-2] + chr(ord(line[-2]) + 1) + "="
                if line[-2] != "="
                else line[:-3] + chr(ord(line[-3]) + 1) + "=="
            )
            assert base64.b64decode(spare) == base64.b64decode(line)
            changed = note.replace(line, spare).encode()
            assert changed != note.encode()
            assert not self.accepts(changed)
            assert not we_accept(changed)
        zeros = str(sign_note(NOTE.text.replace("\n13\n", "\n013\n"), ORIGIN, LOG)).encode()
        assert not self.accepts(zeros)
        assert not we_accept(zeros)

    @pytest.mark.parametrize("key", WEAK_KEYS, ids=bytes.hex)
    def test_neither_trusts_a_key_that_anybody_signs_with(self, key: bytes) -> None:
        """A key of small order, or in another spelling, is refused where it is configured."""
        peer = need_module("aics_tlog")
        text = str(VerifierKey(ORIGIN, ED25519, key))
        with pytest.raises(ValueError, match="Ed25519"):
            peer.parse_vkey(text)
        with pytest.raises(WireError):
            parse_verifier_key(text)


class TestScales:
    """tlog-scales."""

    def test_it_accepts_ours_and_we_accept_its(self) -> None:
        """Origin, size and root come out as they went in, either way."""
        peer = ScalesCheckpoint.from_text(str(NOTE))
        peer.verify(Vkey.from_string(str(LOG_KEY)))
        assert Checkpoint(peer.origin, peer.size, peer.root_hash) == CHECKPOINT
        theirs = ScalesCheckpoint.make_signed(
            ORIGIN, CHECKPOINT.size, CHECKPOINT.root, [PlainEd25519Signer(ORIGIN, LOG)]
        )
        assert we_accept(theirs.serialize().encode())

    @pytest.mark.parametrize(
        "what", [name for name in FORGERIES if "another" in name or "byte" in name or "cut" in name]
    )
    def test_it_refuses_what_was_not_signed(self, what: str) -> None:
        """Another text, name, key or signature; it is not strict about the form."""
        peer = ScalesCheckpoint.from_text(FORGERIES[what](str(NOTE)))
        with pytest.raises(Exception, match=r".*"):
            peer.verify(Vkey.from_string(str(LOG_KEY)))


def test_examples_of_the_specifications_are_read() -> None:
    """Their notes parse and come back; their keys are not published, so nobody verifies them."""
    blob = "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8="
    cosigned = (
        "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA=="
    )
    root = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="
    origin = "example.com/behind-the-sofa"
    data = f"{origin}\n20852163\n{root}\n\n\u2014 {origin} {blob}\n\u2014 witness.example.com/w1 {cosigned}\n".encode()
    note = parse_note(data)
    assert str(note).encode() == data
    assert parse_checkpoint(note.text) == Checkpoint(origin, 20_852_163, base64.b64decode(root))
    assert int.from_bytes(note.signatures[1].signature[:8], "big") == 1_679_315_147
    assert isinstance(note, Note)
