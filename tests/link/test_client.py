"""The traps of the MQTT client, each by name (FACTS: they were all met), and that a Connection has closed them."""

import asyncio
import contextlib
import socket
import time
from pathlib import Path

import aiomqtt
import pytest
from structlog.testing import capture_logs

from broker.mqtt import AccessPolicy, Role
from device.link.client import Connection, Incoming, Will
from device.link.errors import BrokerLost
from device.link.session import MqttLink, Subscription
from device.link.settings import BrokerAddress, LinkTiming
from device.vault.state import State
from tests.link.proxy import proxy_to
from tests.link.session_support import links_to, publishing
from tests.link.support import PROMPT, eventually, in_background, open_outbox, reader, say
from tests.mqtt.support import password, running, user

PATIENT = LinkTiming(connect_s=30, ack_s=60)
STRANGER = AccessPolicy(users=(user("porch", Role.DEVICE), user("garden", Role.DEVICE), user("anna", Role.OWNER)))


def to(port: int, **more: object) -> BrokerAddress:
    """Return a local broker's address."""
    return BrokerAddress(host="127.0.0.1", port=port, client_id="porch", **more)  # type: ignore[arg-type]


async def collect(connection: Connection, into: list[Incoming]) -> None:
    """Read until the connection ends."""
    async for message in connection.messages():
        into.append(message)  # noqa: PERF401 - what came before the end must be there after it


async def test_trap_a_refused_subscription_does_not_raise(tmp_path: Path) -> None:
    """A SUBACK that refuses is seen: the link logs an error, says so in its health, and goes on with the rest."""
    async with running("ours", folder=tmp_path / "broker", policy=STRANGER) as port:
        link = MqttLink(
            to(port, username="porch", password=password("porch").decode()),
            subscriptions=[
                Subscription(topic="latchstring/garden/event", qos=1, max_bytes=100, handle=lambda _: None),
                Subscription(topic="latchstring/log/checkpoint", qos=0, max_bytes=100, handle=lambda _: None),
            ],
            publishing=None,
            timing=PROMPT,
        )
        with capture_logs() as lines:
            async with in_background(link.run()):
                await eventually(lambda: link.health.refused == ("latchstring/garden/event",))
                assert link.health.connected
        refused = [line for line in lines if line["event"] == "subscription_refused"]
        assert [(line["log_level"], line["topic"]) for line in refused] == [("error", "latchstring/garden/event")]


async def test_trap_a_publish_that_the_policy_denies_returns_normally(kind: str, tmp_path: Path, state: State) -> None:
    """MQTT 3.1.1 has no word for it, so a PUBACK is no receipt.

    With receipts nothing is let go, and the health shows it.
    """
    outbox = open_outbox(state, receipts=True)
    say(outbox, state, 3)
    async with running(kind, folder=tmp_path / "policy", policy=STRANGER) as port:
        link = MqttLink(
            BrokerAddress(
                host="127.0.0.1",
                port=port,
                client_id="garden",  # who may not write below porch
                username="garden",
                password=password("garden").decode(),
            ),
            subscriptions=(),
            publishing=publishing(outbox),
            timing=PROMPT,
        )
        owner = {"username": "anna", "password": password("anna").decode()}
        async with reader(port, "latchstring/#", name="anna", **owner) as anna, in_background(link.run()):
            await eventually(lambda: link.health.resend_rounds >= 2 or link.health.connections > 2)
            assert anna.seqs() == []
    assert outbox.stats().messages == 3


async def test_trap_a_publish_in_flight_does_not_see_the_disconnect(port: int, state: State) -> None:
    """What waits for a PUBACK ends with the connection, not at its own time-out of a minute."""
    outbox = open_outbox(state)
    say(outbox, state, 5)
    async with proxy_to(port) as proxy:
        link = MqttLink(to(proxy.port), subscriptions=(), publishing=publishing(outbox), timing=PATIENT)
        running_once = asyncio.create_task(link.run_once())
        await eventually(lambda: link.health.connected)
        proxy.mute = True
        say(outbox, state, 5)
        link.wake()
        await eventually(lambda: b'"seq": 10}' in proxy.upstream)
        began = time.monotonic()
        proxy.cut()
        with pytest.raises(BrokerLost):
            await running_once
        assert time.monotonic() - began < 1.0


async def test_trap_entering_a_client_again_resends_its_memory_queue(port: int, state: State) -> None:
    """A new client for each connection: what went out once and was not acknowledged comes twice, not three times."""
    outbox = open_outbox(state)
    async with reader(port, "latchstring/porch/event") as collector, proxy_to(port) as proxy:
        link = links_to(proxy.port, outbox).home
        async with in_background(link.run()):
            await eventually(lambda: link.health.connected and outbox.stats().messages == 0)
            proxy.mute = True
            say(outbox, state, 5)
            link.wake()
            await eventually(lambda: len(collector.seqs()) == 5)
            proxy.mute = False
            proxy.cut()
            await eventually(lambda: outbox.stats().messages == 0)
            say(outbox, state)
            link.wake()
            await eventually(lambda: 6 in collector.seqs())
    assert collector.seqs() == [1, 2, 3, 4, 5] * 2 + [6]


