"""The right edge of a tree, against the whole tree: however it is extended, and whatever the tiles say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.wire.edge import Edge
from broker.wire.encoding import WireError
from broker.wire.merkle import leaf_hash, root_hash
from device.consent.reading.edge import (
    PLANNED_BUNDLES,
    ahead,
    beginning,
    hold_to,
    nodes,
    other_history,
    plan_growth,
    planned_end,
    spans,
    tile_reader,
    tiles_for,
)
from tests.simulators import LogSimulator

BIG = LogSimulator()
BIG.entries = [b"entry %d" % number for number in range(1_500)]
SIZES = st.integers(0, 1_500)


def edge_of(log: LogSimulator, size: int) -> Edge:
    return Edge().extended(nodes(0, size, log.read))


@given(st.lists(st.integers(0, 40), max_size=12))
def test_leaf_by_leaf_in_any_steps_it_is_the_tree(steps: list[int]) -> None:
    """After each step the edge's root is that of the whole tree, and it survives being stored."""
    edge = Edge()
    for step in steps:
        edge = edge.extended((0, leaf_hash(BIG.entries[at])) for at in range(edge.size, edge.size + step))
        assert edge.root == root_hash(edge.size, BIG.read)
        assert Edge.decode(edge.size, edge.encode()) == edge


@given(SIZES, SIZES)
def test_spans_cover_each_leaf_once_and_in_order(one: int, other: int) -> None:
    """Any stretch of leaves is cut into complete subtrees that follow one another."""
    start, end = sorted((one, other))
    at = start
    for level, index in spans(start, end):
        assert index << level == at
        at += 1 << level
    assert at == end


@given(SIZES, SIZES, st.booleans())
def test_growth_is_planned_from_whole_tiles(one: int, other: int, honest: bool) -> None:
    """From any edge to any larger head the tiles lead, and every bundle is held to them; to a false root they don't."""
    start, end = sorted((one, other))
    root = root_hash(end, BIG.read) if honest else bytes(32)
    files = {tile: BIG.file(tile.path) or b"" for tile in tiles_for(ahead(start, end), size=end)}
    plan = plan_growth(edge_of(BIG, start), size=end, root=root, read=tile_reader(files, size=end))
    assert (plan is not None) == honest
    if plan is None:
        return
    edge = edge_of(BIG, start)
    while edge.size < planned_end(start, end):
        until = min(end, (edge.size // 256 + 1) * 256)
        edge = hold_to(plan, edge, [leaf_hash(entry) for entry in BIG.entries[edge.size : until]])
    assert edge == edge_of(BIG, planned_end(start, end))


@given(st.integers(0, 1 << 40), st.integers(1, 1 << 61))
def test_a_head_that_says_it_is_vast_costs_little(start: int, more: int) -> None:
    """However many entries a head claims, the next look asks for some tiles, and plans some bundles."""
    size = start + more
    parts = list(ahead(start, size))
    assert len(parts) <= PLANNED_BUNDLES + 140
    assert len(tiles_for(parts, size=size)) <= 24
    assert sum(1 << level for level, _ in parts) == more
    assert planned_end(start, size) - start <= PLANNED_BUNDLES * 256


@given(st.integers(1, 1_500), st.integers(1, 1_500), st.data())
def test_another_history_is_told_from_false_tiles(one: int, other: int, data: st.DataObject) -> None:
    """A head that grew from another tree is shown to have; tiles that lead nowhere show nothing."""
    size, end = sorted((one, other))
    forged = BIG.fork(end)
    forged.edit(data.draw(st.integers(0, size - 1)), b"edited")
    root = root_hash(end, forged.read)
    theirs = other_history(edge_of(BIG, size), size=end, root=root, read=forged.read)
    assert theirs == edge_of(forged, size)
    assert other_history(edge_of(forged, size), size=end, root=root, read=forged.read) is None
    assert other_history(edge_of(BIG, size), size=end, root=root, read=BIG.read) is None


@given(st.integers(0, 1_500), st.integers(1, 1_500))
def test_a_smaller_tree_is_found_within_a_larger(one: int, other: int) -> None:
    """The beginning at any size is what the tree was then; false tiles lead to none."""
    size, end = sorted((one, other))
    assert beginning(size, of=edge_of(BIG, end), read=BIG.read) == edge_of(BIG, size)
    forged = BIG.fork(end)
    forged.edit(0, b"edited")
    assert beginning(size, of=edge_of(BIG, end), read=forged.read) is None


def test_what_can_be_no_edge_is_refused() -> None:
    """Too few hashes, or a subtree that begins where none does."""
    with pytest.raises(WireError, match="2 complete subtrees"):
        Edge(3, (bytes(32),))
    with pytest.raises(WireError, match="no subtree of level 1"):
        Edge(1, (bytes(32),)).extended([(1, bytes(32))])
