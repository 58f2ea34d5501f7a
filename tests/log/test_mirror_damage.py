"""A mirror whose disk lost or changed something: it says so, fetches it again, and cosigns nothing meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from broker.log.errors import LogError
from broker.log.mirror.checker import Checker
from broker.log.mirror.server import routes
from broker.log.partials import KEPT_S, MOST
from broker.log.witness.store import origin_hash
from broker.wire.tiles import Tile
from tests.log.mirror_support import ORIGIN, LogServer, Mirrored, Tree, served_size, serving, stored_tiles
from tests.log.support import Clock

SIZE = 1_100
PREFIX = f"/{origin_hash(ORIGIN)}"


@pytest.fixture
async def server() -> AsyncIterator[LogServer]:
    server = LogServer(Tree().grow(SIZE))
    server.publish()
    async with serving(server.routes()) as server.port:
        yield server


async def copied(server: LogServer, folder: Path) -> Path:
    """Have all of it copied; returns the folder of the copy."""
    async with Mirrored(folder, server) as mirror:
        assert await mirror.log.poll()
        assert await mirror.log.catch_up()
    assert served_size(folder) == SIZE
    return folder / "logs" / origin_hash(ORIGIN)


def spoil(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


async def passed(mirror: Mirrored) -> None:
    """One pass of the checker, beside the mirror itself."""
    checker = Checker(mirror.copy, origin=ORIGIN, mended=mirror.log.mended, pace_s=0, again_s=0)
    running = asyncio.create_task(mirror.log.run())
    try:
        async with asyncio.timeout(20):
            await checker.check()
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def shown(mirror: Mirrored, *paths: str) -> list[int]:
    """The status of each path below the copy, over HTTP."""
    async with (
        serving(routes(mirror.mirror())) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        return [(await client.get(f"{PREFIX}/{path}")).status_code for path in paths]


@pytest.mark.parametrize(
    ("path", "harm"),
    [
        ("tile/entries/001", Path.unlink),
        ("tile/entries/002", cut),
        ("tile/0/001", Path.unlink),
        ("tile/0/002", cut),
    ],
)
async def test_what_is_missing_at_the_start_stops_the_cosigning(
    server: LogServer, tmp_path: Path, path: str, harm: Callable[[Path], None]
) -> None:
    """Nothing is cosigned or shown, over HTTP or as a file, while the log can't be read; then all is whole again."""
    copy = await copied(server, tmp_path)
    harm(copy / path)
    server.tree.grow(5)
    server.bend = lambda asked, data: None if asked == path else data
    clock = Clock()
    clock.now_us += 60_000_000
    async with Mirrored(tmp_path, server, clock=clock) as mirror:
        status = mirror.log.status()
        assert (status["damaged"], "files: 1;" in status["error"]) == (1, True)
        assert await shown(mirror, "checkpoint", path, "tile/0/000") == [404, 404, 200]
        assert not (copy / "checkpoint").exists()
        assert await mirror.submit(server.tree.submission(SIZE)) == b""
        served = mirror.copy.served
        assert served is not None
        assert (mirror.copy.size, mirror.copy.shown, path in mirror.log.status()["error"]) == (SIZE, None, True)
        with pytest.raises(LogError, match="nothing is cosigned"):
            await mirror.copy.serve(served.head)
        server.bend = lambda _, data: data
        assert await mirror.log.catch_up()
        assert (mirror.log.status()["damaged"], mirror.log.status()["error"]) == (0, None)
        assert await shown(mirror, "checkpoint", path) == [200, 200]
    assert served_size(tmp_path) == SIZE + 5
    assert (copy / "checkpoint").exists()