async def test_trap_a_bounded_queue_acknowledges_and_then_discards(port: int) -> None:
    """The queue has no bound of its own.

    A burst of QoS 1 messages that outruns the reader arrives whole and in order.
    """
    found: list[Incoming] = []
    async with Connection(to(port), will=None, timing=PROMPT) as connection, reader(port, "none") as sender:
        assert await connection.subscribe("burst", qos=1)
        for start in range(0, 1_500, 15):  # below Mosquitto's own queue for one client
            await asyncio.gather(*(sender.publish("burst", b"%d" % n) for n in range(start, start + 15)))
            time.sleep(0.0005)  # noqa: ASYNC251 - the whole loop is late: nothing reads
        async with in_background(collect_quietly(connection, found)):
            await eventually(lambda: len(found) == 1_500)
    assert [int(message.payload) for message in found] == list(range(1_500))


async def test_trap_cancelling_the_wait_for_a_message_loses_one(port: int, state: State) -> None:
    """One reader for the whole connection: while publishes, receipts and wakes come and go, no message is missed."""
    got: list[bytes] = []
    outbox = open_outbox(state)
    subscription = Subscription(topic="stream", qos=1, max_bytes=100, handle=lambda m: got.append(m.payload))
    link = MqttLink(to(port), subscriptions=[subscription], publishing=publishing(outbox), timing=PROMPT)
    async with in_background(link.run()), reader(port, "none") as sender:
        await eventually(lambda: link.health.connected)
        for number in range(200):
            if number % 10 == 0:
                say(outbox, state)
                link.wake()
            await sender.publish("stream", b"%d" % number)
        await eventually(lambda: len(got) == 200)
    assert got == [b"%d" % number for number in range(200)]


async def test_trap_a_frozen_broker_is_noticed_late(simple_port: int, state: State) -> None:
    """With something in flight the broker counts as gone after `ack_s`, long before twice the keepalive."""
    outbox = open_outbox(state)
    timing = LinkTiming(connect_s=5, ack_s=0.3)
    async with proxy_to(simple_port) as proxy:
        link = MqttLink(to(proxy.port, keepalive_s=600), subscriptions=(), publishing=publishing(outbox), timing=timing)
        running_once = asyncio.create_task(link.run_once())
        await eventually(lambda: link.health.connected)
        proxy.blackhole = True
        say(outbox, state)
        link.wake()
        began = time.monotonic()
        with pytest.raises(BrokerLost, match="PUBACK"):
            await running_once
        assert time.monotonic() - began < 2


@pytest.mark.slow
async def test_trap_a_frozen_broker_is_noticed_when_nothing_is_said(simple_port: int) -> None:
    """An idle link notices within twice its keepalive and the client's tick of a second."""
    async with proxy_to(simple_port) as proxy:
        link = MqttLink(to(proxy.port, keepalive_s=2), subscriptions=(), publishing=None, timing=PATIENT)
        running_once = asyncio.create_task(link.run_once())
        await eventually(lambda: link.health.connected)
        proxy.mute = True
        began = time.monotonic()
        with pytest.raises(BrokerLost, match=r"[Kk]eep"):
            await running_once
        assert time.monotonic() - began < 2 * 2 + 2


async def test_trap_an_end_before_the_connack_waits_for_the_time_out(simple_port: int) -> None:
    """A peer that takes the connection and closes it is no wait at all."""
    async with proxy_to(simple_port) as proxy:
        proxy.cut_after = 5
        began = time.monotonic()
        with pytest.raises(BrokerLost, match="before it was accepted"):
            async with Connection(to(proxy.port), will=None, timing=PATIENT):
                pytest.fail("there is no connection")
        assert time.monotonic() - began < 1


async def test_trap_a_peer_that_never_answers_keeps_the_socket(simple_port: int) -> None:
    """Nothing of an attempt stays behind: after the time-out the socket is closed, not kept until a keepalive ends."""
    async with proxy_to(simple_port) as proxy:
        proxy.blackhole = True
        with pytest.raises(BrokerLost, match="timed out"):
            async with Connection(to(proxy.port), will=None, timing=LinkTiming(connect_s=0.2)):
                pytest.fail("there is no connection")
        await eventually(lambda: not proxy._flows, within_s=1)  # the broker itself would take longer


async def test_trap_cancelling_while_connecting_leaves_a_reader_behind(simple_port: int) -> None:
    """A stop while waiting for the CONNACK is at once, and closes the socket."""
    async with proxy_to(simple_port) as proxy:
        proxy.blackhole = True
        link = MqttLink(to(proxy.port), subscriptions=(), publishing=None, timing=PATIENT)
        running_once = asyncio.create_task(link.run_once())
        await eventually(lambda: proxy.connections == 1)
        running_once.cancel()
        began = time.monotonic()
        with pytest.raises(asyncio.CancelledError):
            await running_once
        assert time.monotonic() - began < 1
        await eventually(lambda: not proxy._flows, within_s=1)


