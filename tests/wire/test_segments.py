"""The plaintext of a segment: one byte string for one group of pictures, and no other reading of it."""

import contextlib
import hashlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.wire.encoding import WireError
from broker.wire.segments import (
    MAGIC,
    MAX_SEGMENT_BYTES,
    WireAccessUnit,
    WireSegment,
    decode_segment,
    encode_segment,
    segment_digest,
)

UNITS = (
    WireAccessUnit(0, 3_000, keyframe=True, data=b"\0\0\0\1a"),
    WireAccessUnit(3_000, 9_000, keyframe=False, data=b"\0\0\0\2bc"),
    WireAccessUnit(6_000, 6_000, keyframe=False, data=b""),
)
PLAIN = encode_segment(width=1280, height=720, extradata=b"avcC", units=UNITS)
FIRST_UNIT = len(MAGIC) + 8 + 4 + 4

units = st.lists(
    st.builds(
        WireAccessUnit,
        st.integers(-(2**40), 2**40),
        st.integers(-(2**40), 2**40),
        st.booleans(),
        st.binary(max_size=20),
    ),
    max_size=6,
)


def test_a_segment_comes_back() -> None:
    """Size, configuration and every access unit survive."""
    assert decode_segment(PLAIN) == WireSegment(1280, 720, b"avcC", UNITS)
    assert segment_digest(PLAIN) == hashlib.sha256(PLAIN).hexdigest()


@given(units, st.integers(0, 65_535), st.integers(0, 65_535), st.binary(max_size=20))
def test_times_count_from_the_first_unit(more: list[WireAccessUnit], width: int, height: int, config: bytes) -> None:
    """Wherever a stream's clock stands, the same pictures are the same bytes."""
    first = WireAccessUnit(7, 11, keyframe=True, data=b"key")
    data = encode_segment(width=width, height=height, extradata=config, units=[first, *more])
    shifted = [WireAccessUnit(u.dts + 90, u.pts + 90, u.keyframe, u.data) for u in (first, *more)]
    assert encode_segment(width=width, height=height, extradata=config, units=shifted) == data
    decoded = decode_segment(data)
    assert decoded.units[0].dts == 0
    assert encode_segment(width=width, height=height, extradata=config, units=decoded.units) == data


def test_a_segment_begins_with_a_keyframe() -> None:
    """Nothing else can be decoded by itself."""
    for bad in ((), UNITS[1:]):
        with pytest.raises(WireError, match="keyframe"):
            encode_segment(width=1, height=1, extradata=b"", units=bad)


@given(st.integers(0, len(PLAIN) - 1))
def test_a_cut_segment_is_refused(length: int) -> None:
    """Every prefix of a segment is refused, and so is anything behind it."""
    with pytest.raises(WireError):
        decode_segment(PLAIN[:length])
    with pytest.raises(WireError):
        decode_segment(PLAIN + PLAIN[: length + 1])


@pytest.mark.parametrize(
    ("at", "raw"),
    [
        (0, b"L"),
        (FIRST_UNIT, struct.pack(">q", 5)),
        (FIRST_UNIT, struct.pack(">q", -(2**63))),
        (FIRST_UNIT + 16, b"\2"),
        (FIRST_UNIT + 16, b"\0"),
        (FIRST_UNIT + 17, b"\xff\xff\xff\xff"),
        (FIRST_UNIT - 4, struct.pack(">I", 0)),
        (FIRST_UNIT - 4, struct.pack(">I", 2)),
        (FIRST_UNIT - 4, struct.pack(">I", 10_001)),
        (FIRST_UNIT - 4, b"\xff\xff\xff\xff"),
        (len(MAGIC) + 4, b"\xff\xff\xff\xff"),
    ],
)
def test_other_readings_are_refused(at: int, raw: bytes) -> None:
    """Odd flags, times that don't begin at 0, and lengths that lie are refused."""
    with pytest.raises(WireError):
        decode_segment(PLAIN[:at] + raw + PLAIN[at + len(raw) :])


def test_a_segment_has_a_limit() -> None:
    """A segment is sealed in one go, and stays small enough for that."""
    with pytest.raises(WireError, match="too large"):
        decode_segment(MAGIC + b"\0" * MAX_SEGMENT_BYTES)


@given(st.binary(max_size=120), st.integers(0, len(PLAIN)))
def test_no_bytes_crash_the_segment_parser(data: bytes, at: int) -> None:
    """Any bytes, also in the middle of a good segment, are a segment that writes itself again, or a WireError."""
    for candidate in (data, MAGIC + data, PLAIN[:at] + data, PLAIN[:at] + data + PLAIN[at + len(data) :]):
        with contextlib.suppress(WireError):
            found = decode_segment(candidate)
            again = encode_segment(width=found.width, height=found.height, extradata=found.extradata, units=found.units)
            assert again == candidate
