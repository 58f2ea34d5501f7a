"""Proofs and policies: a logged entry passes under the pinned keys and the quorum, and nothing else does."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.wire.encoding import WireError, to_base64
from broker.wire.envelopes import public_bytes
from broker.wire.merkle import inclusion_proof, leaf_hash, root_hash
from broker.wire.notes import COSIGNATURE_V1, ED25519, Checkpoint, Note, VerifierKey, cosign_note, sign_note
from broker.wire.proofs import (
    HEADER,
    MAX_NAMED,
    MAX_PROOF_BYTES,
    Cosigner,
    Policy,
    Proof,
    make_policy,
    parse_policy,
    parse_proof,
    verify_proof,
)
from tests.wire.support import key_of
from tests.wire.test_merkle import Tree, entries

ORIGIN = "log.example.org/test"
LOG = key_of("log")
LOG_KEY = VerifierKey(ORIGIN, ED25519, public_bytes(LOG))
WITNESSES = {name: VerifierKey(f"{name}.example.org", COSIGNATURE_V1, public_bytes(key_of(name))) for name in "abcd"}
LEAVES = entries(13)
NOTE = sign_note(Checkpoint(ORIGIN, 13, root_hash(13, Tree(LEAVES))).text, ORIGIN, LOG)
PLAIN = parse_policy(make_policy(LOG_KEY))


def proof_of(index: int, *, note: Note = NOTE) -> bytes:
    return str(Proof(index, tuple(inclusion_proof(index, 13, Tree(LEAVES))), str(note).encode())).encode()


def cosigned(*names: str) -> Note:
    note = NOTE
    for name in names:
        note = cosign_note(note, WITNESSES[name].name, key_of(name), at_s=1_777_777_777)
    return note


@pytest.mark.parametrize("index", range(13))
def test_a_logged_entry_passes(index: int) -> None:
    """Each entry is shown by its proof, which comes back when parsed."""
    data = proof_of(index)
    found, checkpoint = verify_proof(LEAVES[index], data, PLAIN)
    assert (found, checkpoint.size) == (index, 13)
    assert str(parse_proof(data)).encode() == data


def test_a_proof_reads_like_this() -> None:
    """Header, index, hashes, a blank line, the checkpoint verbatim; no hash at all in a log of one."""
    lines = proof_of(12).decode().split("\n")
    assert lines[:2] == [HEADER, "index 12"]
    assert lines[4:6] == ["", ORIGIN]
    single = sign_note(Checkpoint(ORIGIN, 1, leaf_hash(b"x")).text, ORIGIN, LOG)
    proof = f"{HEADER}\nindex 0\n\n{single}".encode()
    assert verify_proof(b"x", proof, PLAIN)[0] == 0


def test_extra_data_comes_back_and_proves_nothing() -> None:
    """Data beside the proof is carried; the same entry passes with it and without."""
    plain = parse_proof(proof_of(5))
    extra = Proof(plain.index, plain.path, plain.checkpoint, extra=b"anything")
    data = str(extra).encode()
    assert data.split(b"\n")[1] == b"extra YW55dGhpbmc="
    assert parse_proof(data) == extra
    assert verify_proof(LEAVES[5], data, PLAIN) == verify_proof(LEAVES[5], proof_of(5), PLAIN)
    with pytest.raises(WireError):
        verify_proof(b"anything", data, PLAIN)


def test_what_is_not_logged_does_not_pass() -> None:
    """Another entry, another index, another log's key, an edited checkpoint: each is refused."""
    data = proof_of(5)
    forged = sign_note(NOTE.text, ORIGIN, key_of("somebody"))
    elsewhere = sign_note(NOTE.text.replace(ORIGIN, "other.example.org"), ORIGIN, LOG)
    for entry, proof in [
        (b"another", data),
        (LEAVES[5], data.replace(b"index 5", b"index 4")),
        (LEAVES[5], data.replace(b"index 5", b"index 99")),
        (LEAVES[5], proof_of(6)),
        (LEAVES[5], data.replace(b"\n13\n", b"\n14\n")),
        (LEAVES[5], proof_of(5, note=forged)),
        (LEAVES[5], proof_of(5, note=elsewhere)),
    ]:
        with pytest.raises(WireError):
            verify_proof(entry, proof, PLAIN)


