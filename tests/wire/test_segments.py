"""The plaintext of a segment: one byte string for one group of pictures, and no other reading of it."""

import contextlib
import hashlib
import struct
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.wire.encoding import WireError
from broker.wire.segments import (
    MAGIC,
    MAGIC_OTHER,
    MAX_SEGMENT_BYTES,
    Codec,
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
PLAIN = encode_segment(codec="h264", width=1280, height=720, extradata=b"avcC", units=UNITS)
OTHER = encode_segment(codec="vp9", width=1280, height=720, extradata=b"vpcC", units=UNITS)
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
    assert decode_segment(PLAIN) == WireSegment("h264", 1280, 720, b"avcC", UNITS)
    assert decode_segment(OTHER) == WireSegment("vp9", 1280, 720, b"vpcC", UNITS)
    assert segment_digest(PLAIN) == hashlib.sha256(PLAIN).hexdigest()


def test_the_layout_of_h264_is_that_of_the_first_release() -> None:
    """Statements that devices signed before there was another codec stay true: the bytes are spelled out here."""
    spelled = b"latchstring segment v1\n" + struct.pack(">HHI", 1280, 720, 4) + b"avcC" + struct.pack(">I", 3)
    for unit in UNITS:
        spelled += struct.pack(">qqBI", unit.dts, unit.pts, unit.keyframe, len(unit.data)) + unit.data
    assert spelled == PLAIN
    named = b"latchstring segment v2\nvp09"
    assert named + PLAIN[len(MAGIC) :].replace(b"avcC", b"vpcC") == OTHER


@pytest.mark.parametrize("name", [b"avc1", b"h264", b"VP09", b"av01", b"", b"\0\0\0\0"])
def test_each_codec_has_one_layout(name: bytes) -> None:
    """H.264 in the second layout, and a codec that nobody knows, are refused."""
    with pytest.raises(WireError, match="codec that is known"):
        decode_segment(MAGIC_OTHER + name + PLAIN[len(MAGIC) :])


@given(
    units,
    st.integers(0, 65_535),
    st.integers(0, 65_535),
    st.binary(max_size=20),
    st.sampled_from(["h264", "vp9"]),
)
def test_times_count_from_the_first_unit(
    more: list[WireAccessUnit], width: int, height: int, config: bytes, codec: Codec
) -> None:
    """Wherever a stream's clock stands, the same pictures are the same bytes."""
    first = WireAccessUnit(7, 11, keyframe=True, data=b"key")
    encode = partial(encode_segment, codec=codec, width=width, height=height, extradata=config)
    data = encode(units=[first, *more])
    assert encode(units=[WireAccessUnit(u.dts + 90, u.pts + 90, u.keyframe, u.data) for u in (first, *more)]) == data
    decoded = decode_segment(data)
    assert (decoded.codec, decoded.units[0].dts) == (codec, 0)
    assert encode(units=decoded.units) == data


def test_a_segment_begins_with_a_keyframe() -> None:
    """Nothing else can be decoded by itself."""
    for bad in ((), UNITS[1:]):
        with pytest.raises(WireError, match="keyframe"):
            encode_segment(codec="h264", width=1, height=1, extradata=b"", units=bad)


@given(st.sampled_from([PLAIN, OTHER]), st.data())
def test_a_cut_segment_is_refused(whole: bytes, data: st.DataObject) -> None:
    """Every prefix of a segment is refused, and so is anything behind it."""
    length = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(WireError):
        decode_segment(whole[:length])
    with pytest.raises(WireError):
        decode_segment(whole + whole[: length + 1])


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
    replaced = PLAIN[:at] + data + PLAIN[at + len(data) :]
    for candidate in (data, MAGIC + data, MAGIC_OTHER + b"vp09" + data, PLAIN[:at] + data, replaced):
        with contextlib.suppress(WireError):
            found = decode_segment(candidate)
            again = encode_segment(
                codec=found.codec,
                width=found.width,
                height=found.height,
                extradata=found.extradata,
                units=found.units,
            )
            assert again == candidate
