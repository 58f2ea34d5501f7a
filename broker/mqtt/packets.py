"""MQTT 3.1.1 control packets as values, and their bytes (parser.py turns bytes into these).

Only what this broker speaks: there is no QoS 2 publish and no packet of its handshake. Nothing here knows of sockets,
sessions or who may do what. Section numbers are those of the OASIS standard.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias

MAX_REMAINING: Final = 268_435_455  # four length bytes of seven bits, section 2.2.3
SUBSCRIBE_FAILED: Final = 0x80  # SUBACK return code, section 3.9.3

ACCEPTED: Final = 0  # CONNACK return codes, section 3.2.2.3
BAD_PROTOCOL: Final = 1
BAD_CLIENT_ID: Final = 2
BAD_CREDENTIALS: Final = 4
NOT_AUTHORIZED: Final = 5


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes for a client that goes without a word."""

    topic: str
    payload: bytes
    qos: int
    retain: bool


@dataclass(frozen=True, slots=True)
class Connect:
    """A client's first packet; `keepalive_s` 0 means none."""

    client_id: str
    clean_session: bool = True
    keepalive_s: int = 0
    username: str | None = None
    password: bytes | None = None
    will: Will | None = None


@dataclass(frozen=True, slots=True)
class ConnAck:
    """The answer to CONNECT."""

    session_present: bool
    return_code: int


@dataclass(frozen=True, slots=True)
class Publish:
    """A message on its way; `packet_id` is None exactly when `qos` is 0."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    dup: bool = False
    packet_id: int | None = None


@dataclass(frozen=True, slots=True)
class PubAck:
    """The receiver has taken over a QoS 1 message."""

    packet_id: int


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Topic filters and the QoS asked for each (0 to 2)."""

    packet_id: int
    filters: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class SubAck:
    """The QoS granted to each filter in order, or SUBSCRIBE_FAILED."""

    packet_id: int
    return_codes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Topic filters to forget."""

    packet_id: int
    filters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UnsubAck:
    """The answer to UNSUBSCRIBE."""

    packet_id: int


@dataclass(frozen=True, slots=True)
class PingReq:
    """The client is alive."""


@dataclass(frozen=True, slots=True)
class PingResp:
    """So is the broker."""


@dataclass(frozen=True, slots=True)
class Disconnect:
    """The client leaves with a word: no will."""


Packet: TypeAlias = (
    Connect | ConnAck | Publish | PubAck | Subscribe | SubAck | Unsubscribe | UnsubAck | PingReq | PingResp | Disconnect
)


def encode(packet: Packet) -> bytes:  # noqa: C901, PLR0911 - one case for each packet type
    """Return the one byte string that stands for `packet`; raises ValueError for a field that does not fit."""
    match packet:
        case Publish(topic, payload, qos, retain, dup, packet_id):
            return encode_publish(topic, payload, qos, retain, dup, packet_id)
        case PubAck(packet_id):
            return b"\x40\x02" + packet_id.to_bytes(2, "big")
        case Connect():
            return _frame(0x10, _connect_body(packet))
        case ConnAck(session_present, return_code):
            return bytes((0x20, 2, session_present, return_code))
        case Subscribe(packet_id, filters):
            body = b"".join(_string(text) + bytes((qos,)) for text, qos in filters)
            return _frame(0x82, packet_id.to_bytes(2, "big") + body)
        case SubAck(packet_id, return_codes):
            return _frame(0x90, packet_id.to_bytes(2, "big") + bytes(return_codes))
        case Unsubscribe(packet_id, topics):
            return _frame(0xA2, packet_id.to_bytes(2, "big") + b"".join(_string(text) for text in topics))
        case UnsubAck(packet_id):
            return b"\xb0\x02" + packet_id.to_bytes(2, "big")
        case PingReq():
            return b"\xc0\x00"
        case PingResp():
            return b"\xd0\x00"
        case Disconnect():
            return b"\xe0\x00"


def encode_publish(  # noqa: PLR0917 - called for each delivery; keywords cost a tenth of its time
    topic: str, payload: bytes, qos: int, retain: bool, dup: bool, packet_id: int | None
) -> bytes:
    """Return the bytes of a PUBLISH; fields as in Publish."""
    name = topic.encode()
    size = 2 + len(name) + len(payload)
    if packet_id is None:
        parts = (b"", payload)
    else:
        size += 2
        parts = (packet_id.to_bytes(2, "big"), payload)
    head = bytes((0x30 | dup << 3 | qos << 1 | retain,)) + remaining_length(size)
    return b"".join((head, len(name).to_bytes(2, "big"), name, *parts))


def remaining_length(size: int) -> bytes:
    """Return `size` as one to four bytes, least significant seven bits first (section 2.2.3)."""
    if size < 0x80:  # noqa: PLR2004 - most packets: one byte
        return bytes((size,))
    if size > MAX_REMAINING:
        raise ValueError(f"a packet body of {size} bytes is over MQTT's {MAX_REMAINING}")
    encoded = bytearray()
    while size:
        size, low = divmod(size, 0x80)
        encoded.append(low | 0x80 if size else low)
    return bytes(encoded)


def _connect_body(packet: Connect) -> bytes:
    flags = packet.clean_session << 1
    parts = [_string(packet.client_id)]
    if packet.will is not None:
        flags |= 0x04 | packet.will.qos << 3 | packet.will.retain << 5
        parts += (_string(packet.will.topic), _binary(packet.will.payload))
    if packet.username is not None:
        flags |= 0x80
        parts.append(_string(packet.username))
    if packet.password is not None:
        flags |= 0x40
        parts.append(_binary(packet.password))
    return b"\x00\x04MQTT\x04" + bytes((flags,)) + packet.keepalive_s.to_bytes(2, "big") + b"".join(parts)


def _frame(head: int, body: bytes) -> bytes:
    return bytes((head,)) + remaining_length(len(body)) + body


def _string(text: str) -> bytes:
    return _binary(text.encode())


def _binary(data: bytes) -> bytes:
    if len(data) > 0xFFFF:  # noqa: PLR2004 - two length bytes, section 1.5.3
        raise ValueError(f"a string of {len(data)} bytes is over MQTT's 65,535")
    return len(data).to_bytes(2, "big") + data
