"""The core's rules, one by one, on the bench."""

import pytest

from broker.mqtt import MqttError, Role
from broker.mqtt.access import Identity, grants_for
from broker.mqtt.errors import Refused
from broker.mqtt.packets import ConnAck, Connect, Disconnect, PingReq, PubAck, Publish, SubAck, Subscribe, Will
from tests.mqtt.bench import ANYBODY, Bench, ListLink


def test_overlapping_subscriptions_give_the_highest_qos() -> None:
    """A message that several filters match is delivered once, at the best QoS of them."""
    bench = Bench()
    reader, link = bench.join(Connect("reader"))
    bench.receive(reader, Subscribe(1, (("a/+", 0), ("a/#", 1), ("a/b", 0))))
    bench.core.publish(Publish("a/b", b"x", 1))
    assert [message.qos for message in link.messages()] == [1]


def test_each_acknowledgement_lets_exactly_one_message_go() -> None:
    """The inflight window never holds more than its size."""
    bench = Bench(max_inflight=3)
    reader, link = bench.join(Connect("reader"))
    bench.receive(reader, Subscribe(1, (("#", 1),)))
    for at in range(10):
        bench.core.publish(Publish("a", b"%d" % at, 1))
    held = link.messages()
    assert len(held) == 3
    for at in range(10):
        packet_id = held[at].packet_id
        assert packet_id is not None
        bench.receive(reader, PubAck(packet_id), PubAck(packet_id), PubAck(60_000))
        held += link.messages()
        assert len(held) == min(10, at + 4)
    assert [int(message.payload) for message in held] == list(range(10))


def test_packet_ids_go_round_and_skip_those_in_flight() -> None:
    """After 65,535 comes 1, unless that is not acknowledged yet."""
    bench = Bench()
    reader, link = bench.join(Connect("reader"))
    bench.receive(reader, Subscribe(1, (("#", 1),)))
    bench.core.publish(Publish("a", b"kept in flight", 1))
    assert reader.session is not None
    reader.session._last_packet_id = 0xFFFE
    for _ in range(3):
        bench.core.publish(Publish("a", b"", 1))
    assert [message.packet_id for message in link.messages()] == [1, 0xFFFF, 2, 3]


def test_a_full_queue_drops_the_newest() -> None:
    """An absent client keeps the first messages up to its bound, and no later ones."""
    bench = Bench(max_queued_messages=3)
    absent, _ = bench.join(Connect("absent", clean_session=False))
    bench.receive(absent, Subscribe(1, (("#", 1),)), Disconnect())
    for at in range(5):
        bench.core.publish(Publish("a", b"%d" % at, 1))
    _, link = bench.join(Connect("absent", clean_session=False))
    assert [message.payload for message in link.messages()] == [b"0", b"1", b"2"]
    assert bench.core.counters.dropped == 2


def test_a_full_queue_is_measured_in_bytes_too() -> None:
    """The bytes that wait are bounded, and given back as they are sent."""
    bench = Bench(max_queued_bytes=100)
    absent, _ = bench.join(Connect("absent", clean_session=False))
    bench.receive(absent, Subscribe(1, (("#", 1),)), Disconnect())
    for _ in range(2):
        for _ in range(5):
            bench.core.publish(Publish("a", bytes(40), 1))
        back, link = bench.join(Connect("absent", clean_session=False))
        assert len(link.messages()) == 2
        bench.receive(back, PubAck(1), PubAck(2), PubAck(3), PubAck(4), Disconnect())


def test_qos_0_is_not_kept_for_the_absent() -> None:
    """Only QoS 1 waits for a client that is away."""
    bench = Bench()
    absent, _ = bench.join(Connect("absent", clean_session=False))
    bench.receive(absent, Subscribe(1, (("#", 1), ("zero", 0))), Disconnect())
    bench.core.publish(Publish("a", b"", 0))
    bench.core.publish(Publish("b", b"", 1))
    _, link = bench.join(Connect("absent", clean_session=False))
    assert [message.topic for message in link.messages()] == ["b"]


def test_a_stopped_up_client_loses_qos_0_and_gets_qos_1_later() -> None:
    """While a link is not writable QoS 0 is dropped for it and QoS 1 waits; neither touches another client."""
    bench = Bench()
    slow, slow_link = bench.join(Connect("slow"))
    quick, quick_link = bench.join(Connect("quick"))
    for reader in (slow, quick):
        bench.receive(reader, Subscribe(1, (("#", 1),)))
    slow_link.packets()
    slow_link.writable = False
    bench.core.publish(Publish("zero", b"", 0))
    bench.core.publish(Publish("one", b"", 1))
    assert slow_link.messages() == []
    assert [message.topic for message in quick_link.messages()] == ["zero", "one"]
    slow_link.writable = True
    bench.core.drained(slow)
    assert [message.topic for message in slow_link.messages()] == ["one"]
    assert bench.core.counters.dropped == 1


