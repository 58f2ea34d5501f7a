"""A mirror against a log that lies, forks, goes back or floods: nothing false is served, and what it signed is kept."""

import asyncio
import errno
import gzip
import itertools
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.responses import RedirectResponse, Response, StreamingResponse

from broker.log.errors import LogReadError
from broker.log.mirror.source import LogSource
from broker.log.witness.answer import Refusal
from broker.wire.cosigning import CACHED_US
from broker.wire.notes import MAX_NOTE_BYTES
from broker.wire.tiles import Tile, encode_entries
from tests.log.mirror_support import (
    LogServer,
    Mirrored,
    Tree,
    served_size,
    serving,
    stored_tiles,
    witnessed,
)
from tests.log.support import key_of

SMALL, GROWN = 300, 1_000
BUNDLE, TILE = "tile/entries/002", "tile/0/002"


@pytest.fixture
async def server() -> AsyncIterator[LogServer]:
    server = LogServer(Tree().grow(SMALL))
    server.publish()
    async with serving(server.routes()) as server.port:
        yield server


async def endless() -> AsyncIterator[bytes]:
    with suppress(asyncio.CancelledError):
        while True:
            yield b"x" * 65_536
            await asyncio.sleep(0.001)


async def once() -> AsyncIterator[bytes]:
    yield b"x"


async def trickle() -> AsyncIterator[bytes]:
    with suppress(asyncio.CancelledError):
        while True:
            yield b"x"
            await asyncio.sleep(0.05)


def packed_bomb(_: bytes) -> Response:
    packer = zlib.compressobj(wbits=31)
    data = b"".join(packer.compress(bytes(1 << 20)) for _ in range(64)) + packer.flush()
    return Response(data, headers={"Content-Encoding": "gzip"})


def packed(data: bytes, *, encoding: str = "gzip") -> Response:
    return Response(data, headers={"Content-Encoding": encoding})


