"""Which partial tiles are kept, by a log and by a mirror of it. Pure.

C2SP tlog-tiles lets a partial tile go once the full one is there. Here they go sooner, since each partial bundle has
all entries of those before it: kept is what a standing checkpoint names, and for `KEPT_S` what one named that stood
before; of these the newest `MOST` at most. Who holds an older checkpoint finds neither the partial tile nor a full one,
and takes a fresh checkpoint.
"""

from collections.abc import Collection, Iterable

from broker.wire.tiles import TILE_HEIGHT, TILE_WIDTH, Tile

from .growth import edge_tiles

KEPT_S = 600.0  # as long as a cache on the way may keep a checkpoint
MOST = 64


class Partials:
    """The sizes whose partial tiles are there, each with the time at which a checkpoint of it stood last."""

    def __init__(self) -> None:
        self._stood_s: dict[int, float] = {}  # oldest first
        self._standing: frozenset[int] = frozenset()

    @property
    def crowded(self) -> bool:
        """Whether far more are kept than are to be."""
        return len(self._stood_s) > 2 * MOST

    def found(self, tiles: Iterable[Tile], *, size: int, now_s: float) -> list[Tile]:
        """Take over what a former process left; returns those tiles whose full form a checkpoint of `size` covers."""
        full: dict[Tile, None] = {}
        sizes = set()
        for tile in tiles:
            shift = TILE_HEIGHT * (0 if isinstance(tile.level, str) else tile.level)
            if (tile.index + 1) * TILE_WIDTH <= size >> shift:
                full[Tile(tile.level, tile.index)] = None
            else:
                sizes.add((tile.index * TILE_WIDTH + tile.width) << shift)
        self._stood_s = dict.fromkeys(sorted(sizes), now_s)
        return list(full)

    def stand(self, sizes: Collection[int], *, now_s: float) -> None:
        """Checkpoints of these sizes stand from now on; those of before stood until now."""
        for size in sorted(self._standing.union(sizes)):
            self._stood_s.pop(size, None)
            self._stood_s[size] = now_s
        self._standing = frozenset(sizes)

    def expired(self, *, now_s: float) -> list[Tile]:
        """Return the partial tiles to drop, and forget them."""
        before = [size for size in self._stood_s if size not in self._standing]
        spare = len(before) - MOST
        gone = [size for at, size in enumerate(before) if at < spare or self._stood_s[size] <= now_s - KEPT_S]
        for size in gone:
            del self._stood_s[size]
        if not gone:
            return []
        named = {tile for size in self._stood_s for tile in edge_tiles(size)}
        return list(dict.fromkeys(tile for size in gone for tile in edge_tiles(size) if tile not in named))
