"""Properties of the codec: what is encoded is read back, what is accepted is canonical, and no bytes do harm."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.mqtt import MqttError
from broker.mqtt.packets import (
    ConnAck,
    Connect,
    Disconnect,
    Packet,
    PingReq,
    PingResp,
    PubAck,
    Publish,
    SubAck,
    Subscribe,
    UnsubAck,
    Unsubscribe,
    Will,
    encode,
    remaining_length,
)
from broker.mqtt.parser import Parser
from tests.mqtt.strategies import FILTERS, TEXTS, TOPICS

PACKET_IDS = st.integers(1, 0xFFFF)
BLOBS = st.binary(max_size=300)
WILLS = st.builds(Will, TOPICS, BLOBS, st.integers(0, 1), st.booleans())


@st.composite
def connects(draw: st.DrawFn) -> Connect:
    """Any CONNECT that 3.1.1 allows: a password only with a user name."""
    username = draw(st.none() | TEXTS)
    password = draw(st.none() | BLOBS) if username is not None else None
    will = draw(st.none() | WILLS)
    return Connect(draw(TEXTS), draw(st.booleans()), draw(st.integers(0, 0xFFFF)), username, password, will)


PACKETS: st.SearchStrategy[Packet] = st.one_of(
    connects(),
    st.builds(ConnAck, st.just(value=False), st.integers(0, 5)),
    st.builds(Publish, TOPICS, BLOBS, st.just(0), st.booleans()),
    st.builds(Publish, TOPICS, BLOBS, st.just(1), st.booleans(), st.booleans(), PACKET_IDS),
    st.builds(PubAck, PACKET_IDS),
    st.builds(
        Subscribe, PACKET_IDS, st.lists(st.tuples(FILTERS, st.integers(0, 2)), min_size=1, max_size=5).map(tuple)
    ),
    st.builds(SubAck, PACKET_IDS, st.lists(st.sampled_from([0, 1, 2, 0x80]), min_size=1, max_size=5).map(tuple)),
    st.builds(Unsubscribe, PACKET_IDS, st.lists(FILTERS, min_size=1, max_size=5).map(tuple)),
    st.builds(UnsubAck, PACKET_IDS),
    st.sampled_from([PingReq(), PingResp(), Disconnect()]),
)


def parse(data: bytes, *, cuts: list[int] | None = None, max_packet: int = 100_000) -> list[Packet]:
    """Parse `data` in pieces cut at `cuts`; raises MqttError."""
    parser = Parser(max_packet=max_packet)
    packets: list[Packet] = []
    bounds = [0, *sorted(cut % (len(data) + 1) for cut in cuts or []), len(data)]
    for start, end in pairwise(bounds):
        parser.feed(data[start:end])
        while (packet := parser.next()) is not None:
            packets.append(packet)
    return packets


@given(st.lists(PACKETS, max_size=6), st.lists(st.integers(0, 5000), max_size=8))
def test_packets_survive_the_way_however_they_are_cut(packets: list[Packet], cuts: list[int]) -> None:
    """What is encoded is parsed to equal packets, wherever the stream is cut."""
    assert parse(b"".join(map(encode, packets)), cuts=cuts) == packets


@given(PACKETS)
def test_every_byte_for_itself_gives_the_same(packet: Packet) -> None:
    """A packet that trickles in byte by byte is the same packet."""
    data = encode(packet)
    assert parse(data, cuts=list(range(len(data)))) == [packet]


@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_nothing_but_mqtt_errors(data: bytes) -> None:
    """Noise is either packets, which encode to the very same bytes, or an MqttError."""
    try:
        packets = parse(data)
    except MqttError:
        return
    assert data.startswith(b"".join(map(encode, packets)))


@given(PACKETS, st.data())
def test_a_damaged_packet_is_refused_or_means_something_else(packet: Packet, data: st.DataObject) -> None:
    """One changed byte never gives back the same packet, and what is accepted is canonical."""
    good = encode(packet)
    at = data.draw(st.integers(0, len(good) - 1))
    bad = good[:at] + bytes((good[at] ^ data.draw(st.integers(1, 255)),)) + good[at + 1 :]
    try:
        packets = parse(bad)
    except MqttError:
        return
    assert packets != [packet]
    assert bad.startswith(b"".join(map(encode, packets)))


@given(st.integers(0, 268_435_455))
def test_remaining_length_is_seven_bits_a_byte(size: int) -> None:
    """The length is least significant first, in the fewest of one to four bytes."""
    encoded = remaining_length(size)
    assert sum((byte & 0x7F) << 7 * at for at, byte in enumerate(encoded)) == size
    assert [byte >> 7 for byte in encoded] == [1] * (len(encoded) - 1) + [0]
    assert len(encoded) == 1 or encoded[-1] != 0


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x30\xff\xff\xff\xff\x01", "four bytes"),
        (b"\xc0\x80\x00", "padded"),
        (b"\x30\xa1\x8d\x06", "over the limit"),
        (b"\x34\x05\x00\x01a\x00\x01", "QoS 2 is not served"),
        (b"\x36\x05\x00\x01a\x00\x01", "QoS 3"),
        (b"\x62\x02\x00\x01", "QoS 2 is not served"),
        (b"\x38\x03\x00\x01a", "DUP"),
        (b"\x32\x05\x00\x01a\x00\x00", "packet id 0"),
        (b"\x30\x02\x00\x00", "empty"),
        (b"\x30\x03\x00\x01+", "wildcard"),
        (b"\x30\x04\x00\x02\xc0\x80", "UTF-8"),
        (b"\x30\x05\x00\x03\xed\xa0\x80", "UTF-8"),
        (b"\x30\x03\x00\x01\x00", "control"),
        (b"\x30\x05\x00\x03\xef\xbf\xbf", "non-character"),
        (b"\x30\x01\x00", "past"),
        (b"\xc0\x01\x00", "left over"),
        (b"\x82\x02\x00\x01", "no filter"),
        (b"\xa2\x02\x00\x01", "no filter"),
        (b"\x82\x06\x00\x01\x00\x01a\x03", "does not exist"),
        (b"\x00\x00", "no packet"),
        (b"GET / HTTP/1.1", "no packet"),
        (b"\x10\x0c\x00\x04MQTT\x05\x02\x00\x00\x00\x00", "level 5"),
        (b"\x10\x0c\x00\x04MQTT\x04\x42\x00\x00\x00\x00", "contradict"),
        (b"\x10\x0c\x00\x04MQTT\x04\x0a\x00\x00\x00\x00", "contradict"),
        (b"\x10\x13\x00\x04MQTT\x04\x16\x00\x00\x00\x00\x00\x01a\x00\x02hi", "QoS 2"),
        (b"\x10\x0c\x00\x04HTTP\x04\x02\x00\x00\x00\x00", "not MQTT"),
    ],
)
def test_what_the_standard_forbids_is_refused(data: bytes, reason: str) -> None:
    """Each malformed packet raises an MqttError that says why, and the parser stays spent."""
    parser = Parser(max_packet=100_000)
    parser.feed(data)
    with pytest.raises(MqttError, match=reason):
        parser.next()
    parser.feed(encode(PingReq()))
    with pytest.raises(MqttError, match=reason):
        parser.next()


def test_an_oversized_packet_is_refused_before_it_arrives() -> None:
    """The length alone is enough: nothing is stored for a packet over the limit."""
    parser = Parser(max_packet=10)
    parser.feed(b"\x30\x0b")
    with pytest.raises(MqttError, match="limit of 10"):
        parser.next()
