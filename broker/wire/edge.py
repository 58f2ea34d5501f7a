"""The right edge of a Merkle tree (a compact range): enough to go on hashing, and to tell the root. Pure.

It holds the roots of the complete subtrees that make up a tree, left to right: some twenty hashes for a million leaves.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from .encoding import WireError
from .merkle import EMPTY_ROOT, HASH_BYTES, node_hash

Node = tuple[int, bytes]  # level, hash


@dataclass(frozen=True, slots=True)
class Edge:
    """The complete subtrees of a tree of `size` leaves; the k-th from the right covers the k-th set bit of `size`."""

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if len(self.hashes) != self.size.bit_count():
            raise WireError(f"a tree of {self.size} leaves has {self.size.bit_count()} complete subtrees at its edge")

    @property
    def root(self) -> bytes:
        """The tree's root."""
        if not self.hashes:
            return EMPTY_ROOT
        folded = self.hashes[-1]
        for one in reversed(self.hashes[:-1]):
            folded = node_hash(one, folded)
        return folded

    def extended(self, nodes: Iterable[Node]) -> "Edge":
        """Return the edge after some more subtrees, each of which must begin where one of its level may."""
        size, stack = self.size, list(self.hashes)
        for level, value in nodes:
            if size & ((1 << level) - 1):
                raise WireError(f"no subtree of level {level} begins at leaf {size}")
            at, merged = size >> level, value
            while at & 1:
                merged = node_hash(stack.pop(), merged)
                at >>= 1
            stack.append(merged)
            size += 1 << level
        return Edge(size, tuple(stack))

    def encode(self) -> bytes:
        """Return the hashes as bytes."""
        return b"".join(self.hashes)

    @classmethod
    def decode(cls, size: int, data: bytes) -> Self:
        """Return what `encode` wrote of a tree of `size` leaves; raises WireError."""
        return cls(size, tuple(data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)))
