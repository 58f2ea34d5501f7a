"""Bytes in, packets out: the strict, incremental half of the codec, with no I/O.

Whatever is accepted encodes again to the very same bytes. Everything else raises MqttError, after which the parser is
spent.
"""

import re
from collections.abc import Callable
from typing import Final

from broker.mqtt.errors import MqttError
from broker.mqtt.packets import (
    ACCEPTED,
    BAD_PROTOCOL,
    NOT_AUTHORIZED,
    SUBSCRIBE_FAILED,
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
)
from broker.mqtt.topics import check_filter, check_topic

DEFAULT_MAX_PACKET: Final = 1_250_000  # bytes: a payload of a megabyte (2**20) and its topic pass

# Section 1.5.3 forbids NUL and lets a receiver refuse the rest: controls and non-characters, as Mosquitto does.
_FORBIDDEN_TEXT: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\ufdd0-\ufdef" + "".join(chr(p << 16 | 0xFFFE) + chr(p << 16 | 0xFFFF) for p in range(17)) + "]"
)
_LENGTH_BYTES: Final = 4
_PUBLISH: Final = 3
_LEVEL_3_1_1: Final = 4
_QOS_2_ONLY: Final = (0x50, 0x62, 0x70)  # PUBREC, PUBREL, PUBCOMP


class Parser:
    """Feed bytes as they come, take packets with `next` until it returns None.

    `max_packet` (bytes of a packet's body) may be changed between packets; a longer one is refused as soon as its
    length is read.
    """

    __slots__ = ("_buffer", "_error", "_wanted", "max_packet")

    def __init__(self, *, max_packet: int = DEFAULT_MAX_PACKET) -> None:
        self.max_packet = max_packet
        self._buffer = bytearray()
        self._wanted = 2  # bytes without which looking again is futile
        self._error: MqttError | None = None

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Take `data` in; nothing is parsed yet."""
        self._buffer += data

    def next(self) -> Packet | None:
        """Return the next whole packet, or None when more bytes are needed; raises MqttError."""
        if self._error is not None:
            raise self._error
        if len(self._buffer) < self._wanted:
            return None
        try:
            return self._take()
        except MqttError as error:
            self._error = error
            self._buffer.clear()
            raise

    def _take(self) -> Packet | None:
        buffer = self._buffer
        head = buffer[0]
        if head >> 4 != _PUBLISH and head not in _OTHERS:
            # Before its length is waited for: an HTTP client, say, is told off at once.
            raise MqttError("QoS 2 is not served" if head in _QOS_2_ONLY else f"no packet begins with 0x{head:02x}")
        size = shift = 0
        start = 1
        while True:
            if start == len(buffer):
                self._wanted = start + 1
                return None
            byte = buffer[start]
            size |= (byte & 0x7F) << shift
            start += 1
            if byte < 0x80:  # noqa: PLR2004 - the top bit says that more follow
                break
            shift += 7
            if start > _LENGTH_BYTES:
                raise MqttError("the remaining length is over four bytes")
        if byte == 0 and shift:
            raise MqttError("the remaining length is padded")
        if size > self.max_packet:
            raise MqttError(f"a packet of {size} bytes is over the limit of {self.max_packet}")
        end = start + size
        if len(buffer) < end:
            self._wanted = end
            return None
        with memoryview(buffer) as view:
            body = bytes(view[start:end])
        del buffer[:end]
        self._wanted = 2
        if head >> 4 == _PUBLISH:
            return _publish(head & 0x0F, body)
        return _OTHERS[head](_Body(body))


class _Body:
    """A packet's body, read from the left."""

    __slots__ = ("at", "data")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def byte(self) -> int:
        if self.at >= len(self.data):
            raise MqttError("a packet ends too early")
        self.at += 1
        return self.data[self.at - 1]

    def number(self) -> int:
        return self.byte() << 8 | self.byte()

    def packet_id(self) -> int:
        packet_id = self.number()
        if packet_id == 0:
            raise MqttError("packet id 0 is not allowed")
        return packet_id

    def binary(self) -> bytes:
        size = self.number()
        start, self.at = self.at, self.at + size
        if self.at > len(self.data):
            raise MqttError("a string runs past the packet's end")
        return self.data[start : self.at]

    def string(self) -> str:
        return _text(self.binary())

    @property
    def more(self) -> bool:
        return self.at < len(self.data)

    def end(self) -> None:
        if self.more:
            raise MqttError("a packet has bytes left over")


def _text(data: bytes) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise MqttError("a string is not UTF-8") from None
    if not (text.isascii() and text.isprintable()) and _FORBIDDEN_TEXT.search(text):
        raise MqttError("a string holds a control character or non-character")
    return text


