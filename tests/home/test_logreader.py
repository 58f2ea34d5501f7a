"""When a device looks at its log, and how it catches up."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from broker.wire.tiles import TILE_WIDTH
from device.link import LogReading
from device.logreader import BUNDLES_A_LOOK
from tests.home.log_support import LOOK_S, Household, fill, witnessed_hood
from tests.simulators import LogServer, LogSimulator


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[Household]:
    house = Household(tmp_path, witnessed_hood())
    yield house
    await house.aclose()


async def test_it_looks_when_it_is_time(house: Household) -> None:
    """Called more often, it asks nobody anything."""
    await house.reader.look()
    assert house.paths() == ["checkpoint", "tile/entries/000.p/1"]
    fill(house.hood, 1)
    for _ in range(5):
        house.clock_s += LOOK_S / 10
        await house.reader.look()
    assert house.paths() == []
    house.clock_s += LOOK_S
    await house.reader.look()
    assert house.paths() == ["checkpoint", "tile/entries/000.p/2"]


async def test_it_looks_sooner_once_everybody_is_told_of_more(house: Household) -> None:
    """A head on the log's topic that is larger than what was read makes a look due, and a smaller one does not."""
    await house.reader.look()
    old = house.hood.log.head()
    fill(house.hood, 1)
    house.paths()
    await house.reader.told(old)
    await house.reader.look()
    assert house.paths() == []
    await house.reader.told(house.hood.log.head())
    await house.reader.look()
    assert house.follower.size == 2
    await house.reader.told(b"rubbish")
    await house.reader.look()
    assert house.follower.refused == 1


class Slow(LogServer):
    """Those who serve the log answer once they are let `go`; `asked_for` is set when one is waiting."""

    def __init__(self, **logs: LogSimulator) -> None:
        super().__init__(**logs)
        self.asked_for = asyncio.Event()
        self.go = asyncio.Event()

    def reading(self) -> LogReading:
        async def answer(request: httpx.Request) -> httpx.Response:
            self.asked_for.set()
            await self.go.wait()
            return self._answer(request)

        return LogReading(transport=httpx.MockTransport(answer))


async def test_it_is_told_and_begins_again_between_looks(tmp_path: Path) -> None:
    """One after the other: what is heard or forgotten amid a look would be learnt from twice, or for nothing."""
    hood = witnessed_hood()
    server = Slow(log=hood.log)
    house = Household(tmp_path, hood, server=server)
    look = asyncio.create_task(house.look())
    await server.asked_for.wait()
    waiting = {asyncio.create_task(house.reader.told(b"rubbish")), asyncio.create_task(house.reader.read_again())}
    done, _ = await asyncio.wait(waiting, timeout=0.1)
    assert not done
    assert house.follower.refused == 0
    server.go.set()
    await asyncio.gather(look, *waiting)
    assert (house.follower.refused, house.follower.size) == (1, 0)
    await house.aclose()


async def test_it_catches_up_over_some_looks(house: Household) -> None:
    """A device that was off for long reads so many bundles at once, and goes on at its next time without waiting."""
    house.hood.log.entries += [b"entry %d" % number for number in range(BUNDLES_A_LOOK * TILE_WIDTH + 300)]
    await house.reader.look()
    assert house.follower.size == BUNDLES_A_LOOK * TILE_WIDTH
    assert house.follower.kept.at_s is None  # how fresh it is is known once it was read to the end
    house.close()
    house.open()  # the power goes in between
    await house.reader.look()
    assert house.follower.size == len(house.hood.log.entries)
    assert house.follower.hold() is None
    paths = [path for path in house.paths() if "entries" in path]
    assert len(paths) == len(set(paths)) == BUNDLES_A_LOOK + 2  # each bundle once


async def test_it_grows_in_small_steps_without_asking_for_tiles(house: Household) -> None:
    """A few entries more are read as one bundle, and compared with the head at once."""
    for _ in range(3):
        fill(house.hood, 100)
        await house.look()
    paths = house.paths()
    assert [path for path in paths if path != "checkpoint"] == [
        "tile/entries/000.p/101", "tile/entries/000.p/201", "tile/entries/000", "tile/entries/001.p/45"
    ]  # fmt: skip


@pytest.mark.parametrize("down", [{"log"}, {"log", "mirror"}])
async def test_who_is_not_there_is_told_and_does_no_harm(tmp_path: Path, down: set[str]) -> None:
    """One is down, or all: the owner sees who, and what can be read is."""
    hood = witnessed_hood()
    house = Household(tmp_path, hood, mirror=hood.log)
    house.server.down = down
    await house.look()
    assert [bool(source.error) for source in house.reader.sources] == [True, "mirror" in down]
    assert house.follower.size == (0 if "mirror" in down else 1)
    await house.aclose()


async def test_what_nobody_serves_does_not_keep_it_from_what_somebody_does(tmp_path: Path) -> None:
    """The log shows a head whose entries can't be had; a mirror's smaller one is read meanwhile."""
    hood = witnessed_hood()
    fill(hood, 5)
    house = Household(tmp_path, hood, mirror=hood.log.fork(4))
    house.server.instead["log", "tile/entries/000.p/6"] = b""
    await house.look()
    assert house.follower.size == 4
    assert house.evidence is None
    del house.server.instead["log", "tile/entries/000.p/6"]
    await house.look()
    assert house.follower.size == 6
    await house.aclose()