@pytest.mark.parametrize(
    "path",
    ["tile/entries/001", "tile/entries/003", "tile/0/001", "tile/0/002", "tile/entries/004.p/76", "tile/0/004.p/76",
     "tile/1/000.p/4"],
)  # fmt: skip
@pytest.mark.parametrize("harm", [spoil, Path.unlink])
async def test_a_pass_finds_junk_of_the_right_length(
    server: LogServer, tmp_path: Path, path: str, harm: Callable[[Path], None]
) -> None:
    """Whatever file is changed or lost while the mirror runs is found, fetched again, and cosigned only then."""
    copy = await copied(server, tmp_path)
    clock = Clock()
    clock.now_us += 60_000_000
    async with Mirrored(tmp_path, server, clock=clock) as mirror:
        harm(copy / path)
        before = mirror.copy.served
        seen: list[object] = []
        server.bend = lambda asked, data: seen.append(mirror.copy.shown) or data if asked == path else data  # type: ignore[func-returns-value]
        await passed(mirror)
        assert seen == [None], "it was fetched once, and nothing was shown then"
        assert mirror.copy.shown is not None
        assert before is not None
        assert mirror.copy.shown.at_s > before.at_s
    assert served_size(tmp_path) == SIZE


async def test_a_restart_does_not_forget_the_damage(server: LogServer, tmp_path: Path) -> None:
    """What was found by its hash alone is not cosigned by the next process either, before all was looked at."""
    copy = await copied(server, tmp_path)
    spoil(copy / "tile/entries/003")
    async with Mirrored(tmp_path, server) as mirror:
        await mirror.copy.spoilt([Tile("entries", 3)])
    async with Mirrored(tmp_path, server) as mirror:
        assert mirror.copy.shown is None
        assert mirror.log.status()["error"]
        server.bend = lambda asked, data: None if asked == "tile/entries/003" else data
        assert not await mirror.log.catch_up()
        assert mirror.copy.shown is None
        server.bend = lambda _, data: data
        assert await mirror.log.catch_up()
        assert mirror.copy.shown is not None
    assert served_size(tmp_path) == SIZE


async def test_damaged_tiles_are_no_evidence_against_the_log(server: LogServer, tmp_path: Path) -> None:
    """An older checkpoint is compared with tiles of the copy: junk there does not make it a fork."""
    copy = await copied(server, tmp_path)
    async with Mirrored(tmp_path, server) as mirror:
        assert await mirror.log.poll()
        assert mirror.copy.root_at(700) == server.tree.root(700)
        spoil(copy / "tile/0/002")
        server.published = server.tree.note(700)
        assert not await mirror.log.poll()
        assert "do not lead to its checkpoint" in mirror.log.status()["error"]
        assert mirror.kinds() == []


async def test_a_mirror_keeps_few_partial_tiles(server: LogServer, tmp_path: Path) -> None:
    """Of the checkpoints that were pulled, the partial tiles of the newest are kept, and for some minutes."""
    clock = Clock()
    copy = await copied(server, tmp_path)
    async with Mirrored(tmp_path, server, clock=clock) as mirror:
        for _ in range(90):
            server.tree.grow(1)
            server.publish()
            assert await mirror.log.poll()
            assert await mirror.log.catch_up()
        widths = sorted(int(path.name) for path in copy.glob("tile/entries/004.p/*"))
        assert widths == list(range(SIZE + 90 - 1_024 - MOST, SIZE + 90 - 1_024 + 1))
        clock.now_us += int((KEPT_S + 1) * 1_000_000)
        server.tree.grow(1)
        server.publish()
        assert await mirror.log.poll()
        assert await mirror.log.catch_up()
    assert {tile.width for tile in stored_tiles(tmp_path) if tile.index == 4} == {SIZE + 90 - 1_024, SIZE + 91 - 1_024}
    left = copy / "tile/entries/000.p/7"
    left.parent.mkdir()
    left.write_bytes(b"left by a kill")
    async with Mirrored(tmp_path, server):
        assert not left.parent.exists()


async def test_a_partial_tile_that_is_gone_is_got_over(server: LogServer, tmp_path: Path) -> None:
    """A log drops partial tiles before there are full ones: the mirror goes on with the next checkpoint."""
    old = [tile for tile in server.tree.tiles if tile.width < 256]
    async with Mirrored(tmp_path, server) as mirror:
        server.bend = lambda path, data: None if path in {tile.path for tile in old} else data
        assert await mirror.submit(server.tree.submission(0)) == b""
        assert mirror.copy.served is None
        server.tree.grow(1)
        server.bend = lambda path, data: None if path in {tile.path for tile in old} and path[5] != "1" else data
        server.publish()
        assert await mirror.log.poll()
        assert await mirror.log.catch_up()
        assert (mirror.copy.size, mirror.kinds()) == (SIZE + 1, [])