@given(st.data())
def test_no_flipped_bit_passes(data: st.DataObject) -> None:
    """Wherever one bit of a proof changes, it is refused."""
    proof = bytearray(proof_of(5))
    proof[data.draw(st.integers(0, len(proof) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(WireError):
        verify_proof(LEAVES[5], bytes(proof), PLAIN)


HASH = to_base64(b"\0" * 32)


@pytest.mark.parametrize(
    "text",
    [
        "",
        HEADER,
        f"{HEADER}\nindex 0\n",
        f"{HEADER}\n\ncheckpoint",
        f"{HEADER}\nindex 00\n\ncheckpoint",
        f"{HEADER}\nindex x\n\ncheckpoint",
        f"{HEADER}\nextra \nindex 0\n\ncheckpoint",
        f"{HEADER}\nextra AAA\nindex 0\n\ncheckpoint",
        f"{HEADER}\nextra AAAA\nextra AAAA\nindex 0\n\ncheckpoint",
        f"{HEADER}\nindex 0\nextra AAAA\n\ncheckpoint",
        f"{HEADER}\nindex -1\n\ncheckpoint",
        f"{HEADER}\nindex {1 << 63}\n\ncheckpoint",
        f"{HEADER}\nindex 0\n{HASH[:-1]}\n\ncheckpoint",
        f"{HEADER}\nindex 0\n{to_base64(bytes(31))}\n\ncheckpoint",
        f"{HEADER}\nindex 0\n" + f"{HASH}\n" * 64 + "\ncheckpoint",
        f"{HEADER}\r\nindex 0\r\n\r\ncheckpoint",
        f"{HEADER}\nindex 0\n\n" + "x" * MAX_PROOF_BYTES,
    ],
)
def test_loose_proofs_are_refused(text: str) -> None:
    """Whatever `Proof` would not write raises."""
    with pytest.raises(WireError):
        parse_proof(text.encode())


@given(st.binary(max_size=120))
def test_no_bytes_crash_the_proof_parser(data: bytes) -> None:
    """Any bytes are a proof that writes itself again, or a WireError; so behind a good header."""
    for candidate in (data, f"{HEADER}\nindex 3\n".encode() + data):
        with contextlib.suppress(WireError):
            assert str(parse_proof(candidate)).encode() == candidate


QUORUMS = [
    ("quorum none", ["", "a"], []),
    ("quorum a", ["a", "ab"], ["", "b"]),
    ("group g 2 a b c\nquorum g", ["ab", "bc", "abc", "abd"], ["", "a", "ad"]),
    ("group g any a b\nquorum g", ["a", "b"], ["", "c"]),
    ("group g all a b\nquorum g", ["ab"], ["a", "b"]),
    ("group g any a b\ngroup h any c d\ngroup both all g h\nquorum both", ["ac", "bd", "abcd"], ["ab", "cd", "a"]),
]


def policy_text(rest: str) -> str:
    witnesses = "".join(f"witness {name} {key} https://{name}.example.org\n" for name, key in WITNESSES.items())
    return f"# pinned by hand\n\nlog {LOG_KEY} https://log.example.org\n{witnesses}{rest}\n"


@pytest.mark.parametrize(("rest", "met", "unmet"), QUORUMS, ids=[one[0].replace("\n", ";") for one in QUORUMS])
def test_the_quorum_decides(rest: str, met: list[str], unmet: list[str]) -> None:
    """A checkpoint counts with enough of the named witnesses, groups within groups, and not with fewer."""
    policy = parse_policy(policy_text(rest))
    for names in met:
        assert policy.check(str(cosigned(*names)).encode()).size == 13
    for names in unmet:
        with pytest.raises(WireError, match="no quorum"):
            policy.check(str(cosigned(*names)).encode())


def test_a_false_cosignature_is_never_counted() -> None:
    """A cosignature copied from another checkpoint raises instead of counting."""
    other = sign_note(Checkpoint(ORIGIN, 12, b"\0" * 32).text, ORIGIN, LOG)
    copied = cosign_note(other, WITNESSES["a"].name, key_of("a"), at_s=5).signatures[-1]
    with pytest.raises(WireError, match="does not verify"):
        parse_policy(policy_text("quorum a")).check(str(Note(NOTE.text, (*NOTE.signatures, copied))).encode())


def test_the_log_has_to_sign_as_well() -> None:
    """All witnesses together don't make a checkpoint of a log that did not sign it."""
    unsigned = Note(NOTE.text, cosigned("a", "b").signatures[1:])
    with pytest.raises(WireError, match="not signed by a log"):
        parse_policy(policy_text("quorum none")).check(str(unsigned).encode())
    with pytest.raises(WireError):
        Policy((), {}, {}, None).check(str(NOTE).encode())


@pytest.mark.parametrize(
    "rest",
    [
        "",
        "quorum none\nquorum none",
        "quorum e",
        "quorum",
        "group g 3 a b\nquorum g",
        "group g 0 a b\nquorum g",
        "group g any\nquorum none",
        "group g any e\nquorum none",
        "group g any a a\nquorum g",
        "group g any a\ngroup h any a\nquorum h",
        "group a any b\nquorum a",
        "group none any a\nquorum none",
        "group g any g\nquorum g",
        f"log {LOG_KEY}\nquorum none",
        f"log {WITNESSES['a']}\nquorum none",
        f"witness e {LOG_KEY}\nquorum none",
        f"witness e {WITNESSES['a']}\nquorum none",
        "witness e nonsense\nquorum none",
        "mirror a\nquorum none",
        "quorum none\n" + "#" * 70_000,
        "quorum none\r",
        "# bell \x07\nquorum none",
        "# half \ud800\nquorum none",
        "# deleted \x7f\nquorum none",
        "quorum\u00a0none",
        f"log {LOG_KEY} a b\nquorum none",
        "group g 01 a b\nquorum g",
        "group g +1 a b\nquorum g",
        "".join(f"group g{n} any {'a' if n == 0 else f'g{n - 1}'}\n" for n in range(MAX_NAMED + 1)) + "quorum a",
    ],
)
def test_policies_that_make_no_sense_are_refused(rest: str) -> None:
    """Unknown names, impossible thresholds, double keys and unknown lines raise, and say on which line."""
    with pytest.raises(WireError, match="policy"):
        parse_policy(policy_text(rest))


def test_tabs_and_comments_are_fine() -> None:
    """White space between words does not matter."""
    assert parse_policy(f"log\t{LOG_KEY}  \n  # note\n\tquorum  none").logs == (LOG_KEY,)


@given(st.text(max_size=80))
def test_no_text_crashes_the_policy_parser(text: str) -> None:
    """Any text is a policy or a WireError."""
    with contextlib.suppress(WireError):
        parse_policy(text)


def test_as_many_are_understood_as_the_specification_recommends() -> None:
    """Thirty-two logs, witnesses and groups within groups, and a checkpoint that all the witnesses cosigned."""
    keys = {f"w{n}": key_of(f"w{n}") for n in range(32)}
    lines = [f"log {LOG_KEY}"]
    lines += [f"log {VerifierKey(f'log{n}', ED25519, public_bytes(key_of(f'log{n}')))}" for n in range(31)]
    lines += [f"witness {name} {VerifierKey(name, COSIGNATURE_V1, public_bytes(key))}" for name, key in keys.items()]
    lines += [f"group g{n} all w{n}{f' g{n - 1}' if n else ''}" for n in range(32)]
    policy = parse_policy("\n".join((*lines, "quorum g31", "")))
    note = NOTE
    for name, key in keys.items():
        with pytest.raises(WireError, match="no quorum"):
            policy.check(str(note).encode())
        note = cosign_note(note, name, key, at_s=1)
    assert policy.check(str(note).encode()).size == 13


def cosigner(of: str, **changes: str) -> Cosigner:
    values = {"name": of, "url": f"https://{of}.example.org", **changes}
    return Cosigner(key=WITNESSES[of], **values)


MADE = parse_policy(
    make_policy(
        LOG_KEY,
        url="https://log.example.org",
        witnesses=(cosigner("a"), cosigner("b")),
        mirrors=(cosigner("c"), cosigner("d")),
        witnesses_needed=2,
        mirrors_needed=1,
    )
)


def test_a_policy_is_made_of_witnesses_and_mirrors() -> None:
    """So many of each are needed, and one kind does not stand for the other."""
    assert MADE.logs == (LOG_KEY,)
    assert {"witnesses", "mirrors"} < set(MADE.groups)
    assert [MADE.met_by(names) for names in ("abc", "abd", "ab", "acd", "abcd", "")] == [
        True, True, False, False, True, False,
    ]  # fmt: skip
    assert MADE.needs("mirrors")
    assert MADE.needs("witnesses")
    assert MADE.needs("a")
    assert not MADE.needs("c")
    assert not MADE.needs("nobody")
    assert not PLAIN.needs("mirrors")
    assert PLAIN.met_by(())


def test_a_quorum_is_as_old_as_its_youngest_complete_one() -> None:
    """The time of a checkpoint is the newest by which enough had cosigned; without a quorum there is none."""
    note = NOTE
    for name, at_s in (("a", 100), ("b", 300), ("c", 200), ("d", 250)):
        note = cosign_note(note, WITNESSES[name].name, key_of(name), at_s=at_s)
    assert MADE.witnessed(str(note).encode()).at_s == 100
    either = parse_policy(policy_text("group g 2 a b c d\nquorum g"))
    assert either.witnessed(str(note).encode()).at_s == 250
    assert PLAIN.witnessed(str(note).encode()).at_s is None


@pytest.mark.parametrize(
    "bad",
    [
        {"url": f"https://a.example\nlog {VerifierKey('evil', ED25519, public_bytes(key_of('evil')))}"},
        {"url": "https://a.example\nquorum none"},
        {"url": "https://a.example b"},
        {"url": "https://a.example\x00"},
        {"name": f"a {WITNESSES['b']}\nwitness a"},
        {"name": "none"},
        {"name": "witnesses"},
        {"name": ""},
    ],
)
def test_what_a_cosigner_calls_itself_makes_no_lines(bad: dict[str, str]) -> None:
    """A name or URL can't smuggle a log, a witness or a quorum into the policy."""
    with pytest.raises(WireError):
        make_policy(LOG_KEY, witnesses=(cosigner("a", **bad),), witnesses_needed=1)
