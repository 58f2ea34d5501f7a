"""The privacy switch: while it is on nothing is filmed or kept. It stays as it was left, and the last word counts."""

import asyncio

import structlog

from device import link
from device.vault.errors import VaultError
from device.vault.state import State
from device.video.film import Film

log = structlog.get_logger()

KEPT = "privacy"  # the name of the state's small value, which is ON or OFF, and of what is told as a problem


class PrivacySwitch:
    """One device's switch, used from the daemon's loop. `pauses`: where it says what keeps it from being thrown."""

    def __init__(self, state: State, *, film: Film, reporter: link.Reporter, pauses: dict[str, str]) -> None:
        self._state = state
        self._film = film
        self._reporter = reporter
        self._pauses = pauses
        self._throwing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self.on = state.get_meta(KEPT) == "ON"

    def begin(self) -> None:
        """Have it be as it was left, before anything is filmed."""
        self._reporter.privacy(on=self.on)
        self._film.set_privacy(self.on)

    async def throw(self, on: bool) -> None:
        """Stop filming at once, or resume it once that is kept; tell it when it is so. Raises VaultError."""
        async with self._throwing:
            if on:
                self._film.set_privacy(True)
            await asyncio.to_thread(self._keep, on)
            self.on = on
            self._film.set_privacy(on)
            self._reporter.privacy(on=on)
        self._pauses.pop(KEPT, None)
        log.info("privacy", on=on)

    def asked(self, on: bool) -> None:
        """Throw it because the owner's home says so, who gets no answer: what goes wrong is told as a problem."""
        task = asyncio.get_running_loop().create_task(self._attempt(on), name="privacy")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _attempt(self, on: bool) -> None:
        try:
            await self.throw(on)
        except VaultError as error:
            log.warning("paused", what="privacy", error=str(error))
            self._pauses[KEPT] = str(error)

    def _keep(self, on: bool) -> None:
        with self._state.transaction() as tx:
            tx.set_meta(KEPT, "ON" if on else "OFF")
