"""tlog-proof and tlog-policy: a verifier in Go, on x/mod's notes and proofs, decides as ours does."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.wire.encoding import WireError, to_base64
from broker.wire.merkle import inclusion_proof
from broker.wire.notes import COSIGNATURE_V1, Note, VerifierKey, cosign_note, parse_verifier_key
from broker.wire.proofs import Cosigner, Proof, make_policy, parse_policy, verify_proof
from tests.oracle.golang import Oracle, RefusedError
from tests.oracle.support import (
    AT_S,
    FORGERIES,
    LOG_KEY,
    MIRROR_KEY,
    WITNESS_KEY,
    Leaves,
    checkpoint_of,
    cosigned,
    entries_of,
    seed_of,
)
from tests.wire.support import key_of

pytestmark = pytest.mark.go

SIZE, INDEX = 13, 5
ENTRIES = entries_of(SIZE)
TREE = Leaves(ENTRIES)
NOTE = cosigned(checkpoint_of(ENTRIES))
PATH = tuple(inclusion_proof(INDEX, SIZE, TREE))
POLICY = make_policy(
    LOG_KEY,
    url="https://log.example.org",
    witnesses=[Cosigner("w", WITNESS_KEY, "https://w.example.org")],
    mirrors=[Cosigner("m", MIRROR_KEY)],
    witnesses_needed=1,
    mirrors_needed=1,
)


def proof_of(
    *, index: int = INDEX, path: tuple[bytes, ...] = PATH, note: str = str(NOTE), extra: bytes | None = None
) -> bytes:
    return str(Proof(index, path, note.encode(), extra)).encode()


def verdicts(go: Oracle, data: bytes, *, entry: bytes = ENTRIES[INDEX], policy: str = POLICY) -> set[bool]:
    """What we and the Go verifier say of a proof."""
    said = set()
    try:
        verify_proof(entry, data, parse_policy(policy))
        said.add(True)
    except WireError:
        said.add(False)
    try:
        go.ask("proof", entries=[entry], proof=data, policy=policy)
        said.add(True)
    except RefusedError:
        said.add(False)
    return said


@pytest.mark.parametrize("index", range(SIZE))
def test_both_accept_ours(go: Oracle, index: int) -> None:
    """Each entry's proof, with data beside it and without."""
    path = tuple(inclusion_proof(index, SIZE, TREE))
    for extra in (None, b"anything"):
        assert verdicts(go, proof_of(index=index, path=path, extra=extra), entry=ENTRIES[index]) == {True}


def test_a_checkpoint_that_it_cosigned_counts_for_us(go: Oracle) -> None:
    """The witness's line made in Go stands in a proof like ours."""
    bare = Note(NOTE.text, (NOTE.signatures[0], NOTE.signatures[2]))
    question = {"note": str(bare).encode(), "keys": [str(LOG_KEY), str(MIRROR_KEY)]}
    note = go.ask("cosign", name=WITNESS_KEY.name, seed=seed_of("witness"), time=AT_S, **question)["note"].decode()
    assert verdicts(go, proof_of(note=str(bare))) == {False}
    assert verdicts(go, proof_of(note=note)) == {True}


HASHES = [to_base64(one) for one in PATH]


@pytest.mark.parametrize(
    "change",
    [
        {"index": INDEX + 1},
        {"index": SIZE},
        {"path": PATH[1:]},
        {"path": PATH[:-1]},
        {"path": (*PATH, PATH[0])},
        {"path": (PATH[1], PATH[0], *PATH[2:])},
        {"path": ()},
        {"note": str(cosigned(checkpoint_of(entries_of(12))))},
    ],
    ids=str,
)
def test_neither_accepts_another_place(go: Oracle, change: dict[str, object]) -> None:
    """Index, path in its order, and checkpoint have to fit one another."""
    assert verdicts(go, proof_of(**change)) == {False}  # type: ignore[arg-type]


@pytest.mark.parametrize("what", FORGERIES)
def test_neither_accepts_a_forged_checkpoint(go: Oracle, what: str) -> None:
    """Whatever was changed in the log's note, the proof falls with it."""
    assert verdicts(go, proof_of(note=FORGERIES[what](str(NOTE)))) == {False}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("c2sp.org/tlog-proof@v1", "c2sp.org/tlog-proof@v2"),
        ("c2sp.org/tlog-proof@v1\n", ""),
        ("index 5", "index 05"),
        ("index 5", "index +5"),
        ("index 5", "Index 5"),
        ("index 5\n", ""),
        ("index 5", "extra YW55\nextra YW55\nindex 5"),
        ("index 5", "index 5\nextra YW55"),
        ("index 5", "extra YW5\nindex 5"),
        (HASHES[0], HASHES[0][:-1]),
        (HASHES[0], "A" * 43 + "="),
        (HASHES[0], f"{HASHES[0]}\n{HASHES[0]}"),
        ("\n\n", "\n"),
        ("\n", "\r\n"),
    ],
)
def test_neither_accepts_another_form(go: Oracle, old: str, new: str) -> None:
    """Header, index and hashes have one spelling and one order."""
    data = proof_of().decode().replace(old, new, 1).encode()
    assert verdicts(go, data) == {False}


def test_neither_accepts_another_entry(go: Oracle) -> None:
    """Nor one that only begins alike, nor the hash in the entry's stead."""
    for entry in (ENTRIES[4], ENTRIES[INDEX] + b"\0", b"", TREE(0, INDEX)):
        assert verdicts(go, proof_of(), entry=entry) == {False}


NAMES = "abcd"


def policy_lines(go: Oracle, rest: str) -> str:
    """A policy over four witnesses whose keys Go spelled."""
    keys = {name: go.ask("sign", text="x\n", name=name, seed=seed_of(name))["key"] for name in NAMES}
    lines = [f"log {LOG_KEY}"]
    lines += [f"witness {name} {_as_cosigner(key)}" for name, key in keys.items()]
    return "\n".join([*lines, rest, ""])


def _as_cosigner(key: str) -> str:
    """The same key as a cosigner's: type 4 for 1, and the id that belongs to it."""
    plain = parse_verifier_key(key)
    return str(VerifierKey(plain.name, COSIGNATURE_V1, plain.key))


QUORUMS = [
    "quorum none",
    "quorum a",
    "group g 2 a b c\nquorum g",
    "group g any a b\ngroup h all c d\ngroup both all g h\nquorum both",
    "# all\n\n\tgroup  g\tall a b c d  \nquorum g",
    "group g 3 a b c d\ngroup x any a\nquorum g",
    "group g 4 a b c\nquorum g",
    "group g 0 a b c\nquorum g",
    "group g any a a\nquorum g",
    "group a any b\nquorum a",
    "group none any b\nquorum none",
    "group g any none\nquorum g",
    "quorum e",
    "quorum",
    "quorum a\nquorum a",
    "quorum g\ngroup g any a",
    "mirror a\nquorum none",
    "group g 01 a b\nquorum g",
    "group g two a b\nquorum g",
]


@pytest.mark.parametrize("rest", QUORUMS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=16)
@given(signers=st.sets(st.sampled_from(NAMES)))
def test_both_read_a_policy_alike(go: Oracle, rest: str, signers: set[str]) -> None:
    """Whoever cosigned: both find the quorum met, or both do not, or both can't read the policy."""
    note = checkpoint_of(ENTRIES)
    for name in sorted(signers):
        note = cosign_note(note, name, key_of(name), at_s=AT_S)
    assert len(verdicts(go, proof_of(note=str(note)), policy=policy_lines(go, rest))) == 1
