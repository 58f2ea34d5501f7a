"""The broker's edge: sockets, buffers, time-outs, TLS, and how it begins and ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from broker.mqtt import AccessPolicy, Broker, BrokerError, Limits, MosquittoTls, MqttError, Role, User, hash_password
from broker.mqtt.packets import BAD_PROTOCOL, ConnAck, Connect, Publish, Will
from tests.mqtt.certificates import Authority
from tests.mqtt.client import Gone, RawClient
from tests.mqtt.conftest import JoinAt, Sockets
from tests.mqtt.support import OPEN, mosquitto, user

BRISK = Limits(close_linger_s=0.1)


async def test_this_process_publishes_past_the_policy(join_at: JoinAt) -> None:
    """The operator's process needs no client of its own; who may not read still does not."""
    policy = AccessPolicy(anonymous=Role.PUBLIC)
    async with Broker(policy=policy, port=0, limits=BRISK) as broker:
        reader = await join_at(broker.port, "reader")
        await reader.subscribe("#")
        broker.publish("latchstring/requests/8428/abc", b"asked", retain=True)
        broker.publish("latchstring/cam/event", b"private", qos=0)
        assert [(m.payload, m.qos) for m in await reader.settled()] == [(b"asked", 1)]
        with pytest.raises(MqttError):
            broker.publish("latchstring/#", b"")


async def test_another_policy_puts_out_who_is_gone_from_it(join_at: JoinAt) -> None:
    """Who stays is not disturbed; who was removed or is somebody else now is closed, and nothing of theirs is kept."""
    cam, bell, me = user("cam", Role.DEVICE), user("bell", Role.DEVICE), user("me", Role.OWNER)
    async with Broker(policy=AccessPolicy(users=(cam, bell, me)), port=0, limits=BRISK) as broker:

        async def enter(name: str, expect: int = 0) -> RawClient:
            secret = f"{name}-secret".encode()
            return await join_at(broker.port, name, username=name, password=secret, clean_session=False, expect=expect)

        staying, leaving, changing = [await enter(name) for name in ("cam", "bell", "me")]
        await changing.subscribe("latchstring/cam/event")
        broker.replace_policy(AccessPolicy(users=(cam, user("me", Role.PUBLIC), user("new", Role.OWNER))))
        await asyncio.gather(leaving.closed(), changing.closed())
        await staying.publish("latchstring/cam/event")
        await enter("bell", expect=4)
        assert not (await enter("me")).session_present
        await enter("new")
        assert await staying.settled() == []
        with pytest.raises(BrokerError):
            Broker(policy=AccessPolicy(), host="0.0.0.0").replace_policy(OPEN)


async def test_a_policy_replaced_while_a_password_is_checked_counts(join_at: JoinAt) -> None:
    """Who was removed in the very moment of logging in is refused."""
    slow_user = User("cam", Role.DEVICE, hash_password(b"right", iterations=50_000))
    async with Broker(policy=AccessPolicy(users=(slow_user,)), port=0, limits=BRISK) as broker:
        client = await RawClient.open(broker.port)
        await client.send(Connect("cam", username="cam", password=b"right"))
        while not broker._gate._hashing._threads:  # noqa: ASYNC110 - the thread pool tells nobody
            await asyncio.sleep(0)
        broker.replace_policy(AccessPolicy(users=(user("me", Role.OWNER),)))
        assert await client.receive() == ConnAck(session_present=False, return_code=4)
        await client.close()
        await join_at(broker.port, "me", username="me", password=b"me-secret")


def test_limits_that_contradict_each_other_are_refused() -> None:
    """A buffer that can't hold one message would cut off every client that is sent one."""
    with pytest.raises(ValueError, match="hard_buffer_bytes"):
        Limits(max_packet_bytes=8_000_000)
    with pytest.raises(ValueError, match="max_inflight"):
        Limits(max_inflight=0)


async def test_an_open_policy_stays_on_loopback() -> None:
    """Letting everybody do everything is refused on any address that others can reach."""
    for host in ("0.0.0.0", "::", "192.0.2.1", "example.org"):
        with pytest.raises(BrokerError, match="open policy"):
            Broker(policy=OPEN, host=host)
    async with Broker(policy=OPEN, host="localhost", port=0) as broker:
        assert broker.port


