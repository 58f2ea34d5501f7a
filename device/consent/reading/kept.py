"""What is kept of the log, as values: how far it was read, requests, records, evidence. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from broker.wire.edge import Edge
from broker.wire.notes import Checkpoint, parse_checkpoint, parse_note
from broker.wire.records import Update

from .lessons import Lesson, Requested


@dataclass(frozen=True, slots=True)
class Kept:
    """How far the log was read. `note` is the head that the edge leads to, or lies on the way to while catching up.

    `at_s`: the newest time by which a quorum had cosigned a head that was read to its end; None: unknown. `own_note`:
    the largest head that the log itself, not a mirror, has shown, and `own_us` when it last showed as much.
    `posted_us`: the newest time that a request says. `void`: how many entries counted for nothing.
    """

    edge: Edge = field(default_factory=Edge)
    note: bytes | None = None
    at_s: int | None = None
    own_note: bytes | None = None
    own_us: int = 0
    posted_us: int = 0
    void: int = 0

    @property
    def size(self) -> int:
        """How many entries were read."""
        return self.edge.size

    @property
    def head(self) -> Checkpoint | None:
        """The checkpoint in `note`."""
        return None if self.note is None else checkpoint_in(self.note)

    @property
    def shown(self) -> int:
        """How large the log itself has said that it is."""
        return 0 if self.own_note is None else checkpoint_in(self.own_note).size


@dataclass(frozen=True, slots=True)
class Logged:
    """A request as it was read. `earlier_posts` of its case, and `open_before` of its agency, when it was logged.

    `closed` is what ended it since: withdrawn, resolved, revoked, suspended.
    """

    index: int
    earlier_posts: int
    open_before: int
    closed: str | None
    updates: tuple[Update, ...]


@dataclass(frozen=True, slots=True)
class PublicRecord:
    """What an agency's entries add up to; times in µs, areas in m². `since_us` is its first admission.

    `deletions_asked`: how many owners asked it to delete what they had given, as the operator counts them.
    """

    since_us: int | None
    asked: int
    withdrawn: int
    mean_area_m2: float
    turned_away: int
    deletions_asked: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """Two heads that one log must not have signed, and hashes that show it (JSON); it counts until it is accepted."""

    number: int
    kind: str
    message: str
    found_us: int
    first_note: bytes
    second_note: bytes
    proof: bytes
    accepted_us: int | None


def checkpoint_in(note: bytes) -> Checkpoint:
    """Return the checkpoint in a note whose signatures were checked before it was kept."""
    return parse_checkpoint(parse_note(note).text)


def read_on(before: Kept, *, edge: Edge, note: bytes, at_s: int | None, lessons: Sequence[Lesson], void: int) -> Kept:
    """Return what is kept after some more entries on the way to the head in `note`."""
    posted = [lesson.posted_us for lesson in lessons if isinstance(lesson, Requested)]
    return replace(
        before,
        edge=edge,
        note=note,
        at_s=at_s,
        posted_us=max([before.posted_us, *posted]),
        void=before.void + void,
    )
