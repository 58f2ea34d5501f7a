"""Gives pictures their place on our wall clock, from their place in the film and the moment at which they came. No I/O.

A camera's clock can't be believed: it drifts, leaps, or tells nothing. What can be is that no picture comes before it
was taken. So the shortest way a picture took of late is what ties the camera's time to ours, and the tie follows so
gently that nobody sees it; leaps of the camera's clock never come as far as this, `Timeline` joins them, told by
`lead_ticks` what would lie in the future.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

from device.video.clock import Clock
from device.video.packets import TICKS_PER_S, ticks_from_us, us_from_ticks

P = TypeVar("P")

_US_PER_S = 1_000_000
# A camera may send what it had in store at once: so long its first pictures are held, to see when it is through.
_SETTLE_US = 500_000
_MOST_HELD = 1_000
_MOST_HELD_BYTES = 8_000_000
# A tie this far off is left alone; beyond, it is drawn in by so much a second of film, which also outruns a bad clock.
_DEAD_US = 50_000
_SLEW_PER_S = 0.02
# This far behind for a whole window, the tie is made anew: a stall of the network is over sooner, and caught up.
_MOST_BEHIND_US = 1_000_000
_WINDOW_US = 5_000_000
_USUAL_WAIT_US = 15_000_000
# A picture from so far in the future is a leap of the camera's clock.
_MOST_AHEAD_US = 1_000_000
# How far our own clock may be set back before pictures can't be dated after those before.
_MOST_SET_BACK_US = 5_000_000
_NEVER_TICKS = 10 * TICKS_PER_S
# From one packet that was held to the next a camera's clock goes on, or back (B-frames), by less than this.
_MOST_STEP = TICKS_PER_S * 6 // 5


class Dating(Protocol):
    """How one source's pictures are dated."""

    def settle(self, packets: Iterable[P], stamp: Callable[[P], int | None], size: Callable[[P], int]) -> Iterator[P]:
        """Pass packets on as they come from the source, watching when they come."""
        ...

    def lead_ticks(self) -> int:
        """How far the next picture may be ahead of the last one on the source's own clock."""
        ...

    def wall(self, ticks: int, stamp: int | None) -> int:
        """Wall clock of the picture at this place in the film, in microseconds; `stamp` is what its source said."""
        ...


class FilmDating:
    """Of a recorded film: the time into it, from a start."""

    def __init__(self, *, start_us: int) -> None:
        self._start_us = start_us

    def settle(self, packets: Iterable[P], stamp: Callable[[P], int | None], size: Callable[[P], int]) -> Iterator[P]:
        """Pass packets on."""
        del stamp, size
        yield from packets

    def lead_ticks(self) -> int:
        """Films have gaps of their own."""
        return _NEVER_TICKS

    def wall(self, ticks: int, stamp: int | None) -> int:
        """Wall clock of the picture at this place in the film."""
        del stamp
        return self._start_us + us_from_ticks(ticks)


def steady_us() -> int:
    """Microseconds of a clock that nobody sets."""
    return time.monotonic_ns() // 1_000


