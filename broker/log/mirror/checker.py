"""Hashes what a mirror serves again, bundle after bundle and slowly: disks lose files, and people touch them."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from broker.wire.tiles import TILE_WIDTH

from .copied import Copy
from .examine import DamagedTilesError

log = structlog.get_logger()

PACE_S = 0.05  # after each bundle: some minutes for a million entries, with most of the disk's time left to others
EVERY_S = 86_400.0
_AGAIN_S = 1.0  # a disk that spoils what it is given again is not asked without end


class Checker:
    """Passes over one copy. `mended()` returns once what was found is here again."""

    def __init__(
        self,
        copy: Copy,
        *,
        origin: str,
        mended: Callable[[], Awaitable[None]],
        pace_s: float = PACE_S,
        again_s: float = _AGAIN_S,
    ) -> None:
        self._copy = copy
        self._origin = origin
        self._mended = mended
        self._pace_s = pace_s
        self._again_s = again_s

    async def run(self) -> None:
        """Pass over all now and each day, until cancelled."""
        while True:
            await self.check()
            await asyncio.sleep(EVERY_S)

    async def check(self) -> None:
        """Pass over all that is served at this moment."""
        while True:
            examination, size = self._copy.examination(), self._copy.size
            if examination is None:
                return
            try:
                await examination.edge()
            except DamagedTilesError as error:
                if size == self._copy.size:  # else another edge is served by now
                    await self._report(error)
            else:
                break
        for index in range(size // TILE_WIDTH):
            while True:
                try:
                    await examination.bundle(index)
                except DamagedTilesError as error:
                    await self._report(error)
                else:
                    break
            await asyncio.sleep(self._pace_s)

    async def _report(self, error: DamagedTilesError) -> None:
        log.warning("mirror_damaged", origin=self._origin, error=str(error))
        try:
            await self._copy.spoilt(error.tiles)
        except OSError as failed:  # it is not cosigned all the same, nor shown over HTTP
            log.warning("checkpoint_not_withheld", origin=self._origin, error=str(failed))
        await self._mended()
        await asyncio.sleep(self._again_s)
