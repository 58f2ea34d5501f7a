"""The HTTP side holds: a client that never finishes its request is let go, and one too many is turned away."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from broker.http import PatientProtocol, Server


async def hello(request: Request) -> PlainTextResponse:
    await request.body()
    return PlainTextResponse("hello")


@pytest_asyncio.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    monkeypatch.setattr(PatientProtocol, "head_s", 0.3)
    monkeypatch.setattr(PatientProtocol, "most_connections", 5)
    server = Server(Starlette(routes=[Route("/", hello, methods=["GET", "POST"])]))
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        task = asyncio.create_task(server.serve(sockets=[sock]))
        await server.listening.wait()
        yield sock.getsockname()[1]
        server.should_exit = True
        await task


async def ended(reader: asyncio.StreamReader, *, within_s: float) -> bool:
    try:
        async with asyncio.timeout(within_s):
            while await reader.read(65_536):
                pass
    except TimeoutError:
        return False
    except ConnectionError:
        return True
    return True


async def parted(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(ConnectionError):  # it was reset before
        await writer.wait_closed()


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nX: "])
async def test_a_head_that_never_ends_is_not_waited_for(port: int, said: bytes) -> None:
    """Silent or half said: the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(said)
    assert await ended(reader, within_s=3)
    await parted(writer)


async def test_nor_is_the_second_one_on_a_connection(port: int) -> None:
    """A first request that was whole buys no time for the next."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert b"hello" in await reader.readuntil(b"hello")
    writer.write(b"GET / HTT")
    assert await ended(reader, within_s=3)
    await parted(writer)


async def test_a_slow_body_has_its_time(port: int) -> None:
    """The deadline is for heads: bytes of an upload may trickle."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nConnection: close\r\n\r\n")
    for byte in b"abcdef":
        await asyncio.sleep(0.1)
        writer.write(bytes([byte]))
    assert b"hello" in await reader.read()
    await parted(writer)


async def test_one_too_many_is_turned_away_and_the_others_are_served(port: int) -> None:
    """Idle connections can't take all there is; when they end there is room again."""
    idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(5)]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    assert await ended(reader, within_s=0.2)
    await parted(writer)
    for _, one in idle:
        await parted(one)
    await asyncio.sleep(0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert b"hello" in await reader.read()
    await parted(writer)