def _publish(flags: int, data: bytes) -> Publish:
    qos = flags >> 1 & 3
    dup = flags >= 8  # noqa: PLR2004 - bit 3
    if qos > 1:
        raise MqttError("QoS 2 is not served" if qos == 2 else "QoS 3 does not exist")  # noqa: PLR2004 - QoS
    if dup and not qos:
        raise MqttError("DUP is set on QoS 0")
    start = 2 + int.from_bytes(data[:2], "big")
    if len(data) < start or len(data) < 2:  # noqa: PLR2004 - the length bytes themselves
        raise MqttError("a string runs past the packet's end")
    topic = check_topic(_text(data[2:start]))
    if not qos:
        return Publish(topic, data[start:], 0, bool(flags & 1))
    packet_id = int.from_bytes(data[start : start + 2], "big")
    if packet_id == 0 or len(data) < start + 2:
        raise MqttError("packet id 0 is not allowed")
    return Publish(topic, data[start + 2 :], 1, bool(flags & 1), dup, packet_id)


def _connect(body: _Body) -> Connect:
    name = body.binary()
    if name not in (b"MQTT", b"MQIsdp"):
        raise MqttError("the protocol is not MQTT")
    level = body.byte()
    if (name, level) != (b"MQTT", _LEVEL_3_1_1):
        raise MqttError(f"protocol level {level} is not 3.1.1", return_code=BAD_PROTOCOL)
    flags = body.byte()
    has_user, has_password, has_will = bool(flags & 0x80), bool(flags & 0x40), bool(flags & 0x04)
    if flags & 0x01 or (has_password and not has_user) or (flags & 0x38 and not has_will):
        raise MqttError("the connect flags contradict each other")
    qos = flags >> 3 & 3
    if qos > 1:
        raise MqttError("a will at QoS 2 is not served")
    keepalive_s = body.number()
    client_id = body.string()
    will = Will(check_topic(body.string()), body.binary(), qos, bool(flags & 0x20)) if has_will else None
    username = body.string() if has_user else None
    password = body.binary() if has_password else None
    body.end()
    return Connect(client_id, bool(flags & 0x02), keepalive_s, username, password, will)


def _connack(body: _Body) -> ConnAck:
    present, code = body.byte(), body.byte()
    body.end()
    if present > 1 or code > NOT_AUTHORIZED or (present and code != ACCEPTED):
        raise MqttError("a CONNACK that 3.1.1 does not know")
    return ConnAck(bool(present), code)


def _subscribe(body: _Body) -> Subscribe:
    packet_id = body.packet_id()
    filters: list[tuple[str, int]] = []
    while body.more:
        topic_filter = check_filter(body.string())
        qos = body.byte()
        if qos > 2:  # noqa: PLR2004 - QoS
            raise MqttError("a subscription asks for a QoS that does not exist")
        filters.append((topic_filter, qos))
    if not filters:
        raise MqttError("a SUBSCRIBE names no filter")
    return Subscribe(packet_id, tuple(filters))


def _suback(body: _Body) -> SubAck:
    packet_id = body.packet_id()
    codes = tuple(body.data[body.at :])
    if not codes or not set(codes) <= {0, 1, 2, SUBSCRIBE_FAILED}:
        raise MqttError("a SUBACK with codes that don't exist")
    return SubAck(packet_id, codes)


def _unsubscribe(body: _Body) -> Unsubscribe:
    packet_id = body.packet_id()
    filters: list[str] = []
    while body.more:
        filters.append(check_filter(body.string()))
    if not filters:
        raise MqttError("an UNSUBSCRIBE names no filter")
    return Unsubscribe(packet_id, tuple(filters))


def _puback(body: _Body) -> PubAck:
    packet_id = body.packet_id()
    body.end()
    return PubAck(packet_id)


def _unsuback(body: _Body) -> UnsubAck:
    packet_id = body.packet_id()
    body.end()
    return UnsubAck(packet_id)


def _empty(packet: PingReq | PingResp | Disconnect) -> Callable[[_Body], Packet]:
    def parse(body: _Body) -> Packet:
        body.end()
        return packet

    return parse


# The whole first byte is the key: the flag bits of these types are fixed (section 2.2.2).
_OTHERS: Final[dict[int, Callable[[_Body], Packet]]] = {
    0x10: _connect,
    0x20: _connack,
    0x40: _puback,
    0x82: _subscribe,
    0x90: _suback,
    0xA2: _unsubscribe,
    0xB0: _unsuback,
    0xC0: _empty(PingReq()),
    0xD0: _empty(PingResp()),
    0xE0: _empty(Disconnect()),
}
