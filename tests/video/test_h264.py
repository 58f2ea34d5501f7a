"""NAL units, parameter sets and their conversions."""

import io
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.video.codec.canonical import Canonical
from device.video.codec.h264 import (
    ParameterSets,
    is_idr,
    join_prefixed,
    parse_avcc,
    parse_sps,
    pps_id,
    sets_from_annexb,
    split_annexb,
    split_prefixed,
    sps_id,
)
from device.video.errors import BitstreamError
from tests.video.support import coded

# NAL units as they may be: no start code inside, and no zero at the end.
NALS = st.lists(st.binary(min_size=1, max_size=40).map(lambda data: data.replace(b"\0", b"\1")), min_size=1, max_size=8)


@given(NALS, st.lists(st.sampled_from([b"\0\0\1", b"\0\0\0\1"]), min_size=8, max_size=8))
def test_annexb_splits_at_either_start_code(nals: list[bytes], codes: list[bytes]) -> None:
    """Start codes of three and four bytes are found, wherever they stand."""
    stream = b"".join(code + nal for code, nal in zip(codes, nals, strict=False))
    assert split_annexb(stream) == nals


@given(NALS)
def test_length_prefixes_come_back(nals: list[bytes]) -> None:
    """What was joined with lengths is split into the same NAL units."""
    assert list(split_prefixed(join_prefixed(nals))) == nals


@given(st.binary(max_size=80))
def test_no_bytes_break_the_parsers(data: bytes) -> None:
    """Arbitrary bytes are either read or refused with BitstreamError; nothing else comes out."""
    split_annexb(data)
    for parse in (lambda: list(split_prefixed(data)), lambda: parse_avcc(data), lambda: parse_sps(b"\x67" + data)):
        try:
            parse()
        except BitstreamError:
            continue


def test_avcc_from_x264_comes_back() -> None:
    """The record built for x264's parameter sets parses to the same sets and says four-byte lengths."""
    record = coded()[0].config.extradata
    length_bytes, sets = parse_avcc(record)
    assert (length_bytes, sets.avcc()) == (4, record)


def test_avcc_equals_what_libavformat_writes() -> None:
    """Our record for a High profile stream is the one that libavformat's own muxer writes for it."""
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=15)
        stream.width, stream.height, stream.pix_fmt = 162, 98, "yuv420p"
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame(162, 98, "yuv420p")))
        container.mux(stream.encode(None))
        annexb = stream.codec_context.extradata
    out.seek(0)
    with av.open(out) as container:
        theirs = container.streams.video[0].codec_context.extradata
    assert annexb is not None
    assert sets_from_annexb(annexb).avcc() == theirs


@pytest.mark.parametrize(("width", "height"), [(64, 48), (162, 98), (640, 360), (1920, 1080), (130, 2)])
def test_sps_tells_the_cropped_size(width: int, height: int) -> None:
    """Width and height are read from the SPS, whatever is cropped."""
    context = av.CodecContext.create("libx264", "w")
    context.width, context.height, context.pix_fmt = width, height, "yuv420p"
    context.time_base, context.framerate = Fraction(1, 15), Fraction(15)
    context.flags |= av.codec.context.Flags.global_header
    context.options = {"preset": "ultrafast"}
    context.open()
    info = parse_sps(sets_from_annexb(context.extradata or b"").sps[0])
    assert (info.width, info.height, info.luma_depth) == (width, height, 8)


def test_annexb_and_avcc_give_the_same_unit() -> None:
    """A packet with start codes and in-band parameter sets comes to the same bytes as one with lengths."""
    packet = coded()[0]
    _, sets = parse_avcc(packet.config.extradata)
    body = list(split_prefixed(packet.unit.data))
    annexb = b"".join(b"\0\0\0\1" + nal for nal in (b"\x09\xf0", *sets.sps, *sets.pps, *body))
    canonical = Canonical(extradata=None)
    unit = canonical.unit(annexb, dts=0, pts=0)
    assert unit == packet.unit
    assert canonical.config == packet.config


def test_two_byte_lengths_become_four() -> None:
    """An avcC record that says two-byte lengths is taken, and its units are rewritten."""
    packet = coded()[1]
    record = bytearray(packet.config.extradata)
    record[4] = 0xFD
    short = b"".join(len(nal).to_bytes(2) + nal for nal in split_prefixed(packet.unit.data))
    canonical = Canonical(extradata=bytes(record))
    assert canonical.unit(short, dts=packet.unit.dts, pts=packet.unit.pts) == packet.unit
    assert canonical.config == packet.config


