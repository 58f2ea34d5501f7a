"""The clock and the waiting that filming is given, so that a test can play a film in no time."""

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """Wall clock in microseconds since the Unix epoch, and a wait that an event cuts short."""

    def now_us(self) -> int:
        """Return the present moment."""
        ...

    def wait(self, wake: threading.Event, seconds: float) -> None:
        """Return after so many seconds, or as soon as `wake` is set."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_us(self) -> int:
        """Return the present moment."""
        return time.time_ns() // 1_000

    def wait(self, wake: threading.Event, seconds: float) -> None:
        """Return after so many seconds, or as soon as `wake` is set."""
        wake.wait(seconds)
