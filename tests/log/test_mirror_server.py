"""A mirror over HTTP: static files as tlog-tiles has them, add-checkpoint, and what it does not do."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.requests import Request

from broker.log.mirror.server import _answer, routes
from broker.log.readers import http_reader
from broker.log.witness.store import origin_hash
from broker.wire.cosigning import AddCheckpoint, mirror_prefix
from broker.wire.tiles import Tile
from tests.log.mirror_support import ORIGIN, LogServer, Mirrored, Tree, serving
from tests.log.support import key_of

PREFIX = f"/{origin_hash(ORIGIN)}"
LARGE = [bytes([number]) * 60_000 for number in range(20)]


@pytest.fixture
async def server() -> AsyncIterator[LogServer]:
    server = LogServer(Tree().grow(300))
    server.publish()
    async with serving(server.routes()) as server.port:
        yield server


@pytest.fixture
async def mirror(server: LogServer, tmp_path: Path) -> AsyncIterator[Mirrored]:
    async with Mirrored(tmp_path, server) as mirror:
        yield mirror


@pytest.fixture
async def client(mirror: Mirrored) -> AsyncIterator[httpx.AsyncClient]:
    whole = mirror.mirror()
    async with (
        serving(routes(whole)) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers={"Accept-Encoding": "identity"}) as client,
    ):
        mirror.log._next_s = 60.0  # here everything is submitted, and nothing polled before
        running = asyncio.create_task(whole.run())
        yield client
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_submission_is_answered_empty_and_then_served(client: httpx.AsyncClient, server: LogServer) -> None:
    """200 without a line; the checkpoint then stands below the hash of the origin, with both signatures."""
    answer = await client.post("/add-checkpoint", content=server.tree.submission(0))
    assert (answer.status_code, answer.content) == (200, b"")
    assert str(client.base_url).rstrip("/") + PREFIX == mirror_prefix(str(client.base_url), ORIGIN)
    served = await client.get(f"{PREFIX}/checkpoint")
    assert served.content.startswith(server.tree.note())
    assert "mirror.example.org" in served.text
    assert (served.headers["content-type"], served.headers["cache-control"]) == (
        "text/plain; charset=utf-8",
        "no-store",
    )


async def test_tiles_are_the_logs_byte_for_byte(client: httpx.AsyncClient, server: LogServer) -> None:
    """Each tile of the tree, with the type and the caching of what never changes."""
    await client.post("/add-checkpoint", content=server.tree.submission(0))
    for tile, data in server.tree.tiles.items():
        answer = await client.get(f"{PREFIX}/{tile.path}")
        assert (answer.status_code, answer.content) == (200, data)
        assert answer.headers["content-type"] == "application/octet-stream"
        assert "immutable" in answer.headers["cache-control"]
        assert (await client.head(f"{PREFIX}/{tile.path}")).status_code == 200
        again = await client.get(f"{PREFIX}/{tile.path}", headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


async def test_bundles_are_compressed_for_who_asks(client: httpx.AsyncClient, server: LogServer) -> None:
    """Entries are text: packed on demand; hashes never, since nothing would be gained."""
    await client.post("/add-checkpoint", content=server.tree.submission(0))
    bundle, tile = Tile("entries", 0), Tile(0, 0)
    async with client.stream("GET", f"{PREFIX}/{bundle.path}", headers={"Accept-Encoding": "gzip"}) as answer:
        raw = b"".join([part async for part in answer.aiter_raw()])
        assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(raw) == server.tree.tiles[bundle]
    answer = await client.get(f"{PREFIX}/{tile.path}", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in answer.headers


async def test_a_large_bundle_is_whole(client: httpx.AsyncClient, server: LogServer) -> None:
    """What is sent in pieces is the same in the end, and its length is said before."""
    server.tree = Tree().add(LARGE)
    await client.post("/add-checkpoint", content=server.tree.submission(0))
    bundle = Tile("entries", 0, len(LARGE))
    answer = await client.get(f"{PREFIX}/{bundle.path}")
    assert answer.content == server.tree.tiles[bundle]
    assert answer.headers["content-length"] == str(len(answer.content))


@pytest.mark.parametrize(
    "path",
    ["tile/0/001", "tile/0/001.p/45", "tile/0/001.p/7", "tile/2/000.p/1", "tile/0/01", "tile/0/../checkpoint",
     "checkpoint.tmp", ".lock", "tile/entries/002", "tile/entries/x001/000", ""],
)  # fmt: skip
async def test_other_files_are_not_there(client: httpx.AsyncClient, server: LogServer, path: str) -> None:
    """What the served checkpoint does not cover, or is no file of a log, is not found and not kept by caches."""
    await client.post("/add-checkpoint", content=server.tree.submission(0))
    answer = await client.get(f"{PREFIX}/{path}")
    assert answer.status_code == 404
    assert answer.headers.get("cache-control", "no-store") == "no-store"


async def test_staged_tiles_are_not_served(client: httpx.AsyncClient, server: LogServer, mirror: Mirrored) -> None:
    """Nothing is given out before the checkpoint that covers it is cosigned; no other log's files either."""
    mirror.files.put({Tile(0, 0): server.tree.tiles[Tile(0, 0)]})
    server.bend = lambda path, data: None if path.startswith("tile/entries") else data
    assert (await client.get(f"{PREFIX}/checkpoint")).status_code == 404
    assert (await client.get(f"{PREFIX}/tile/0/000")).status_code == 404
    assert (await client.get(f"/{'0' * 64}/checkpoint")).status_code == 404
    assert (await client.get(f"/{'0' * 64}/tile/0/000")).status_code == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"old 0", 400),
        (AddCheckpoint(0, (), Tree().grow(3).note(key=key_of("x"))).encode(), 403),
        (AddCheckpoint(0, (), Tree().grow(3).note(origin="another")).encode(), 404),
        (AddCheckpoint(5, (), Tree().grow(300).note()).encode(), 409),
        (AddCheckpoint(0, (bytes(32),), Tree().grow(300).note()).encode(), 422),
        (b"x" * 200_000, 413),
    ],
)
async def test_refusals_are_a_witnesss(client: httpx.AsyncClient, body: bytes, status: int) -> None:
    """add-checkpoint refuses exactly as a witness does."""
    assert (await client.post("/add-checkpoint", content=body)).status_code == status