LIES: dict[str, tuple[str, Callable[[bytes], bytes | Response | None]]] = {
    "a changed entry": (BUNDLE, lambda data: data.replace(b"entry 600", b"entry 6oo")),
    "entries in another order": (BUNDLE, lambda data: encode_entries([b"entry 513", b"entry 512"]) + data[22:]),
    "a bundle that is missing": (BUNDLE, lambda _: None),
    "a bundle of another width": (BUNDLE, lambda data: data[: len(data) // 2 * 2 - 11]),
    "a bundle that goes on": (BUNDLE, lambda data: data + b"\0\0"),
    "no bundle but a page": (BUNDLE, lambda _: b"<html>it is here somewhere</html>"),
    "an empty bundle": (BUNDLE, lambda _: b""),
    "a changed tile": (TILE, lambda data: bytes(32) + data[32:]),
    "a tile that is missing": (TILE, lambda _: None),
    "a tile of another width": (TILE, lambda data: data[:-32]),
    "a changed tile at the edge": ("tile/0/003.p/232", lambda data: bytes(32) + data[32:]),
    "a changed tile above": ("tile/1/000.p/3", lambda data: bytes(32) + data[32:]),
    "an error": (BUNDLE, lambda _: Response(status_code=500)),
    "a redirection": (BUNDLE, lambda _: RedirectResponse("/log/tile/entries/001")),
    "an oversized tile": (TILE, lambda data: data * 2),
    "an oversized bundle": (BUNDLE, lambda _: bytes(17 << 20)),
    "an answer without an end": (BUNDLE, lambda _: StreamingResponse(endless())),
    "an answer that trickles": (BUNDLE, lambda _: StreamingResponse(trickle())),
    "something small that unpacks large": (BUNDLE, packed_bomb),
    "something packed that is torn": (BUNDLE, lambda data: packed(gzip.compress(data)[:-9])),
    "something packed that is noise": (BUNDLE, packed),
    "something packed in another way": (BUNDLE, lambda data: packed(data, encoding="br")),
    "a checkpoint that is none": ("checkpoint", lambda _: b"it will be here soon"),
    "a checkpoint by another key": ("checkpoint", lambda _: Tree().grow(GROWN).note(key=key_of("x"))),
    "a checkpoint of another log": ("checkpoint", lambda _: Tree().grow(GROWN).note(origin="another")),
    "a checkpoint without an end": ("checkpoint", lambda _: StreamingResponse(endless())),
    "an oversized checkpoint": ("checkpoint", lambda data: data + b"x" * MAX_NOTE_BYTES),
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_lie_is_not_served_and_does_no_lasting_harm(server: LogServer, tmp_path: Path, lie: str) -> None:
    """The old copy stays as it was, the status names the file; when the log is honest again, the copy goes on."""
    where, bend = LIES[lie]
    async with Mirrored(tmp_path, server) as mirror:
        assert await mirror.log.poll()
        assert await mirror.log.catch_up()
        server.tree.grow(GROWN - SMALL)
        server.publish()
        server.bend = lambda path, data: bend(data or b"") if path == where else data
        mirror.copy._source = LogSource(server.url, client=mirror.http, answer_s=1.0 if "trickles" in lie else 30.0)
        assert not (await mirror.log.poll() and await mirror.log.catch_up())
        assert mirror.copy.size == served_size(tmp_path) == SMALL
        assert where in mirror.log.status()["error"] or "tile" in mirror.log.status()["error"]
        assert all(server.tree.tiles[tile] == data for tile, data in stored_tiles(tmp_path).items())
        server.bend = lambda _, data: data
        mirror.copy._source = mirror.source
        assert await mirror.log.poll()
        assert await mirror.log.catch_up()
        assert served_size(tmp_path) == GROWN
        assert mirror.log.status()["error"] is None
        assert mirror.kinds() == []


async def test_what_is_packed_honestly_is_unpacked(server: LogServer, tmp_path: Path) -> None:
    """A log may compress its answers: what is stored are the bytes inside."""
    server.bend = lambda path, data: data if data is None or path == "checkpoint" else packed(gzip.compress(data))
    async with Mirrored(tmp_path, server) as mirror:
        assert await mirror.log.poll()
        assert await mirror.log.catch_up()
    assert served_size(tmp_path) == SMALL


@pytest.mark.parametrize("size", [SMALL - 1, SMALL, SMALL + 1, GROWN])
async def test_a_fork_that_is_published_is_not_followed(server: LogServer, tmp_path: Path, size: int) -> None:
    """Smaller, as large or larger: the mirror's own tiles, or the log's, show it; both notes are kept as evidence."""
    async with Mirrored(tmp_path, server) as mirror:
        assert await mirror.log.poll()
        assert await mirror.log.catch_up()
        honest, server.tree = server.tree, server.tree.forked(200, size)
        server.publish()
        assert not await mirror.log.poll()
        assert "fork" in mirror.kinds()
        fork = next(one for one in mirror.store.evidence(mirror.log.origin) if one["kind"] == "fork")
        assert fork["first"].encode() == honest.note()
        assert fork["second"].encode() == server.tree.note()
        assert mirror.log.status()["evidence"] == len(mirror.kinds())
        assert served_size(tmp_path) == SMALL
        server.tree = honest.grow(GROWN - SMALL)
        server.publish()
        assert await mirror.log.poll()
        assert await mirror.log.catch_up()
        assert served_size(tmp_path) == GROWN


async def test_a_fork_that_is_submitted_is_not_followed(server: LogServer, tmp_path: Path) -> None:
    """Another tree of the pending size is refused with a conflict, and kept as evidence."""
    async with Mirrored(tmp_path, server) as mirror:
        await mirror.submit(server.tree.submission(0))
        fork = server.tree.forked(200, SMALL)
        answer = await mirror.submit(fork.submission(SMALL))
        assert isinstance(answer, Refusal)
        assert answer.status == 409
        assert mirror.kinds() == ["fork"]


async def test_tiles_of_a_fork_are_found_out_though_the_checkpoint_grew(server: LogServer, tmp_path: Path) -> None:
    """A log that signs honest growth and serves another history: it does not lead to what it signed."""
    async with Mirrored(tmp_path, server) as mirror:
        await mirror.submit(server.tree.submission(0))
        honest = server.tree.grow(GROWN - SMALL)
        server.tree = honest.forked(200, GROWN)
        await mirror.submit(honest.submission(SMALL))
        assert "do not lead to the root" in mirror.log.status()["error"]
        assert served_size(tmp_path) == SMALL


async def test_a_log_that_goes_back_is_not_followed(server: LogServer, tmp_path: Path) -> None:
    """A published checkpoint that is older than the one before is evidence of going back, not of a fork."""
    async with Mirrored(tmp_path, server) as mirror:
        assert await mirror.log.poll()
        assert await mirror.log.catch_up()
        newer = server.published
        server.published = older = witnessed(server.tree.note(200))
        mirror.clock.now_us += CACHED_US
        assert await mirror.log.poll()
        assert mirror.kinds() == [], "a cache on the way may have it still"
        mirror.clock.now_us += 1
        assert await mirror.log.poll()
        assert mirror.kinds() == ["rollback"]
        (found,) = mirror.store.evidence(mirror.log.origin)
        assert [found["first"].encode(), found["second"].encode()] == [newer, older]
        assert served_size(tmp_path) == SMALL


async def test_what_was_shown_again_is_no_older_for_it(server: LogServer, tmp_path: Path) -> None:
    """The ten minutes begin when a size was shown first, not each time that it is seen."""
    async with Mirrored(tmp_path, server) as mirror:
        assert await mirror.log.poll()
        mirror.clock.now_us += CACHED_US
        assert await mirror.log.poll()
        server.published = witnessed(server.tree.note(200))
        mirror.clock.now_us += 1
        assert await mirror.log.poll()
        assert mirror.kinds() == ["rollback"]


async def test_no_cache_is_asked_for_the_newest_checkpoint() -> None:
    """The checkpoint is asked for at the log itself; tiles never change, and may come from anywhere."""
    asked: dict[str, str | None] = {}

    def answer(request: httpx.Request) -> httpx.Response:
        asked[request.url.path] = request.headers.get("cache-control")
        return httpx.Response(200, content=once())

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        source = LogSource("http://log.example.org/log", client=client)
        await source.checkpoint()
        await source.tile(Tile(0, 1))
    assert asked == {"/log/checkpoint": "no-cache", "/log/tile/0/001": None}


async def test_the_status_shows_no_path_of_the_disk(server: LogServer, tmp_path: Path) -> None:
    """A note that can't be kept, and is damaged besides, is said to be so; where it lies is nobody's business."""

    def spoil(_: int) -> None:
        for path in (tmp_path / "latest").iterdir():
            path.write_bytes(b"torn")
        raise OSError(errno.EIO, "broken")

    async with Mirrored(tmp_path, server) as mirror:
        assert await mirror.log.poll()
        server.tree.grow(1)
        server.publish()
        mirror.store._fsync = spoil
        assert not await mirror.log.poll()
        error = mirror.log.status()["error"]
        assert "can't be used" in error
        assert str(tmp_path) not in error


async def test_a_mirror_that_is_ahead_of_what_is_published_accuses_nobody(server: LogServer, tmp_path: Path) -> None:
    """A head is shown to mirrors before it is published: an older publication is then as it should be."""
    async with Mirrored(tmp_path, server) as mirror:
        assert await mirror.log.poll()
        server.tree.grow(GROWN - SMALL)
        await mirror.submit(server.tree.submission(SMALL))
        assert served_size(tmp_path) == GROWN
        assert await mirror.log.poll()
        assert mirror.kinds() == []


async def test_a_log_that_is_not_there_is_an_error_with_a_reason(tmp_path: Path) -> None:
    """Refused connections and addresses that are none are said, not raised."""
    for url in ("http://127.0.0.1:1/log", "http://[::1/log", "http://nowhere.invalid/log"):
        async with Mirrored(tmp_path, url) as mirror:
            assert not await mirror.log.poll()
            assert mirror.log.status()["error"]


async def test_nothing_but_the_named_url_is_asked(server: LogServer) -> None:
    """A redirection is an error, and whoever it names hears nothing."""
    server.bend = lambda _path, _data: RedirectResponse(f"{server.url}/elsewhere")
    source = LogSource(server.url)
    with pytest.raises(LogReadError, match="307"):
        await source.checkpoint()
    with pytest.raises(LogReadError, match="307"):
        await source.tile(Tile(0, 1))
    await source.close()
    assert server.asked == ["checkpoint", "tile/0/001"]


HONEST = Tree().grow(600)
HISTORIES = [HONEST, *(HONEST.forked(at, 600, salt=b"fork at %d " % at) for at in (0, 100, 300))]


@pytest.mark.slow
@settings(max_examples=20)
@given(
    steps=st.lists(
        st.tuples(
            st.integers(0, 3),  # whose tiles are served
            st.integers(0, 3),  # whose checkpoint is shown
            st.sampled_from([0, 1, 99, 100, 255, 256, 299, 300, 512, 599, 600]),
            st.sampled_from(["poll", "submit", "restart"]),
        ),
        max_size=8,
    )
)
def test_whatever_a_log_shows_one_growing_log_is_served(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int, int, str]]
) -> None:
    """In any order of growth, forks, rollbacks and false tiles, what is served is whole and only grows."""
    folder = tmp_path_factory.mktemp("mirror")

    async def play() -> None:
        server = LogServer(HONEST)
        served: list[bytes] = []
        for tiles, shown, size, how in steps:
            server.tree = Tree().add(HISTORIES[tiles].entries[:size])
            server.published = HISTORIES[shown].note(size)
            async with Mirrored(folder, server) as mirror:
                pending = mirror.log.pending
                if how == "submit":
                    old = 0 if pending is None else min(size, pending.checkpoint.size)
                    await mirror.submit(HISTORIES[shown].submission(old, size))
                elif how == "poll":
                    await mirror.log.poll()
                    await mirror.log.catch_up()
                if mirror.copy.served is not None:
                    served.append(b"".join(_entries(folder, served_size(folder))))
        assert all(later.startswith(before) for before, later in itertools.pairwise(served))

    asyncio.run(play())


def _entries(folder: Path, size: int) -> list[bytes]:
    tiles = stored_tiles(folder)
    return [tiles[Tile("entries", index, min(256, size - index * 256))] for index in range(-(-size // 256))]
