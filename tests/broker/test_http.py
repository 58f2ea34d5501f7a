"""The HTTP side holds: a client that never finishes its request is let go, and one too many is turned away."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from broker.http import PatientProtocol, Server

LARGE = b"x" * 30_000_000  # more than the kernel takes for a reader that does not read
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"


async def hello(request: Request) -> PlainTextResponse:
    await request.body()
    return PlainTextResponse("hello")


async def large(_: Request) -> Response:
    return Response(LARGE)


@pytest_asyncio.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    monkeypatch.setattr(PatientProtocol, "head_s", 0.3)
    monkeypatch.setattr(PatientProtocol, "most_connections", 5)
    server = Server(Starlette(routes=[Route("/", hello, methods=["GET", "POST"]), Route("/large", large)]))
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        task = asyncio.create_task(server.serve(sockets=[sock]))
        await server.listening.wait()
        yield server
        server.should_exit = True
        await task


@pytest.fixture
def port(server: Server) -> int:
    port: int = server.servers[0].sockets[0].getsockname()[1]
    return port


async def until(true: Callable[[], bool], *, within_s: float = 3) -> None:
    async with asyncio.timeout(within_s):
        while not true():  # noqa: ASYNC110 - the server under test sets no event for it
            await asyncio.sleep(0.01)


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


@pytest.mark.parametrize("said", [b"", b"abc"])
async def test_a_body_that_stops_is_not_waited_for(port: int, said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """408, and the connection ends."""
    monkeypatch.setattr(PatientProtocol, "body_idle_s", 0.3)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(POST % 6 + said)
    async with asyncio.timeout(3):
        answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in answer.lower()
    await parted(writer)


async def test_a_body_that_trickles_for_ever_is_not_waited_for(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then buys no time beyond what a small body has."""
    monkeypatch.setattr(PatientProtocol, "body_s", 0.5)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(POST % 1_000)
    answered = asyncio.create_task(reader.read())
    for _ in range(60):
        if answered.done():
            break
        await asyncio.sleep(0.05)
        writer.write(b"x")
    assert answered.done()
    with contextlib.suppress(ConnectionError):  # reset, as we still wrote
        assert (await answered).startswith(b"HTTP/1.1 408 ")
    await parted(writer)


async def test_a_long_upload_goes_on_as_long_as_it_moves(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes at a fair rate is taken, however long that is."""
    monkeypatch.setattr(PatientProtocol, "body_s", 0.2)
    monkeypatch.setattr(PatientProtocol, "body_idle_s", 0.3)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(POST % 10_000)
    for _ in range(10):
        await asyncio.sleep(0.08)
        writer.write(b"x" * 1_000)
    async with asyncio.timeout(3):
        assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200 ")
    await parted(writer)


async def test_one_address_can_not_take_all_there_is(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond its share it is turned away, others are not, and when one of its own ends it has room again."""
    monkeypatch.setattr(PatientProtocol, "head_s", 20)
    monkeypatch.setattr(PatientProtocol, "most_connections", 8)
    monkeypatch.setattr(PatientProtocol, "address_least", 1)
    first, second = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
    for ours, served in (("127.0.0.1", False), ("127.0.0.2", True)):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(ours, 0))
        with contextlib.suppress(ConnectionError):
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert (b"hello" in await reader.read()) == served
        await parted(writer)
    await parted(first[1])
    await asyncio.sleep(0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert b"hello" in await reader.read()
    await parted(writer)
    await parted(second[1])


@pytest.mark.parametrize("more", [b"", b"Connection: close\r\n"])
async def test_an_answer_that_nobody_reads_is_dropped(
    server: Server, port: int, more: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what it holds, also where the connection was to end after it."""
    monkeypatch.setattr(PatientProtocol, "drain_s", 0.4)
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /large HTTP/1.1\r\nHost: a\r\n" + more + b"\r\n")
    await until(lambda: len(server.server_state.connections) == 1)
    await until(lambda: not server.server_state.connections, within_s=5)
    await parted(writer)


async def test_a_slow_reader_is_not_dropped(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who takes some of an answer now and then gets all of it."""
    monkeypatch.setattr(PatientProtocol, "drain_s", 0.6)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    writer.write(b"GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    got = 0
    async with asyncio.timeout(20):
        for _ in range(14):
            got += len(await reader.read(2 << 20))
            await asyncio.sleep(0.1)
        while piece := await reader.read(1 << 20):
            got += len(piece)
    assert got > len(LARGE)
    await parted(writer)


@pytest.mark.parametrize(
    "said",
    [
        POST % 6 + b"abc",
        b"HEAD / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nno length\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nno length\r\n",
        b"no HTTP at all\r\n\r\n",
    ],
)
async def test_clients_that_break_off_write_no_logs(
    server: Server, port: int, said: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Anybody can go before its body ends, or send what is no HTTP, a million times."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(said)
    await writer.drain()
    await until(lambda: server.server_state.total_requests + len(server.server_state.connections) > 0)
    await asyncio.sleep(0.05)
    await parted(writer)
    await until(lambda: not server.server_state.connections and not server.server_state.tasks)
    assert not caplog.records


@pytest.mark.parametrize(
    "lengths",
    [b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", b"Content-Length: 6\r\nContent-Length: 7\r\n"],
)
async def test_nothing_is_smuggled(port: int, lengths: bytes) -> None:
    """A body of two lengths is refused, and what stands after it is no request."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\n" + lengths + b"\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
    async with asyncio.timeout(3):
        answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"connection: close" in answer.lower()
    assert answer.count(b"HTTP/1.1") == 1
    await parted(writer)


async def test_a_body_that_was_answered_is_not_read_on_and_on(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A little of it is discarded, so that the client may read why; then the connection ends."""
    monkeypatch.setattr(PatientProtocol, "head_s", 50)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000000\r\n\r\n")
    assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 404 ")
    with pytest.raises(ConnectionError):  # noqa: PT012 - which of the writes fails is the kernel's matter
        for _ in range(2_000):
            writer.write(b"x" * 100_000)
            await writer.drain()
    await parted(writer)
