"""How events that were seen are held against the truth."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.benchmarks.detection_films import Clip, Span

# An event counts for a truth it overlaps, or misses by less than this: clocks of the peer are read from its log.
TOLERANCE_S = 1.0


@dataclass(frozen=True, slots=True)
class Tally:
    """Truths that were seen or missed, events that were right or false."""

    seen: int = 0
    missed: int = 0
    right: int = 0
    false: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.seen + other.seen, self.missed + other.missed, self.right + other.right, self.false + other.false
        )

    @property
    def recall(self) -> float:
        return self.seen / (self.seen + self.missed) if self.seen + self.missed else 1.0

    @property
    def precision(self) -> float:
        return self.right / (self.right + self.false) if self.right + self.false else 1.0

    @property
    def f1(self) -> float:
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


def tally(clip: Clip, events: Sequence[Span]) -> Tally:
    """Compare: one long event may count for several truths; a second event for one that was seen already is false."""
    seen: set[Span] = set()
    right = false = 0
    for event in sorted(events, key=lambda span: span.start_s):
        touched = {truth for truth in clip.events if event.touches(truth, slack_s=TOLERANCE_S)}
        if touched - seen:
            right += 1
        elif touched or not any(event.touches(span, slack_s=TOLERANCE_S) for span in clip.maybe):
            false += 1
        seen |= touched
    return Tally(len(seen), len(clip.events) - len(seen), right, false)
