"""A look of the device: what was announced is looked at once, or again; and what an update left pinned is let go."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from broker.wire import topics
from device.asked import drop_leftover_pins
from device.consent.errors import ConsentError
from device.consent.reading.tables import MovedError
from device.consent.requests import RequestStore
from device.link import Mailbox
from device.vault.errors import VaultError
from tests.consent.support import follow, read_on
from tests.home.log_support import CELL, LOOK_S, Household, witnessed_hood
from tests.home.support import Kept
from tests.home.test_keeper import story
from tests.simulators import NOW_US, LogServer


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[Household]:
    house = Household(tmp_path, witnessed_hood())
    house.shelf.film("c1")
    yield house
    await house.aclose()


async def test_what_was_announced_is_looked_at_once(house: Household) -> None:
    """Heads and requests leave the mailbox; a topic that is neither is dropped."""
    leaf, payload = house.hood.announced()
    house.mailbox.put(topics.CHECKPOINT, house.hood.log.head())
    house.mailbox.put("latchstring/else", b"rubbish")
    await house.look((leaf, payload))
    assert house.states() == {leaf: "offered"}
    assert house.mailbox.waiting == 0


async def test_what_is_announced_when_the_log_moved_is_not_lost(house: Household) -> None:
    """It was read on from elsewhere, so this look learns nothing: what it was about waits for the next."""
    read_on(follow(house.hood, house.state), house.hood.log)
    leaf, payload = house.hood.announced()
    with pytest.raises(MovedError):
        await house.look((leaf, payload))
    assert house.mailbox.take_all() == [(topics.request(CELL, leaf), payload)]


@pytest.mark.parametrize("table", ["log_state", "request_clips"])
async def test_what_is_announced_while_the_state_fails_is_not_lost(house: Household, table: str) -> None:
    """Whether the log can't be read on or the request not be kept: the next look finds it where it was."""
    leaf, payload = house.hood.announced()
    house.state.query(f"ALTER TABLE {table} RENAME TO elsewhere")
    with pytest.raises(VaultError):
        await house.look((leaf, payload))
    assert house.mailbox.waiting == 1
    house.state.query(f"ALTER TABLE elsewhere RENAME TO {table}")
    await house.look()
    assert house.states() == {leaf: "offered"}


async def test_newer_words_on_a_topic_win_over_what_is_put_back(tmp_path: Path) -> None:
    """What came in during the look is newer than what the look was about."""

    class Busy(LogServer):
        mailbox: Mailbox

        def found(self, host: str, path: str) -> bytes | None:
            self.mailbox.put(topics.CHECKPOINT, b"newer")
            return super().found(host, path)

    hood = witnessed_hood()
    server = Busy(log=hood.log)
    house = Household(tmp_path, hood, server=server)
    server.mailbox = house.mailbox
    read_on(follow(hood, house.state), hood.log)
    house.mailbox.put(topics.CHECKPOINT, b"older")
    with pytest.raises(ConsentError):
        await house.look(("0" * 64, b"request"))
    assert house.mailbox.take_all() == [(topics.CHECKPOINT, b"newer"), (topics.request(CELL, "0" * 64), b"request")]
    await house.aclose()


async def test_nothing_is_forgotten_while_requests_are_considered(house: Household) -> None:
    """The owner's word to read the log anew waits for a look to end: it is judged by one log, or by the other."""
    await house.look()
    async with house.reader.at_rest():
        again = asyncio.create_task(house.reader.read_again())
        done, _ = await asyncio.wait({again}, timeout=0.1)
        assert not done
        assert house.follower.size == 1
    await again
    assert house.follower.size == 0


async def test_a_look_considers_at_rest(house: Household) -> None:
    """While something else is done with the log, nothing that was announced is judged."""
    leaf, payload = house.hood.announced()
    await house.look()
    house.clock_s -= LOOK_S  # no look at the log is due
    async with house.reader.at_rest():
        look = asyncio.create_task(house.look((leaf, payload)))
        done, _ = await asyncio.wait({look}, timeout=0.1)
        assert not done
        assert house.states() == {}
    await look
    assert house.states() == {leaf: "offered"}


def test_pins_of_requests_that_are_not_known_are_dropped(tmp_path: Path) -> None:
    """An update of the device forgot what was on offer; its clips make room again, those of known requests don't."""
    kept = Kept(tmp_path)
    for output in story():
        kept.keeper.sink(output)
    kept.keeper.close()
    store = RequestStore(kept.state)
    with kept.state.transaction() as tx:
        store.announce(tx, "aa", b"", expires_us=NOW_US, settles_us=NOW_US, now_us=NOW_US)
        for leaf in ("aa", "bb"):
            kept.ring.pin("c1", leaf, tx=tx)
    drop_leftover_pins(kept.state, kept.ring)
    assert kept.state.query("SELECT clip, reason FROM pins") == [("c1", "aa")]
    kept.close()
