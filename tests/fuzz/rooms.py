"""What else comes from outside: MQTT packets, the inbox's headers, an agency's files, a cosigner's, a bundle's."""

import contextlib
import io
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

from broker.agency.boxes import read_vp9_entry
from broker.agency.errors import AgencyError, RequestFileError
from broker.agency.request_file import load_request_file
from broker.agency.seals import parse_segments
from broker.agency.tarball import copy_member, read_members
from broker.commands.neighbourhood import _application
from broker.facts import read_facts
from broker.feed.query import QueryError, parse_query
from broker.inbox.errors import Refused
from broker.inbox.headers import (
    check_offset_type,
    check_version,
    parse_authorization,
    parse_checksum,
    parse_count,
    parse_metadata,
    parse_range,
)
from broker.log.witness.identity import Identity, IdentityError, read_identity
from broker.mqtt.errors import MqttError
from broker.mqtt.packets import Connect, Packet, Publish, Subscribe, Will, encode
from broker.mqtt.parser import Parser
from broker.settings import SettingsError
from broker.wire.encoding import WireError, to_base64
from device.link.events import parse_receipt, parse_switch
from tests.fuzz.records import ENVELOPE
from tests.fuzz.target import Target, same
from tests.oracle.support import WITNESS_KEY

SAMPLE = Path(__file__).parents[2] / "samples/requests/parcel.toml"
PACKETS: tuple[Packet, ...] = (
    Connect("door", keepalive_s=30, username="door", password=b"secret", will=Will("a/b", b"gone", 1, retain=True)),
    Connect("", clean_session=True),
    Publish("latchstring/door/event", b"{}", qos=1, packet_id=7),
    Subscribe(9, (("latchstring/+/event", 1), ("#", 0))),
)


def _packets(data: bytes, cut: int) -> tuple[list[Packet], bool]:
    """Return the packets in a stream that comes in two pieces, and whether it was sound."""
    parser, found = Parser(max_packet=4_096), []
    try:
        for piece in (data[:cut], data[cut:]):
            parser.feed(piece)
            while (packet := parser.next()) is not None:
                found.append(packet)
    except MqttError:
        return found, False
    return found, True


