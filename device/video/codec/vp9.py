"""VP9: the little of its frames that we read, and the record that describes them in an MP4.

A stream describes itself: each keyframe tells profile, range and size (VP9 bitstream specification 0.6, 6.2 and 7.2).
The record, vpcC, repeats that for players (VP Codec ISO Media File Format Binding 1.0). Only what the encoder of this
room makes is known: profile 0, so 8 bits a sample and 4:2:0. Pure.
"""

from dataclasses import dataclass
from fractions import Fraction

from device.video.codec.bits import Bits
from device.video.errors import BitstreamError

RECORD_BYTES = 8

_MARKER = 2
_SYNC_CODE = 0x498342
_SPACE_RGB = 7
_BITS = 8
# Chroma together with the first luma sample, which is what a player supposes where nothing is said.
_CHROMA_420 = 1
# Colour is "unspecified" (ISO/IEC 23001-8), as the frames say themselves.
_UNSPECIFIED = 2
# Level, the most luma samples in a picture and in a second, and the longest side (annex A).
_LEVELS = (
    (10, 36_864, 829_440, 512),
    (11, 73_728, 2_764_800, 768),
    (20, 122_880, 4_608_000, 960),
    (21, 245_760, 9_216_000, 1_344),
    (30, 552_960, 20_736_000, 2_048),
    (31, 983_040, 36_864_000, 2_752),
    (40, 2_228_224, 83_558_400, 4_160),
    (41, 2_228_224, 160_432_128, 4_160),
    (50, 8_912_896, 311_951_360, 8_384),
    (51, 8_912_896, 588_251_136, 8_384),
    (52, 8_912_896, 1_176_502_272, 8_384),
    (60, 35_651_584, 1_176_502_272, 16_832),
    (61, 35_651_584, 2_353_004_544, 16_832),
    (62, 35_651_584, 4_706_009_088, 16_832),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vp9Frame:
    """A frame's header: whether decoding may begin here, and then the size in pixels and the range; else None."""

    keyframe: bool
    shown: bool
    size: tuple[int, int] | None = None
    full_range: bool | None = None


def read_frame(data: bytes) -> Vp9Frame:
    """Read the header of the first frame in these bytes; BitstreamError if it is none of profile 0."""
    bits = Bits(data[:16], what="a frame", codec="VP9")
    if bits.u(2) != _MARKER:
        raise _broken("this is no frame")
    if bits.u(2):
        raise _broken("a frame of another profile than 0")
    if bits.u(1):
        return Vp9Frame(keyframe=False, shown=True)
    keyframe, shown = not bits.u(1), bool(bits.u(1))
    bits.u(1)
    if not keyframe:
        return Vp9Frame(keyframe=False, shown=shown)
    if bits.u(24) != _SYNC_CODE:
        raise _broken("a keyframe without its sync code")
    if bits.u(3) == _SPACE_RGB:
        raise _broken("a keyframe of impossible colours")
    full_range = bool(bits.u(1))
    size = (bits.u(16) + 1, bits.u(16) + 1)
    return Vp9Frame(keyframe=True, shown=shown, size=size, full_range=full_range)


def vpcc_record(*, width: int, height: int, fps: Fraction, full_range: bool = False) -> bytes:
    """Return the record of a stream of profile 0. BitstreamError if no level holds so large or so many pictures."""
    samples = width * height
    for level, most, most_a_second, longest in _LEVELS:
        if samples <= most and samples * fps <= most_a_second and max(width, height) <= longest:
            return _record(level, full_range=full_range)
    raise _broken(f"{width}x{height} at {float(fps):g} pictures a second is more than VP9 has a level for")


def check_vpcc(record: bytes, keyframe: bytes) -> None:
    """Raise BitstreamError unless a record is one that `vpcc_record` may have made for a stream with this keyframe."""
    frame = read_frame(keyframe)
    if frame.size is None or frame.full_range is None:
        raise _broken("the first picture is no keyframe")
    width, height = frame.size
    for level, most, _, longest in _LEVELS:
        fits = width * height <= most and max(width, height) <= longest
        if fits and record == _record(level, full_range=frame.full_range):
            return
    raise _broken("the vpcC record is not that of these pictures")


def _record(level: int, *, full_range: bool) -> bytes:
    sampling = _BITS << 4 | _CHROMA_420 << 1 | full_range
    # Profile 0; behind the colours the length of data for the decoder, of which VP9 has none.
    return bytes((0, level, sampling, _UNSPECIFIED, _UNSPECIFIED, _UNSPECIFIED, 0, 0))


def _broken(reason: str) -> BitstreamError:
    return BitstreamError(reason, codec="VP9")