async def test_a_taken_port_is_told_in_one_line() -> None:
    """The second broker on a port raises, and the first serves on."""
    async with Broker(policy=OPEN, port=0) as first:
        with pytest.raises(BrokerError, match=rf"can't listen on 127\.0\.0\.1:{first.port}"):
            await Broker(policy=OPEN, port=first.port).__aenter__()
    with pytest.raises(BrokerError, match="not running"):
        _ = first.port


async def test_the_end_closes_every_client(join_at: JoinAt, sockets: Sockets) -> None:
    """Leaving the broker ends idle, silent and slow clients alike, and the port is free again."""
    async with Broker(policy=OPEN, port=0, limits=BRISK) as broker:
        port = broker.port
        idle, slow = await join_at(port, "idle", will=Will("w", b"", 0, retain=False)), await join_at(port, "slow")
        silent = await sockets(port)
        await slow.subscribe("#")
        for _ in range(10):
            broker.publish("big", bytes(1_000_000))
    await asyncio.gather(idle.closed(), silent.closed(), slow.closed())
    assert idle.inbox == []
    with pytest.raises(ConnectionError):  # refused, or reset where the system was still closing the listener
        await RawClient.open(port)


async def test_who_does_not_connect_in_time_is_closed(sockets: Sockets) -> None:
    """A socket that says nothing is let go."""
    async with Broker(policy=OPEN, port=0, limits=Limits(connect_timeout_s=0.1)) as broker:
        await (await sockets(broker.port)).closed()


async def test_one_connection_too_many_is_closed(join_at: JoinAt, sockets: Sockets) -> None:
    """Over the limit a connection is closed at once, and those that are there are served."""
    async with Broker(policy=OPEN, port=0, limits=Limits(max_connections=2)) as broker:
        first, second = await join_at(broker.port, "a"), await join_at(broker.port, "b")
        await (await sockets(broker.port)).closed()
        await second.disconnect()
        await join_at(broker.port, "c")
        assert await first.settled() == []


async def test_little_is_taken_from_who_is_not_let_in_yet(sockets: Sockets) -> None:
    """A CONNECT may be far smaller than a message."""
    async with Broker(policy=OPEN, port=0, limits=Limits(max_connect_bytes=1000)) as broker:
        client = await sockets(broker.port)
        await client.send(Connect("a", will=Will("w", bytes(2000), 0, retain=False)))
        with pytest.raises(Gone):
            await client.receive()


async def test_an_oversized_message_closes_its_sender(join_at: JoinAt) -> None:
    """A packet over the limit is refused when its length is read."""
    async with Broker(policy=OPEN, port=0, limits=Limits(max_packet_bytes=1000)) as broker:
        client = await join_at(broker.port, "a")
        await client.publish("fits", bytes(900))
        await client.send(Publish("x", bytes(1000)))
        await client.closed()


async def test_another_protocol_level_is_answered(sockets: Sockets) -> None:
    """A client of MQTT 5 or 3.1 learns from the CONNACK that 3.1.1 is spoken here."""
    async with Broker(policy=OPEN, port=0) as broker:
        for hello in (
            b"\x10\x0e\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x01a",
            b"\x10\x0e\x00\x06MQIsdp\x03\x02\x00\x00\x00\x00",
        ):
            client = await sockets(broker.port)
            await client.send_bytes(hello)
            assert await client.receive() == ConnAck(session_present=False, return_code=BAD_PROTOCOL)
            await client.closed()


async def test_a_slow_reader_is_bounded_and_catches_up(join_at: JoinAt) -> None:
    """Beyond its buffer a slow reader loses QoS 0; QoS 1 waits, and comes whole and in order once it reads."""
    limits = Limits(soft_buffer_bytes=100_000, max_queued_messages=1000, close_linger_s=0.1)
    async with Broker(policy=OPEN, port=0, limits=limits) as broker:
        slow = await join_at(broker.port, "slow")
        await slow.subscribe("flood/#")
        for at in range(300):
            broker.publish("flood/zero", bytes(50_000), qos=0)
            broker.publish("flood/one", b"%d" % at, qos=1)
            await asyncio.sleep(0)
        assert broker.counters.dropped > 0
        held = await slow.until(lambda inbox: sum(message.qos for message in inbox) == 300)
        assert [int(message.payload) for message in held if message.qos] == list(range(300))
        assert len([message for message in held if not message.qos]) == 300 - broker.counters.dropped


