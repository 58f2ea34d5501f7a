"""A tree that somebody else serves, read tile by tile and checked from its root down. Pure: reading is handed in.

The partial tiles at the right edge fold to the root, so that they are checked first. A full tile is checked against
the hash of it that stands in the tile above, an entry bundle against the leaf hashes. So whatever is given
out belongs to the tree, and nothing has to be fetched twice to learn which file was false.
"""

from collections.abc import Awaitable, Callable

from broker.log.growth import Edge, edge_tiles
from broker.wire.encoding import WireError
from broker.wire.merkle import HASH_BYTES, leaf_hash, root_hash, subtrees
from broker.wire.notes import Checkpoint
from broker.wire.tiles import TILE_HEIGHT, TILE_WIDTH, Tile, decode_entries, encode_entries, fold, tile_for_hash

Check = Callable[[bytes], None]
"""Raises WireError for bytes that are not what the tree holds there."""

Obtain = Callable[[Tile, Check], Awaitable[bytes]]
"""Returns the bytes of a tile that pass the check; raises LogError where there are none."""


class TileTree:
    """One tree. Of each level it holds the partial tile and one full one: memory does not grow with the log."""

    def __init__(self, checkpoint: Checkpoint, obtain: Obtain) -> None:
        self._size = checkpoint.size
        self._root = checkpoint.root
        self._obtain = obtain
        self._edge: dict[int, bytes] = {}
        self._full: dict[int, tuple[int, bytes]] = {}

    async def open(self, obtain: Obtain) -> None:
        """Read the partial hash tiles, each checked for its length; raises WireError unless all lead to the root."""
        for tile in edge_tiles(self._size):
            if not isinstance(tile.level, str):
                self._edge[tile.level] = await obtain(tile, _length(tile))
        levels = -(-self._size.bit_length() // TILE_HEIGHT)
        edge = Edge(self._size, tuple(self._edge.get(level, b"") for level in range(levels)))
        if edge.root() != self._root:
            raise WireError(f"the tiles of the tree of size {self._size} do not lead to the root that the log signed")

    async def tile(self, level: int, index: int) -> bytes:
        """Return a hash tile, as wide as it is in this tree."""
        width = min(TILE_WIDTH, (self._size >> (TILE_HEIGHT * level)) - index * TILE_WIDTH)
        if width < TILE_WIDTH:
            return self._edge[level]
        kept = self._full.get(level)
        if kept is not None and kept[0] == index:
            return kept[1]
        above = await self.tile(level + 1, index // TILE_WIDTH)
        at = index % TILE_WIDTH * HASH_BYTES
        data = await self._obtain(Tile(level, index), _folds_to(Tile(level, index), above[at : at + HASH_BYTES]))
        self._full[level] = (index, data)
        return data

    async def bundle(self, index: int) -> bytes:
        """Return an entry bundle, as wide as it is in this tree."""
        leaves = await self.tile(0, index)
        tile = Tile("entries", index, len(leaves) // HASH_BYTES)
        return await self._obtain(tile, _hashes_to(tile, leaves))

    async def root_of(self, size: int) -> bytes:
        """Return the root over the first `size` entries: what an older tree must have had to have grown into this."""
        hashes: dict[tuple[int, int], bytes] = {}
        for level, index in subtrees(0, size):
            tile, first, count = tile_for_hash(level, index, self._size)
            data = await self.tile(int(tile.level), tile.index)
            hashes[level, index] = fold(data, first, count)
        return root_hash(size, lambda level, index: hashes[level, index])


def narrowed(tile: Tile, full: bytes) -> bytes:
    """Return a partial tile's bytes, cut from the full one that replaced it."""
    if tile.level != "entries":
        return full[: tile.hash_bytes]
    return encode_entries(decode_entries(full, width=TILE_WIDTH)[: tile.width])


def _length(tile: Tile) -> Check:
    def check(data: bytes) -> None:
        if len(data) != tile.hash_bytes:
            raise WireError(f"it has {len(data)} bytes where {tile.hash_bytes} are expected")

    return check


def _folds_to(tile: Tile, expected: bytes) -> Check:
    def check(data: bytes) -> None:
        _length(tile)(data)
        if fold(data, 0, TILE_WIDTH) != expected:
            raise WireError("its hashes are not those of the tree that the log signed")

    return check


def _hashes_to(tile: Tile, leaves: bytes) -> Check:
    def check(data: bytes) -> None:
        if b"".join(leaf_hash(entry) for entry in decode_entries(data, width=tile.width)) != leaves:
            raise WireError("its entries are not those of the tree that the log signed")

    return check
