"""Coroutines beside a browser: its driver holds the thread's event loop for as long as the browser is open."""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def apart(test: Callable[P, Awaitable[None]]) -> Callable[P, None]:
    """Run an async test on an event loop of its own, in a thread of its own."""

    @functools.wraps(test)
    def run(*arguments: P.args, **more: P.kwargs) -> None:
        async def whole() -> None:
            await test(*arguments, **more)

        finished(whole())

    return run


def finished(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, likewise."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()
