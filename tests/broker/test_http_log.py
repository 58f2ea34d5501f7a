"""Log and page under clients that mean no good, over real sockets."""

import asyncio
import contextlib
import gzip
import random
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from starlette.applications import Starlette

from broker.http import Server
from broker.log import FolderStorage, Sequencer, routes
from broker.log.service import LogService
from broker.log.shelf import Shelf
from broker.wire.envelopes import MAX_ENVELOPE_BYTES
from tests.feed.site import Site, served
from tests.log.support import OPERATOR, ORIGIN, Broker, Clock, admission

BUNDLE = "tile/entries/000.p/1"
LARGE = random.Random(1).randbytes(12 << 20)


class LargeBundle(FolderStorage):
    """A log whose first bundle is as large as they come, and more."""

    reads = 0

    def get(self, path: str) -> bytes | None:
        if path != BUNDLE:
            return super().get(path)
        self.reads += 1
        return LARGE


@pytest.fixture
def storage(tmp_path: Path) -> LargeBundle:
    return LargeBundle(tmp_path)


@pytest_asyncio.fixture
async def server(storage: LargeBundle) -> AsyncIterator[Server]:
    service = LogService(
        sequencer=Sequencer(FolderStorage(storage._root), key=OPERATOR, origin=ORIGIN),
        operator=OPERATOR,
        publish=Broker().publish,
        now_us=Clock(),
        url="http://log.example.org",
    )
    await service.start()
    await service.submit(admission())
    server = Server(Starlette(routes=routes(service, storage)))
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        task = asyncio.create_task(server.serve(sockets=[sock]))
        await server.listening.wait()
        yield server
        server.should_exit = True
        await task
    await service.close()


@pytest.fixture
def port(server: Server) -> int:
    port: int = server.servers[0].sockets[0].getsockname()[1]
    return port


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with served(tmp_path_factory.mktemp("site")) as site:
        yield site


async def test_readers_that_do_not_read_hold_little(server: Server, storage: LargeBundle, port: int) -> None:
    """A large bundle is read once for all of them, and waits for none of them in the server's memory."""
    readers = [await asyncio.open_connection("127.0.0.1", port) for _ in range(8)]
    for _, writer in readers:
        writer.write(b"GET /log/" + BUNDLE.encode() + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    held = [0]
    for _ in range(40):
        await asyncio.sleep(0.05)
        held = [one.transport.get_write_buffer_size() for one in server.server_state.connections]
    assert len(held) == 8
    assert all(0 < one <= 128 * 1024 for one in held)
    assert storage.reads < 8
    for _, writer in readers:
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
async def test_a_large_bundle_arrives_whole(port: int, encoding: str) -> None:
    """With its length, and again as 304 for who has it; HEAD tells the same."""
    url, headers = f"http://127.0.0.1:{port}/log/{BUNDLE}", {"Accept-Encoding": encoding}
    async with httpx.AsyncClient(trust_env=False) as client:
        async with client.stream("GET", url, headers=headers) as answer:
            raw = b"".join([piece async for piece in answer.aiter_raw()])
        assert (gzip.decompress(raw) if encoding == "gzip" else raw) == LARGE
        assert answer.headers["content-length"] == str(len(raw))
        asked = await client.head(url, headers=headers)
        assert (asked.headers["content-length"], asked.headers["etag"]) == (str(len(raw)), answer.headers["etag"])
        again = await client.get(url, headers={**headers, "If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


async def test_the_shelf_keeps_no_more_than_it_may() -> None:
    """What was asked for longest ago goes and is fetched again, what is small is not kept."""
    reads: list[str] = []

    def read(path: str) -> bytes | None:
        reads.append(path)
        return {"none": None, "small": b"s"}.get(path, path.encode() * 100_000)

    shelf = Shelf(read, most_bytes=250_000)
    for path in ("a", "b", "a", "c", "a", "b", "small", "small", "none", "none"):
        packed = await shelf.get(path, gzip=False)
        assert (None if packed is None else packed.body[:1]) == (None if path == "none" else path[:1].encode())
    assert reads == ["a", "b", "c", "b", "small", "small", "none", "none"]


async def test_a_body_that_is_too_large_ends_the_connection(port: int) -> None:
    """413, said to be the last answer; the rest is not read."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /log/entries HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n")
    writer.write(b"x" * (MAX_ENVELOPE_BYTES + 1))
    async with asyncio.timeout(3):
        head = await reader.readuntil(b"\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            await reader.read()
    assert head.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in head.lower()
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


def test_a_form_that_is_none_ends_the_connection(site: Site) -> None:
    """Likewise: what is left of it is not read."""
    answer = httpx.post(f"{site.url}/ask/check", content=b"x" * 1_000, trust_env=False)
    assert (answer.status_code, answer.headers["connection"]) == (400, "close")


@pytest.mark.parametrize(
    "since",
    [
        "Thu, 01 Jan 2026 00:00:00 +99999999999999999999",
        "Thu, 01 Jan 0001 00:00:00 +2300",
        "Fri, 31 Dec 9999 23:59:59 -2300",
        "Thu, 01 Jan 99999999999999999999 00:00:00 GMT",
        "Thu, 32 Jan 2026 00:00:00 GMT",
        "yesterday",
        "",
    ],
)
def test_a_date_that_is_none_is_no_condition(site: Site, since: str) -> None:
    """Whatever stands there: the entry is sent."""
    url = f"{site.url}/entries/{site.leaves[0]}.dsse.json"
    answer = httpx.get(url, headers={"If-Modified-Since": since}, trust_env=False)
    assert answer.status_code in {200, 304}
