"""RFC 6962 Merkle trees: hashes, roots, inclusion and consistency proofs. Pure; reads hashes through a callable.

A complete subtree is named by (level, index): it covers the leaves [index << level, (index + 1) << level).
`HashReader` returns hashes of complete subtrees only; everything to the right of them is computed here.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence

from .encoding import WireError

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
MAX_TREE_SIZE = 1 << 62

HashReader = Callable[[int, int], bytes]


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of one entry's exact bytes."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def subtrees(start: int, end: int) -> list[tuple[int, int]]:
    """Return the complete subtrees (level, index), left to right, that make up the RFC 6962 range [start, end).

    `start` must be a multiple of the largest power of two that is below or equal to `end - start`.
    """
    found = []
    while start < end:
        level = (end - start).bit_length() - 1
        found.append((level, start >> level))
        start += 1 << level
    return found


def range_hash(start: int, end: int, read: HashReader) -> bytes:
    """Return MTH(D[start:end]) for a range that occurs in an RFC 6962 tree."""
    parts = [read(level, index) for level, index in subtrees(start, end)]
    if not parts:
        return EMPTY_ROOT
    folded = parts.pop()
    while parts:
        folded = node_hash(parts.pop(), folded)
    return folded


def root_hash(size: int, read: HashReader) -> bytes:
    """Return the root of the tree of the first `size` entries."""
    return range_hash(0, size, read)


def inclusion_proof(index: int, size: int, read: HashReader) -> list[bytes]:
    """Return PATH(index, D[size]), from the leaf's sibling up."""
    if not 0 <= index < size:
        raise WireError(f"entry {index} is not in a tree of {size}")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        split = start + _split(end - start)
        if index < split:
            path.append(range_hash(split, end, read))
            end = split
        else:
            path.append(range_hash(start, split, read))
            start = split
    path.reverse()
    return path


def consistency_proof(old_size: int, size: int, read: HashReader) -> list[bytes]:
    """Return PROOF(old_size, D[size]); empty where the sizes are equal or the old tree is empty."""
    if not 0 <= old_size <= size:
        raise WireError(f"a tree of {size} cannot have grown from one of {old_size}")
    if old_size in {0, size}:
        return []
    path: list[bytes] = []
    start, end, whole = 0, size, True
    while old_size != end:
        split = start + _split(end - start)
        if old_size <= split:
            path.append(range_hash(split, end, read))
            end = split
        else:
            path.append(range_hash(start, split, read))
            start, whole = split, False
    if not whole:
        path.append(range_hash(start, end, read))
    path.reverse()
    return path


def root_from_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """Return the root that a proof leads to (RFC 9162, 2.1.3.2); raises WireError where its shape is wrong."""
    if not 0 <= index < size <= MAX_TREE_SIZE:
        raise WireError(f"entry {index} is not in a tree of {size}")
    computed = leaf
    for sibling, on_left in _climb(index, size - 1, proof, "inclusion"):
        computed = node_hash(sibling, computed) if on_left else node_hash(computed, sibling)
    return computed


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Raise WireError unless the proof shows `leaf` at `index` in the tree with this size and root."""
    if root_from_inclusion(leaf, index, size, proof) != root:
        raise WireError(f"inclusion proof of entry {index} does not lead to the checkpoint's root")


def verify_consistency(old_size: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]) -> None:
    """Raise WireError unless the proof shows that the new tree only added to the old one (RFC 9162, 2.1.4.2)."""
    if not 0 <= old_size <= size <= MAX_TREE_SIZE:
        raise WireError(f"a tree of {size} cannot have grown from one of {old_size}")
    if old_size in {0, size}:
        if proof or old_root != (root if old_size else EMPTY_ROOT):
            raise WireError(f"two different trees of size {old_size}, or a proof where none is needed")
        return
    old_computed, new_computed = roots_from_consistency(old_size, old_root, size, proof)
    if old_computed != old_root:
        raise WireError(f"the log no longer contains the tree of size {old_size} that was seen before")
    if new_computed != root:
        raise WireError(f"consistency proof does not lead to the root of size {size}")


def roots_from_consistency(old_size: int, old_root: bytes, size: int, proof: Sequence[bytes]) -> tuple[bytes, bytes]:
    """Return the roots of the old and the new tree that a proof leads to; raises WireError where its shape is wrong.

    Where the second is a root that the log signed, the first is the root of that tree's first `old_size` entries.
    `old_root` is only used where the old tree is a complete subtree of the new one, which a proof leaves out.
    """
    if not 0 < old_size < size <= MAX_TREE_SIZE:
        raise WireError(f"there is no consistency proof from {old_size} to {size}")
    hashes = list(proof)
    if old_size & (old_size - 1) == 0:
        hashes.insert(0, old_root)
    if not hashes:
        raise WireError("consistency proof is too short")
    node, last = old_size - 1, size - 1
    while node & 1:
        node >>= 1
        last >>= 1
    old_computed = new_computed = hashes[0]
    for sibling, on_left in _climb(node, last, hashes[1:], "consistency"):
        old_computed = node_hash(sibling, old_computed) if on_left else old_computed
        new_computed = node_hash(sibling, new_computed) if on_left else node_hash(new_computed, sibling)
    return old_computed, new_computed


def _climb(node: int, last: int, proof: Sequence[bytes], what: str) -> Iterator[tuple[bytes, bool]]:
    """Yield each sibling and whether it stands on the left, from `node` up, in a tree whose last leaf is `last`."""
    for sibling in proof:
        if last == 0:
            raise WireError(f"{what} proof is too long")
        on_left = bool(node & 1) or node == last
        yield sibling, on_left
        while on_left and node and not node & 1:
            node >>= 1
            last >>= 1
        node >>= 1
        last >>= 1
    if last != 0:
        raise WireError(f"{what} proof is too short")


def _split(size: int) -> int:
    """Return the largest power of two strictly below `size` (size > 1)."""
    return 1 << ((size - 1).bit_length() - 1)
