"""A listener at a broker, in a thread of its own: what came, and when."""

import asyncio
import threading
import time
from types import TracebackType
from typing import Self

from device.link.client import Connection
from device.link.errors import BrokerLost
from device.link.settings import BrokerAddress, LinkTiming


class Listener:
    """Subscribes to one filter for the length of a `with` block; `messages` are (µs since the epoch, payload)."""

    def __init__(self, port: int, topic: str, *, username: str | None = None, password: str | None = None) -> None:
        self.messages: list[tuple[int, bytes]] = []
        self._address = BrokerAddress(
            host="127.0.0.1", port=port, client_id=username or "listener", username=username, password=password
        )
        self._topic = topic
        self._ready = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._listen()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10), "the broker did not take the subscription"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(10)

    async def _listen(self) -> None:
        async with Connection(self._address, will=None, timing=LinkTiming()) as connection:
            assert await connection.subscribe(self._topic, qos=1)
            self._ready.set()
            reading = asyncio.create_task(self._read(connection))
            await asyncio.to_thread(self._stop.wait)
            reading.cancel()

    async def _read(self, connection: Connection) -> None:
        try:
            async for message in connection.messages():
                self.messages.append((time.time_ns() // 1_000, message.payload))
        except BrokerLost:
            return
