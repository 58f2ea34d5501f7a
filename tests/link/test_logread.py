"""Reading the log's files: what is asked, in every word, and what comes of answers that are wrong, large or slow."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import h11
import pytest

from broker.wire.notes import MAX_NOTE_BYTES
from broker.wire.tiles import MAX_ENTRIES_BYTES, Tile, encode_entries
from device.link import LogAddress, LogReading, LogUnreadable
from tests.mqtt.certificates import Authority
from tests.simulators import LogSimulator

LOG = LogSimulator()
LOG.entries = [b"entry %d" % number for number in range(300)]
Answer = Callable[[str], Awaitable[bytes | AsyncIterator[bytes]]]


class Server:
    """An HTTP server that keeps each byte it is sent, and answers as a test says."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.heard = bytearray()
        self.port = 0

    @contextlib.asynccontextmanager
    async def running(self, context: ssl.SSLContext | None = None) -> AsyncIterator["Server"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self

    @property
    def address(self) -> LogAddress:
        return LogAddress("log", f"http://127.0.0.1:{self.port}/log", own=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.heard += head
                target = head.split(b" ")[1].decode()
                answer = await self.answer(target)
                if isinstance(answer, bytes):
                    writer.write(answer)
                else:
                    async for part in answer:
                        writer.write(part)
                        await writer.drain()
                await writer.drain()
        writer.transport.abort()


def found(body: bytes, status: str = "200 OK", more: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body


async def serve_log(target: str) -> bytes:
    body = LOG.file(target.removeprefix("/log/"))
    return found(b"", "404 Not Found") if body is None else found(body)


@contextlib.asynccontextmanager
async def reading(answer: Answer, *, answer_s: float = 5) -> AsyncIterator[tuple[LogReading, Server]]:
    async with Server(answer).running() as server:
        files = LogReading(answer_s=answer_s)
        try:
            yield files, server
        finally:
            await files.aclose()


def requests_in(heard: bytes) -> list[tuple[bytes, bytes, dict[bytes, bytes]]]:
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(heard)
    found = []
    while isinstance(event := connection.next_event(), h11.Request | h11.EndOfMessage):
        if isinstance(event, h11.Request):
            found.append((event.method, event.target, dict(event.headers)))
        else:
            connection.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
            connection.send(h11.EndOfMessage())
            connection.start_next_cycle()
    return found


async def test_its_whole_vocabulary() -> None:
    """GETs of the checkpoint and of tiles by their paths: no query, no cookie, no body, no word of whoever asks."""

    async def answer(target: str) -> bytes:
        return (await serve_log(target)).replace(b"\r\n\r\n", b'\r\nSet-Cookie: who=you\r\nETag: "you"\r\n\r\n', 1)

    async with reading(answer) as (files, server):
        assert await files.checkpoint(server.address) == LOG.head()
        assert await files.entries(server.address, Tile("entries", 0)) == LOG.entries[:256]
        assert await files.entries(server.address, Tile("entries", 1, 44)) == LOG.entries[256:]
        assert await files.hashes(server.address, Tile(0, 1, 44)) == LOG.file("tile/0/001.p/44")
        assert await files.hashes(server.address, Tile(1, 0, 1)) == LOG.file("tile/1/000.p/1")
        requests = requests_in(bytes(server.heard))
    assert [(method, target) for method, target, _ in requests] == [
        (b"GET", b"/log/checkpoint"),
        (b"GET", b"/log/tile/entries/000"),
        (b"GET", b"/log/tile/entries/001.p/44"),
        (b"GET", b"/log/tile/0/001.p/44"),
        (b"GET", b"/log/tile/1/000.p/1"),
    ]
    words = {
        b"host": f"127.0.0.1:{server.port}".encode(),
        b"user-agent": b"latchstring",
        b"accept-encoding": b"identity",
    }
    assert [headers for _, _, headers in requests] == [{**words, b"cache-control": b"no-cache"}, *[words] * 4]


async def test_a_partial_file_that_is_gone_is_read_in_full() -> None:
    """Once a tile is full its narrow forms need not be served: the full one is read, and no more used of it."""

    async def answer(target: str) -> bytes:
        return found(b"", "404 Not Found") if ".p/" in target else await serve_log(target)

    async with reading(answer) as (files, server):
        assert await files.entries(server.address, Tile("entries", 0, 17)) == LOG.entries[:17]
        assert await files.hashes(server.address, Tile(0, 0, 3)) == LOG.file("tile/0/000.p/3")
        with pytest.raises(LogUnreadable, match="answers 404"):
            await files.entries(server.address, Tile("entries", 1, 44))


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (found(b"", "302 Found", "Location: http://127.0.0.1:1/elsewhere\r\n"), "answers 302"),
        (found(b"oops", "500 Oops"), "answers 500"),
        (found(encode_entries([b"one"])), "holds 1 entries where 256"),
        (found(b"\xff"), "ends within a length"),
        (b"not HTTP at all\r\n\r\n", "tile/entries/000"),
    ],
)
async def test_answers_that_are_no_bundle_are_refused(answer: bytes, complaint: str) -> None:
    """A redirect is not followed; an error, and what is cut short, is told with the file's name."""

    async def say(_target: str) -> bytes:
        return answer

    async with reading(say) as (files, server):
        with pytest.raises(LogUnreadable, match=complaint):
            await files.entries(server.address, Tile("entries", 0))


@pytest.mark.parametrize("told", [True, False])
async def test_an_endless_answer_ends(told: bool) -> None:
    """Whether it says how much comes or not, no more is read than the file can have."""
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        yield b"HTTP/1.1 200 OK\r\n" + (b"Content-Length: 1000000000000\r\n" if told else b"") + b"\r\n"
        while True:
            sent += 65_536
            yield bytes(65_536)

    async def answer(_target: str) -> AsyncIterator[bytes]:
        return endless()

    async with reading(answer) as (files, server):
        with pytest.raises(LogUnreadable, match=f"more than the {MAX_NOTE_BYTES} bytes"):
            await files.checkpoint(server.address)
        assert sent < MAX_ENTRIES_BYTES


async def test_a_drop_now_and_then_is_too_slow() -> None:
    """An answer that never stalls and never ends is given up after a time in all."""

    async def drops() -> AsyncIterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 16000\r\n\r\n"
        while True:
            yield b"x"
            await asyncio.sleep(0.01)

    async def answer(_target: str) -> AsyncIterator[bytes]:
        return drops()

    async with reading(answer, answer_s=0.2) as (files, server):
        with pytest.raises(LogUnreadable, match=r"longer than 0\.2 s"):
            await files.checkpoint(server.address)


async def test_who_is_slow_keeps_nobody_else_waiting() -> None:
    """However many of those who serve the log don't answer yet, the others are read meanwhile."""
    at_last = asyncio.Event()

    async def answer(target: str) -> bytes:
        if target.startswith("/slow"):
            await at_last.wait()
            return found(b"", "404 Not Found")
        return await serve_log(target)

    async with reading(answer) as (files, server):
        slow = [LogAddress(f"slow-{at}", f"http://127.0.0.1:{server.port}/slow-{at}", own=False) for at in range(16)]
        asked = [asyncio.create_task(files.checkpoint(where)) for where in slow]
        await asyncio.sleep(0)  # they are first
        assert await files.checkpoint(server.address) == LOG.head()
        assert not any(one.done() for one in asked)
        at_last.set()
        for one in asked:
            with pytest.raises(LogUnreadable, match="answers 404"):
                await one


async def test_nobody_there_is_said_in_one_line() -> None:
    """A log that can't be reached is an error of the network's, by the name of who was asked."""
    files = LogReading()
    with pytest.raises(LogUnreadable, match=r"^mirror: checkpoint "):
        await files.checkpoint(LogAddress("mirror", "http://127.0.0.1:1/m", own=False))
    await files.aclose()


async def test_no_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment says of proxies leads nowhere."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    async with reading(serve_log) as (files, server):
        assert await files.checkpoint(server.address) == LOG.head()


async def test_tls_is_checked(tmp_path: Path) -> None:
    """A log with a certificate of the given authority is read; one of another, or of nobody's, is not."""
    known, stranger = Authority.make(_folder(tmp_path / "known")), Authority.make(_folder(tmp_path / "stranger"))
    async with Server(serve_log).running(known.server_context(ask_clients=False)) as server:
        where = LogAddress("log", f"https://127.0.0.1:{server.port}/log", own=True)
        for ca_file, reads in ((known.ca_file, True), (stranger.ca_file, False), (None, False)):
            files = LogReading(ca_file=ca_file)
            if reads:
                assert await files.checkpoint(where) == LOG.head()
            else:
                with pytest.raises(LogUnreadable, match=r"(?i)certificate"):
                    await files.checkpoint(where)
            await files.aclose()


def _folder(path: Path) -> Path:
    path.mkdir()
    return path
