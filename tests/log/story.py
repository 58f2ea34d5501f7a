"""An operator who appends and publishes batch after batch, whatever happens, and remembers what they were told."""

from collections.abc import Iterable

from broker.log.growth import Edge, grow
from broker.log.sequencer import Sequencer
from broker.log.storage.folder import Storage
from broker.wire.notes import Checkpoint
from tests.log.support import OPERATOR, ORIGIN, POLICY

SIZES = (3, 252, 5, 1)  # the third batch fills a tile and begins the next


class Story:
    """`live` goes on from wherever the last one ended; it is for the test to say how that was."""

    def __init__(self, sizes: Iterable[int] = SIZES) -> None:
        self.left = list(sizes)
        self.told: list[bytes] = []
        self.seen: list[Checkpoint] = []
        self.published = 0
        self._tries = 0
        self._trying: list[bytes] = []

    def live(self, storage: Storage, *, adopt: bool = False) -> None:
        """Append and publish what is left; `adopt` takes over a log that others have written."""
        sequencer = Sequencer(storage, key=OPERATOR, origin=ORIGIN)
        sequencer.open()
        if adopt:
            self.told = [entry for _, entry in sequencer.entries()]
        self._look(sequencer)
        sequencer.publish(sequencer.head_note)
        self._look(sequencer)
        while self.left:
            # No two tries are the same, nor of the same size: one that came back late would show as a fork.
            count = max(1, self.left[0] - self._tries % 2)
            self._tries += 1
            self._trying = [
                b"entry %d of try %d, %d before" % (number, self._tries, sequencer.size) for number in range(count)
            ]
            sequencer.append(self._trying)
            self._acknowledge(self._trying)
            self._look(sequencer)
            sequencer.publish(sequencer.head_note)
            self._look(sequencer)
        sequencer.close()

    def _acknowledge(self, entries: list[bytes]) -> None:
        self.told += entries
        self._trying, self._tries = [], 0
        self.left.pop(0)

    def _look(self, sequencer: Sequencer) -> None:
        """Hold the log to all that it ever said."""
        entries = [entry for _, entry in sequencer.entries()]
        if entries != self.told:  # only the one batch whose outcome was not known may be there beside
            assert entries == self.told + self._trying
            self._acknowledge(self._trying)
        head = POLICY.check(sequencer.head_note)
        self.seen.append(head)
        assert self.published <= sequencer.published_size <= head.size == len(entries)
        self.published = sequencer.published_size
        if sequencer.published_note is not None:
            self.seen.append(POLICY.check(sequencer.published_note))

    def check(self, more: Iterable[Checkpoint] = ()) -> None:
        """At the end: all went in, and every checkpoint anybody saw is of a tree that the last one begins with."""
        assert not self.left
        assert self.published == len(self.told)
        for checkpoint in {*self.seen, *more}:
            edge, _ = grow(Edge(), self.told[: checkpoint.size])
            assert (edge.size, edge.root()) == (checkpoint.size, checkpoint.root)
