"""A link in trouble: a broker that refuses, a disk that is full, an error of our own, an end in the middle."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.mqtt import AccessPolicy, Role
from device.link.client import Incoming
from device.link.errors import BrokerLost
from device.link.outbox import SCHEMA
from device.link.session import MqttLink, Subscription
from device.link.settings import BrokerAddress, LinkTiming
from device.vault.errors import StateFullError
from device.vault.state import State, Transaction
from tests.link.proxy import proxy_to
from tests.link.session_support import address, links_to
from tests.link.support import PROMPT, eventually, in_background, open_outbox, reader, say
from tests.mqtt.support import running, user


async def test_waiting_for_a_broker_backs_off_with_full_jitter_and_a_cap() -> None:
    """Each failure may wait twice as long as the one before, up to the cap; a random part of it is waited."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 9:
            raise asyncio.CancelledError
        await asyncio.sleep(0)

    link = MqttLink(
        BrokerAddress(host="127.0.0.1", port=1, client_id="porch"),
        subscriptions=(),
        publishing=None,
        random=lambda: 0.5,
        sleep=sleep,
    )
    with pytest.raises(asyncio.CancelledError):
        await link.run()
    assert waits == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]
    assert link.health.failures == 9
    assert link.health.last_error is not None
    assert "refused" in link.health.last_error


async def test_a_broker_that_turns_us_away_at_once_does_not_reset_the_backoff(simple_port: int) -> None:
    """Only a connection that lived for a while does.

    Two devices of one client id must not throw each other out in a hot loop.
    """
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        await asyncio.sleep(0)

    async with proxy_to(simple_port) as proxy:
        timing = LinkTiming(connect_s=2, ack_s=2, stable_s=3_600)
        link = MqttLink(
            address(proxy.port), subscriptions=(), publishing=None, timing=timing, random=lambda: 1.0, sleep=sleep
        )
        async with in_background(link.run()):
            for number in range(4):
                await eventually(lambda: link.health.connected)
                proxy.cut()
                await eventually(lambda number=number: len(waits) > number)  # type: ignore[misc] # bound per round
    assert waits[:4] == [1, 2, 4, 8]


async def test_wrong_credentials_are_one_clear_line(kind: str, tmp_path: Path) -> None:
    """A CONNACK that refuses becomes the link's last error, and the next try follows."""
    policy = AccessPolicy(users=(user("porch", Role.DEVICE),))
    async with running(kind, folder=tmp_path / "closed", policy=policy) as port:
        link = MqttLink(
            address(port, username="porch", password="wrong"), subscriptions=(), publishing=None, timing=PROMPT
        )
        async with in_background(link.run()):
            await eventually(lambda: link.health.failures > 1)
            assert link.health.last_error is not None
            assert "127.0.0.1" in link.health.last_error
            assert "wrong" not in repr(link.address)


class FullState(State):
    """A state whose disk is full whenever a test says so."""

    full = False

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Transaction]:
        if self.full:
            raise StateFullError("state.db: the disk is full; nothing of this step was kept")
        with super().transaction() as tx:
            yield tx


async def test_a_full_disk_stops_neither_the_link_nor_what_was_said(simple_port: int, quick: Path) -> None:
    """What can't be let go is sent again later; the link's health says why, and nothing is lost."""
    with FullState.open(quick / "full.db", schemas=[SCHEMA]) as state:
        outbox = open_outbox(state)
        say(outbox, state, 3)
        link = links_to(simple_port, outbox).home
        async with reader(simple_port, "latchstring/porch/event") as collector:
            state.full = True
            async with in_background(link.run()):
                await eventually(lambda: "disk is full" in (link.health.last_error or ""))
                state.full = False
                await eventually(lambda: outbox.stats().messages == 0)
            assert list(dict.fromkeys(collector.seqs())) == [1, 2, 3]


async def test_an_error_of_our_own_is_not_retried(simple_port: int) -> None:
    """A handler that fails for no fault of the message ends the link with that very error."""

    def broken(_: Incoming) -> None:
        raise LookupError("a bug")

    subscription = Subscription(topic="anything", qos=1, max_bytes=10, handle=broken)
    link = MqttLink(address(simple_port), subscriptions=[subscription], publishing=None, timing=PROMPT)
    running_link = asyncio.create_task(link.run())
    async with reader(simple_port, "none") as sender:
        await eventually(lambda: link.health.connected)
        await sender.publish("anything", b"x")
        with pytest.raises(LookupError, match="a bug"):
            await running_link


async def test_a_link_that_fails_as_it_is_cancelled_ends(simple_port: int) -> None:
    """Cancelled and cut in one step of the loop: run() ends, and does not take the failure for a reason to go on."""
    link: MqttLink
    task: asyncio.Task[None]
    retried: list[float] = []

    def both(_: Incoming) -> None:
        task.cancel()
        raise BrokerLost("broker", "cut in the same moment")

    async def sleep(seconds: float) -> None:
        retried.append(seconds)
        await asyncio.sleep(0)

    subscription = Subscription(topic="anything", qos=1, max_bytes=10, handle=both)
    link = MqttLink(address(simple_port), subscriptions=[subscription], publishing=None, timing=PROMPT, sleep=sleep)
    task = asyncio.create_task(link.run())
    async with reader(simple_port, "none") as sender:
        await eventually(lambda: link.health.connected)
        await sender.publish("anything", b"x")
        async with asyncio.timeout(5):
            await asyncio.wait({task})
    assert task.cancelled()
    assert retried == []
    assert not link.health.connected


async def test_a_wake_from_another_thread_and_after_the_end_is_fine(simple_port: int, state: State) -> None:
    """Events are kept by the film's thread; it may outlive the loop."""
    outbox = open_outbox(state)
    link = links_to(simple_port, outbox).home
    link.wake()
    async with in_background(link.run()):
        await eventually(lambda: link.health.connected)

        def elsewhere() -> None:
            for _ in range(20):
                say(outbox, state)
                link.wake()

        await asyncio.to_thread(elsewhere)
        await eventually(lambda: outbox.stats().messages == 0)
    loop = asyncio.new_event_loop()
    link._loop = loop
    loop.close()
    link.wake()
