r"""The plaintext of a segment: what is sealed at home, hashed into the capture chain, and found again in an MP4.

    magic "latchstring segment v1\n" for H.264; for another codec "latchstring segment v2\n", 4 bytes naming it
    u16 width, u16 height
    u32 length, codec configuration (an avcC record; of VP9, "vp09", a vpcC record)
    u32 number of access units, then for each in decode order:
        i64 dts, i64 pts      90 kHz ticks, counted from the first unit's dts
        u8 keyframe           1 for an IDR picture (VP9: a keyframe), and for no other recovery point
        u32 length, bytes     NAL units, each behind a big-endian u32 length; of VP9 one frame

All integers are big-endian. Only what an MP4 carries exactly is in it, so that whoever holds a clip can
rebuild the segment, hash it, and compare with what the device signed at capture. Pure.
"""

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from .encoding import WireError

Codec = Literal["h264", "vp9"]

MAGIC = b"latchstring segment v1\n"
MAGIC_OTHER = b"latchstring segment v2\n"
TICKS_PER_SECOND = 90_000
MAX_SEGMENT_BYTES = 5_000_000
MAX_UNITS = 10_000
_HEAD = struct.Struct(">HHI")
_UNIT = struct.Struct(">qqBI")
_COUNT = struct.Struct(">I")
# H.264 is in the first layout alone: each segment has one encoding.
_STARTS: dict[Codec, bytes] = {"h264": MAGIC, "vp9": MAGIC_OTHER + b"vp09"}


class AccessUnitLike(Protocol):
    """What an access unit must offer to be encoded."""

    @property
    def dts(self) -> int:
        """Decode time, 90 kHz ticks."""

    @property
    def pts(self) -> int:
        """Presentation time, 90 kHz ticks."""

    @property
    def keyframe(self) -> bool:
        """Whether decoding can begin here."""

    @property
    def data(self) -> bytes:
        """NAL units, each behind a big-endian u32 length; or a frame of another codec."""


@dataclass(frozen=True, slots=True)
class WireAccessUnit:
    """One coded picture; times in 90 kHz ticks from the segment's first dts."""

    dts: int
    pts: int
    keyframe: bool
    data: bytes


@dataclass(frozen=True, slots=True)
class WireSegment:
    """A decoded segment."""

    codec: Codec
    width: int
    height: int
    extradata: bytes
    units: tuple[WireAccessUnit, ...]


def encode_segment(
    *, width: int, height: int, extradata: bytes, units: Sequence[AccessUnitLike], codec: Codec
) -> bytes:
    """Return a segment's plaintext; times are made relative to the first unit's dts."""
    if not units or not units[0].keyframe:
        raise WireError("a segment must begin with a keyframe")
    base = units[0].dts
    parts = [_STARTS[codec], _HEAD.pack(width, height, len(extradata)), extradata, _COUNT.pack(len(units))]
    for unit in units:
        parts.append(_UNIT.pack(unit.dts - base, unit.pts - base, int(unit.keyframe), len(unit.data)))
        parts.append(unit.data)
    return b"".join(parts)


def segment_digest(plaintext: bytes) -> str:
    """Return the digest that the capture chain signs, in hex."""
    return hashlib.sha256(plaintext).hexdigest()


def decode_segment(plaintext: bytes) -> WireSegment:
    """Parse a segment's plaintext strictly; raises WireError for anything that `encode_segment` would not write."""
    codec = next((codec for codec, start in _STARTS.items() if plaintext.startswith(start)), None)
    if len(plaintext) > MAX_SEGMENT_BYTES or codec is None:
        raise WireError("not a segment: too large, or without its magic and a codec that is known")
    try:
        at = len(_STARTS[codec])
        width, height, config_length = _HEAD.unpack_from(plaintext, at)
        at += _HEAD.size
        extradata = plaintext[at : at + config_length]
        at += config_length
        (count,) = _COUNT.unpack_from(plaintext, at)
        at += _COUNT.size
        if count > MAX_UNITS:
            raise WireError(f"segment claims {count} access units")
        units = []
        for _ in range(count):
            dts, pts, keyframe, length = _UNIT.unpack_from(plaintext, at)
            at += _UNIT.size
            units.append(WireAccessUnit(dts, pts, bool(keyframe), plaintext[at : at + length]))
            at += length
    except struct.error as error:
        raise WireError("segment ends early") from error
    if units and units[0].dts != 0:
        raise WireError("segment's times do not begin at 0")
    segment = WireSegment(codec, width, height, extradata, tuple(units))
    again = encode_segment(width=width, height=height, extradata=extradata, units=segment.units, codec=codec)
    if again != plaintext:
        raise WireError("segment is cut short or has bytes that belong to nothing")
    return segment
