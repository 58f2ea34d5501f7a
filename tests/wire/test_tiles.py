"""Where a log's hashes and entries stand in files, after C2SP tlog-tiles."""

import contextlib
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.wire.encoding import WireError
from broker.wire.merkle import inclusion_proof, leaf_hash, node_hash, root_hash
from broker.wire.tiles import (
    Tile,
    decode_entries,
    encode_entries,
    fold,
    parse_tile_path,
    tile_for_hash,
)
from tests.wire.support import tiles_for_growth


def test_paths_are_those_of_the_specification() -> None:
    """The examples of the specification come out to the letter."""
    assert Tile(0, 1234067).path == "tile/0/x001/x234/067"
    assert Tile("entries", 0, 3).path == "tile/entries/000.p/3"
    assert Tile(2, 999, 256).path == "tile/2/999"


@given(st.one_of(st.integers(0, 63), st.just("entries")), st.integers(0, 1 << 50), st.integers(1, 256))
def test_paths_parse_back(level: Any, index: int, width: int) -> None:
    """Every tile's path names that tile again."""
    tile = Tile(level, index, width)
    assert parse_tile_path(tile.path) == tile


@pytest.mark.parametrize(
    "path",
    ["", "tile/0", "tile/0/1", "tile/00/001", "tile/0/x000/001", "tile/64/000", "tile/0/001.p/0", "tile/0/001.p/256",
     "tile/0/001.p/01", "tile/0/../001", "tile/0/001/", "/tile/0/001", "tile/-1/001",
     "tile/0/\u0660\u0660\u0661", "tile/0/001.p/"],
)  # fmt: skip
def test_other_spellings_are_refused(path: str) -> None:
    """A path that `Tile.path` would not write raises, so that no file has two names."""
    with pytest.raises(WireError):
        parse_tile_path(path)


@given(st.text(max_size=60))
def test_no_text_crashes_the_path_parser(text: str) -> None:
    """Whatever a client asks for is a tile or a WireError."""
    with contextlib.suppress(WireError):
        assert parse_tile_path("tile/" + text).path == "tile/" + text


def test_a_tree_of_70000_has_the_tiles_of_the_specification() -> None:
    """273 full tiles and one of 112 at level 0; one full and one of 17 at level 1; one of width 1 at level 2."""
    tiles = tiles_for_growth(0, 70_000)
    at = {level: [t.width for t in tiles if t.level == level] for level in range(4)}
    assert at == {0: [256] * 273 + [112], 1: [256, 17], 2: [1], 3: []}


@given(st.integers(0, 1500), st.integers(0, 700))
def test_tiles_of_growth_carry_every_proof(old: int, more: int) -> None:
    """From the tiles written while a log grows, the root and any proof can be read."""
    size = old + more
    leaves = [leaf_hash(b"%d" % number) for number in range(size)]
    levels = [leaves]
    while len(levels[-1]) >= 256:
        below = levels[-1]
        levels.append([fold(b"".join(below[at : at + 256]), 0, 256) for at in range(0, len(below) - 255, 256)])
    written = {
        tile: b"".join(levels[tile.level][tile.index * 256 : tile.index * 256 + tile.width])  # type: ignore[index]
        for grown in (tiles_for_growth(0, old), tiles_for_growth(old, size))
        for tile in grown
    }

    def read(level: int, index: int) -> bytes:
        tile, first, count = tile_for_hash(level, index, size)
        return fold(written[tile], first, count)

    def naive(level: int, index: int) -> bytes:
        if level == 0:
            return leaves[index]
        return node_hash(naive(level - 1, 2 * index), naive(level - 1, 2 * index + 1))

    assert root_hash(size, read) == root_hash(size, naive)
    if size:
        assert inclusion_proof(size // 3, size, read) == inclusion_proof(size // 3, size, naive)


@given(st.lists(st.binary(max_size=300), max_size=12))
def test_entry_bundles_round_trip(entries: list[bytes]) -> None:
    """A bundle gives back its entries, and only as many as the tile is wide."""
    data = encode_entries(entries)
    assert decode_entries(data, width=len(entries)) == entries
    with pytest.raises(WireError):
        decode_entries(data, width=len(entries) + 1)


@given(st.binary(max_size=200), st.integers(0, 8))
def test_no_bytes_crash_the_bundle_parser(data: bytes, width: int) -> None:
    """Any bytes are a bundle of that width, which then re-encodes to itself, or a WireError."""
    with contextlib.suppress(WireError):
        assert encode_entries(decode_entries(data, width=width)) == data


def test_entries_that_nobody_expects_are_not_taken_apart() -> None:
    """A bundle of millions of empty entries costs no more than the width that is expected."""
    data = bytes(16_000_000)
    began_s = time.process_time()
    with pytest.raises(WireError, match="more than the 3"):
        decode_entries(data, width=3)
    assert time.process_time() - began_s < 0.05
    with pytest.raises(WireError):
        decode_entries(b"\0\0", width=0)
    assert decode_entries(b"", width=0) == []


def test_an_entry_over_64_kib_is_refused() -> None:
    """An entry that its length prefix can't carry raises."""
    with pytest.raises(WireError):
        encode_entries([b"x" * 65_536])