async def test_trap_an_error_exit_says_goodbye_and_so_takes_back_the_last_will(port: int) -> None:
    """Leaving a Connection without `goodbye` lets the broker publish the last will; with it, it does not."""
    will = Will("latchstring/porch/availability", b"offline")
    async with reader(port, "latchstring/#") as watcher:
        async with Connection(to(port), will=will, timing=PROMPT) as connection:
            await connection.publish("latchstring/porch/said", b"first", qos=1, retain=False)
            await connection.goodbye()
        async with Connection(to(port), will=will, timing=PROMPT) as connection:
            await connection.publish("latchstring/porch/said", b"second", qos=1, retain=False)
        await eventually(lambda: watcher.last(will.topic) == b"offline")
        assert [message.payload for message in watcher.seen] == [b"first", b"second", b"offline"]


async def test_trap_a_cancellation_that_comes_with_the_answer_is_swallowed(simple_port: int) -> None:
    """Cancelled in the very turn in which its PUBACK comes, a publish ends cancelled, and its task with it."""
    async with proxy_to(simple_port) as proxy, Connection(to(proxy.port), will=None, timing=PROMPT) as connection:
        proxy.mute = True  # the answer is this test's to give
        task = asyncio.create_task(connection.publish("topic", b"x", qos=1, retain=False))
        await eventually(lambda: bool(connection._client._pending_publishes))
        (answer,) = connection._client._pending_publishes.values()
        answer.set()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_trap_small_packets_wait_for_an_acknowledgement_of_tcp(simple_port: int) -> None:
    """Nagle's algorithm is off: it held every second small packet back for 40 ms."""
    async with Connection(to(simple_port), will=None, timing=PROMPT) as connection:
        raw = connection._client._client.socket()
        assert isinstance(raw, socket.socket)
        assert raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


async def test_a_host_that_is_none_is_a_lost_broker_not_a_crash() -> None:
    """Names that can't be resolved or are no names at all end in the one error that is retried."""
    for host in ("nowhere.invalid", "a" * 70 + ".invalid", "..", "127.0.0.1 "):
        with pytest.raises(BrokerLost):
            async with Connection(BrokerAddress(host=host, client_id="porch"), will=None, timing=PROMPT):
                pytest.fail("there is no connection")


async def test_the_bare_client_still_has_these_traps() -> None:
    """What the Connection reaches into is there, so that a new aiomqtt which moves it fails here, by name."""
    bare = aiomqtt.Client("127.0.0.1")
    for name in ("_client", "_loop", "_connected", "_client_connect", "_on_disconnect"):
        assert hasattr(bare, name)
    assert hasattr(bare._client, "_sock_close")


async def collect_quietly(connection: Connection, into: list[Incoming]) -> None:
    """Read until the connection ends, which is no error here."""
    try:
        await collect(connection, into)
    except BrokerLost:
        return


async def test_trap_a_packet_without_measure_is_gathered_in_memory() -> None:
    """A broker that announces 200 MB is left at the packet's head; the error says why, and nothing was gathered."""
    sent = 0

    async def broker(reading: asyncio.StreamReader, writing: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reading.readexactly(1)
        writing.write(b"\x20\x02\x00\x00" + b"\x30\x80\x80\x80\x60")  # CONNACK; PUBLISH of 96 * 2^21 bytes
        with contextlib.suppress(ConnectionError):
            while True:
                writing.write(bytes(65_536))
                sent += 65_536
                await writing.drain()
        writing.close()

    server = await asyncio.start_server(broker, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        for _ in range(5):  # sometimes it comes with the CONNACK, and sometimes after it
            with pytest.raises(BrokerLost, match=r"packet of 201326592 bytes, 4194304 are taken"):
                async with Connection(to(port), will=None, timing=PROMPT) as connection:
                    await collect(connection, [])
    assert sent < 64 * 1024 * 1024


async def test_trap_an_end_that_comes_with_the_connack_is_forgotten() -> None:
    """A broker that accepts and hangs up in one go is lost at once, whether that is seen on entering or on reading."""

    async def broker(reading: asyncio.StreamReader, writing: asyncio.StreamWriter) -> None:
        await reading.readexactly(1)
        writing.write(b"\x20\x02\x00\x00")
        writing.close()

    server = await asyncio.start_server(broker, "127.0.0.1", 0)
    async with server, asyncio.timeout(10):
        port = server.sockets[0].getsockname()[1]
        for _ in range(10):
            with pytest.raises(BrokerLost, match="127"):
                async with Connection(to(port), will=None, timing=PROMPT) as connection:
                    await collect(connection, [])
