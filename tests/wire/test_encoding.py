"""Text that decodes re-encodes to the same bytes, and nothing a peer sends raises anything but WireError."""

import base64
import contextlib
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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

SAFE = st.integers(-(2**53) + 1, 2**53 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | SAFE | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_canonical_json_comes_back(value: Any) -> None:
    """Whatever JSON carries exactly survives, and its canonical form is a fixed point."""
    data = canonical(value)
    assert parse_canonical(data, max_bytes=100_000) == value
    assert json.loads(data) == value


@given(st.binary(max_size=80))
def test_no_bytes_crash_the_parsers(data: bytes) -> None:
    """Any bytes are JSON or a WireError; what parses as canonical is canonical."""
    with contextlib.suppress(WireError):
        parse_json(data, max_bytes=100)
    with contextlib.suppress(WireError):
        assert canonical(parse_canonical(data, max_bytes=100)) == data


@given(st.text(max_size=40))
def test_no_json_text_crashes_the_parsers(text: str) -> None:
    """Any text, surrogates and all, is JSON or a WireError, as a key and as a value."""
    for source in (text, json.dumps(text), json.dumps({text: text})):
        with contextlib.suppress(WireError):
            parse_canonical(source.encode("utf-8", "surrogatepass"), max_bytes=1_000)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b'{"a":1,"a":1}', "stands twice"),
        (b'{"a":{"b":1,"b":2}}', "stands twice"),
        (b"NaN", "not JSON"),
        (b"-Infinity", "not JSON"),
        (b"1e400", "too large"),
        (b"\xff", "not UTF-8"),
        (b"{", "does not parse"),
        (b"1 2", "does not parse"),
        (b"[" * 17 + b"]" * 17, "nested deeper"),
        (b'[{"a":' * 9 + b"1" + b"}]" * 9, "nested deeper"),
        (b"[" * 10_000, "nested deeper"),
        (b"[" * 5_000 + b"]" * 5_000, "nested deeper"),
        (b'{"a":' * 2_000, "nested deeper"),
        (b"9" * 5_000, "does not parse"),
        (b"x" * 10_001, "10001 bytes"),
        (b'"\\ud800"', "surrogate"),
        (b'[{"\\udfff":1}]', "surrogate"),
        (b'"\\udc00\\ud800"', "surrogate"),
    ],
)
def test_loose_json_is_refused(data: bytes, why: str) -> None:
    """Duplicate keys, what is not finite, deep nesting and too much of anything raise with the reason."""
    with pytest.raises(WireError, match=why):
        parse_json(data, max_bytes=10_000)


@given(st.lists(st.sampled_from("[{"), min_size=1, max_size=40))
def test_sixteen_levels_and_no_more(opened: list[str]) -> None:
    """Objects and arrays count alike, wherever in the value they stand."""
    text = '"end"'
    for one in reversed(opened):
        text = f"[1, {text}, []]" if one == "[" else f'{{"a": 1, "b": {text}}}'
    deep = len(opened) + (opened[-1] == "[")
    if deep <= 16:
        assert parse_json(text.encode(), max_bytes=10_000) == json.loads(text)
    else:
        with pytest.raises(WireError, match="nested deeper"):
            parse_json(text.encode(), max_bytes=10_000)


def test_a_large_text_costs_no_walk_through_its_characters() -> None:
    """Half a megabyte of base64, as an announcement may have, takes little longer than to parse it."""
    data = json.dumps({"envelope": "A" * 500_000}).encode()
    began_s = time.process_time()
    for _ in range(10):
        parse_json(data, max_bytes=len(data))
    assert time.process_time() - began_s < 0.1


def test_whole_surrogate_pairs_are_characters() -> None:
    """What two escapes spell together is fine."""
    assert parse_json(b'"\\ud83d\\udeb2"', max_bytes=100) == "\U0001f6b2"


def test_brackets_inside_strings_do_not_nest() -> None:
    """Depth counts structure only, escapes included."""
    assert parse_json(json.dumps(['["\\[' * 20]).encode(), max_bytes=1_000) == ['["\\[' * 20]


@pytest.mark.parametrize(
    "data",
    [b'{"b":1,"a":2}', b'{"a": 1}', b"1.0", b"-0", b"1e2", b'"\\u0061"', b'"\\/"', b"[1]\n", b"\xef\xbb\xbf1",
     b'"\\ud800"', b'{"\\ud800":1}', b"9007199254740993", b"9007199254740992.5"],
)  # fmt: skip
def test_other_spellings_are_refused(data: bytes) -> None:
    """A value has one spelling; half a surrogate pair and inexact numbers have none."""
    with pytest.raises(WireError):
        parse_canonical(data, max_bytes=100)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**53 + 1, {1: 1}, "\ud800", {"\ud800": 1}, b"x"])
