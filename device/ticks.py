"""Fixed times: what is done at one of them does not move the next."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable


async def ticks(
    interval_s: float,
    *,
    now_s: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncIterator[None]:
    """Yield now, and then at whole intervals from now on; those that pass while the caller is busy are left out.

    An observer learns from when nothing about what was done, unless it takes longer than an interval.
    """
    next_s = now_s()
    while True:
        yield
        missed = max(0.0, now_s() - next_s) // interval_s
        next_s += interval_s * (missed + 1)
        await sleep(max(0.0, next_s - now_s()))
