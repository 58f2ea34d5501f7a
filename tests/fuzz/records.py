"""What is signed, and how it is wrapped: JSON, envelopes, every record, announcements, segments."""

import contextlib
from collections.abc import Callable
from functools import partial
from typing import Any

from broker.wire.encoding import (
    WireError,
    canonical,
    format_time,
    from_base64,
    from_hex,
    parse_canonical,
    parse_decimal,
    parse_json,
    parse_time,
    to_base64,
)
from broker.wire.envelopes import open_envelope, parse_envelope, public_bytes
from broker.wire.records import Record, Request
from broker.wire.rules import Limits, check_request
from broker.wire.segments import decode_segment, encode_segment
from broker.wire.topics import Announcement, check_name, parse_announcement, parse_request_topic, request
from tests.fuzz.notes import PROOF
from tests.fuzz.target import Target, same
from tests.wire.support import NOW_US, agency, key_of
from tests.wire.support import request as asking
from tests.wire.test_records import EVERY
from tests.wire.test_segments import OTHER, PLAIN

PUBLIC = public_bytes(key_of("police"))
ENVELOPE = asking().sign(key_of("police"))
ANNOUNCED = Announcement(ENVELOPE, str(PROOF).encode())
MOST = 65_536


def json_text(data: bytes) -> None:
    """Any JSON is a value that can be written again; canonical JSON as it was."""
    with contextlib.suppress(WireError):
        parse_json(data, max_bytes=MOST)
        same(data, canonical(parse_canonical(data, max_bytes=MOST)))


def texts(data: bytes) -> None:
    """Times, numbers, base64, hex, names and topics write themselves again."""
    text = data.decode("utf-8", "surrogateescape")
    written: list[Callable[[str], str]] = [
        lambda one: format_time(parse_time(one)),
        lambda one: str(parse_decimal(one)),
        lambda one: to_base64(from_base64(one)),
        lambda one: from_hex(one, size=4).hex(),
        check_name,
        lambda one: request(*parse_request_topic(one)),
    ]
    for write in written:
        with contextlib.suppress(WireError):
            same(text, write(text))


def envelope(data: bytes) -> None:
    """An envelope writes itself again, and the key signed nothing but its one payload."""
    with contextlib.suppress(WireError):
        found = parse_envelope(data)
        signature = {"keyid": found.key_id, "sig": to_base64(found.signature)}
        body = {"payload": to_base64(found.payload), "payloadType": found.payload_type, "signatures": [signature]}
        same(data, canonical(body))
        kind = found.payload_type
        same(ENVELOPE, data if open_envelope(data, payload_type=kind, key=PUBLIC) else b"")


def record(kind: type[Record], data: bytes) -> None:
    """A record writes itself again, and can be signed and opened; a request can be held against the rules."""
    with contextlib.suppress(WireError):
        found = kind.from_payload(data)
        same(data, found.payload())
        if isinstance(found, Request):
            check_request(found, agency(), limits=Limits(), now_us=NOW_US)
        assert kind.open(found.sign(key_of("any")), key=public_bytes(key_of("any"))) == found


def announcement(data: bytes) -> None:
    """An announcement writes itself again."""
    with contextlib.suppress(WireError):
        same(data, parse_announcement(data).encode())


def segment(data: bytes) -> None:
    """A segment writes itself again."""
    with contextlib.suppress(WireError):
        found = decode_segment(data)
        values: dict[str, Any] = {"width": found.width, "height": found.height, "extradata": found.extradata}
        same(data, encode_segment(codec=found.codec, units=found.units, **values))


TARGETS = (
    Target(
        "json",
        json_text,
        (b'{"a":[1,2.5,null,true,"\\u20ac\\n"],"b":{}}', b'{"a":1,"a":2}', b"[[[[]]]]", b'"\\ud83d\\ude00"'),
    ),
    Target(
        "texts",
        texts,
        (b"2026-05-04T03:02:01.000000Z", b"1234567", b"AAECAw==", b"00ff10ab", b"front-door",
         request("841f1d3ffffffff", "0123456789abcdef" * 4).encode()),
    ),
    Target("envelope", envelope, (ENVELOPE, agency().sign(key_of("operator")))),
    *(Target(one.thing, partial(record, type(one)), (one.payload(),)) for one in EVERY),
    Target("announcement", announcement, (ANNOUNCED.encode(),)),
    Target("film", segment, (PLAIN, OTHER)),
)  # fmt: skip
