"""How far a log was read, and proofs that another head grew from there. Pure.

A head is reached from an edge by the entries between the two, or by the hashes of their subtrees, which stand in the
log's tiles.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from broker.wire.edge import Edge, Node
from broker.wire.encoding import WireError
from broker.wire.merkle import HashReader
from broker.wire.tiles import MAX_LEVEL, TILE_HEIGHT, TILE_WIDTH, Tile, fold, tile_for_hash

PLANNED_BUNDLES: Final = 64


@dataclass(frozen=True, slots=True)
class Plan:
    """What each of the next bundles has to hash to: `groups[k]` are the subtrees of the k-th from `start` on.

    The tiles that said so lead from the edge to the head: whatever hashes to this is in the tree of that head.
    """

    start: int
    groups: tuple[tuple[Node, ...], ...]


def spans(start: int, end: int, *, top: int = MAX_LEVEL) -> Iterator[tuple[int, int]]:
    """Yield the complete subtrees (level, index) of at most level `top`, left to right, that cover [start, end)."""
    while start < end:
        level = min(top, (end - start).bit_length() - 1)
        if start:
            level = min(level, (start & -start).bit_length() - 1)
        yield level, start >> level
        start += 1 << level


def ahead(start: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield the subtrees of [start, size): those of the next PLANNED_BUNDLES bundles apart, the rest as few as may be.

    However large a head says it is, these are few.
    """
    cut = planned_end(start, size)
    yield from spans(start, cut, top=TILE_HEIGHT)
    yield from spans(cut, size)


def planned_end(start: int, size: int) -> int:
    """Return where a plan from `start` on ends."""
    return min(size, (start // TILE_WIDTH + PLANNED_BUNDLES) * TILE_WIDTH)


def tiles_for(parts: Iterable[tuple[int, int]], *, size: int) -> list[Tile]:
    """Return the hash tiles of a log of `size` entries from which some subtrees (level, index) can be read."""
    found = {tile_for_hash(level, index, size)[0] for level, index in parts}
    return sorted(found, key=lambda tile: (str(tile.level), tile.index))


def tile_reader(tiles: dict[Tile, bytes], *, size: int) -> HashReader:
    """Return a reader of subtree hashes over tiles that were fetched; it raises WireError for one that is not there."""

    def read(level: int, index: int) -> bytes:
        tile, first, count = tile_for_hash(level, index, size)
        data = tiles.get(tile)
        if data is None:
            raise WireError(f"{tile.path} was not read")
        return fold(data, first, count)

    return read


def plan_growth(edge: Edge, *, size: int, root: bytes, read: HashReader) -> Plan | None:
    """Return what the next entries after the edge hash to; None if the tiles don't lead from it to the head."""
    groups: list[list[Node]] = []
    rest: list[Node] = []
    end = planned_end(edge.size, size)
    bundle = -1
    for level, index in ahead(edge.size, size):
        node = (level, read(level, index))
        if index << level >= end:
            rest.append(node)
            continue
        if (index << level) // TILE_WIDTH != bundle:
            bundle = (index << level) // TILE_WIDTH
            groups.append([])
        groups[-1].append(node)
    reached = edge.extended(node for group in (*groups, rest) for node in group)
    return Plan(edge.size, tuple(map(tuple, groups))) if reached.root == root else None


def beginning(size: int, *, of: Edge, read: HashReader) -> Edge | None:
    """Return the edge at a smaller size of the tree that `of` is the edge of; None if the tiles don't lead there."""
    try:
        found = Edge().extended(nodes(0, size, read))
        reached = found.extended(nodes(size, of.size, read))
    except WireError:
        return None
    return found if reached == of else None


def other_history(edge: Edge, *, size: int, root: bytes, read: HashReader) -> Edge | None:
    """Return the edge, at our size, of the tree that a larger head really grew from, if it is another one than ours.

    The tiles are believed only as far as they lead to the head's own root: then the head is of another history. None
    if they don't, or if it is the same history after all.
    """
    try:
        theirs = Edge().extended(nodes(0, edge.size, read))
        reached = theirs.extended(nodes(edge.size, size, read))
    except WireError:
        return None
    return theirs if reached.root == root and theirs != edge else None


def nodes(start: int, end: int, read: HashReader) -> Iterator[Node]:
    """Yield the subtrees of [start, end) with their hashes."""
    for level, index in spans(start, end):
        yield level, read(level, index)


def hold_to(plan: Plan, edge: Edge, leaves: Sequence[bytes]) -> Edge:
    """Return the edge after one more bundle's leaves; raises WireError unless they are what the plan says."""
    reached = edge.extended((0, leaf) for leaf in leaves)
    group = plan.groups[edge.size // TILE_WIDTH - plan.start // TILE_WIDTH]
    if reached != edge.extended(group):
        raise WireError(f"bundle {edge.size // TILE_WIDTH} does not hold the entries that the log's head stands for")
    return reached