def mqtt(data: bytes) -> None:
    """Packets are the same however they come in pieces, and a sound stream begins with their bytes."""
    found, sound = _packets(data, len(data))
    for cut in (0, 1, 2, len(data) // 2, len(data) - 1):
        assert _packets(data, max(0, cut)) == (found, sound)
    written = b"".join(encode(packet) for packet in found)
    same(data[: len(written)], written)


def headers(data: bytes) -> None:
    """Each header is a value or a refusal with a client's status."""
    text = data.decode("latin-1")
    readers: list[Callable[[str], object]] = [
        check_version,
        check_offset_type,
        parse_metadata,
        parse_authorization,
        parse_checksum,
        lambda one: parse_count(one, name="Upload-Length"),
    ]
    for read in readers:
        assert _status(lambda read=read: read(text)) in {None, *range(400, 500)}  # type: ignore[misc]
    assert _status(lambda: parse_range(text, size=1_000)) in {None, 416}
    with contextlib.suppress(Refused):
        part = parse_range(text, size=1_000)
        assert part is None or 0 <= part[0] < part[1] <= 1_000


def _status(read: Callable[[], object]) -> int | None:
    try:
        read()
    except Refused as refused:
        return refused.status
    return None


def query(data: bytes) -> None:
    """Parameters of the feed are a query that can be asked and written, in the one way that reads as the same."""
    with contextlib.suppress(QueryError):
        found = parse_query(parse_qsl(data.decode("latin-1"), keep_blank_values=True))
        found.filter()
        assert parse_query(found.pairs()) == found
        same(urlencode(found.pairs()), urlencode(parse_query(parse_qsl(found.to("/").partition("?")[2])).pairs()))


def owner_topics(data: bytes) -> None:
    """What a collector acknowledges is a stretch of events, what a switch says one of two words."""
    with contextlib.suppress(WireError):
        epoch, seq = parse_receipt(data)
        assert epoch
        assert 0 <= seq < 2**53
    with contextlib.suppress(WireError):
        assert data == (b"ON" if parse_switch(data) else b"OFF")


@contextlib.contextmanager
def _file(data: bytes) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        path = Path(folder) / "file"
        path.write_bytes(data)
        yield path


def request_file(data: bytes) -> None:
    """A request file is a draft or one error of its own."""
    with _file(data) as path, contextlib.suppress(RequestFileError):
        load_request_file(path)


def application(data: bytes) -> None:
    """An agency's application is texts under known keys, or an error."""
    with _file(data) as path, contextlib.suppress(SettingsError, WireError):
        assert all(type(value) is str for value in _application(path).values())


def neighbourhood(data: bytes) -> None:
    """A neighbourhood.json is facts, each of its type, or an error."""
    with _file(data) as path, contextlib.suppress(SettingsError):
        facts = read_facts(path)
        assert type(facts.mqtt_port) is int
        assert all(type(url) is str for url in facts.mirror_urls)


def cosigner(data: bytes) -> None:
    """A cosigner.json is an identity whose key has its name, or an error."""
    with _file(data) as path, contextlib.suppress(IdentityError):
        found = read_identity(path)
        assert found.verifier.name == found.name
        assert "\n" not in found.name + found.url


def tarball(data: bytes) -> None:
    """The files in a bundle lie within it, beside one another, under known names."""
    with contextlib.suppress(AgencyError):
        members = read_members(io.BytesIO(data), len(data))
        assert len({member.name for member in members}) == len(members)
        for one in members:
            assert "/" not in one.name
            assert b"".join(copy_member(io.BytesIO(data), one)) == data[one.offset : one.offset + one.size]


def boxes(data: bytes) -> None:
    """A clip's file is described by one sample entry, or there is an error."""
    with contextlib.suppress(AgencyError):
        entry = read_vp9_entry(io.BytesIO(data))
        assert len(entry.record) == 8


def segments(data: bytes) -> None:
    """The statements of a bundle are bytes for each clip."""
    with contextlib.suppress(WireError):
        assert all(type(one) is bytes for clip in parse_segments(data).values() for one in clip)


def _box(kind: bytes, body: bytes) -> bytes:
    return (len(body) + 8).to_bytes(4) + kind + body


def _tar(name: str, body: bytes) -> bytes:
    import tarfile  # noqa: PLC0415 - only to make an example

    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        info = tarfile.TarInfo(name)
        info.size = len(body)
        tar.addfile(info, io.BytesIO(body))
    return whole.getvalue()


_VPCC = _box(b"vpcC", bytes((1, 0, 0, 0, 0, 31, 0x80, 2, 2, 2, 0, 0)))
_STSD = _box(b"stsd", bytes((0, 0, 0, 0, 0, 0, 0, 1)) + _box(b"vp09", bytes(78) + _VPCC))
MP4 = _box(b"ftyp", b"isom") + _box(b"moov", _box(b"trak", _box(b"mdia", _box(b"minf", _box(b"stbl", _STSD)))))
FACTS = {
    "origin": "log.example.org", "policy": "quorum none\n", "operator_key": "AAAA", "inbox_key": "AAAA",
    "url": "http://127.0.0.1:1", "mqtt_host": "127.0.0.1", "mqtt_port": 1883, "mqtt_tls": False,
    "mirrors": [{"name": "m", "url": "http://127.0.0.1:2"}],
}  # fmt: skip
APPLICATION = {
    "agency": "pd", "name": "PD", "domain": "pd.example", "contact": "a@pd.example", "key": "AA==",
    "recipient": "age1q",
}  # fmt: skip
IDENTITY = Identity("witness", WITNESS_KEY.name, str(WITNESS_KEY), "http://127.0.0.1:3")
QUERY = b"agency=pd&incident=theft&status=open&area=52.5,-13.3,52.6,13.5&since=2026-05-03&until=2026-05-04"
_ENCODED = to_base64(ENVELOPE)

TARGETS = (
    Target("mqtt", mqtt, (*(encode(one) for one in PACKETS), b"".join(encode(one) for one in PACKETS))),
    Target(
        "headers",
        headers,
        (f"envelope {_ENCODED}".encode(), f"DSSE {_ENCODED}".encode(), b"sha1 2jmj7l5rSw0yVb/vlWAYkK/YBwk=",
         b"bytes=2-30", b"bytes=-5", b"12345", b"1.0.0"),
    ),
    Target("query", query, (QUERY, b"cell=841f1d5ffffffff&limit=100&before=17")),
    Target("topics", owner_topics, (b'{"epoch":"e","seq":7}', b"ON", b"OFF")),
    Target("request-file", request_file, (SAMPLE.read_bytes(),)),
    Target("application", application, (json.dumps(APPLICATION).encode(),)),
    Target("neighbourhood", neighbourhood, (json.dumps(FACTS).encode(),)),
    Target("cosigner", cosigner, (json.dumps(asdict(IDENTITY)).encode(),)),
    Target("tar", tarball, (_tar("request.tlog-proof", b"x" * 600), _tar("clip-1.mp4", b""))),
    Target("boxes", boxes, (MP4,)),
    Target("segments", segments, (json.dumps({"clips": [{"file": "clip-1.mp4", "segments": ["AAAA"]}]}).encode(),)),
)  # fmt: skip
