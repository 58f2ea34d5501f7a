"""What must be true of a capture chain, given the links that were found in files. It reads nothing itself.

Eviction notes the highest number it took (`seals.let_go`). Every segment above that, up to the head, must be in a file,
the head's own with the head's hash: a chain that ends early has lost something, also when no file of it is left. If
eviction took all, the head included, nothing is missing. At or below that number gaps are by design, since pins keep
single clips. Above the head stand segments of a clip that is being written, whose index may lag behind its file:
something to know. In any other clip they are what a start has yet to take up.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from .findings import Finding, Severity
from .seals import Extent, Link


@dataclass(frozen=True, slots=True)
class Place:
    """A link of a chain, and where it stands."""

    where: str
    link: Link
    being_written: bool


def lag(being_written: bool) -> tuple[Severity, str]:
    """Return how bad it is to be ahead of the index, and what will be done about it."""
    if being_written:
        return Severity.INFO, "the clip is being written; its end adds them, or the next start"
    return Severity.WARNING, "the next start adds them"


def check_chain(where: str, links: list[Place], extent: Extent) -> Iterator[Finding]:
    """Check a chain's links, in the order of their numbers, against what the index knows of it."""
    yield from _order(where, links, extent)
    yield from _extent(where, links, extent)


def _order(where: str, links: list[Place], extent: Extent) -> Iterator[Finding]:
    """Check that what is here is one chain, each link once, each naming the one before if that is here."""
    for one, other in pairwise(links):
        before, link, place = one.link, other.link, other.where
        seq, said = link.statement.seq, before.statement.seq
        missing = min(seq - 1, extent.let_go) - said
        if seq == said:
            yield Finding(Severity.ERROR, where, f"two segments are number {seq} ({place})")
        elif seq == said + 1 and link.statement.prev != before.hash:
            yield Finding(Severity.ERROR, where, f"segment {seq} does not follow the one before ({place})")
        elif missing > 0:
            yield Finding(Severity.INFO, where, f"{missing} segments before number {seq} are not here: they made room")


def _extent(where: str, links: list[Place], extent: Extent) -> Iterator[Finding]:
    """Check that all is here that must be, and that the head is the one that the index knows."""
    here = {place.link.statement.seq: place.link for place in links}
    for first, last in _missing(here, extent.let_go + 1, extent.head.seq):
        which = f"segment {first} is" if first == last else f"segments {first} to {last} are"
        end = ", where the chain ends" if last == extent.head.seq else ""
        yield Finding(
            Severity.ERROR, where, f"{which} not here{end}, and did not make room for others: lost or removed"
        )
    head = here.get(extent.head.seq)
    if head is not None and head.hash != extent.head.hash:
        text = f"its last segment, number {extent.head.seq}, is not the one that the index knows"
        yield Finding(Severity.ERROR, where, text)
    ahead = [place for place in links if place.link.statement.seq > extent.head.seq]
    if ahead:
        severity, when = lag(all(place.being_written for place in ahead))
        text = f"segments from number {extent.head.seq + 1} on are ahead of the index; {when}"
        yield Finding(severity, where, text)


def _missing(here: Iterable[int], first: int, last: int) -> Iterator[tuple[int, int]]:
    """Return the runs of numbers from `first` to `last` that are not here, as first and last of each."""
    expected = first
    for number in sorted(here):
        if expected < number <= last:
            yield expected, number - 1
        expected = max(expected, number + 1)
    if expected <= last:
        yield expected, last
