"""Topics and announcements: built and parsed in one way only."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.wire import topics
from broker.wire.encoding import WireError, canonical, to_base64
from broker.wire.geo import Point, cell_of
from broker.wire.merkle import leaf_hash
from broker.wire.notes import Checkpoint, sign_note
from broker.wire.proofs import Proof
from broker.wire.topics import MAX_ANNOUNCEMENT_BYTES, Announcement, check_name, parse_announcement, parse_request_topic
from tests.wire.support import key_of, request

LEAF = "0123456789abcdef" * 4
CELL = cell_of(Point.from_degrees(52.5, 13.4))
NOTE = str(sign_note(Checkpoint("log.example.org", 9, b"\0" * 32).text, "log.example.org", key_of("log"))).encode()


WHOLE = Announcement(request().sign(key_of("police")), str(Proof(3, (b"\1" * 32,), NOTE)).encode())


def test_topics_are_those_of_the_design() -> None:
    """Names of topics are part of the contract with every other program."""
    assert topics.device("front-door", "event") == "latchstring/front-door/event"
    assert topics.discovery("front-door") == "homeassistant/device/latchstring_front-door/config"
    assert topics.request(CELL, LEAF) == f"latchstring/requests/{CELL}/{LEAF}"
    assert topics.requests_in(CELL) == f"latchstring/requests/{CELL}/+"
    assert topics.CHECKPOINT == "latchstring/log/checkpoint"
    assert parse_request_topic(topics.request(CELL, LEAF)) == (CELL, LEAF)


@pytest.mark.parametrize(
    "name", ["", "Door", "a/b", "+", "#", "-door", "a" * 64, "requests", "log", "door\n", "d\u00f6r"]
)
def test_names_that_would_reach_other_topics_are_refused(name: str) -> None:
    """No wildcard, no level, and not the operator's own topics."""
    with pytest.raises(WireError):
        check_name(name)


@pytest.mark.parametrize("name", ["a", "front-door", "0", "a" * 63])
def test_plain_names_pass(name: str) -> None:
    """Lower-case letters, digits and dashes."""
    assert check_name(name) == name


@pytest.mark.parametrize(
    "topic",
    ["", "latchstring/requests", f"latchstring/requests/{CELL}", f"latchstring/requests/{CELL}/{LEAF}/x",
     f"latchstring/requests/{CELL}/{LEAF[:-1]}", f"latchstring/requests/{CELL}/{LEAF.upper()}",
     f"x/requests/{CELL}/{LEAF}", f"latchstring/requests/+/{LEAF}",
     f"latchstring/requests/{CELL}\n/{LEAF}", f"latchstring/log/{CELL}/{LEAF}"],
)  # fmt: skip
def test_other_topics_are_no_requests(topic: str) -> None:
    """A device reads cell and hash from a topic strictly."""
    with pytest.raises(WireError):
        parse_request_topic(topic)


def test_announcements_come_back() -> None:
    """Envelope and proof come back byte for byte; the leaf is the hash of the envelope."""
    assert parse_announcement(WHOLE.encode()) == WHOLE
    assert json.loads(WHOLE.encode())["index"] == 3
    assert leaf_hash(WHOLE.envelope).hex() == WHOLE.leaf


def test_the_largest_entry_and_proof_can_be_announced() -> None:
    """Whatever the log takes fits one announcement."""
    proof = str(Proof(3, (b"\1" * 32,) * 63, NOTE + f"\u2014 {'x' * 400} AAAAAAAA\n".encode() * 60)).encode()
    whole = Announcement(b"x" * 65_535, proof)
    assert parse_announcement(whole.encode()) == whole


BODY: dict[str, Any] = json.loads(WHOLE.encode())


@pytest.mark.parametrize(
    "change",
    [
        {"index": 4},
        {"index": "3"},
        {"index": None},
        {"more": 1},
        {"envelope": "!"},
        {"envelope": 3},
        {"proof": "nonsense"},
        {"proof": None},
        {"index": -3},
        {"index": True, "proof": BODY["proof"].replace("index 3", "index 1")},
        {"index": False, "proof": BODY["proof"].replace("index 3", "index 0")},
        {"admission": {}},
        {"updates": []},
        {"envelope": BODY["envelope"] + "\n"},
        {"proof": BODY["proof"].replace("index 3", "index 03")},
        {"envelope": to_base64(b"x" * MAX_ANNOUNCEMENT_BYTES)},
    ],
)
def test_loose_announcements_are_refused(change: dict[str, Any]) -> None:
    """Known fields only, each of its kind, the index the proof's own, within the size."""
    with pytest.raises(WireError):
        parse_announcement(canonical(BODY | change))


def test_every_field_of_an_announcement_is_required() -> None:
    """Nothing is filled in."""
    for name in BODY:
        with pytest.raises(WireError):
            parse_announcement(canonical({key: value for key, value in BODY.items() if key != name}))
    for data in (b"", b"[]", WHOLE.encode() + b"\n", json.dumps(BODY).encode()):
        with pytest.raises(WireError):
            parse_announcement(data)


@given(st.binary(max_size=100))
def test_no_bytes_crash_the_announcement_parser(data: bytes) -> None:
    """Any bytes are an announcement or a WireError."""
    with contextlib.suppress(WireError):
        parse_announcement(data)
