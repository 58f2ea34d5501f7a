"""VP9's frame headers and its record for MP4."""

import contextlib
import io
from fractions import Fraction

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.video.codec.vp9 import RECORD_BYTES, Vp9Frame, check_vpcc, read_frame, vpcc_record
from device.video.errors import BitstreamError
from tests.video.support import coded, picture

KEYFRAME = coded(codec="vp9")[0].unit.data
RECORD = coded(codec="vp9")[0].config.extradata


def header(bits: str) -> bytes:
    """Bits, with zeros behind them."""
    plain = bits.replace(" ", "")
    return int(plain.ljust(128, "0"), 2).to_bytes(16)


def keyframe_header(width: int, height: int, *, full_range: bool = False, shown: bool = True) -> bytes:
    """The header of a keyframe of profile 0."""
    return header(f"10 00 0 0 {shown:b} 0 {0x498342:024b} 000 {full_range:b} {width - 1:016b} {height - 1:016b}")


@given(st.integers(1, 65_536), st.integers(1, 65_536), st.booleans(), st.booleans())
def test_a_keyframe_tells_its_size(width: int, height: int, full_range: bool, shown: bool) -> None:
    """Size, range and whether it is shown are read back as they were written."""
    data = keyframe_header(width, height, full_range=full_range, shown=shown)
    assert read_frame(data) == Vp9Frame(keyframe=True, shown=shown, size=(width, height), full_range=full_range)


@pytest.mark.parametrize(("bits", "shown"), [("10 00 0 1 1 0", True), ("10 00 0 1 0 1", False), ("10 00 1 000", True)])
def test_other_frames(bits: str, shown: bool) -> None:
    """Pictures between keyframes, hidden ones, and one that shows an earlier frame again are no keyframes."""
    assert read_frame(header(bits)) == Vp9Frame(keyframe=False, shown=shown)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        header("01 00 0 0 1 0"),
        header("11 00 0 0 1 0"),
        header("10 10 0 0 1 0"),
        header("10 01 0 0 1 0"),
        header("10 00 0 0 1 0" + "0" * 24),
        header(f"10 00 0 0 1 0 {0x498342:024b} 111"),
        *(keyframe_header(160, 96)[:length] for length in range(9)),
    ],
)
def test_what_is_no_frame_is_refused(data: bytes) -> None:
    """Other markers, other profiles, a wrong sync code, impossible colours, and any header cut short."""
    with pytest.raises(BitstreamError, match=r"^VP9: "):
        read_frame(data)


@given(st.binary(max_size=40))
def test_no_bytes_crash_the_reader(data: bytes) -> None:
    """Any bytes are a frame, or our own error."""
    for candidate in (data, KEYFRAME[:4] + data):
        with contextlib.suppress(BitstreamError):
            read_frame(candidate)


@given(st.integers(16, 8_192), st.integers(16, 8_192), st.integers(1, 240), st.booleans())
def test_a_record_fits_its_stream(width: int, height: int, fps: int, full_range: bool) -> None:
    """The record made for a stream is the one that its keyframes ask for; of another range it is not."""
    try:
        record = vpcc_record(width=width, height=height, fps=Fraction(fps), full_range=full_range)
    except BitstreamError:
        assert width * height * fps > 1_176_502_272 or width * height > 35_651_584
        return
    assert len(record) == RECORD_BYTES
    check_vpcc(record, keyframe_header(width, height, full_range=full_range))
    with pytest.raises(BitstreamError, match="not that of these pictures"):
        check_vpcc(record, keyframe_header(width, height, full_range=not full_range))


@given(st.integers(0, RECORD_BYTES - 1), st.integers(1, 255))
def test_a_forged_record_is_refused(at: int, change: int) -> None:
    """No byte of a record may be another, save the level, which may be any that the size allows."""
    forged = bytes(byte ^ (change if number == at else 0) for number, byte in enumerate(RECORD))
    if at == 1 and forged[1] in {10, 11, 20, 21, 30, 31, 40, 41, 50, 51, 52, 60, 61, 62}:
        check_vpcc(forged, KEYFRAME)
        return
    with pytest.raises(BitstreamError):
        check_vpcc(forged, KEYFRAME)


def test_a_record_of_another_length_is_refused() -> None:
    """Cut short, or with bytes behind it."""
    for record in (*(RECORD[:length] for length in range(RECORD_BYTES)), RECORD + b"\0"):
        with pytest.raises(BitstreamError):
            check_vpcc(record, KEYFRAME)


def test_a_stream_beyond_all_levels_is_refused() -> None:
    """A record never claims a level that the stream breaks."""
    with pytest.raises(BitstreamError, match="more than VP9 has a level for"):
        vpcc_record(width=8_192, height=8_192, fps=Fraction(60))
    with pytest.raises(BitstreamError, match="no keyframe"):
        check_vpcc(RECORD, header("10 00 0 1 1 0"))


@pytest.mark.parametrize("size", [(64, 48), (160, 96), (640, 360), (1280, 720)])
def test_ffmpeg_writes_the_same_record(size: tuple[int, int]) -> None:
    """The vpcC box that FFmpeg's own muxer writes for such a stream agrees with ours, byte for byte."""
    width, height = size
    memory = io.BytesIO()
    with av.open(memory, "w", format="mp4") as container:
        stream = container.add_stream("libvpx-vp9", rate=15)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
        frame = av.VideoFrame.from_ndarray(picture(0, width=width, height=height), format="yuv420p")
        frame.color_range = 1
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    data = memory.getvalue()
    at = data.index(b"vpcC") + 4
    theirs, ours = data[at : at + 12], vpcc_record(width=width, height=height, fps=Fraction(15))
    assert theirs[:4] == b"\1\0\0\0"
    # Where chroma lies is not in the stream: FFmpeg writes 0 or 1 by what it was told.
    assert theirs[4:6] + bytes((theirs[6] | 2,)) + theirs[7:] == ours
