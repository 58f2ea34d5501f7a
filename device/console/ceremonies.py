"""What passkeys were asked and have not answered yet: each for one answer, one purpose, three minutes. Pure.

In memory alone: they end with the process, and after a lock the page begins again.
"""

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from .webauthn import CEREMONY_US, PasskeyError, State

NAME_BYTES = 16
MOST = 16
Purpose = Literal["add", "unlock", "approve"]


@dataclass(frozen=True, slots=True)
class Ceremony:
    """One question. `binding` is what a yes would be about, `salt` what a new passkey's secret is made of."""

    purpose: Purpose
    binding: bytes
    began_us: int
    state: State
    salt: bytes = b""


class Ceremonies:
    """The questions that are open; when there are too many, the oldest is given up."""

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        self._open: dict[str, Ceremony] = {}

    def begin(self, ceremony: Ceremony) -> str:
        """Remember a question; returns the name by which its answer finds it."""
        while len(self._open) >= MOST:
            self._open.pop(next(iter(self._open)), None)
        name = self._random(NAME_BYTES).hex()
        self._open[name] = ceremony
        return name

    def take(self, name: str, purpose: Purpose, binding: bytes, now_us: int) -> Ceremony:
        """Return a question and forget it, whatever becomes of its answer; raises PasskeyError."""
        begun = self._open.pop(name, None)
        if begun is None or not 0 <= now_us - begun.began_us <= CEREMONY_US:
            raise PasskeyError("this took longer than three minutes, or was answered already; begin again")
        if begun.purpose != purpose or not hmac.compare_digest(begun.binding, binding):
            raise PasskeyError("this passkey was asked about something else; begin again")
        return begun