async def test_entries_are_not_taken(client: httpx.AsyncClient) -> None:
    """What this mirror does not implement says so."""
    assert (await client.post("/add-entries", content=b"x")).status_code == 501
    assert (await client.post("/sign-subtree", content=b"x")).status_code == 501


async def test_a_mirror_that_lags_says_so(client: httpx.AsyncClient, server: LogServer) -> None:
    """GET / has size, what is pending, since when and why it is behind; GET /evidence what is kept."""
    await client.post("/add-checkpoint", content=server.tree.submission(0))
    server.bend = lambda path, data: None if path.startswith("tile/entries") else data
    server.tree.grow(10)
    await client.post("/add-checkpoint", content=server.tree.submission(300))
    status = (await client.get("/")).json()
    assert [log["copy_url"] for log in status["logs"]] == [mirror_prefix("https://mirror.example.org", ORIGIN)]
    assert (status["kind"], status["name"]) == ("mirror", "mirror.example.org")
    (log,) = status["logs"]
    assert (log["origin"], log["size"], log["pending"], log["behind"]) == (ORIGIN, 300, 310, 10)
    assert log["behind_since"]
    assert "tile/entries" in log["error"]
    assert (await client.get("/evidence")).json() == {"evidence": []}


async def test_a_verifier_reads_a_mirror_as_it_reads_the_log(client: httpx.AsyncClient, server: LogServer) -> None:
    """The same reader, another URL."""
    await client.post("/add-checkpoint", content=server.tree.submission(0))
    with httpx.Client() as session:
        read = http_reader(mirror_prefix(str(client.base_url), ORIGIN), client=session)
        for tile in (Tile(0, 0), Tile("entries", 1, 44)):
            assert await asyncio.to_thread(read, tile.path) == server.tree.tiles[tile]


async def test_of_submissions_at_once_none_rolls_another_back(client: httpx.AsyncClient, server: LogServer) -> None:
    """Racing from the same old size, one becomes pending and is served, and the others are told its size."""
    answers = await asyncio.gather(
        *(client.post("/add-checkpoint", content=server.tree.submission(0, size)) for size in (1, 2, 300, 299, 256))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409]
    (winner,) = {answer.text for answer in answers if answer.status_code == 409}
    (log,) = (await client.get("/")).json()["logs"]
    assert winner == f"{log['pending']}\n"


async def test_readers_that_do_nothing_stop_nobody(client: httpx.AsyncClient, server: LogServer) -> None:
    """Idle connections, and one that asks for a large file and does not read, are no hindrance to others."""
    server.tree = Tree().add([bytes(65_000)] * 40)
    await client.post("/add-checkpoint", content=server.tree.submission(0))
    idle = [await asyncio.open_connection(client.base_url.host, client.base_url.port) for _ in range(20)]
    for _, writer in idle:
        writer.write(f"GET {PREFIX}/tile/entries/000.p/40 HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    async with asyncio.timeout(5):
        assert (await client.get(f"{PREFIX}/checkpoint")).status_code == 200
        server.tree.grow(5)
        assert (await client.post("/add-checkpoint", content=server.tree.submission(40))).status_code == 200
    for _, writer in idle:
        writer.transport.abort()


def test_an_answer_that_never_begins_holds_no_file(tmp_path: Path) -> None:
    """Who hangs up before the first byte of a large file leaves nothing open."""
    path = tmp_path / "bundle"
    path.write_bytes(bytes(1 << 20))
    asked = Request({"type": "http", "headers": []})
    answers = [_answer(path, asked, gzip=True) for _ in range(3)]
    held = [one for one in Path("/proc/self/fd").iterdir() if one.is_symlink() and one.readlink() == path]
    assert not held
    assert {answer.headers["content-length"] for answer in answers} == {str(1 << 20)}
