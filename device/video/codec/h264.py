"""H.264 byte forms: Annex B and avcC to the one canonical form, parameter sets, and what little of them we read.

Pure functions over bytes; ITU-T H.264 (08/2021) and ISO/IEC 14496-15 are cited by section. No codec is called here.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from device.video.codec.bits import Bits
from device.video.errors import BitstreamError

NAL_SLICE = 1
NAL_PARTITION_A = 2
NAL_IDR = 5
NAL_SPS = 7
NAL_PPS = 8
NAL_AUD = 9

_SLICES = frozenset({NAL_SLICE, NAL_PARTITION_A, NAL_IDR})
_LENGTH_BYTES = 4
_TYPE_MASK = 0x1F
_FIRST_BIT = 0x80
_AVCC_MIN_BYTES = 7
_MAX_SETS = 31
_MAX_PICTURE_SETS = 255
_MAX_SET_BYTES = 0xFFFF
# All of a camera's together take some hundred; each packet may bring others, and the record is then made anew.
_MAX_ALL_BYTES = 0x10000
_MAX_SPS_ID, _MAX_PPS_ID = 31, 255
# Enough for a parameter set as far as its number.
_SPS_ID_BYTES, _PPS_ID_BYTES = 16, 12
# Profiles whose SPS carries chroma format, bit depth and scaling lists (7.3.2.1.1).
_HIGH_PROFILES = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})
_CHROMA_444 = 3


def nal_type(nal: bytes) -> int:
    """Type of a NAL unit (7.4.1); 0 for an empty one."""
    return nal[0] & _TYPE_MASK if nal else 0


def split_annexb(data: bytes) -> list[bytes]:
    """NAL units of an Annex B byte stream, without start codes and trailing zeros; empty ones are left out."""
    starts: list[int] = []
    at = data.find(b"\x00\x00\x01")
    while at >= 0:
        starts.append(at)
        at = data.find(b"\x00\x00\x01", at + 3)
    ends = [*starts[1:], len(data)][: len(starts)]
    nals = (data[start + 3 : end].rstrip(b"\x00") for start, end in zip(starts, ends, strict=True))
    return [nal for nal in nals if nal]


def split_prefixed(data: bytes, *, length_bytes: int = _LENGTH_BYTES) -> Iterator[bytes]:
    """NAL units of length-prefixed data; BitstreamError when a length points past the end."""
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + length_bytes])
        at += length_bytes
        if at + size > len(data):
            raise BitstreamError(f"a NAL unit of {size} bytes runs past the end of its access unit")
        yield data[at : at + size]
        at += size


def join_prefixed(nals: Iterable[bytes]) -> bytes:
    """NAL units with a 4-byte length before each."""
    return b"".join(len(nal).to_bytes(_LENGTH_BYTES) + nal for nal in nals)


def is_annexb(data: bytes) -> bool:
    """Whether the bytes start with a start code; an avcC record starts with 1."""
    return data.startswith((b"\x00\x00\x01", b"\x00\x00\x00\x01"))


def first_slice(data: bytes) -> bytes | None:
    """Return the first slice of a canonical access unit; None if it has none. BitstreamError if it is damaged."""
    return next((nal for nal in split_prefixed(data) if nal_type(nal) in _SLICES), None)


def is_idr(data: bytes) -> bool:
    """Whether a canonical access unit is an IDR picture: decided by its first slice. BitstreamError if damaged."""
    return nal_type(first_slice(data) or b"") == NAL_IDR


def continues_picture(data: bytes) -> bool:
    """Whether a canonical access unit begins in the middle of a picture: its first slice doesn't hold macroblock 0.

    `first_mb_in_slice` is the first number of a slice header (7.3.3), and 0 is written as a single 1 bit (9.1).
    """
    slice_nal = first_slice(data) or b""
    return len(slice_nal) > 1 and not slice_nal[1] & _FIRST_BIT


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterSets:
    """Sequence and picture parameter sets, in the order in which they came."""

    sps: tuple[bytes, ...]
    pps: tuple[bytes, ...]

    def check(self) -> None:
        """Refuse with BitstreamError what no camera has: too many, too long, or numbers that may not be (7.4.2)."""
        if len(self.sps) > _MAX_SETS:
            raise BitstreamError(f"{len(self.sps)} sequence parameter sets, at most {_MAX_SETS} fit")
        sizes = [len(nal) for nal in (*self.sps, *self.pps)]
        if len(self.pps) > _MAX_PICTURE_SETS or max(sizes, default=0) > _MAX_SET_BYTES or sum(sizes) > _MAX_ALL_BYTES:
            raise BitstreamError("parameter sets too many or too long for a record")
        for nal in self.sps:
            sps_id(nal)
        for nal in self.pps:
            pps_id(nal)

    def avcc(self) -> bytes:
        """Return the avcC record for these sets, with 4-byte lengths (14496-15, 5.3.3.1.2)."""
        if not self.sps or not self.pps:
            raise BitstreamError("parameter sets are missing")
        self.check()
        first = parse_sps(self.sps[0])
        out = bytearray([1, *self.sps[0][1:4], 0xFC | (_LENGTH_BYTES - 1), 0xE0 | len(self.sps)])
        for sps in self.sps:
            out += len(sps).to_bytes(2) + sps
        out.append(len(self.pps))
        for pps in self.pps:
            out += len(pps).to_bytes(2) + pps
        if first.profile in _HIGH_PROFILES:
            out += bytes([0xFC | first.chroma_format, 0xF8 | first.luma_depth - 8, 0xF8 | first.chroma_depth - 8, 0])
        return bytes(out)


def sets_from_annexb(data: bytes) -> ParameterSets:
    """Parameter sets in Annex B bytes; either tuple may be empty."""
    nals = split_annexb(data)
    return ParameterSets(
        sps=tuple(dict.fromkeys(nal for nal in nals if nal_type(nal) == NAL_SPS)),
        pps=tuple(dict.fromkeys(nal for nal in nals if nal_type(nal) == NAL_PPS)),
    )


def parse_avcc(record: bytes) -> tuple[int, ParameterSets]:
    """Length size in bytes and the parameter sets of an avcC record; BitstreamError if it is cut or none."""
    if len(record) < _AVCC_MIN_BYTES or record[0] != 1:
        raise BitstreamError("this is no avcC record")
    at = 5
    found: list[tuple[bytes, ...]] = []
    for mask in (_TYPE_MASK, 0xFF):
        count, at = record[at] & mask if at < len(record) else 0, at + 1
        sets: list[bytes] = []
        for _ in range(count):
            size = int.from_bytes(record[at : at + 2])
            nal = record[at + 2 : at + 2 + size]
            if not size or len(nal) != size:
                raise BitstreamError("the avcC record is cut short")
            sets.append(nal)
            at += 2 + size
        found.append(tuple(sets))
    return (record[4] & 3) + 1, ParameterSets(sps=found[0], pps=found[1])


def _bits(nal: bytes) -> Bits:
    """Bits of a parameter set's raw byte sequence payload, emulation prevention taken out (7.3.1)."""
    return Bits(nal[1:].replace(b"\x00\x00\x03", b"\x00\x00"), what="a sequence parameter set", codec="H.264")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpsInfo:
    """What we read of a sequence parameter set: profile, sampling and the cropped size in pixels."""

    profile: int
    chroma_format: int
    luma_depth: int
    chroma_depth: int
    width: int
    height: int


