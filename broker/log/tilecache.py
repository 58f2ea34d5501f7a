"""Tiles that were read lately, kept in memory within a bound. No meaning, no I/O of its own."""

from collections import OrderedDict

from broker.wire.tiles import Tile

from .growth import TileReader


class TileCache:
    """The tiles used last. A tile of another width is another tile, so nothing in here can go stale."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._tiles: OrderedDict[Tile, bytes] = OrderedDict()

    def get(self, tile: Tile, read: TileReader) -> bytes:
        """Return a tile, from `read` if it is not kept."""
        data = self._tiles.get(tile)
        if data is None:
            data = read(tile)
        self.add(tile, data)
        return data

    def add(self, tile: Tile, data: bytes) -> None:
        """Keep a tile, and forget the one that was used longest ago if there are too many."""
        self._tiles[tile] = data
        self._tiles.move_to_end(tile)
        if len(self._tiles) > self._limit:
            self._tiles.popitem(last=False)
