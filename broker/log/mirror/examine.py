"""Whether a copy has what it serves: each file's presence and length at the start, and later, slowly, all its bytes."""

import asyncio
from collections.abc import Iterable

from broker.log.errors import LogError
from broker.log.growth import edge_tiles, filled_tiles
from broker.wire.encoding import WireError
from broker.wire.notes import Checkpoint
from broker.wire.tiles import MAX_ENTRY_BYTES, TILE_WIDTH, Tile

from .store import MirrorStore
from .tree import Check, TileTree

_LENGTH_BYTES = 2


class DamagedTilesError(LogError):
    """Some of what a copy serves is not there as the log signed it."""

    def __init__(self, tiles: Iterable[Tile], why: str) -> None:
        self.tiles = frozenset(tiles)
        super().__init__(f"{', '.join(sorted(tile.path for tile in self.tiles))}: {why}")


def unfit(store: MirrorStore, size: int) -> set[Tile]:
    """Return the full tiles and bundles of a copy of `size` entries that are missing or can't be it by their length."""
    return {tile for tile in filled_tiles(0, size) if not _may_have(tile, store.length(tile))}


class Examination:
    """One pass over a tree that is served, from the store alone. Raises DamagedTilesError."""

    def __init__(self, store: MirrorStore, checkpoint: Checkpoint) -> None:
        self._store = store
        self._size = checkpoint.size
        self._tree = TileTree(checkpoint, self._stored)

    async def edge(self) -> None:
        """Look at the partial tiles and the partial bundle; to be done first."""
        try:
            await self._tree.open(self._stored)
        except WireError as error:
            partial = (tile for tile in edge_tiles(self._size) if tile.level != "entries")
            raise DamagedTilesError(partial, str(error)) from error
        if self._size % TILE_WIDTH:
            await self._tree.bundle(self._size // TILE_WIDTH)

    async def bundle(self, index: int) -> None:
        """Look at a full bundle, and at the hash tiles above it."""
        await self._tree.bundle(index)

    async def _stored(self, tile: Tile, check: Check) -> bytes:
        try:
            data = await asyncio.to_thread(self._store.tile, tile)
        except OSError as error:
            raise DamagedTilesError([tile], error.strerror or "it can't be read") from error
        if data is None:
            raise DamagedTilesError([tile], "it is missing")
        why = await fails(check, data)
        if why is not None:
            raise DamagedTilesError([tile], why)
        return data


async def fails(check: Check, data: bytes) -> str | None:
    """Return why a check fails, None if it does not; off the event loop, since a bundle may have 16 MB."""

    def run() -> str | None:
        try:
            check(data)
        except WireError as error:
            return str(error)
        return None

    return await asyncio.to_thread(run)


def _may_have(tile: Tile, length: int | None) -> bool:
    if length is None:
        return False
    if tile.level == "entries":
        return _LENGTH_BYTES <= length / TILE_WIDTH <= _LENGTH_BYTES + MAX_ENTRY_BYTES
    return length == tile.hash_bytes