async def test_a_slow_reader_that_is_taken_over_lets_go_of_its_socket(join_at: JoinAt) -> None:
    """Its last bytes are thrown away after a while, rather than waited for without end."""
    async with Broker(policy=OPEN, port=0, limits=BRISK) as broker:
        slow = await RawClient.open(broker.port, receive_buffer=4096)
        assert await slow.connect(Connect("same")) == 0
        await slow.subscribe("#")
        for _ in range(10):
            broker.publish("big", bytes(1_000_000))
        await slow.messages(1)
        await join_at(broker.port, "same")
        async with asyncio.timeout(5):
            while len(broker._gate.protocols) > 1:  # noqa: ASYNC110 - a socket that goes tells nobody
                await asyncio.sleep(0.02)
        await slow.close()


@pytest.mark.slow
async def test_who_asks_and_never_reads_is_cut_off(join_at: JoinAt) -> None:
    """Answers can't be dropped, so a client that lets them pile up past the hard bound is closed, with its will."""
    limits = Limits(max_packet_bytes=10_000, soft_buffer_bytes=10_000, hard_buffer_bytes=50_000)
    async with Broker(policy=OPEN, port=0, limits=limits) as broker:
        reader = await join_at(broker.port, "reader")
        await reader.subscribe("gone")
        rude = await RawClient.open(broker.port, receive_buffer=4096)
        assert await rude.connect(Connect("rude", will=Will("gone", b"", 0, retain=False))) == 0

        async def ask_for_ever() -> None:
            async with asyncio.timeout(20):
                while True:
                    await rude.send_bytes(b"\xc0\x00" * 50_000)

        with pytest.raises(ConnectionError):
            await ask_for_ever()
        assert [message.topic for message in await reader.messages(1)] == ["gone"]
        await rude.close()


async def test_tls_serves_passwords(tmp_path: Path) -> None:
    """Behind TLS a user logs in by password as elsewhere."""
    authority = Authority.make(tmp_path)
    policy = AccessPolicy(users=(user("cam", Role.DEVICE),))
    server = authority.server_context(ask_clients=False)
    async with Broker(policy=policy, port=0, tls=server, limits=BRISK) as broker:
        client = RawClient(*await asyncio.open_connection("127.0.0.1", broker.port, ssl=authority.client_context()))
        assert await client.connect(Connect("cam", username="cam", password=b"cam-secret")) == 0
        await client.subscribe("latchstring/cam/receipt")
        await client.publish("latchstring/cam/receipt", bytes(300_000))
        assert len((await client.messages(1))[0].payload) == 300_000
        await client.close()


@asynccontextmanager
async def _ours(policy: AccessPolicy, authority: Authority) -> AsyncIterator[int]:
    server = authority.server_context(ask_clients=True)
    async with Broker(policy=policy, port=0, tls=server, limits=BRISK) as broker:
        yield broker.port


@pytest.mark.parametrize("kind", ["ours", pytest.param("mosquitto", marks=pytest.mark.mosquitto)])
async def test_a_client_certificate_is_a_user_name(kind: str, tmp_path: Path) -> None:
    """With client certificates asked for, its common name logs a user in and no other name counts."""
    authority = Authority.make(tmp_path)
    policy = AccessPolicy(users=(User("cam", Role.DEVICE), User("me", Role.OWNER)))
    server_files = MosquittoTls(*authority.issue("server"), client_ca_file=authority.ca_file)
    serving = (
        _ours(policy, authority)
        if kind == "ours"
        else mosquitto(folder=tmp_path / "files", policy=policy, tls=server_files)
    )
    async with serving as port:
        clients = [
            RawClient(*await asyncio.open_connection("127.0.0.1", port, ssl=authority.client_context(name)))
            for name in ("cam", "me")
        ]
        cam, owner = clients
        assert await cam.connect(Connect("cam", username="me", password=b"guess")) == 0
        assert await owner.connect(Connect("me")) == 0
        await owner.subscribe("latchstring/#")
        await cam.publish("latchstring/cam/event", b"seen")
        await cam.publish("latchstring/bell/event", b"forged")
        assert [message.payload for message in await owner.settled()] == [b"seen"]
        for client in clients:
            await client.close()
