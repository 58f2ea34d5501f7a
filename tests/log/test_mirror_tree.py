"""A tree that somebody else serves: whatever is given out belongs to it, and a false file is named."""

import asyncio
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.log.mirror.tree import Check, TileTree, narrowed
from broker.wire.encoding import WireError
from broker.wire.notes import Checkpoint
from broker.wire.tiles import Tile, encode_entries
from tests.log.mirror_support import ORIGIN, Tree

SIZES = [0, 1, 2, 255, 256, 257, 300, 511, 512, 70_000]
BIG = Tree().grow(70_000)


def grown(size: int) -> Tree:
    return Tree().add(BIG.entries[:size])


async def read_all(tree: Tree, tiles: Mapping[Tile, bytes]) -> dict[Tile, bytes]:
    """Read a whole tree as a mirror does; returns every file that was asked for."""
    found: dict[Tile, bytes] = {}

    async def obtain(tile: Tile, check: Check) -> bytes:
        check(tiles[tile])
        found[tile] = tiles[tile]
        return tiles[tile]

    reader = TileTree(Checkpoint(ORIGIN, tree.size, tree.root()), obtain)
    await reader.open(obtain)
    for index in range(-(-tree.size // 256)):
        await reader.bundle(index)
    return found


@pytest.mark.parametrize("size", SIZES)
async def test_an_honest_tree_is_read_whole(size: int) -> None:
    """Every bundle and every hash tile of the tree, each once checked, and no other."""
    tree = grown(size)
    assert await read_all(tree, tree.tiles) == tree.tiles


@given(data=st.data(), size=st.sampled_from([1, 255, 256, 300, 70_000]))
def test_a_changed_byte_is_never_given_out(data: st.DataObject, size: int) -> None:
    """Whichever file is false, and however, reading it raises."""
    tree = BIG if size == BIG.size else grown(size)
    tile = data.draw(st.sampled_from(sorted(tree.tiles, key=lambda one: one.path)))
    honest = tree.tiles[tile]
    spoil = data.draw(st.sampled_from([_flip, _short, _long, _empty, _doubled]))
    false = spoil(honest, data.draw(st.integers(0, len(honest) - 1)))
    with pytest.raises(WireError):
        asyncio.run(read_all(tree, {**tree.tiles, tile: false}))


def _flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def _short(data: bytes, at: int) -> bytes:
    return data[:at]


def _long(data: bytes, _: int) -> bytes:
    return data + b"\0"


def _empty(_data: bytes, _: int) -> bytes:
    return b""


def _doubled(data: bytes, _: int) -> bytes:
    return data + data


async def test_another_tree_of_the_same_size_does_not_lead_to_the_root() -> None:
    """A log that serves a whole other tree is found out at the edge, before a bundle is read."""
    tree, other = grown(300), Tree(salt=b"other ").grow(300)
    asked: list[Tile] = []

    async def obtain(tile: Tile, check: Check) -> bytes:
        asked.append(tile)
        check(other.tiles[tile])
        return other.tiles[tile]

    with pytest.raises(WireError, match="root"):
        await TileTree(Checkpoint(ORIGIN, 300, tree.root()), obtain).open(obtain)
    assert all(isinstance(tile.level, int) for tile in asked)


@given(st.integers(0, 70_000))
def test_the_root_of_an_older_tree_is_read_from_the_newer_one(size: int) -> None:
    """What a log must have signed before is computed from checked tiles: a handful, whatever the size."""
    reads = 0

    async def root() -> bytes:
        async def obtain(tile: Tile, check: Check) -> bytes:
            nonlocal reads
            reads += 1
            check(BIG.tiles[tile])
            return BIG.tiles[tile]

        reader = TileTree(Checkpoint(ORIGIN, BIG.size, BIG.root()), obtain)
        await reader.open(obtain)
        return await reader.root_of(size)

    assert asyncio.run(root()) == BIG.root(size)
    assert reads <= 6


@pytest.mark.parametrize("width", [1, 44, 255])
def test_a_partial_tile_is_cut_from_the_full_one(width: int) -> None:
    """Where a log dropped the partial form, the full one holds the same bytes."""
    partial, full = grown(width), grown(256)
    for level in (0, "entries"):
        kind = Tile(level, 0)
        part = Tile(kind.level, 0, width)
        assert narrowed(part, full.tiles[kind]) == partial.tiles[part]


@pytest.mark.parametrize("make", [lambda: b"", lambda: encode_entries([b"x"] * 255), lambda: b"\0\0" * 257])
def test_a_full_bundle_that_is_none_can_not_be_cut(make: Callable[[], bytes]) -> None:
    """A bundle of another width is refused before any of it is used."""
    with pytest.raises(WireError):
        narrowed(Tile("entries", 0, 7), make())
