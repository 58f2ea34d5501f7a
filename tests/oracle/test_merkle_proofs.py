"""RFC 6962 proofs: x/mod, aics-tlog and tlog-scales make the same ones, accept ours and refuse what is forged."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tlog_scales.tlog import ConsistencyProof, ConsistencyProofInvalid, InclusionProof, InclusionProofInvalid

from broker.wire.encoding import WireError
from broker.wire.merkle import (
    EMPTY_ROOT,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root_hash,
    verify_consistency,
    verify_inclusion,
)
from tests.oracle.golang import Oracle, RefusedError
from tests.oracle.support import Leaves, entries_of, need_module

MOST = 70
ENTRIES = entries_of(MOST)
TREE = Leaves(ENTRIES)
ROOTS = [root_hash(size, TREE) for size in range(MOST + 1)]

sizes = st.integers(1, MOST)


@dataclass(frozen=True)
class Inclusion:
    """What an inclusion proof claims."""

    entry: bytes
    index: int
    size: int
    proof: list[bytes]
    root: bytes

    def verdicts(self, go: Oracle) -> set[bool]:
        """Return what everybody says of it."""
        peer, leaf = need_module("aics_tlog"), leaf_hash(self.entry)
        place = (self.index, self.size)
        question = {"entries": [self.entry], "index": self.index, "size": self.size, "hashes": self.proof}
        return {
            self.index < self.size and bool(peer.verify_leaf_inclusion(self.entry, *place, self.proof, self.root)),
            _passes(lambda: verify_inclusion(leaf, *place, self.proof, self.root), WireError),
            _passes(lambda: InclusionProof(*place, self.proof).check(leaf, self.root), InclusionProofInvalid),
            _passes(lambda: go.ask("inclusion", root=self.root, **question), RefusedError),
        }


@dataclass(frozen=True)
class Growth:
    """What a consistency proof claims; the old size is 1 at least, since x/mod knows no empty tree."""

    old_size: int
    old_root: bytes
    size: int
    root: bytes
    proof: list[bytes]

    def verdicts(self, go: Oracle) -> set[bool]:
        """Return what everybody says of it."""
        peer = need_module("aics_tlog")
        both = (self.old_size, self.size)
        question = {"oldsize": self.old_size, "oldroot": self.old_root, "size": self.size, "hashes": self.proof}
        return {
            bool(peer.verify_consistency(*both, self.old_root, self.root, self.proof)),
            _passes(
                lambda: verify_consistency(self.old_size, self.old_root, self.size, self.root, self.proof), WireError
            ),
            _passes(
                lambda: ConsistencyProof(*both, self.proof).check(self.old_root, self.root), ConsistencyProofInvalid
            ),
            _passes(lambda: go.ask("consistency", root=self.root, **question), RefusedError),
        }


def _passes(check: Callable[[], object], error: type[Exception]) -> bool:
    try:
        check()
    except error:
        return False
    return True


def forged(proof: list[bytes], data: st.DataObject) -> list[list[bytes]]:
    """The same proof with a hash flipped, dropped, added, doubled, or two of them exchanged."""
    found = [[*proof, EMPTY_ROOT], [EMPTY_ROOT, *proof]]
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        flipped = bytearray(proof[at])
        flipped[data.draw(st.integers(0, 31))] ^= 1 << data.draw(st.integers(0, 7))
        found += [[*proof[:at], bytes(flipped), *proof[at + 1 :]], proof[:-1], proof[1:], [*proof, proof[-1]]]
    if len(proof) > 1:
        found.append([proof[1], proof[0], *proof[2:]])
    return found


@pytest.mark.go
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), size=sizes)
def test_all_agree_on_inclusion(go: Oracle, data: st.DataObject, size: int) -> None:
    """Everybody accepts our proof of an entry, and nobody another entry, index, size, root or path."""
    index = data.draw(st.integers(0, size - 1))
    good = Inclusion(ENTRIES[index], index, size, inclusion_proof(index, size, TREE), ROOTS[size])
    assert good.verdicts(go) == {True}
    other = data.draw(st.integers(0, MOST - 1).filter(lambda at: at != index))
    wrong = data.draw(st.integers(0, MOST).filter(lambda at: at != index))
    bad = [
        *(replace(good, proof=proof) for proof in forged(good.proof, data)),
        replace(good, entry=ENTRIES[other]),
        replace(good, index=wrong),
        replace(good, root=ROOTS[size - 1]),
        replace(good, size=size + 1, root=ROOTS[(size + 1) % MOST]),
    ]
    for claim in bad:
        assert claim.verdicts(go) == {False}


@pytest.mark.go
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), size=sizes)
def test_all_agree_on_growth(go: Oracle, data: st.DataObject, size: int) -> None:
    """Everybody accepts our proof that a log only grew, and nobody another root, size or path."""
    old = data.draw(st.integers(1, size))
    good = Growth(old, ROOTS[old], size, ROOTS[size], consistency_proof(old, size, TREE))
    assert good.verdicts(go) == {True}
    bad = [
        *(replace(good, proof=proof) for proof in forged(good.proof, data)),
        replace(good, old_root=ROOTS[old - 1]),
        replace(good, root=EMPTY_ROOT),
        replace(good, size=size + 1, root=ROOTS[(size + 1) % MOST]),
    ]
    for claim in bad:
        assert claim.verdicts(go) == {False}


def test_aics_makes_the_same() -> None:
    """Roots and proofs of every size and entry up to seventy are the same."""
    peer = need_module("aics_tlog")
    tree = peer.MerkleTree(ENTRIES)
    for size in range(1, MOST + 1):
        assert tree.root(size) == ROOTS[size]
        for index in range(0, size, 3):
            assert tree.inclusion_proof(index, size) == inclusion_proof(index, size, TREE)
            assert tree.consistency_proof(index + 1, size) == consistency_proof(index + 1, size, TREE)