def test_new_parameter_sets_change_the_configuration() -> None:
    """When a camera changes its resolution in band, the configuration follows."""
    small = coded()[0]
    _, sets = parse_avcc(small.config.extradata)
    context = av.CodecContext.create("libx264", "w")
    context.width, context.height, context.pix_fmt = 320, 240, "yuv420p"
    context.time_base = Fraction(1, 15)
    context.options = {"preset": "ultrafast", "tune": "zerolatency"}
    frame = av.VideoFrame.from_ndarray(np.zeros((360, 320), np.uint8), format="yuv420p")
    frame.pts = 0
    large = bytes(context.encode(frame)[0])
    canonical = Canonical(extradata=b"\0\0\0\1" + sets.sps[0] + b"\0\0\0\1" + sets.pps[0])
    assert canonical.config == small.config
    canonical.unit(large, dts=0, pts=0)
    assert canonical.config is not None
    assert (canonical.config.width, canonical.config.height) == (320, 240)


def test_pictures_before_parameter_sets_are_refused() -> None:
    """Without SPS and PPS there is nothing to decode with."""
    with pytest.raises(BitstreamError, match="parameter sets"):
        Canonical(extradata=None).unit(b"\0\0\0\1\x41abc", dts=0, pts=0)


def test_a_recovery_point_is_no_idr() -> None:
    """An SEI before an ordinary slice does not make it a place where a segment may start."""
    assert not is_idr(join_prefixed([b"\x06\x06\x01\xc4\x80", b"\x41\x9a"]))
    assert is_idr(join_prefixed([b"\x06\x05\x01\xc4\x80", b"\x65\x88"]))


def test_missing_sets_make_no_record() -> None:
    """A record needs both kinds of parameter sets."""
    with pytest.raises(BitstreamError, match="missing"):
        ParameterSets(sps=(), pps=()).avcc()


def numbered(number: int, *, head: bytes = b"\x68", rest: bytes = b"\xaa" * 60) -> bytes:
    """A parameter set that begins with its head and this number."""
    bits = f"{number + 1:b}"
    code = "0" * (len(bits) - 1) + bits + "1"
    code += "0" * (-len(code) % 8)
    return head + int(code, 2).to_bytes(len(code) // 8) + rest


SPS_HEAD = b"\x67\x42\x01\x1e"


def test_parameter_sets_have_numbers_within_bounds() -> None:
    """Up to 31 and 255 (7.4.2); beyond, they are none."""
    assert [pps_id(numbered(number)) for number in (0, 7, 255)] == [0, 7, 255]
    assert [sps_id(numbered(number, head=SPS_HEAD)) for number in (0, 7, 31)] == [0, 7, 31]
    with pytest.raises(BitstreamError, match="256"):
        pps_id(numbered(256))
    with pytest.raises(BitstreamError, match="32"):
        sps_id(numbered(32, head=SPS_HEAD))


@pytest.mark.parametrize(
    "nals",
    [
        pytest.param([numbered(256)], id="PPS number"),
        pytest.param([numbered(32, head=SPS_HEAD)], id="SPS number"),
        pytest.param([numbered(one % 32, head=SPS_HEAD, rest=bytes([one + 1])) for one in range(40)], id="many SPS"),
        pytest.param([numbered(number) for number in range(256)], id="many PPS"),
        pytest.param([numbered(number, rest=b"\xaa" * 600) for number in range(200)], id="long PPS"),
    ],
)
def test_refused_parameter_sets_are_not_kept(nals: list[bytes]) -> None:
    """What comes in band and can't be is refused whole; the camera's own sets make it well again."""
    packet = coded()[0]
    _, sets = parse_avcc(packet.config.extradata)
    own = [*sets.sps, *sets.pps]
    canonical = Canonical(extradata=join_codes(own))
    for _ in range(3):
        with pytest.raises(BitstreamError):
            canonical.unit(join_codes([*nals, b"\x65\x88abc"]), dts=0, pts=0)
        assert set(canonical._sets.sps + canonical._sets.pps) <= set(own)
    body = list(split_prefixed(packet.unit.data))
    assert canonical.unit(join_codes([*own, *body]), dts=0, pts=0) == packet.unit
    assert canonical.config == packet.config


def join_codes(nals: list[bytes]) -> bytes:
    """NAL units as Annex B bytes."""
    return b"".join(b"\0\0\0\1" + nal for nal in nals)
