"""Faces over time: findings in some pictures become tracks, and a track hides its face in every picture. Pure.

A detector misses: a turned head, a blurred step, a hand. So a track

- begins with a sure finding, and goes on with unsure ones;
- goes straight through where nothing is found, for up to `PATIENCE_US`;
- hides from `HOLD_US` before its first finding to `HOLD_US` after its last, and so on both sides of a long gap: where
  that was, where the face would have gone, and what lies between;
- hides more than was found: hair, ears and chin, and from one finding to the next all that lies between them.
"""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import Final

from device.video.redact.faces import Face
from device.video.redact.regions import Box, KeyBox

# A track begins with a finding as sure as this.
SURE: Final = 0.4
PATIENCE_US: Final = 1_500_000
HOLD_US: Final = 700_000
# How far a face may have come between two findings, in its own lengths: so much at once, and more with time.
_NEAR: Final = 0.7
_FASTEST_A_S: Final = 6.0
# How much larger or smaller it may have become.
_RATIO: Final = 1.8
# What is hidden around a finding, in its own width and height.
_ASIDE, _ABOVE, _BELOW = 0.35, 0.45, 0.3
# Of the way between two findings, so much more on each side: nothing moves quite straight.
_SWERVE: Final = 0.25
_SPEED_OVER_US: Final = 600_000
# Up to here two findings are surely of one face on its way.
_SHORT_US: Final = 650_000


@dataclass(frozen=True, slots=True)
class Track:
    """One face: where it was found, in order of time."""

    seen: tuple[KeyBox, ...]

    def hidden(self, at_us: int) -> list[Box]:
        """Return what has to be hidden of a picture at a moment; nothing if the face is not in it."""
        number = self._within(at_us)
        before = _held(self._last(number), at_us) if number else None
        after = _held(self._next(number), at_us) if number < len(self.seen) else None
        if not 0 < number < len(self.seen):
            return [box for box in (before, after) if box is not None]
        start, end = self.seen[number - 1], self.seen[number]
        if end.at_us - start.at_us <= _SHORT_US:
            return [_anywhere(start, end)]
        # So long unseen, it may have stood still before it moved on, or be somebody else.
        return [_straight(start, end, at_us), *(box for box in (before, after) if box is not None)]

    def _last(self, number: int) -> tuple[KeyBox, ...]:
        """Return findings before that number, the last first, at least two where there are: how it was moving."""
        from_us = self.seen[number - 1].at_us - _SPEED_OVER_US
        first = min(bisect_left(self.seen, from_us, key=lambda key: key.at_us), max(0, number - 2))
        return self.seen[first:number][::-1]

    def _next(self, number: int) -> tuple[KeyBox, ...]:
        """Return findings from that number on, at least two where there are: how it was moving."""
        return self.seen[number : max(self._within(self.seen[number].at_us + _SPEED_OVER_US), number + 2)]

    def _within(self, at_us: int) -> int:
        return bisect_right(self.seen, at_us, key=lambda key: key.at_us)


def _padded(box: Box) -> Box:
    aside = _ASIDE * box.width
    return box.grown(left=aside, right=aside, above=_ABOVE * box.height, below=_BELOW * box.height)


def _straight(before: KeyBox, after: KeyBox, at_us: int) -> Box:
    """Return where a face is that goes straight from one finding to another."""
    return _padded(before.box.towards(after.box, (at_us - before.at_us) / (after.at_us - before.at_us)))


def _anywhere(before: KeyBox, after: KeyBox) -> Box:
    """Return all that a face may pass on its way from one finding to the next; nothing moves quite straight."""
    (x0, y0), (x1, y1) = before.box.centre, after.box.centre
    aside, over = abs(x1 - x0) * _SWERVE, abs(y1 - y0) * _SWERVE
    return _padded(before.box).hull(_padded(after.box)).grown(left=aside, right=aside, above=over, below=over)


