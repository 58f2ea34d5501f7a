"""The 18 checks, each written once and run against our broker and against Mosquitto."""

import asyncio
from pathlib import Path

import pytest

from broker.mqtt import Limits
from broker.mqtt.packets import PubAck, Publish, SubAck, Subscribe, Will
from tests.mqtt.conftest import Join, JoinAt, Sockets
from tests.mqtt.support import OPEN, running

WILL = Will("seen/will", b"gone", 1, retain=False)


async def test_retained_message_reaches_a_later_subscriber(join: Join) -> None:
    """A retained message is kept, replaced by the next, marked as retained, and taken away by an empty one."""
    writer = await join("writer")
    await writer.publish("state/one", b"old", retain=True)
    await writer.publish("state/one", b"new", retain=True)
    await writer.publish("state/two", b"other", retain=True)
    await writer.publish("state/two", b"", retain=True)
    reader = await join("reader")
    await reader.subscribe("state/#")
    assert [(m.topic, m.payload, m.retain) for m in await reader.settled()] == [("state/one", b"new", True)]
    await writer.publish("state/one", b"live", retain=True)
    assert [(m.payload, m.retain) for m in await reader.messages(1)] == [(b"live", False)]


async def test_a_thousand_retained_messages_reach_a_wildcard_subscriber(join: Join) -> None:
    """None of a thousand retained messages is missing, whatever the inflight window."""
    writer = await join("writer")
    for at in range(1000):
        await writer.send(Publish(f"many/{at}", b"x", 0, retain=True))
    await writer.settled()
    reader = await join("reader")
    await reader.subscribe("many/+", qos=1)
    topics = {message.topic for message in await reader.messages(1000)}
    assert topics == {f"many/{at}" for at in range(1000)}


async def test_last_will_follows_an_abrupt_close(join: Join) -> None:
    """A client that vanishes has its will published."""
    reader = await join("reader")
    await reader.subscribe("seen/#")
    mortal = await join("mortal", will=WILL)
    mortal.abort()
    assert [(m.topic, m.payload, m.qos) for m in await reader.messages(1)] == [("seen/will", b"gone", 1)]


async def test_no_last_will_after_a_clean_disconnect(join: Join) -> None:
    """A client that says DISCONNECT takes its will with it."""
    reader = await join("reader")
    await reader.subscribe("seen/#")
    polite = await join("polite", will=WILL)
    await polite.disconnect()
    assert await reader.settled() == []


@pytest.mark.slow
async def test_last_will_follows_silence_beyond_the_keepalive(join: Join) -> None:
    """A client that is silent for one and a half keepalives is closed, and its will published."""
    reader = await join("reader")
    await reader.subscribe("seen/#")
    silent = await join("silent", keepalive_s=1, will=WILL)
    started = asyncio.get_running_loop().time()
    assert [m.payload for m in await reader.messages(1)] == [b"gone"]
    assert asyncio.get_running_loop().time() - started > 1.4
    await silent.closed()


async def test_five_hundred_messages_wait_for_an_absent_client_in_order(join: Join) -> None:
    """QoS 1 messages for a session that is kept arrive in order when its client is back."""
    absent = await join("absent", clean_session=False)
    await absent.subscribe("queue/#")
    await absent.disconnect()
    writer = await join("writer")
    await writer.publish_many("queue/one", [b"%d" % at for at in range(500)])
    back = await join("absent", clean_session=False)
    assert back.session_present
    assert [int(m.payload) for m in await back.messages(500)] == list(range(500))
    assert await back.settled() == []


async def test_unacknowledged_messages_come_again_as_duplicates(join: Join) -> None:
    """What a client did not acknowledge is sent again, in order, with the same packet ids and DUP; the rest is not."""
    reader = await join("reader", clean_session=False)
    await reader.subscribe("again/#")
    reader.auto_ack = False
    writer = await join("writer")
    for payload in (b"1", b"2", b"3"):
        await writer.publish("again/x", payload)
    first = await reader.messages(3)
    assert not any(message.dup for message in first)
    assert first[0].packet_id is not None
    await reader.send(PubAck(first[0].packet_id))
    await reader.settled()
    reader.abort()
    back = await join("reader", clean_session=False)
    second = await back.messages(2)
    assert [(m.payload, m.dup, m.packet_id) for m in second] == [(m.payload, True, m.packet_id) for m in first[1:]]
    assert await back.settled() == []


