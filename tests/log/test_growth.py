"""How a log grows, against the plain definition of tiles and trees."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.log.growth import Edge, edge_tiles, grow, load_edge
from broker.wire.encoding import WireError
from broker.wire.merkle import leaf_hash
from broker.wire.tiles import Tile, fold
from tests.wire.support import tiles_for_growth
from tests.wire.test_merkle import mth


def numbered(count: int, start: int = 0) -> list[bytes]:
    return [b"entry %d" % number for number in range(start, start + count)]


@given(st.lists(st.integers(0, 600), min_size=1, max_size=4))
def test_growth_writes_the_tiles_of_the_specification(steps: list[int]) -> None:
    """However entries are batched, the tiles of tlog-tiles are written, and the root is RFC 6962's."""
    edge = Edge()
    stored: dict[Tile, bytes] = {}
    for count in steps:
        before = edge.size
        edge, written = grow(edge, numbered(count, before))
        assert {tile for tile in written if tile.level != "entries"} == set(tiles_for_growth(before, edge.size))
        stored.update(written)
        assert load_edge(edge.size, stored.__getitem__) == edge
    assert edge.root() == mth(numbered(edge.size))


def test_levels_fold_from_the_ones_below() -> None:
    """After 256*256 entries and one more there are three levels, each hash the fold of a full tile below."""
    edge, written = grow(Edge(), numbered(65_537))
    assert written[Tile(0, 256, 1)] == leaf_hash(b"entry 65536")
    assert written[Tile(2, 0, 1)] == fold(written[Tile(1, 0)], 0, 256)
    assert edge_tiles(edge.size) == [Tile(0, 256, 1), Tile(2, 0, 1), Tile("entries", 256, 1)]
    assert load_edge(edge.size, written.__getitem__) == edge


@pytest.mark.parametrize("tile", [Tile(0, 1, 44), Tile(1, 0, 1), Tile("entries", 1, 44), Tile(0, 0)])
def test_an_edge_that_contradicts_itself_is_refused(tile: Tile) -> None:
    """A flipped bit in any tile that the edge rests on raises, before anything is signed upon it."""
    _, written = grow(Edge(), numbered(300))
    flipped = bytearray(written[tile])
    flipped[-1] ^= 1
    written[tile] = bytes(flipped)
    with pytest.raises(WireError):
        load_edge(300, written.__getitem__)


def test_a_short_tile_is_refused() -> None:
    """A tile of the wrong length raises."""
    _, written = grow(Edge(), numbered(3))
    written[Tile(0, 0, 3)] = written[Tile(0, 0, 3)][:-32]
    with pytest.raises(WireError, match="64 bytes where 96"):
        load_edge(3, written.__getitem__)