def _held(seen: tuple[KeyBox, ...], at_us: int) -> Box | None:
    """Return the box of a face beyond `seen[0]`, where it was found last or first: there, and on as it was moving."""
    end, inner = seen[0], seen[-1]
    if abs(at_us - end.at_us) > HOLD_US:
        return None
    box = _padded(end.box)
    if inner is end:
        return box
    span = (at_us - end.at_us) / (end.at_us - inner.at_us)
    (x0, y0), (x1, y1) = inner.box.centre, end.box.centre
    return box.hull(box.moved((x1 - x0) * span, (y1 - y0) * span))


class Tracker:
    """Takes what was found in one picture after the other; gives the tracks when all were seen."""

    def __init__(self, *, aspect: float) -> None:
        """`aspect` is the width of the picture for a height of 1: lengths are compared as they look."""
        self._aspect = aspect
        self._open: list[list[KeyBox]] = []
        self._sure: list[bool] = []
        self._done: list[Track] = []

    def add(self, at_us: int, found: list[Face]) -> None:
        """Take what was found in a picture; times ascend."""
        self._close(at_us - PATIENCE_US)
        pairs = sorted(
            (cost, track, number)
            for number, face in enumerate(found)
            for track, seen in enumerate(self._open)
            if (cost := self._cost(seen, at_us, face.box)) is not None
        )
        taken: set[int] = set()
        given: set[int] = set()
        for _, track, number in pairs:
            if track not in taken and number not in given:
                taken.add(track)
                given.add(number)
                self._open[track].append(KeyBox(at_us, found[number].box))
                self._sure[track] = self._sure[track] or found[number].score >= SURE
        for number, face in enumerate(found):
            if number not in given:
                self._open.append([KeyBox(at_us, face.box)])
                self._sure.append(face.score >= SURE)

    def tracks(self) -> tuple[Track, ...]:
        """Return all tracks, in order of their beginnings; nothing more may be added."""
        self._close(None)
        return tuple(sorted(self._done, key=lambda track: track.seen[0].at_us))

    def _close(self, before_us: int | None) -> None:
        """End the tracks that nothing was added to since; those that were never sure are dropped."""
        ended = [before_us is None or seen[-1].at_us < before_us for seen in self._open]
        done = zip(self._open, self._sure, ended, strict=True)
        self._done += [Track(tuple(seen)) for seen, sure, end in done if end and sure]
        self._sure = [sure for sure, end in zip(self._sure, ended, strict=True) if not end]
        self._open = [seen for seen, end in zip(self._open, ended, strict=True) if not end]

    def _cost(self, seen: list[KeyBox], at_us: int, box: Box) -> float | None:
        """Return how unlike the next of a track a box is; None if it can't be that."""
        last = seen[-1]
        past_s = (at_us - last.at_us) / 1_000_000
        ratio = (box.width * box.height) / (last.box.width * last.box.height)
        if not 1 / _RATIO**2 < ratio < _RATIO**2:
            return None
        size = max(box.width * self._aspect, box.height, last.box.width * self._aspect, last.box.height)
        (x0, y0), (x1, y1) = self._expected(seen, at_us), box.centre
        away = float(((x1 - x0) * self._aspect) ** 2 + (y1 - y0) ** 2) ** 0.5 / size
        return away if away <= _NEAR + _FASTEST_A_S * past_s else None

    def _expected(self, seen: list[KeyBox], at_us: int) -> tuple[float, float]:
        """Where a track's middle would be by now, if it went on as between its last two findings."""
        last = seen[-1]
        if len(seen) == 1:
            return last.box.centre
        before = seen[-2]
        span = (at_us - last.at_us) / (last.at_us - before.at_us)
        (x0, y0), (x1, y1) = before.box.centre, last.box.centre
        span = min(span, 1.0)
        return x1 + (x1 - x0) * span, y1 + (y1 - y0) * span
