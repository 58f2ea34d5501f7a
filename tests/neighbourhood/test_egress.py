"""What leaves the house: every byte that devices send is recorded and accounted for."""

import base64
import hashlib
import json
import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

import h11
import pytest

from broker.mqtt.packets import Publish
from broker.mqtt.parser import Parser
from broker.wire.envelopes import key_id, parse_envelope
from broker.wire.records import Upload
from device.vault.keys import DeviceKey
from tests.neighbourhood.recorder import Recorder
from tests.neighbourhood.support import Parties

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

DEVICES = ("approves", "declines", "unmatched")
EVENT_KEYS = {"id", "epoch", "seq", "type", "phase", "start", "end", "score", "clip", "label", "labelled_by"}
TOLD = {"availability", "event", "motion", "health", "privacy", "config", "ring"}
LOG_PATHS = re.compile(rb"/log/(checkpoint|tile/(\d+|entries)/(x\d{3}/)*\d{3}(\.p/\d+)?)")
PIXELS = re.compile(
    rb"\xff\xd8\xff|ftyp|moov|mdat|avcC|age-encryption|\x00\x00\x00\x01[\x65\x67]|latchstring segment|vpcC"
    rb"|\x82\x49\x83\x42"
)


def published(sent: bytes) -> list[Publish]:
    """Return the PUBLISH packets of a device's side of a conversation."""
    parser = Parser()
    parser.feed(sent)
    return [packet for packet in iter(parser.next, None) if isinstance(packet, Publish)]


def shape(packet: Publish, device: str) -> tuple[Any, ...]:
    """Return what a packet looks like without its numbers: topic, flags, and the kinds of its fields."""
    topic = packet.topic.replace(device, "DEVICE")
    try:
        body = json.loads(packet.payload)
    except ValueError:
        body = packet.payload.decode()
    fields: Any = body
    if isinstance(body, dict):
        fields = tuple(sorted((key, value if key in {"type", "phase"} else "") for key, value in body.items()))
    return topic, packet.qos, packet.retain, str(fields).replace(device, "DEVICE").replace(device.replace("-", " "), "")


def story(recorder: Recorder, device: str) -> list[tuple[Any, ...]]:
    """Return the shapes of all a device published; health is told by the clock, so it stands once."""
    shapes = [shape(packet, device) for packet in published(recorder.sent)]
    health = [one for one in shapes if one[0].endswith("/health")]
    return [one for one in shapes if not one[0].endswith("/health")] + health[:1]


