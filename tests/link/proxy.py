"""A TCP proxy that a test can bend: delay, cut, swallow, refuse. What passes through it is counted."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self


class Proxy:
    """Stands between a client and a server; the fields may be changed at any moment."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._pairs: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._flows: set[asyncio.Task[None]] = set()
        self.delay_s = 0.0
        self.blackhole = False  # take everything, pass nothing on
        self.mute = False  # only what the server says is swallowed: a PUBACK, say
        self.refuse = False  # close new connections at once
        self.cut_after: int | None = None  # cut once so many more bytes went from client to server
        self.connections = 0
        self.sent = 0  # bytes that went from client to server
        self.upstream = bytearray()  # the same bytes

    @property
    def port(self) -> int:
        """Where to connect to."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    def cut(self) -> None:
        """Break all connections, abruptly."""
        for client, server in list(self._pairs):
            client.transport.abort()
            server.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self.refuse:
            writer.transport.abort()
            return
        try:
            upstream, downstream = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        pair = (writer, downstream)
        self._pairs.add(pair)

        def end(_: object) -> None:
            writer.transport.abort()
            downstream.transport.abort()
            self._pairs.discard(pair)

        for flow in (self._flow(reader, downstream, out=True), self._flow(upstream, writer, out=False)):
            task = asyncio.create_task(flow)
            self._flows.add(task)
            task.add_done_callback(self._flows.discard)
            task.add_done_callback(end)

    async def _flow(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, out: bool) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(65_536):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                if self.blackhole or (self.mute and not out):
                    continue
                if out and self.cut_after is not None and len(data) >= self.cut_after:
                    data = data[: self.cut_after]
                    self.cut_after = None
                    sink.write(data)
                    await sink.drain()
                    self.cut()
                    return
                if out:
                    if self.cut_after is not None:
                        self.cut_after -= len(data)
                    self.sent += len(data)
                    self.upstream += data
                sink.write(data)
                await sink.drain()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        for flow in list(self._flows):
            flow.cancel()
        await asyncio.gather(*self._flows, return_exceptions=True)
        await self._server.wait_closed()


@asynccontextmanager
async def proxy_to(port: int) -> AsyncIterator[Proxy]:
    """Run a proxy to a local port."""
    async with Proxy(port) as proxy:
        yield proxy
