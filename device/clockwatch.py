"""A clock that leaps is not believed at once: what deletes or closes by time waits until it has stayed there.

A camera without a battery-backed clock starts in the past and is set by the network; a faulty time server may set it a
month ahead for a moment. Age and expiry, which can't be taken back, go by `believed_us`: the time that was believed
last, carried on by the monotonic clock, until the wall clock has agreed with itself for a while. No clock is read here.
"""

import threading
from dataclasses import dataclass

SECOND_US = 1_000_000
LEAP_US = 3_600 * SECOND_US  # less than this is drift, or a daylight saving mistake at the most
SETTLES_US = 600 * SECOND_US
OFF_US = 7 * 24 * 3_600 * SECOND_US  # a device that was off for longer waits, too, before it deletes what is old now


@dataclass(frozen=True, slots=True)
class Reading:
    """Both clocks at one moment, in microseconds."""

    wall_us: int
    monotonic_us: int


class ClockWatch:
    """Tells the time to believe, to any thread.

    `last_us` is what was believed before a restart, None at the first start.
    """

    def __init__(self, now: Reading, *, last_us: int | None) -> None:
        believed_us = now.wall_us
        if last_us is not None and not 0 <= now.wall_us - last_us < OFF_US:
            believed_us = last_us
        self._base = Reading(believed_us, now.monotonic_us)
        self._leapt: Reading | None = None
        self._turn = threading.Lock()

    def believed_us(self, now: Reading) -> int:
        """Return the wall clock, or while it is in doubt the time that was believed, carried on."""
        with self._turn:
            return self._judge(now)

    def _judge(self, now: Reading) -> int:
        carried_us = self._base.wall_us + now.monotonic_us - self._base.monotonic_us
        if abs(now.wall_us - carried_us) < LEAP_US:
            self._base, self._leapt = now, None
            return now.wall_us
        if self._leapt is None or abs(now.wall_us - self._expected(self._leapt, now)) >= LEAP_US:
            self._leapt = now  # it leapt, or leapt on
        if now.monotonic_us - self._leapt.monotonic_us >= SETTLES_US:
            self._base, self._leapt = now, None
            return now.wall_us
        return carried_us

    @staticmethod
    def _expected(since: Reading, now: Reading) -> int:
        return since.wall_us + now.monotonic_us - since.monotonic_us