def test_what_is_sent_again_waits_for_room_too() -> None:
    """A client that comes back with large messages in flight is not flooded with all of them, and none is lost."""
    bench = Bench(max_inflight=3)
    reader, _ = bench.join(Connect("reader", clean_session=False))
    bench.receive(reader, Subscribe(1, (("#", 1),)))
    for at in range(5):
        bench.core.publish(Publish("a", b"%d" % at, 1))
    bench.core.lost(reader)
    reader, link = bench.join(Connect("reader", clean_session=False), writable=False)
    bench.core.publish(Publish("a", b"5", 1))
    assert link.messages() == []
    link.writable = True
    bench.core.drained(reader)
    again = link.messages()
    assert [(int(message.payload), message.dup) for message in again] == [(0, True), (1, True), (2, True)]
    bench.receive(reader, *(PubAck(message.packet_id or 0) for message in again))
    assert [(int(message.payload), message.dup) for message in link.messages()] == [(3, False), (4, False), (5, False)]


def test_retained_messages_wait_for_room_and_are_sent_as_they_are_by_then() -> None:
    """A stopped-up subscriber is owed retained messages; it gets the newest of each topic, once."""
    bench = Bench()
    for topic in ("a", "b", "c"):
        bench.core.publish(Publish(topic, b"old", 1, retain=True))
    reader, link = bench.join(Connect("reader"), writable=False)
    bench.receive(reader, Subscribe(1, (("#", 0),)), Subscribe(2, (("#", 0),)))
    bench.core.publish(Publish("a", b"new", 0, retain=True))
    bench.core.publish(Publish("b", b"", 1, retain=True))
    assert link.messages() == []
    link.writable = True
    bench.core.drained(reader)
    assert [(m.topic, m.payload, m.retain) for m in link.messages()] == [("a", b"new", True), ("c", b"old", True)]


def test_too_many_retained_messages_are_delivered_but_not_kept() -> None:
    """Over the bound a client's message is not kept, nor is what it should have replaced; the operator's always is."""
    bench = Bench(max_retained_messages=2, max_retained_bytes=10)
    writer, _ = bench.join(Connect("writer"))
    reader, link = bench.join(Connect("reader"))
    bench.receive(reader, Subscribe(1, (("#", 0),)))
    for topic in ("a", "b", "c"):
        bench.receive(writer, Publish(topic, b"x", 0, retain=True))
    bench.receive(writer, Publish("b", bytes(10), 0, retain=True))
    assert len(link.messages()) == 4
    bench.core.publish(Publish("own", bytes(100), 1, retain=True))
    later, later_link = bench.join(Connect("later"))
    bench.receive(later, Subscribe(1, (("#", 0),)))
    assert [message.topic for message in later_link.messages()] == ["a", "own"]


def test_replacing_a_retained_message_takes_no_more_room() -> None:
    """The bytes of the message before are given back."""
    bench = Bench(max_retained_bytes=10)
    writer, _ = bench.join(Connect("writer"))
    for _ in range(5):
        bench.receive(writer, Publish("a", bytes(6), 0, retain=True))
    bench.receive(writer, Publish("b", bytes(4), 0, retain=True))
    reader, link = bench.join(Connect("reader"))
    bench.receive(reader, Subscribe(1, (("#", 0),)))
    assert [message.topic for message in link.messages()] == ["a", "b"]


def test_silence_is_measured_from_the_last_packet() -> None:
    """A client is closed after one and a half keepalives without a packet, not before; keepalive 0 is for ever."""
    bench = Bench()
    watched, link = bench.join(Connect("watched", keepalive_s=10))
    _, eternal_link = bench.join(Connect("eternal", keepalive_s=0))
    bench.now_s = 14.0
    bench.receive(watched, PingReq())
    bench.now_s = 29.0
    bench.core.tick(now_s=bench.now_s)
    assert not link.closed
    bench.now_s = 29.1
    bench.core.tick(now_s=bench.now_s)
    assert link.closed
    assert not eternal_link.closed


def test_who_does_not_connect_in_time_is_closed() -> None:
    """An open socket without CONNECT is not kept."""
    bench = Bench(connect_timeout_s=5)
    link = ListLink()
    bench.core.opened(link, now_s=0.0)
    bench.core.tick(now_s=5.0)
    assert not link.closed
    bench.core.tick(now_s=5.1)
    assert link.closed


@pytest.mark.parametrize("ending", ["lost", "broke", "timeout", "takeover"])
def test_each_ending_without_a_word_publishes_the_will_once(ending: str) -> None:
    """Lost, misbehaved, silent or taken over: one will, even if the ending is told twice."""
    bench = Bench()
    reader, link = bench.join(Connect("reader"))
    bench.receive(reader, Subscribe(1, (("will", 1),)))
    mortal, _ = bench.join(Connect("mortal", keepalive_s=1, will=Will("will", b"gone", 1, retain=True)))
    if ending == "lost":
        bench.core.lost(mortal)
    elif ending == "broke":
        bench.core.broke(mortal, MqttError("test"))
    elif ending == "timeout":
        bench.core.tick(now_s=2.0)
    else:
        bench.join(Connect("mortal"))
    bench.core.lost(mortal)
    assert [(message.payload, message.retain) for message in link.messages()] == [(b"gone", False)]


