"""Merkle trees against the definition in RFC 6962 and against an independent implementation."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.wire.encoding import WireError
from broker.wire.merkle import (
    EMPTY_ROOT,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_from_inclusion,
    root_hash,
    verify_consistency,
    verify_inclusion,
)


def entries(count: int) -> list[bytes]:
    return [f"entry {number}".encode() for number in range(count)]


def mth(leaves: list[bytes]) -> bytes:
    """The recursive definition of RFC 6962, section 2.1, to the letter."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + mth(leaves[:split]) + mth(leaves[split:])).digest()


class Tree:
    """Complete subtree hashes over a list, as a HashReader."""

    def __init__(self, leaves: list[bytes]) -> None:
        self._leaves = leaves

    def __call__(self, level: int, index: int) -> bytes:
        if level == 0:
            return leaf_hash(self._leaves[index])
        return node_hash(self(level - 1, 2 * index), self(level - 1, 2 * index + 1))


@given(st.integers(0, 70))
def test_roots_follow_the_definition(size: int) -> None:
    """The root over any number of entries is the one RFC 6962 defines."""
    leaves = entries(size)
    assert root_hash(size, Tree(leaves)) == mth(leaves)


@given(st.data(), st.integers(1, 70))
def test_inclusion_proofs_verify_and_nothing_else_does(data: st.DataObject, size: int) -> None:
    """A proof shows its own entry at its own index, and no other entry, index, size or altered path."""
    index = data.draw(st.integers(0, size - 1))
    leaves = entries(size)
    root = mth(leaves)
    proof = inclusion_proof(index, size, Tree(leaves))
    verify_inclusion(leaf_hash(leaves[index]), index, size, proof, root)
    bad_proofs = [[*proof, b"\x00" * 32], proof[:-1] if proof else [b"\x00" * 32]]
    if proof:
        flipped = bytearray(proof[data.draw(st.integers(0, len(proof) - 1))])
        flipped[data.draw(st.integers(0, 31))] ^= 1
        bad_proofs.append([bytes(flipped), *proof[1:]])
    for bad in bad_proofs:
        with pytest.raises(WireError):
            verify_inclusion(leaf_hash(leaves[index]), index, size, bad, root)
    with pytest.raises(WireError):
        verify_inclusion(leaf_hash(b"another"), index, size, proof, root)
    other = data.draw(st.integers(0, size - 1))
    if other != index:
        with pytest.raises(WireError):
            verify_inclusion(leaf_hash(leaves[index]), other, size, proof, root)


@given(st.data(), st.integers(0, 70))
def test_consistency_proofs_verify_growth_alone(data: st.DataObject, size: int) -> None:
    """A log that only grew can prove it from any earlier size; one that changed an old entry can't."""
    old_size = data.draw(st.integers(0, size))
    leaves = entries(size)
    proof = consistency_proof(old_size, size, Tree(leaves))
    verify_consistency(old_size, mth(leaves[:old_size]), size, mth(leaves), proof)
    if old_size:
        edited = [*leaves]
        edited[data.draw(st.integers(0, old_size - 1))] = b"edited"
        forged = consistency_proof(old_size, size, Tree(edited))
        with pytest.raises(WireError):
            verify_consistency(old_size, mth(leaves[:old_size]), size, mth(edited), forged)
    with pytest.raises(WireError):
        verify_consistency(old_size, mth(leaves[:old_size]), size, mth(leaves), [*proof, EMPTY_ROOT])


def test_a_fork_of_equal_size_is_refused() -> None:
    """Two roots for one size are never consistent, the empty tree included."""
    with pytest.raises(WireError, match="two different trees"):
        verify_consistency(3, b"a" * 32, 3, b"b" * 32, [])
    with pytest.raises(WireError, match="two different trees"):
        verify_consistency(0, b"a" * 32, 5, b"b" * 32, [])


def test_out_of_range_is_refused() -> None:
    """Indices and sizes that no tree has raise instead of computing something."""
    with pytest.raises(WireError):
        inclusion_proof(3, 3, Tree(entries(3)))
    with pytest.raises(WireError):
        consistency_proof(4, 3, Tree(entries(3)))
    with pytest.raises(WireError):
        root_from_inclusion(b"\x00" * 32, 0, (1 << 62) + 1, [])
    with pytest.raises(WireError):
        verify_consistency(4, EMPTY_ROOT, 3, EMPTY_ROOT, [])
