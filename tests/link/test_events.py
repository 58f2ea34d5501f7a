"""Payloads as the README has them, and strict parsing of what comes in."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.wire.encoding import WireError, parse_time
from device.link.events import (
    MAX_RECEIPT_BYTES,
    Happening,
    event_payload,
    health_payload,
    parse_receipt,
    parse_switch,
    reviews_payload,
    ring_payload,
    switch_payload,
)
from tests.link.support import health


def happening(**changes: object) -> Happening:
    """Return the start of a motion event."""
    fields = {"id": "e1", "type": "motion", "phase": "start", "start_us": 1_700_000_000_123_456, "end_us": None}
    return Happening(**{"at_us": 1_700_000_000_123_456, "score": 57, "clip": None, **fields, **changes})  # type: ignore[arg-type] # a dict for changes


def test_an_event_has_exactly_the_fields_of_the_contract() -> None:
    """Every phase has all fields; times are RFC 3339 to the microsecond; what is not known is null."""
    body = json.loads(event_payload(happening(), epoch="e", seq=7))
    assert body == {
        "id": "e1",
        "epoch": "e",
        "seq": 7,
        "type": "motion",
        "phase": "start",
        "start": "2023-11-14T22:13:20.123456Z",
        "end": None,
        "score": 57,
        "clip": None,
        "label": None,
        "labelled_by": None,
    }
    ended = json.loads(event_payload(happening(phase="end", end_us=1_700_000_001_000_000, clip="c1"), epoch="e", seq=8))
    assert (ended["end"], ended["clip"]) == ("2023-11-14T22:13:21.000000Z", "c1")
    labelled = json.loads(event_payload(happening(label="person", labelled_by="model"), epoch="e", seq=9))
    assert (labelled["label"], labelled["labelled_by"]) == ("person", "model")


@given(start=st.integers(0, 4_000_000_000_000_000), seq=st.integers(1, (1 << 53) - 1), score=st.integers(0, 100))
def test_an_event_comes_back_as_it_was(start: int, seq: int, score: int) -> None:
    """Times, numbers and scores survive the wire to the microsecond and the unit."""
    body = json.loads(event_payload(happening(start_us=start, score=score), epoch="e", seq=seq))
    assert (parse_time(body["start"]), body["seq"], body["score"]) == (start, seq, score)


def test_the_small_payloads() -> None:
    """Ring in the form of Home Assistant's event entity; switches, counts and health as text and JSON."""
    ring = json.loads(ring_payload(event="e1", at_us=1_700_000_000_000_000))
    assert ring == {"event_type": "ring", "id": "e1", "at": "2023-11-14T22:13:20.000000Z"}
    assert (switch_payload(on=True), switch_payload(on=False)) == (b"ON", b"OFF")
    assert reviews_payload(12) == b"12"
    problem = "camera lost: unplugged"
    body = json.loads(
        health_payload(health(problem=problem, frames_per_second=14.96, outbox_oldest_seq=7, outbox_next_seq=8))
    )
    assert (body["frames_per_second"], body["problem"]) == (15.0, "camera lost: unplugged")
    assert (body["outbox_epoch"], body["outbox_oldest_seq"], body["outbox_next_seq"]) == ("e", 7, 8)


def test_receipts_are_taken_in_any_json_spelling() -> None:
    """A collector is the owner's own script: order and spaces are its business."""
    assert parse_receipt(b'{"seq": 0, "epoch": "abc"}') == ("abc", 0)
    assert parse_receipt(b'{"epoch":"abc","seq":9007199254740991}') == ("abc", (1 << 53) - 1)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"epoch":"a"}',
        b'{"epoch":"a","seq":1,"more":1}',
        b'{"epoch":"a","seq":1,"seq":2}',
        b'{"epoch":"a","seq":"1"}',
        b'{"epoch":"a","seq":1.0}',
        b'{"epoch":"a","seq":true}',
        b'{"epoch":"a","seq":-1}',
        b'{"epoch":"a","seq":9007199254740992}',
        b'{"epoch":"a","seq":NaN}',
        b'{"epoch":"","seq":1}',
        b'{"epoch":1,"seq":1}',
        b'{"epoch":"' + b"a" * 65 + b'","seq":1}',
        b'{"epoch":"\xff","seq":1}',
        b" " * (MAX_RECEIPT_BYTES + 1),
        b'{"epoch":"a","seq":1}' + b" " * MAX_RECEIPT_BYTES,
    ],
)
def test_a_receipt_that_is_not_one_is_refused(payload: bytes) -> None:
    """Missing, unknown, doubled, mistyped and oversized fields are each a WireError."""
    with pytest.raises(WireError):
        parse_receipt(payload)


@given(st.binary(max_size=400))
def test_no_bytes_break_the_parsers(payload: bytes) -> None:
    """Whatever comes in, a parser returns or raises WireError."""
    for parse in (parse_receipt, parse_switch):
        try:
            parse(payload)
        except WireError:
            continue


def test_only_two_words_switch_privacy() -> None:
    """ON and OFF, to the letter."""
    assert parse_switch(b"ON") is True
    assert parse_switch(b"OFF") is False
    for payload in (b"on", b"ON ", b"ON\n", b"1", b"true", b"", b"ONOFF" * 1_000):
        with pytest.raises(WireError):
            parse_switch(payload)