def test_neither_a_word_nor_a_shutdown_publishes_the_will() -> None:
    """DISCONNECT and the broker's own end leave wills unpublished."""
    bench = Bench()
    reader, link = bench.join(Connect("reader"))
    bench.receive(reader, Subscribe(1, (("will", 1),)))
    polite, polite_link = bench.join(Connect("polite", will=Will("will", b"", 0, retain=False)))
    bench.join(Connect("other", will=Will("will", b"", 0, retain=False)))
    bench.receive(polite, Disconnect())
    assert polite_link.closed
    bench.core.shut_down()
    assert link.messages() == []
    assert link.closed


def test_a_will_that_its_client_may_not_publish_is_dropped() -> None:
    """The policy holds for wills as for messages."""
    bench = Bench()
    reader, link = bench.join(Connect("reader"))
    bench.receive(reader, Subscribe(1, (("#", 0),)))
    device = Identity("cam", Role.DEVICE, grants_for(Role.DEVICE, "cam"))
    for topic in ("latchstring/other/availability", "latchstring/cam/availability"):
        mortal, _ = bench.join(Connect("cam", will=Will(topic, b"offline", 0, retain=False)), device)
        bench.core.lost(mortal)
    assert [message.topic for message in link.messages()] == ["latchstring/cam/availability"]


def test_a_session_belongs_to_one_user() -> None:
    """Another user with the same client id neither ends the connection nor sees the session."""
    bench = Bench()
    one, other = (Identity(name, Role.PUBLIC, grants_for(Role.PUBLIC, name)) for name in ("one", "other"))
    victim, victim_link = bench.join(Connect("same", clean_session=False), one)
    bench.receive(victim, Subscribe(1, (("latchstring/requests/#", 1),)))
    thief, thief_link = bench.join(Connect("same", clean_session=False), other)
    assert thief_link.packets() == [ConnAck(session_present=False, return_code=0)]
    assert not victim_link.closed
    bench.receive(thief, Subscribe(1, (("latchstring/requests/#", 0),)))
    bench.core.publish(Publish("latchstring/requests/1/2", b"", 1))
    assert [message.qos for message in victim_link.messages()] == [1]
    assert [message.qos for message in thief_link.messages()] == [0]


def test_the_session_that_left_first_is_forgotten_first() -> None:
    """A user has a bounded number of sessions kept for later."""
    bench = Bench(max_offline_sessions=2)
    for name in ("a", "b", "c"):
        connection, _ = bench.join(Connect(name, clean_session=False))
        bench.core.lost(connection)
    presents = {}
    for name in ("a", "b", "c"):
        _, link = bench.join(Connect(name, clean_session=False))
        (answer,) = link.packets()
        assert isinstance(answer, ConnAck)
        presents[name] = answer.session_present
    assert presents == {"a": False, "b": True, "c": True}


def test_a_client_that_is_back_is_not_forgotten() -> None:
    """The bound counts the absent alone."""
    bench = Bench(max_offline_sessions=1)
    back, _ = bench.join(Connect("back", clean_session=False))
    bench.receive(back, Subscribe(1, (("#", 0),)))
    bench.core.lost(back)
    back, link = bench.join(Connect("back", clean_session=False))
    for name in ("one", "two"):
        bench.core.lost(bench.join(Connect(name, clean_session=False))[0])
    bench.core.publish(Publish("a", b"", 0))
    assert len(link.messages()) == 1


def test_too_many_subscriptions_are_refused() -> None:
    """Beyond the bound a new filter gets 0x80; one that is known is granted again."""
    bench = Bench(max_subscriptions=2)
    reader, link = bench.join(Connect("reader"))
    link.packets()
    bench.receive(reader, Subscribe(1, (("a", 1), ("b", 1), ("c", 1), ("a", 2))))
    assert link.packets() == [SubAck(1, (1, 1, 0x80, 1))]


def test_shared_subscriptions_are_refused() -> None:
    """They are no part of 3.1.1; silence would be worse than a refusal."""
    bench = Bench()
    reader, link = bench.join(Connect("reader"))
    link.packets()
    bench.receive(reader, Subscribe(1, (("$share/group/a", 1),)))
    assert link.packets() == [SubAck(1, (0x80,))]


def test_an_empty_client_id_needs_a_clean_session() -> None:
    """A client without an id is given one, but nothing can be kept under it."""
    bench = Bench()
    bench.join(Connect("", clean_session=True))
    link = ListLink()
    connection = bench.core.opened(link, now_s=0.0)
    assert connection is not None
    with pytest.raises(Refused) as refused:
        bench.core.connect(connection, Connect("", clean_session=False), ANYBODY, now_s=0.0)
    bench.core.refuse(connection, refused.value)
    assert link.packets() == [ConnAck(session_present=False, return_code=2)]
    assert link.closed


def test_connections_are_bounded() -> None:
    """One too many is not taken, and there is room again when another leaves."""
    bench = Bench(max_connections=2)
    first, _ = bench.join(Connect("a"))
    bench.join(Connect("b"))
    assert bench.core.opened(ListLink(), now_s=0.0) is None
    bench.core.lost(first)
    assert bench.core.opened(ListLink(), now_s=0.0) is not None
