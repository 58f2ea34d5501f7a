"""A fuzz target: a check that must hold for any bytes, and examples to begin from."""

import time
from collections.abc import Callable
from dataclasses import dataclass

MOST_S = 1.0
"""CPU time that no input within the caps may take."""


@dataclass(frozen=True)
class Target:
    """`check` swallows the errors that a parser may raise, and raises AssertionError where a property does not hold."""

    name: str
    check: Callable[[bytes], None]
    examples: tuple[bytes, ...]

    def run(self, data: bytes) -> None:
        """Check some bytes, and that it did not take long."""
        began_s = time.process_time()
        self.check(data)
        took_s = time.process_time() - began_s
        assert took_s < MOST_S, f"{len(data)} bytes took {took_s:.1f} s"


def same(data: bytes | str, again: bytes | str) -> None:
    """Assert that what was parsed is written as it was read."""
    assert again == data, f"{data!r} is written as {again!r}"
