"""How a log grows: from its right edge and new entries to the files that have to be written. Pure.

The right edge is what is not full yet: the last, partial hash tile of each level and the last, partial entry bundle.
It is all that is needed to append and to compute the root, so memory stays flat in the number of entries.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from broker.wire.encoding import WireError
from broker.wire.merkle import HASH_BYTES, leaf_hash, root_hash
from broker.wire.tiles import TILE_HEIGHT, TILE_WIDTH, Tile, decode_entries, encode_entries, fold, tile_for_hash

_TILE_BYTES = TILE_WIDTH * HASH_BYTES

TileReader = Callable[[Tile], bytes]


@dataclass(frozen=True, slots=True)
class Edge:
    """The right edge of a log of `size` entries; `hashes[level]` and `entries` are below the width of a tile."""

    size: int = 0
    hashes: tuple[bytes, ...] = ()
    entries: tuple[bytes, ...] = ()

    def root(self) -> bytes:
        """Return the root of the tree; every complete subtree it is folded from lies in the edge."""

        def read(level: int, index: int) -> bytes:
            tile, first, count = tile_for_hash(level, index, self.size)
            if isinstance(tile.level, str) or tile.width == TILE_WIDTH:
                raise AssertionError(f"{tile.path} is not at the edge of a log of {self.size}")
            return fold(self.hashes[tile.level], first, count)

        return root_hash(self.size, read)


def edge_tiles(size: int) -> list[Tile]:
    """Return the partial hash tiles at the right edge, lowest level first, and the partial bundle last."""
    tiles: list[Tile] = []
    level, width = 0, size
    while width:
        if width % TILE_WIDTH:
            tiles.append(Tile(level, width // TILE_WIDTH, width % TILE_WIDTH))
        level, width = level + 1, width >> TILE_HEIGHT
    if size % TILE_WIDTH:
        tiles.append(Tile("entries", size // TILE_WIDTH, size % TILE_WIDTH))
    return tiles


def load_edge(size: int, read: TileReader) -> Edge:
    """Read the edge of a log; raises WireError where a tile contradicts its width, its entries or the level below."""
    levels: list[bytes] = []
    width = size
    while width:
        levels.append(b"")
        width >>= TILE_HEIGHT
    entries: tuple[bytes, ...] = ()
    for tile in edge_tiles(size):
        if isinstance(tile.level, str):
            entries = tuple(decode_entries(read(tile), width=tile.width))
            continue
        levels[tile.level] = read(tile)
        if len(levels[tile.level]) != tile.hash_bytes:
            raise WireError(f"{tile.path} has {len(levels[tile.level])} bytes where {tile.hash_bytes} are expected")
    if levels and b"".join(leaf_hash(entry) for entry in entries) != levels[0]:
        raise WireError(f"the last entry bundle and the last hash tile of a log of {size} differ")
    for level, (_, above) in enumerate(pairwise(levels)):
        _check_above(level, above, size, read)
    return Edge(size, tuple(levels), entries)


def _check_above(level: int, above: bytes, size: int, read: TileReader) -> None:
    # The newest hash above must be the fold of the newest full tile below: it shows that the two were written together.
    last = (size >> (TILE_HEIGHT * (level + 1))) - 1
    if above and fold(read(Tile(level, last)), 0, TILE_WIDTH) != above[-HASH_BYTES:]:
        raise WireError(f"tile level {level + 1} of a log of {size} does not follow from the level below")


def filled_tiles(old_size: int, size: int) -> Iterator[Tile]:
    """Yield the full tiles of a log of `size` entries that were partial, or not there, when it had `old_size`."""
    level = 0
    while size >> (TILE_HEIGHT * (level + 1)):
        first, end = (one >> (TILE_HEIGHT * (level + 1)) for one in (old_size, size))
        for index in range(first, end):
            yield Tile(level, index)
            if level == 0:
                yield Tile("entries", index)
        level += 1


def grow(edge: Edge, new: Sequence[bytes]) -> tuple[Edge, dict[Tile, bytes]]:
    """Return the edge after appending, and every tile that has to be written for it."""
    written: dict[Tile, bytes] = {}
    entries = [*edge.entries, *new]
    first = edge.size // TILE_WIDTH
    while len(entries) >= TILE_WIDTH:
        written[Tile("entries", first)] = encode_entries(entries[:TILE_WIDTH])
        entries, first = entries[TILE_WIDTH:], first + 1
    if entries:
        written[Tile("entries", first, len(entries))] = encode_entries(entries)

    hashes = list(edge.hashes)
    level, added = 0, b"".join(leaf_hash(entry) for entry in new)
    while added:
        if level == len(hashes):
            hashes.append(b"")
        index = (edge.size >> (TILE_HEIGHT * level)) // TILE_WIDTH
        hashes[level], tiles = _cut(level, index, hashes[level] + added)
        written.update(tiles)
        added = b"".join(fold(data, 0, TILE_WIDTH) for tile, data in tiles.items() if tile.width == TILE_WIDTH)
        level += 1
    return Edge(edge.size + len(new), tuple(hashes), tuple(entries)), written


def _cut(level: int, index: int, row: bytes) -> tuple[bytes, dict[Tile, bytes]]:
    """Cut one level's hashes, which begin at tile `index`, into tiles; returns what is left over with them."""
    tiles: dict[Tile, bytes] = {}
    at = 0
    while len(row) - at >= _TILE_BYTES:
        tiles[Tile(level, index)] = row[at : at + _TILE_BYTES]
        at, index = at + _TILE_BYTES, index + 1
    rest = row[at:]
    if rest:
        tiles[Tile(level, index, len(rest) // HASH_BYTES)] = rest
    return rest, tiles
