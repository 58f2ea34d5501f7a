"""Keeps a film at its own rate, and counts how fast it goes."""

from collections import deque

from device.video.clock import Clock

_US_PER_S = 1_000_000
_RATE_OF = 32
_LATE_OF = 8


class Pace:
    """Ties film time to the wall clock: `speed` times as fast from a common start; 0 is not at all."""

    def __init__(self, clock: Clock, *, speed: float) -> None:
        self._clock = clock
        self._speed = speed
        self._start_us: int | None = None
        self._film_us = 0
        self._late_us: deque[int] = deque(maxlen=_LATE_OF)

    @property
    def lag_ms(self) -> float:
        """How far filming is behind its source: of the last few packets the one that waited least."""
        return min(tuple(self._late_us), default=0) / 1_000

    def start(self, start_us: int) -> None:
        """Film and wall clock are together at this moment."""
        self._start_us = self._film_us = start_us
        self._late_us.clear()

    def wait_s(self, due_us: int) -> float:
        """Seconds until a packet of this film time is due; 0 if it is, or if nothing is paced."""
        return max(0.0, -self._behind_us(due_us) / _US_PER_S)

    def late_us(self, due_us: int, *, live: bool) -> int:
        """How long ago a packet of this film time was due, or, of a camera, came."""
        return max(0, round(self._clock.now_us() - due_us if live else self._behind_us(due_us)))

    def passed(self, film_us: int, late_us: int) -> None:
        """Note that the film has come as far as this, and how late."""
        self._film_us = max(self._film_us, film_us)
        self._late_us.append(late_us)

    def _behind_us(self, due_us: int) -> float:
        start_us = self._start_us
        if not self._speed or start_us is None:
            return 0.0
        return self._clock.now_us() - start_us - (due_us - start_us) / self._speed

    def film_now_us(self, *, live: bool) -> int:
        """Tell what time it is in the film, never before what has already been shown."""
        now_us = self._clock.now_us()
        if live:
            return max(now_us, self._film_us)
        if not self._speed or self._start_us is None:
            return self._film_us or now_us
        return max(self._film_us, self._start_us + round((now_us - self._start_us) * self._speed))


class Rate:
    """Frames a second over the last two seconds or so."""

    def __init__(self) -> None:
        self._times: deque[int] = deque(maxlen=_RATE_OF)
        self.frames = 0

    def count(self, now_us: int) -> None:
        """Count a frame."""
        self._times.append(now_us)
        self.frames += 1

    def reset(self) -> None:
        """No frames come any more."""
        self._times.clear()

    @property
    def fps(self) -> float:
        """Frames a second; 0 until they span half a second, since the first come all at once."""
        times = tuple(self._times)
        span_us = times[-1] - times[0] if len(times) > 1 else 0
        return (len(times) - 1) * _US_PER_S / span_us if span_us >= _US_PER_S // 2 else 0.0
