"""The courier between a desk and a real inbox: what is asked back is stopped or told, whatever is away meanwhile."""

import asyncio
import contextlib
import hashlib
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from broker.wire.deletions import DeletionReceipt
from broker.wire.envelopes import public_bytes
from device.courier import Courier, Destination
from device.link.bundle import CHUNK_BYTES
from tests.consent.decisions import approval, approve, offered
from tests.consent.support import OWNER, Home
from tests.inbox.support import INBOX_KEY, World, served
from tests.link.proxy import Proxy, proxy_to
from tests.simulators import NeighbourhoodSimulator

BUNDLE = random.Random(3).randbytes(8 * CHUNK_BYTES)
SHA = hashlib.sha256(BUNDLE).hexdigest()


class Delivery:
    """One device with an approved bundle, an inbox, and the line between them."""

    def __init__(self, folder: Path) -> None:
        self.home = Home(folder / "home", NeighbourhoodSimulator())
        self.outgoing = folder / "outgoing"
        self.outgoing.mkdir()
        (self.outgoing / "x.age").write_bytes(BUNDLE)
        self.leaf = offered(self.home)
        envelope = approval(self.leaf, bundle_sha256=SHA, bundle_bytes=len(BUNDLE)).sign(OWNER)
        approve(self.home, envelope, sha=SHA, size=len(BUNDLE))
        self.world = World(folder / "inbox")
        self.world.book.requests[self.leaf] = self.world.book.requests[self.world.leaf]

    @contextlib.asynccontextmanager
    async def carried(self, port: int) -> AsyncIterator[Courier]:
        where = Destination(
            inbox_url=f"http://127.0.0.1:{port}/inbox",
            inbox_key=public_bytes(INBOX_KEY),
            owner_key=public_bytes(OWNER),
        )
        courier = Courier(self.home.desk, destination=where, outgoing=self.outgoing)
        running = asyncio.create_task(courier.run())
        try:
            yield courier
        finally:
            running.cancel()
            await asyncio.wait([running])
            assert running.cancelled(), "it ends by being stopped, and by nothing else"

    def state(self) -> str:
        return self.home.states()[self.leaf]

    def deletion(self) -> str | None:
        kept = self.home.desk.deletions.of(self.leaf)
        return None if kept is None else str(kept.state)

    async def ask(self, courier: Courier) -> None:
        await asyncio.to_thread(self.home.desk.ask_deletion, self.leaf)
        courier.deletion_asked(self.leaf)


@pytest.fixture
def delivery(tmp_path: Path) -> "Delivery":
    """A bundle that may leave."""
    return Delivery(tmp_path)


@contextlib.asynccontextmanager
async def line(delivery: Delivery) -> AsyncIterator[Proxy]:
    """Serve the inbox behind a line that can be bent."""
    with served(delivery.world.open()) as url:
        async with proxy_to(int(url.split(":")[2].partition("/")[0])) as proxy:
            yield proxy


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - of a state, a server and a line, none of which has an event
            await asyncio.sleep(0.02)


async def test_what_arrived_is_asked_back_and_signed_for(delivery: Delivery) -> None:
    """Received, asked, told: the inbox holds the notice in the bundle's place, and the device the receipt."""
    async with line(delivery) as proxy, delivery.carried(proxy.port) as courier:
        await until(lambda: delivery.state() == "received")
        await delivery.ask(courier)
        await until(lambda: delivery.deletion() == "told")
    kept = delivery.home.desk.deletions.of(delivery.leaf)
    assert kept is not None
    assert kept.receipt is not None
    assert DeletionReceipt.open(kept.receipt, key=public_bytes(INBOX_KEY)).bundle_sha256 == SHA
    inbox = delivery.world.inbox
    assert inbox is not None
    assert inbox.bundles(delivery.leaf) == []
    assert inbox.deletions.of_request(delivery.leaf) == [kept.notice]


async def test_an_upload_under_way_is_stopped(delivery: Delivery) -> None:
    """Asked in the middle: no further piece of the bundle leaves, and nothing is public, for nobody was given it."""
    async with line(delivery) as proxy, delivery.carried(proxy.port) as courier:
        proxy.delay_s = 0.1
        await until(lambda: courier.sent.get(delivery.leaf, 0) > 0)
        await delivery.ask(courier)
        await until(lambda: not courier._uploads)
        arrived = proxy.sent
        proxy.delay_s = 0.0
        await until(lambda: delivery.deletion() == "failed")
        # What was in the sockets by then arrives; beyond that the inbox is only asked what it has.
        assert proxy.sent - arrived < 2 * CHUNK_BYTES
        assert proxy.sent < len(BUNDLE)
    assert delivery.state() == "undelivered"
    assert [entry.kind for entry in delivery.home.ledger.entries()][-2:] == ["not-received", "deletion-not-told"]
    inbox = delivery.world.inbox
    assert inbox is not None
    assert inbox.bundles(delivery.leaf) == []
    assert inbox.deletions.taken() == {}


async def test_asked_between_two_steps_nothing_is_sent(delivery: Delivery) -> None:
    """After the desk let a bundle go and before its first byte: the courier knows, whatever the desk had said."""
    async with line(delivery) as proxy:
        where = Destination(inbox_url="http://127.0.0.1:1", inbox_key=bytes(32), owner_key=public_bytes(OWNER))
        courier = Courier(delivery.home.desk, destination=where, outgoing=delivery.outgoing)
        sending = delivery.home.desk.releasing(delivery.leaf)
        assert sending is not None
        courier.deletion_asked(delivery.leaf)
        assert await courier._upload(delivery.leaf, sending) is None
        assert proxy.sent == 0


async def test_an_answer_that_is_lost_is_asked_for_again(delivery: Delivery) -> None:
    """The inbox took the notice and its receipt did not come through, and then the device was off: the same notice."""
    async with line(delivery) as proxy:
        async with delivery.carried(proxy.port) as courier:
            await until(lambda: delivery.state() == "received")
            proxy.mute = True
            await delivery.ask(courier)
            await until(lambda: b"/inbox/deletions" in proxy.upstream)
            inbox = delivery.world.inbox
            assert inbox is not None
            await until(lambda: inbox.deletions.taken() != {})
        assert delivery.deletion() == "asked"
        proxy.cut()
        proxy.mute = False
        async with delivery.carried(proxy.port):
            await until(lambda: delivery.deletion() == "told")
        assert len(inbox.deletions.taken()[delivery.leaf]) == 1


async def test_an_inbox_that_knows_no_such_bundle_ends_it(delivery: Delivery, tmp_path: Path) -> None:
    """The owner is told that nobody was told."""
    async with line(delivery) as proxy, delivery.carried(proxy.port):
        await until(lambda: delivery.state() == "received")
    delivery.world.close()
    delivery.world.folder = tmp_path / "another inbox"
    async with line(delivery) as proxy, delivery.carried(proxy.port) as courier:
        await delivery.ask(courier)
        await until(lambda: delivery.deletion() == "failed")
    assert [entry.kind for entry in delivery.home.ledger.entries()][-2:] == ["deletion-asked", "deletion-not-told"]
