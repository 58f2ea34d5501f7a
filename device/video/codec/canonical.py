"""Brings each source's H.264 to the canonical form of `packets`, noticing when its parameter sets change.

A source with an avcC record (MP4, Matroska) keeps its bytes as they are. A source in Annex B (RTSP, MPEG-TS, x264) has
its start codes turned into lengths, and its delimiters and in-band parameter sets moved out: the record carries those.
"""

from device.video.codec.h264 import (
    NAL_AUD,
    NAL_IDR,
    NAL_PPS,
    NAL_SPS,
    ParameterSets,
    first_slice,
    is_annexb,
    join_prefixed,
    nal_type,
    parse_avcc,
    parse_sps,
    pps_id,
    sets_from_annexb,
    split_annexb,
    split_prefixed,
)
from device.video.errors import BitstreamError
from device.video.packets import AccessUnit, CodecConfig

MIN_SIDE = 16
MAX_SIDE = 8192
# A decoder takes a byte and a half for each, several pictures at a time. The largest cameras stay below.
MAX_PIXELS = 20_000_000

_FOUR_BYTES = 4
_NONE = ParameterSets(sps=(), pps=())


class NoPictureError(BitstreamError):
    """A packet holds parameter sets, delimiters or remarks alone: nothing is wrong, and nothing is to be seen."""

    def __init__(self) -> None:
        super().__init__("an access unit without a picture")


class Canonical:
    """Converts packets of one H.264 stream; `config` is None until parameter sets were seen."""

    def __init__(self, *, extradata: bytes | None) -> None:
        self.config: CodecConfig | None = None
        self._sets = _NONE
        self.begin(extradata)

    def begin(self, extradata: bytes | None) -> None:
        """Go on with other parameter sets, as the container says; BitstreamError if they are damaged."""
        self._length_bytes = _FOUR_BYTES
        self._annexb = not extradata or is_annexb(extradata)
        if extradata and self._annexb:
            self._learn(split_annexb(extradata))
        elif extradata:
            self.config, self._sets = None, _NONE
            self._length_bytes, sets = parse_avcc(extradata)
            self._take(sets, record=extradata if self._length_bytes == _FOUR_BYTES else None)

    def unit(self, data: bytes, *, dts: int, pts: int) -> AccessUnit:
        """One packet as an access unit; BitstreamError if it is damaged or comes before parameter sets.

        NoPictureError if it holds no picture; its parameter sets count all the same.
        """
        body = self._body(data)
        begins_with = first_slice(body)
        if begins_with is None:
            raise NoPictureError
        if self.config is None:
            raise BitstreamError("pictures before their parameter sets")
        return AccessUnit(dts=dts, pts=pts, keyframe=nal_type(begins_with) == NAL_IDR, data=body)

    def _body(self, data: bytes) -> bytes:
        if self._annexb:
            nals = split_annexb(data)
            self._learn(nals)
            return join_prefixed(nal for nal in nals if nal_type(nal) not in (NAL_AUD, NAL_SPS, NAL_PPS))
        nals = list(split_prefixed(data, length_bytes=self._length_bytes))
        self._learn(nals)
        return data if self._length_bytes == _FOUR_BYTES else join_prefixed(nals)

    def _learn(self, nals: list[bytes]) -> None:
        """Take over parameter sets that came in band; a new SPS starts a new set of both, a PPS replaces its like."""
        sps = tuple(dict.fromkeys(nal for nal in nals if nal_type(nal) == NAL_SPS))
        pps = tuple(dict.fromkeys(nal for nal in nals if nal_type(nal) == NAL_PPS))
        known = self._sets
        if set(sps) <= set(known.sps) and set(pps) <= set(known.pps):
            return
        new_sps = sps if sps and not set(sps) <= set(known.sps) else known.sps
        kept = () if new_sps is sps else known.pps
        self._take(ParameterSets(sps=new_sps, pps=tuple({pps_id(nal): nal for nal in (*kept, *pps)}.values())))

    def _take(self, sets: ParameterSets, *, record: bytes | None = None) -> None:
        """Go by these sets from now on; BitstreamError if they can't be, and then by none until others come.

        What was known before says nothing of the pictures that follow sets which were refused.
        """
        self.config, self._sets = None, _NONE
        sets.check()
        if record is not None or (sets.sps and sets.pps):
            self.config = _config(sets, record=record)
        self._sets = sets


def _config(sets: ParameterSets, *, record: bytes | None) -> CodecConfig:
    if not sets.sps:
        raise BitstreamError("parameter sets are missing")
    size = parse_sps(sets.sps[0])
    check_size(size.width, size.height)
    return CodecConfig(width=size.width, height=size.height, extradata=record or sets.avcc())


def check_size(width: int, height: int) -> None:
    """Refuse pictures that are no camera's with BitstreamError, before anybody makes room for one."""
    small, large = sorted((width, height))
    if small < MIN_SIDE or large > MAX_SIDE or small * large > MAX_PIXELS:
        raise BitstreamError(
            f"pictures of {width}x{height}; each side must be {MIN_SIDE} to {MAX_SIDE}, and all {MAX_PIXELS:,} at most"
        )


def config_from_annexb(extradata: bytes) -> CodecConfig:
    """Return configuration from parameter sets in Annex B bytes, as an encoder hands them out."""
    return _config(sets_from_annexb(extradata), record=None)