class LiveDating:
    """Of a camera. `steady_us` counts microseconds, whatever is done to the wall clock.

    `most_wait_us`: no picture is on its way for longer, since a camera that is silent for so long is lost.
    """

    def __init__(
        self, clock: Clock, *, most_wait_us: int = _USUAL_WAIT_US, steady_us: Callable[[], int] = steady_us
    ) -> None:
        self._clock = clock
        self._most_wait_us = most_wait_us
        self._steady_us = steady_us
        # Wall clock minus steady clock, as pictures are told it.
        self._wall_us = clock.now_us() - steady_us()
        # Steady clock minus the camera's: of its stamps, from what was held at the start; of places in the film, since.
        self._first: tuple[int, int] | None = None
        self._tie_us: int | None = None
        self._last_us = 0
        self._shortest = _Shortest()
        self.set_back = False

    def settle(self, packets: Iterable[P], stamp: Callable[[P], int | None], size: Callable[[P], int]) -> Iterator[P]:
        """Hold the first half second of packets, and pass all on; what came late in it was taken before."""
        held: list[P] = []
        came: list[tuple[int, int]] = []
        held_bytes, source = 0, iter(packets)
        for packet in source:
            now_us, ticks = self._steady_us(), stamp(packet)
            held.append(packet)
            held_bytes += size(packet)
            if ticks is not None:
                came.append((now_us, ticks))
            since_us = came[0][0] if came else now_us
            if now_us - since_us >= _SETTLE_US or len(held) >= _MOST_HELD or held_bytes >= _MOST_HELD_BYTES:
                break
        self._first = _earliest(came)
        yield from held
        held.clear()
        yield from source

    def lead_ticks(self) -> int:
        """How far the next picture may be ahead of the last one: into the future by a second, no more."""
        if self._tie_us is None:
            return _NEVER_TICKS
        last_us = self._tie_us + self._last_us
        return ticks_from_us(max(0, self._steady_us() - last_us) + _MOST_AHEAD_US)

    def wall(self, ticks: int, stamp: int | None) -> int:
        """Wall clock of the picture at this place in the film; call it as pictures come."""
        now_us, media_us = self._steady_us(), us_from_ticks(ticks)
        step_us = 0 if self._tie_us is None else max(0, media_us - self._last_us)
        self._last_us = media_us if self._tie_us is None else max(self._last_us, media_us)
        if self._tie_us is None:
            self._tie_us = self._first_tie_us(now_us, ticks, stamp)
            self._shortest.of(now_us, self._tie_us)
        else:
            self._tie_us = self._drawn(self._tie_us, now_us, now_us - media_us, step_us)
        self._follow_clock(now_us, step_us)
        return self._tie_us + media_us + self._wall_us

    def _first_tie_us(self, now_us: int, ticks: int, stamp: int | None) -> int:
        if self._first is None:
            return now_us - us_from_ticks(ticks)
        came_us, first = self._first
        # A picture without a stamp is the first one, and its time is the one that the others count from.
        return came_us - us_from_ticks(first - (stamp if stamp is not None else 0) + ticks)

    def _drawn(self, tie_us: int, now_us: int, way_us: int, step_us: int) -> int:
        if way_us - tie_us > self._most_wait_us:
            self._shortest = _Shortest()
        shortest_us = self._shortest.of(now_us, way_us)
        off_us = shortest_us - tie_us
        if off_us > self._most_wait_us or (off_us > _MOST_BEHIND_US and self._shortest.whole):
            return shortest_us
        return tie_us if abs(off_us) <= _DEAD_US else _toward(tie_us, shortest_us, step_us)

    def _follow_clock(self, now_us: int, step_us: int) -> None:
        wall_us = self._clock.now_us() - now_us
        if wall_us - self._wall_us > _MOST_BEHIND_US:
            self._wall_us = wall_us
        elif self._wall_us - wall_us > _MOST_SET_BACK_US:
            self.set_back = True
        else:
            self._wall_us = _toward(self._wall_us, wall_us, step_us)


class _Shortest:
    """The shortest of what was measured within the last one to two windows."""

    def __init__(self) -> None:
        self._before: int | None = None
        self._now: int | None = None
        self._since_us = 0

    @property
    def whole(self) -> bool:
        """Whether a whole window was looked at."""
        return self._before is not None

    def of(self, now_us: int, way_us: int) -> int:
        """Measure, and tell the shortest."""
        if self._now is None:
            self._since_us = now_us
        elif now_us - self._since_us >= _WINDOW_US:
            self._before, self._now, self._since_us = self._now, None, now_us
        self._now = way_us if self._now is None else min(self._now, way_us)
        return self._now if self._before is None else min(self._before, self._now)


def _toward(value: int, goal: int, step_us: int) -> int:
    most = round(step_us * _SLEW_PER_S)
    return value + max(-most, min(most, goal - value))


def _earliest(came: list[tuple[int, int]]) -> tuple[int, int] | None:
    """Which of the packets that were held took the shortest way; None if none had a stamp.

    Leaps of the camera's clock among them are left out, as `Timeline` does.
    """
    line: list[tuple[int, int]] = []
    before = 0
    for at_us, stamp in came:
        step = stamp - before if line else 0
        line.append((at_us, line[-1][1] + (step if abs(step) < _MOST_STEP else 0) if line else stamp))
        before = stamp
    return min(line, key=lambda one: one[0] - us_from_ticks(one[1]), default=None)