async def test_wildcards_match_what_the_standard_says(join: Join) -> None:
    """`+` is one level, be it empty; `#` is the parent and all below."""
    expected = {
        "a/+": {"a/b", "a/"},
        "a/#": {"a", "a/", "a/b", "a/b/c"},
        "+/+": {"a/b", "a/", "/a"},
        "/+": {"/a"},
        "+": {"a"},
        "#": {"a", "a/", "a/b", "a/b/c", "/a"},
        "a/+/c": {"a/b/c"},
    }
    readers = {text: await join(f"reader{at}") for at, text in enumerate(expected)}
    for text, reader in readers.items():
        await reader.subscribe(text)
    writer = await join("writer")
    for topic in ("a", "a/", "a/b", "a/b/c", "/a"):
        await writer.publish(topic)
    assert {text: {m.topic for m in await reader.settled()} for text, reader in readers.items()} == expected


async def test_dollar_topics_stand_apart_from_wildcards(join: Join) -> None:
    """`$SYS` is given to who asks for it, and not to `#` or `+`; clients can't write there."""
    asking, catching = await join("asking"), await join("catching")
    await catching.subscribe("#", "+/broker/version", "+/made-up")
    await asking.subscribe("$SYS/broker/version", "$SYS/made-up")
    assert [m.topic for m in await asking.messages(1)] == ["$SYS/broker/version"]
    await catching.publish("$SYS/made-up")
    assert await asking.settled() == []
    assert await catching.settled() == []


async def test_a_client_id_can_be_taken_over_again_and_again(join: Join) -> None:
    """Each of twenty connections with one client id ends the one before and keeps the session."""
    writer = await join("writer")
    now = await join("same", clean_session=False)
    await now.subscribe("over/#")
    for turn in range(20):
        before, now = now, await join("same", clean_session=False)
        await before.closed()
        assert now.session_present
        await writer.publish("over/x", b"%d" % turn)
        assert [m.payload for m in await now.messages(1)] == [b"%d" % turn]


async def test_last_will_follows_a_takeover(join: Join) -> None:
    """The will of a connection that is taken over is published."""
    reader = await join("reader")
    await reader.subscribe("seen/#")
    await join("same", will=WILL)
    await join("same")
    assert [m.payload for m in await reader.messages(1)] == [b"gone"]


async def test_a_payload_of_a_megabyte_passes(join: Join) -> None:
    """A message of 2**20 bytes arrives whole at both QoS levels."""
    payload = bytes(range(256)) * 4096
    reader, writer = await join("reader"), await join("writer")
    await reader.subscribe("big/#")
    await writer.publish("big/one", payload, qos=1)
    await writer.publish("big/zero", payload, qos=0)
    assert [(m.topic, m.payload == payload) for m in await reader.messages(2)] == [
        ("big/one", True),
        ("big/zero", True),
    ]


async def test_no_retained_message_reaches_who_did_not_ask(join: Join) -> None:
    """A connecting client is given no retained message of other clients' subscriptions, nor of a filter it gave up."""
    writer, asking = await join("writer"), await join("asking")
    await asking.subscribe("state/#", "other/#")
    await writer.publish("state/one", b"kept", retain=True)
    quiet = await join("quiet")
    assert await quiet.settled() == []
    await quiet.subscribe("unrelated/#")
    assert await quiet.settled() == []
    await asking.settled()
    await asking.unsubscribe("state/#")
    await writer.publish("state/one", b"newer", retain=True)
    assert await asking.settled() == []


async def test_qos_is_the_lower_of_subscription_and_message(join: Join) -> None:
    """A message is delivered at the lower of both QoS levels."""
    zero, one = await join("zero"), await join("one")
    assert await zero.subscribe("q/#", qos=0) == (0,)
    assert await one.subscribe("q/#", qos=1) == (1,)
    writer = await join("writer")
    await writer.publish("q/at0", qos=0)
    await writer.publish("q/at1", qos=1)
    assert [(m.topic, m.qos) for m in await zero.messages(2)] == [("q/at0", 0), ("q/at1", 0)]
    assert [(m.topic, m.qos) for m in await one.messages(2)] == [("q/at0", 0), ("q/at1", 1)]


