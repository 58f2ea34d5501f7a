"""How long somebody who gave a wrong passphrase has to wait before the next one is looked at. Pure."""

from dataclasses import dataclass

FREE = 2  # mistyped once or twice: no wait
FIRST_S = 1.0
LONGEST_S = 60.0
SECOND_US = 1_000_000


@dataclass(slots=True)
class Attempts:
    """Counts wrong secrets; the wait doubles with each, and ends with a right one."""

    wrong: int = 0
    until_us: int = 0

    def wait_s(self, now_us: int) -> float:
        """Return for how long nothing is looked at."""
        return max(0.0, (self.until_us - now_us) / SECOND_US)

    def failed(self, now_us: int) -> None:
        """Count a wrong one."""
        self.wrong += 1
        if self.wrong >= FREE:
            wait_s = min(LONGEST_S, FIRST_S * 2.0 ** min(self.wrong - FREE, 10))
            self.until_us = now_us + int(wait_s * SECOND_US)

    def succeeded(self) -> None:
        """Forget the wrong ones."""
        self.wrong = self.until_us = 0
