"""Headers are parsed strictly: what parses re-encodes to itself, and everything else is refused."""

import base64
import hashlib
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.inbox.errors import Refused
from broker.inbox.headers import (
    MAX_HEADER_CHARS,
    check_offset_type,
    check_version,
    parse_authorization,
    parse_checksum,
    parse_count,
    parse_metadata,
    parse_range,
)


def refusal(act: Callable[[], object]) -> int | None:
    """Return the status of a refusal, None if there was none."""
    try:
        act()
    except Refused as refused:
        return refused.status
    return None


@given(st.integers(0, 2**63 - 1))
def test_counts_round_trip(count: int) -> None:
    """Every count below 2**63 in plain decimal is taken."""
    assert parse_count(str(count), name="Upload-Offset") == count


@given(st.text(max_size=30))
def test_counts_have_one_spelling(text: str) -> None:
    """A text is a count only if writing the count gives the text."""
    counts: list[int] = []
    status = refusal(lambda: counts.append(parse_count(text, name="Upload-Length")))
    assert status == (None if [str(count) for count in counts] == [text] else 400)


@pytest.mark.parametrize(
    "text", ["-1", "+1", " 1", "1 ", "01", "1_0", "0x1", "1.0", "", "9" * 19, "9" * 5_000, "\u0661"]
)
def test_wrong_counts(text: str) -> None:
    """Signs, spaces, leading zeros, other digits and absurd sizes are refused."""
    with pytest.raises(Refused, match="Upload-Offset"):
        parse_count(text, name="Upload-Offset")


@given(st.binary(max_size=200))
def test_metadata_round_trips(envelope: bytes) -> None:
    """The envelope comes out of the metadata as it went in."""
    encoded = base64.b64encode(envelope).decode()
    assert parse_metadata(f"envelope {encoded}") == envelope
    assert parse_authorization(f"DSSE {encoded}") == envelope


@given(st.text(st.characters(max_codepoint=255), max_size=60))
def test_metadata_never_crashes(text: str) -> None:
    """Any other text is refused with a status, never with another error."""
    for parse in (parse_metadata, parse_authorization, parse_checksum, check_version, check_offset_type):
        assert refusal(partial(parse, text)) in {None, 400, 401, 412, 415}


@pytest.mark.parametrize(
    "text",
    [
        "envelope",
        "envelope  QUJD",
        "envelope QUJD,name QUJD",
        "envelope QUJD, envelope QUJD",
        "name QUJD",
        "Envelope QUJD",
        "envelope QUJD!!!!",
        "envelope QUJ",
        "envelope QUJE=",
    ],
)
def test_wrong_metadata(text: str) -> None:
    """One key, one space, canonical base64, nothing else."""
    if text == "envelope":
        assert parse_metadata(text) == b""  # an empty envelope, refused as an envelope
        return
    with pytest.raises(Refused) as caught:
        parse_metadata(text)
    assert caught.value.status == 400


def test_huge_headers() -> None:
    """A header beyond its bound is refused before it is decoded."""
    for parse in (parse_metadata, parse_authorization, parse_checksum):
        with pytest.raises(Refused) as caught:
            parse("envelope " + "A" * MAX_HEADER_CHARS)
        assert caught.value.status == 431


@given(st.binary(max_size=300), st.sampled_from(["sha1", "sha256"]))
def test_checksums(body: bytes, algorithm: str) -> None:
    """A checksum holds for its body, in whatever pieces it comes, and for no other."""
    digest = base64.b64encode(hashlib.new(algorithm, body).digest()).decode()
    one, other = parse_checksum(f"{algorithm} {digest}"), parse_checksum(f"{algorithm} {digest}")
    assert one is not None
    assert other is not None
    for at in range(0, len(body), 7):
        one.update(body[at : at + 7])
    other.update(body + b"x")
    assert one.matches()
    assert not other.matches()


@given(st.integers(1, 1_000), st.integers(0, 1_100), st.integers(0, 1_100))
def test_ranges(size: int, first: int, last: int) -> None:
    """A range gives the bytes that the RFC says, or 416 where there are none."""
    data = bytes(at % 251 for at in range(size))
    for text, expected in {
        f"bytes={first}-{last}": data[first : last + 1],
        f"bytes={first}-": data[first:],
        f"bytes=-{last}": data[-last:] if last else b"",
    }.items():
        if text == f"bytes={first}-{last}" and last < first:
            assert parse_range(text, size=size) is None
        elif expected:
            start, end = parse_range(text, size=size) or (0, size)
            assert data[start:end] == expected
        else:
            with pytest.raises(Refused) as caught:
                parse_range(text, size=size)
            assert caught.value.status == 416


@given(st.text(max_size=30))
def test_odd_ranges_are_ignored(text: str) -> None:
    """A range in another form means the whole."""
    assert parse_range("lines=" + text, size=10) is None
    assert parse_range("bytes=0-1,3-4", size=10) is None
    assert parse_range("bytes=-", size=10) is None
    assert parse_range(None, size=10) is None
