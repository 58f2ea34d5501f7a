"""The pages that are open, and what they are told as it happens: lines of JSON, a stream a page."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Mapping
from typing import Any

MOST_STREAMS = 16
MOST_WAITING = 200  # lines for one page; one that reads none of them is let go


class Hub:
    """Tells every open page the same. Lives on the event loop alone."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[bytes | None]] = set()

    @property
    def pages(self) -> int:
        """How many pages listen."""
        return len(self._queues)

    def tell(self, kind: str, **more: Any) -> None:
        """Tell all pages."""
        line = as_line({"kind": kind, **more})
        for queue in list(self._queues):
            try:
                queue.put_nowait(line)
            except asyncio.QueueFull:
                self._end(queue)

    def end(self) -> None:
        """End all streams once what was told is read."""
        for queue in list(self._queues):
            self._end(queue)

    async def lines(self, *first: Mapping[str, Any]) -> AsyncGenerator[bytes, None]:
        """Yield what is told from now on, after `first`; the oldest page goes if there are too many."""
        queue: asyncio.Queue[bytes | None] = asyncio.Queue(MOST_WAITING)
        if len(self._queues) >= MOST_STREAMS:
            self._end(next(iter(self._queues)))
        self._queues.add(queue)
        try:
            for line in first:
                yield as_line(line)
            while (told := await queue.get()) is not None:
                yield told
        finally:
            self._queues.discard(queue)

    def _end(self, queue: "asyncio.Queue[bytes | None]") -> None:
        self._queues.discard(queue)
        with contextlib.suppress(asyncio.QueueEmpty):
            while queue.full():
                queue.get_nowait()
        queue.put_nowait(None)


def as_line(told: Mapping[str, Any]) -> bytes:
    """Return one line of a stream."""
    return json.dumps(told, separators=(",", ":")).encode() + b"\n"