MALFORMED = {
    "noise": b"\xff\x00\xaa\x55" * 8,
    "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "not connect first": b"\xc0\x00",
    "endless length": b"\x10\xff\xff\xff\xff\x01",
    "string past the end": b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x40\x00",
    "wrong protocol": b"\x10\x0c\x00\x04NOPE\x04\x02\x00\x00\x00\x00",
    "reserved connect flag": b"\x10\x0d\x00\x04MQTT\x04\x03\x00\x00\x00\x01a",
}
MALFORMED_LATER = {
    "second connect": b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01a",
    "qos 3": b"\x36\x05\x00\x01a\x00\x01",
    "topic not UTF-8": b"\x30\x04\x00\x02\xc3\x28",
    "topic with NUL": b"\x30\x04\x00\x02a\x00",
    "wildcard topic": b"\x30\x03\x00\x01#",
    "subscribe flags": b"\x80\x06\x00\x01\x00\x01a\x00",
    "subscribe without filters": b"\x82\x02\x00\x01",
    "broken filter": b"\x82\x08\x00\x01\x00\x03a#b\x00",
    "packet id 0": b"\x82\x06\x00\x00\x00\x01a\x00",
}


async def test_malformed_packets_cost_only_their_sender(join: Join, port: int, sockets: Sockets) -> None:
    """Each malformed packet closes its own connection, and the broker serves on."""
    reader = await join("reader")
    await reader.subscribe("alive/#")
    for data in MALFORMED.values():
        bad = await sockets(port)
        await bad.send_bytes(data)
        await bad.closed()
    for at, data in enumerate(MALFORMED_LATER.values()):
        bad = await join(f"bad{at}")
        await bad.send_bytes(data)
        await bad.closed()
    await (await join("writer")).publish("alive/yes")
    assert len(await reader.messages(1)) == 1


async def test_a_slow_reader_does_not_stall_the_others(join: Join) -> None:
    """While one subscriber reads nothing of 40 MB, another gets every message."""
    slow, quick, writer = await join("slow"), await join("quick"), await join("writer")
    await slow.subscribe("flood/#", qos=0)
    await quick.subscribe("flood/#", qos=1)
    payload = bytes(200_000)
    for _ in range(200):
        await writer.publish("flood/x", payload)
        assert len(await quick.messages(1)) == 1


async def test_no_more_is_in_flight_than_the_window_allows(join_at: JoinAt, kind: str, tmp_path: Path) -> None:
    """No more than `max_inflight` messages come before the first PUBACK; then the others follow, in order."""
    async with running(kind, folder=tmp_path, policy=OPEN, limits=Limits(max_inflight=5)) as port:
        reader, writer = await join_at(port, "reader"), await join_at(port, "writer")
        await reader.subscribe("window/#")
        reader.auto_ack = False
        await writer.publish_many("window/x", [b"%d" % at for at in range(20)])
        held = await reader.settled()
        assert [int(m.payload) for m in held] == list(range(5))
        for at in range(20):
            packet_id = held[at].packet_id
            assert packet_id is not None
            await reader.send(PubAck(packet_id))
            held += await reader.settled()
        assert [int(m.payload) for m in held] == list(range(20))


async def test_unsubscribing_ends_delivery(join: Join) -> None:
    """After UNSUBACK nothing more comes for that filter; one that was never subscribed to is acknowledged too."""
    reader, writer = await join("reader"), await join("writer")
    await reader.subscribe("un/a", "un/b")
    await reader.unsubscribe("un/a", "un/never")
    await writer.publish("un/a")
    await writer.publish("un/b")
    assert [m.topic for m in await reader.settled()] == ["un/b"]


async def test_overlapping_subscriptions_deliver_once(join: Join, kind: str) -> None:
    """A message that several filters of one client match comes once; ours takes the best of their QoS levels."""
    reader, writer = await join("reader"), await join("writer")
    await reader.send(Subscribe(7, (("lap/+", 0), ("lap/#", 1), ("lap/x", 0))))
    assert await reader.answer(SubAck) == SubAck(7, (0, 1, 0))
    await writer.publish("lap/x")
    (message,) = await reader.settled()
    # Section 3.3.5 wants the highest; Mosquitto 2.0.11 takes the first that it finds.
    assert message.qos == 1 or kind == "mosquitto"


async def test_a_session_that_is_not_kept_is_forgotten(join: Join) -> None:
    """A clean session drops what was kept under the client id, and is gone when it ends."""
    kept = await join("one", clean_session=False)
    await kept.subscribe("kept/#")
    await kept.disconnect()
    clean = await join("one", clean_session=True)
    assert not clean.session_present
    await (await join("writer")).publish("kept/x")
    assert await clean.settled() == []
    await clean.disconnect()
    assert not (await join("one", clean_session=False)).session_present