def test_what_json_can_not_carry_is_not_written(value: Any) -> None:
    """Nothing is rounded or replaced in silence."""
    with pytest.raises(WireError):
        canonical(value)


@given(st.binary(max_size=70))
def test_base64_comes_back(data: bytes) -> None:
    """Base64 is the standard's, padded."""
    assert to_base64(data).encode() == base64.b64encode(data)
    assert from_base64(to_base64(data), size=len(data)) == data
    with pytest.raises(WireError):
        from_base64(to_base64(data), size=len(data) + 1)


@pytest.mark.parametrize("text", ["QUJD!!!!", "QUJ", "QUI=\n", " QUI=", "QUJ=", "QU-_", "QUI", "=", "ä", "QUI=QUI="])
def test_loose_base64_is_refused(text: str) -> None:
    """Stray characters, missing padding and spare bits raise."""
    with pytest.raises(WireError):
        from_base64(text)


@given(st.text(max_size=12))
def test_base64_that_decodes_has_one_spelling(text: str) -> None:
    """Whatever is accepted is what we would write."""
    with contextlib.suppress(WireError):
        assert to_base64(from_base64(text)) == text


@pytest.mark.parametrize("text", ["AB", "0", "0g", "00 ", "0x", "\u0660\u0660", "000"])
def test_loose_hex_is_refused(text: str) -> None:
    """Only lower-case digits of the exact length."""
    with pytest.raises(WireError):
        from_hex(text, size=1)
    assert from_hex("0f", size=1) == b"\x0f"


@given(st.integers(0, 2**63 - 1))
def test_decimals_come_back(number: int) -> None:
    """Every number below 2**63 has one spelling."""
    assert parse_decimal(str(number)) == number


@pytest.mark.parametrize(
    "text", ["", "01", "-1", "+1", " 1", "1 ", "1_0", "1\n", "\u0661", str(2**63), "9" * 5_000, "1.0"]
)
def test_loose_decimals_are_refused(text: str) -> None:
    """Signs, spaces, leading zeros, other digits and too many of them raise."""
    with pytest.raises(WireError):
        parse_decimal(text)


@given(st.datetimes(timezones=st.just(UTC)))
def test_times_come_back(moment: datetime) -> None:
    """Every microsecond of every year has one spelling, the first thousand years included."""
    assert parse_time(format_time(_us(moment))) == _us(moment)


def _us(moment: datetime) -> int:
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def test_a_time_looks_like_this() -> None:
    """RFC 3339, UTC, six decimals."""
    assert format_time(0) == "1970-01-01T00:00:00.000000Z"
    assert format_time(1_777_777_777_000_001) == "2026-05-03T03:09:37.000001Z"
    assert format_time(-62_135_596_800_000_000) == "0001-01-01T00:00:00.000000Z"


@pytest.mark.parametrize("at_us", [-62_135_596_800_000_001, 253_402_300_800_000_000, 2**63, -(2**70), 10**40])
def test_years_that_can_not_be_written_are_refused(at_us: int) -> None:
    """Before the year 1 and after 9999 there is no spelling."""
    with pytest.raises(WireError, match="beyond"):
        format_time(at_us)
    assert format_time(253_402_300_799_999_999) == "9999-12-31T23:59:59.999999Z"


@pytest.mark.parametrize(
    "text",
    ["2026-05-04T03:02:01Z", "2026-05-04T03:02:01.000000+00:00", "2026-05-04 03:02:01.000000Z",
     "2026-02-30T00:00:00.000000Z", "2026-05-04T03:02:60.000000Z", "2026-05-04T24:00:00.000000Z",
     "2026-05-04T03:02:01.000000z", "2026-05-04T03:02:01.000000Z\n", "0000-01-01T00:00:00.000000Z",
     "\u0662026-05-04T03:02:01.000000Z"],
)  # fmt: skip
def test_loose_times_are_refused(text: str) -> None:
    """Other zones, precisions and dates that don't exist raise."""
    with pytest.raises(WireError):
        parse_time(text)


@given(st.text(max_size=30))
def test_no_text_crashes_the_small_parsers(text: str) -> None:
    """Any text is a value or a WireError."""
    parsers: list[Callable[[str], Any]] = [parse_decimal, parse_time, from_base64]
    for parse in parsers:
        with contextlib.suppress(WireError):
            parse(text)
