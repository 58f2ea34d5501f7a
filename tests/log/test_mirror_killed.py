"""The real mirror, killed in the middle of its work: it goes on where it was, and ends with the log's very files."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from broker.log.growth import edge_tiles
from broker.log.witness.identity import create_identity
from broker.log.witness.store import origin_hash
from broker.wire.proofs import Cosigner, make_policy, parse_policy
from tests.log.mirror_support import LOG_VERIFIER, ORIGIN, LogServer, Tree, serving, stored_tiles, write_facts

ROOT = Path(__file__).parents[2]
FIRST, SECOND = 30_000, 70_000


@asynccontextmanager
async def mirror_process(folder: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """Give a running `mirror run` and its address; it is killed in the end if it still runs."""
    facts = folder.parent / "neighbourhood.json"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "broker", "mirror", "run", "--dir", str(folder), "--neighbourhood", str(facts),
        "--port", "0", "--poll-s", "1", cwd=ROOT, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        ready = (await process.stdout.readline()).decode()
        assert ready.startswith("ready: mirror ")
        yield process, ready.split()[3]
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def killed_at(server: LogServer, folder: Path, bundles: int) -> None:
    """Run the mirror until it asks for so many bundles, and kill it while it waits for that one."""
    reached: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    never: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    asked = 0

    def pause(path: str) -> asyncio.Future[None] | None:
        nonlocal asked
        asked += path.startswith("tile/entries")
        if asked < bundles:
            return None
        if not reached.done():
            reached.set_result(None)
        return never

    server.pause = pause
    async with mirror_process(folder) as (process, _):
        await reached
        process.send_signal(signal.SIGKILL)
    never.set_result(None)
    server.pause = lambda _: None


@pytest.mark.slow
async def test_a_killed_mirror_goes_on_and_ends_with_the_logs_files(tmp_path: Path) -> None:
    """Killed three times within one copy, it fetches no stored bundle again; then it serves and cosigns all of it."""
    folder = tmp_path / "mirror"
    identity = create_identity(folder, kind="mirror", name="m.example.org", url="http://127.0.0.1:1")
    server = LogServer(Tree().grow(FIRST))
    server.publish()
    policy = parse_policy(make_policy(LOG_VERIFIER, mirrors=[Cosigner("m", identity.verifier)], mirrors_needed=1))
    async with serving(server.routes()) as server.port:
        write_facts(tmp_path / "neighbourhood.json", server.url.removesuffix("/log"))
        await killed_at(server, folder, 100)
        held = {tile.path for tile in stored_tiles(folder)}
        assert held, "something was stored before the end"
        server.tree.grow(SECOND - FIRST)
        server.publish()
        server.asked.clear()
        for bundles in (60, 90):
            await killed_at(server, folder, bundles)
        async with mirror_process(folder) as (process, url):
            answer = await _submit(url, server)
            assert answer.status_code in {200, 409}  # it may have polled before
            note = await _checkpoint(url)
            while note is None or policy.check(note).size < SECOND:
                await asyncio.sleep(0.1)
                note = await _checkpoint(url)
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0
    full = {tile.path for tile in stored_tiles(folder) if tile.path in held and tile.width == 256}
    assert not full & set(server.asked), "what was stored was not fetched again"
    tiles = stored_tiles(folder)
    assert all(server.tree.tiles[tile] == data for tile, data in tiles.items())
    needed = {tile for tile in server.tree.tiles if tile.width == 256} | set(edge_tiles(SECOND))
    assert needed <= set(tiles)


async def _submit(url: str, server: LogServer) -> httpx.Response:
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        return await client.post("/add-checkpoint", content=server.tree.submission(SECOND))


async def _checkpoint(url: str) -> bytes | None:
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        answer = await client.get(f"/{origin_hash(ORIGIN)}/checkpoint")
        return answer.content if answer.status_code == 200 else None