def bodies(sent: bytes) -> list[tuple[bytes, bytes, dict[bytes, bytes], bytes]]:
    """Parse the requests of an HTTP/1.1 conversation: method, target, headers, body."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(sent)
    found: list[tuple[bytes, bytes, dict[bytes, bytes], bytes]] = []
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Request):
            found.append((event.method, event.target, dict(event.headers), b""))
        elif isinstance(event, h11.Data):
            method, target, headers, body = found[-1]
            found[-1] = (method, target, headers, body + bytes(event.data))
        elif isinstance(event, h11.EndOfMessage):
            connection.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
            connection.send(h11.EndOfMessage())
            connection.start_next_cycle()
        else:
            return found


def test_only_what_was_approved_leaves(parties: Parties, record_property: Any) -> None:
    """Before a yes nothing but events; noticed, muted and declined look like no match; then exactly the bundle."""
    parties.start_hood()
    parties.start_owner()
    mqtt = {name: parties.record(parties.facts.mqtt_port) for name in DEVICES}
    http = {name: parties.record(int(parties.facts.url.rpartition(":")[2])) for name in DEVICES}
    for name in DEVICES:
        # Same scene, same seed; the third stands two kilometres away, and so has nothing to offer.
        parties.make_device(name, kind="doorbell", lat=52.52 if name != "unmatched" else 52.54)
        parties.point(name, mqtt_port=mqtt[name].port, http_port=http[name].port)
        parties.start_device(name)
    parties.start_agency()
    for name in DEVICES:
        parties.wait_for_clip(name)
    leaf = parties.post()
    parties.wait_for_state("approves", leaf, "offered")
    parties.wait_for_state("declines", leaf, "offered")
    parties.wait_for_state("unmatched", leaf, "unmatched")
    before = {name: mqtt[name].sent for name in DEVICES}
    for recorder in http.values():
        assert _of_the_log(recorder) == len(_requests(recorder)), "something reached the inbox before any approval"
    for name, sent in before.items():
        _only_events(name, sent)

    home = str(parties.home("declines"))
    assert parties.ask("declines", "notices") == {"new": [leaf]}
    for more in ([], ["--off"], []):
        parties.run("review", "mute", "--incident", "package-theft", "--home", home, *more)
    assert parties.status("declines")["requests"]["waiting"] == 0
    parties.run("review", "decline", leaf, "--home", home)
    released = parties.approve("approves", leaf)
    time.sleep(1.0)  # whatever a decision might set off has had its time
    for name in DEVICES:
        parties.stop(name)
        _only_events(name, mqtt[name].sent)

    assert story(mqtt["declines"], "declines") == story(mqtt["unmatched"], "unmatched")
    assert story(mqtt["approves"], "approves") == story(mqtt["unmatched"], "unmatched")
    for name in ("declines", "unmatched"):
        assert _of_the_log(http[name]) == len(_requests(http[name])) > 0
    counted = _exactly_the_bundle(http["approves"], released, parties.home("approves"))
    record_property("egress", counted)


def _only_events(device: str, sent: bytes) -> None:
    """Assert that a device's MQTT side holds events and states, small ones, and nothing like a picture."""
    assert not PIXELS.search(sent)
    packets = published(sent)
    assert packets
    leaves = Counter(packet.topic.rpartition("/")[2] for packet in packets)
    assert set(leaves) <= TOLD, leaves
    for packet in packets:
        assert packet.topic.startswith((f"latchstring/{device}/", "homeassistant/device/"))
        assert len(packet.payload) < (4_000 if packet.topic.endswith("/config") else 700)
        if packet.topic.endswith("/event"):
            assert set(json.loads(packet.payload)) == EVENT_KEYS


def _requests(recorder: Recorder) -> list[tuple[bytes, bytes, dict[bytes, bytes], bytes]]:
    return [one for conversation in recorder.conversations for one in bodies(bytes(conversation.sent))]


def _of_the_log(recorder: Recorder) -> int:
    """Return how many requests were for files of the log: GETs without a word of who asks or why."""
    asked = [one for one in _requests(recorder) if LOG_PATHS.fullmatch(one[1])]
    for method, _, headers, body in asked:
        assert (method, body) == (b"GET", b"")
        assert set(headers) <= {b"host", b"user-agent", b"accept-encoding", b"cache-control"}
    return len(asked)


def _exactly_the_bundle(recorder: Recorder, released: dict[str, Any], home: Path) -> dict[str, int]:
    """Assert that the inbox was sent the upload's envelope and the approved bundle, and not a byte besides."""
    requests = [one for one in _requests(recorder) if not LOG_PATHS.fullmatch(one[1])]
    assert [method for method, *_ in requests] == [b"POST", b"HEAD", *[b"PATCH"] * (len(requests) - 3), b"GET"]
    sent = b"".join(body for *_, body in requests)
    assert hashlib.sha256(sent).hexdigest() == released["bundle_sha256"]
    assert len(sent) == released["bundle_bytes"]
    (metadata,) = [headers[b"upload-metadata"] for method, _, headers, _ in requests if method == b"POST"]
    envelope = base64.b64decode(metadata.partition(b" ")[2])
    upload = Upload.open(envelope, key=Upload.unverified(envelope).key)
    assert (upload.request, upload.bundle_sha256) == (released["request"], released["bundle_sha256"])
    assert parse_envelope(envelope).key_id != key_id(DeviceKey.load(home / "device.key").public)
    headers = {name for _, _, headers, _ in requests for name in headers}
    assert headers <= {
        b"host", b"user-agent", b"accept-encoding", b"tus-resumable", b"upload-length", b"upload-metadata",
        b"upload-offset", b"content-type", b"content-length",
    }  # fmt: skip
    assert all(one[2][b"user-agent"] == b"latchstring" for one in requests)
    return {"http_bytes": len(recorder.sent), "bundle_bytes": len(sent), "requests": len(requests)}
