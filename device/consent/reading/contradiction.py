"""What one log must not have signed: two heads that can't both be true, and the hashes that show it. Pure.

Only the log's own signature matters here, whoever cosigned a head: who holds the log's key made both.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from broker.wire.cosigning import went_back
from broker.wire.edge import Edge, Node
from broker.wire.encoding import to_base64
from broker.wire.merkle import HashReader
from broker.wire.notes import Checkpoint

from .edge import nodes, other_history
from .heads import Head
from .kept import Kept, checkpoint_in

ROLLBACK: Final = "rollback"  # the one kind that an honest log may be accused of


@dataclass(frozen=True, slots=True)
class Accusation:
    """Two signed notes, what is wrong with them, and a proof in JSON: an edge, and the subtrees that follow it."""

    kind: str
    message: str
    first: bytes
    second: bytes
    proof: bytes


def gone_back(kept: Kept, note: bytes, checkpoint: Checkpoint, *, now_us: int) -> Accusation | None:
    """Compare what the log itself shows, at its own address, with the most that it has shown there.

    That alone proves nothing: a cache may be stuck. It is for the owner to see, and for the log to put right.
    """
    back = went_back(checkpoint.size, shown=kept.shown, shown_us=kept.own_us, now_us=now_us)
    if kept.own_note is None or not back:
        return None
    what = f"the log went back from {kept.shown} to {checkpoint.size} entries"
    return _accusation(what, (kept.own_note, note), kept.edge, kind=ROLLBACK)


def contradicted(kept: Kept, heard: Iterable[Head], note: bytes, checkpoint: Checkpoint) -> Accusation | None:
    """Compare a head with what was read and heard."""
    rivals = [(one.checkpoint, one.note) for one in heard]
    if kept.own_note is not None:
        rivals.append((checkpoint_in(kept.own_note), kept.own_note))
    if kept.note is not None:
        known = checkpoint_in(kept.note)
        rivals += [(known, kept.note), (Checkpoint(known.origin, kept.size, kept.edge.root), kept.note)]
    for other, its_note in rivals:
        if other.size == checkpoint.size and other.root != checkpoint.root:
            return _accusation(f"there are two logs of {other.size} entries", (its_note, note), kept.edge)
    return None


def passed_by(kept: Kept, heard: Iterable[Head], head: Head, leaves: Sequence[bytes]) -> Accusation | None:
    """Compare each head that was heard of with what is read past it now, on the way to another.

    `leaves` are shown to be in the tree of `head`, from the kept edge on.
    """
    passed = {one.size: (one.checkpoint.root, one.note) for one in heard if one.note != head.note}
    if kept.note is not None:
        known = checkpoint_in(kept.note)
        passed[known.size] = (known.root, kept.note)
    for size, (root, note) in sorted(passed.items()):
        if kept.size < size <= kept.size + len(leaves):
            there = kept.edge.extended((0, leaf) for leaf in leaves[: size - kept.size])
            if there.root != root:
                what = f"two heads disagree about the first {size} entries"
                return _accusation(what, (note, head.note), there)
    return None


def unfollowed(kept: Kept, head: Head, read: HashReader) -> Accusation | None:
    """Find out, by tiles, whether a head that can't be reached from what was read is of another history."""
    theirs = other_history(kept.edge, size=head.size, root=head.checkpoint.root, read=read)
    if theirs is None or kept.note is None:
        return None
    what = f"a head of {head.size} entries did not grow from the {kept.size} that were read"
    return _accusation(what, (kept.note, head.note), theirs, nodes(kept.size, head.size, read))


def no_beginning(kept: Kept, head: Head, ours: Edge, read: HashReader) -> Accusation | None:
    """Compare a smaller head with what was read; `ours` is the edge at its size, by tiles that lead to our own."""
    if kept.note is None or ours.root == head.checkpoint.root:
        return None
    what = f"a head of {head.size} entries is no beginning of the {kept.size} that were read"
    return _accusation(what, (kept.note, head.note), ours, nodes(head.size, kept.size, read))


def _accusation(
    what: str, notes: tuple[bytes, bytes], edge: Edge, then: Iterable[Node] = (), *, kind: str = "fork"
) -> Accusation:
    proof = {
        "size": edge.size,
        "edge": [to_base64(one) for one in edge.hashes],
        "then": [[level, to_base64(value)] for level, value in then],
    }
    return Accusation(kind, what, *notes, json.dumps(proof, indent=2).encode())