def sps_id(nal: bytes) -> int:
    """Return the number of a sequence parameter set (7.3.2.1.1); BitstreamError if it has none that may be."""
    bits = _bits(nal[:_SPS_ID_BYTES])
    bits.u(24)
    return _number(bits.ue(), most=_MAX_SPS_ID)


def pps_id(nal: bytes) -> int:
    """Return the number of a picture parameter set (7.3.2.2); BitstreamError if it has none that may be."""
    return _number(_bits(nal[:_PPS_ID_BYTES]).ue(), most=_MAX_PPS_ID)


def _number(number: int, *, most: int) -> int:
    if number > most:
        raise BitstreamError(f"a parameter set numbered {number}, where {most} is the highest")
    return number


def _skip_scaling_lists(bits: Bits, chroma_format: int) -> None:
    for index in range(8 if chroma_format != _CHROMA_444 else 12):
        if not bits.u(1):
            continue
        last, following = 8, 8
        for _ in range(16 if index < 6 else 64):  # noqa: PLR2004 - the first six lists are 4x4 (7.3.2.1.1.1)
            if following:
                following = (last + bits.se()) % 256
            last = following or last


def _skip_order_count(bits: Bits) -> None:
    kind = bits.ue()
    if kind == 0:
        bits.ue()
    elif kind == 1:
        bits.u(1)
        bits.se()
        bits.se()
        for _ in range(min(bits.ue(), 255)):
            bits.se()


def parse_sps(nal: bytes) -> SpsInfo:
    """Read a sequence parameter set as far as its cropping (7.3.2.1.1); BitstreamError if it can't be one."""
    if nal_type(nal) != NAL_SPS:
        raise BitstreamError("a sequence parameter set was expected")
    bits = _bits(nal)
    profile = bits.u(8)
    bits.u(16)
    bits.ue()
    chroma, luma_depth, chroma_depth, separate = 1, 8, 8, 0
    if profile in _HIGH_PROFILES:
        chroma = bits.ue()
        separate = bits.u(1) if chroma == _CHROMA_444 else 0
        luma_depth, chroma_depth = 8 + bits.ue(), 8 + bits.ue()
        bits.u(1)
        if bits.u(1):
            _skip_scaling_lists(bits, chroma)
    bits.ue()
    _skip_order_count(bits)
    bits.ue()
    bits.u(1)
    width = (bits.ue() + 1) * 16
    map_units = bits.ue() + 1
    frame_only = bits.u(1)
    if not frame_only:
        bits.u(1)
    bits.u(1)
    height = map_units * 16 * (2 - frame_only)
    if bits.u(1):
        planar = 0 if separate else chroma
        unit_x = 2 if planar in (1, 2) else 1
        unit_y = (2 if planar == 1 else 1) * (2 - frame_only)
        width -= (bits.ue() + bits.ue()) * unit_x
        height -= (bits.ue() + bits.ue()) * unit_y
    if chroma > _CHROMA_444 or max(luma_depth, chroma_depth) > 14 or min(width, height) <= 0:  # noqa: PLR2004 - 7.4.2.1.1
        raise BitstreamError("a sequence parameter set holds impossible values")
    return SpsInfo(
        profile=profile,
        chroma_format=chroma,
        luma_depth=luma_depth,
        chroma_depth=chroma_depth,
        width=width,
        height=height,
    )
