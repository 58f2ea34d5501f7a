"""Brings each source's H.264 to the canonical form of `packets`, noticing when its parameter sets change.

A source with an avcC record (MP4, Matroska) keeps its bytes as they are. A source in Annex B (RTSP, MPEG-TS, x264) has
its start codes turned into lengths, and its delimiters and in-band parameter sets moved out: the record carries those.
"""

from device.video.errors import BitstreamError
from device.video.h264 import (
    NAL_AUD,
    NAL_PPS,
    NAL_SPS,
    ParameterSets,
    is_annexb,
    is_idr,
    join_prefixed,
    nal_type,
    parse_avcc,
    parse_sps,
    sets_from_annexb,
    split_annexb,
    split_prefixed,
)
from device.video.packets import AccessUnit, CodecConfig

_FOUR_BYTES = 4
_MAX_SIDE = 8192


class Canonical:
    """Converts packets of one H.264 stream; `config` is None until parameter sets were seen."""

    def __init__(self, *, extradata: bytes | None) -> None:
        self.config: CodecConfig | None = None
        self._length_bytes = _FOUR_BYTES
        self._annexb = not extradata or is_annexb(extradata)
        self._sets = ParameterSets(sps=(), pps=())
        if extradata and self._annexb:
            self._learn(split_annexb(extradata))
        elif extradata:
            self._length_bytes, self._sets = parse_avcc(extradata)
            self.config = _config(self._sets, record=extradata if self._length_bytes == _FOUR_BYTES else None)

    def unit(self, data: bytes, *, dts: int, pts: int) -> AccessUnit:
        """One packet as an access unit; BitstreamError if it is empty, damaged, or comes before parameter sets."""
        body = self._body(data)
        if not body:
            raise BitstreamError("an access unit without a picture")
        if self.config is None:
            raise BitstreamError("pictures before their parameter sets")
        return AccessUnit(dts=dts, pts=pts, keyframe=is_idr(body), data=body)

    def _body(self, data: bytes) -> bytes:
        if self._annexb:
            nals = split_annexb(data)
            self._learn(nals)
            return join_prefixed(nal for nal in nals if nal_type(nal) not in (NAL_AUD, NAL_SPS, NAL_PPS))
        if self._length_bytes == _FOUR_BYTES:
            for _ in split_prefixed(data):
                pass
            return data
        return join_prefixed(split_prefixed(data, length_bytes=self._length_bytes))

    def _learn(self, nals: list[bytes]) -> None:
        """Take over parameter sets that came in band; a new SPS starts a new set of both."""
        sps = tuple(dict.fromkeys(nal for nal in nals if nal_type(nal) == NAL_SPS))
        pps = tuple(dict.fromkeys(nal for nal in nals if nal_type(nal) == NAL_PPS))
        if not sps and not pps:
            return
        known = self._sets
        if set(sps) <= set(known.sps) and set(pps) <= set(known.pps):
            return
        new_sps = sps if sps and not set(sps) <= set(known.sps) else known.sps
        new_pps = pps if new_sps is sps else tuple(dict.fromkeys((*known.pps, *pps)))
        self._sets = ParameterSets(sps=new_sps, pps=new_pps)
        if new_sps and new_pps:
            self.config = _config(self._sets, record=None)


def _config(sets: ParameterSets, *, record: bytes | None) -> CodecConfig:
    if not sets.sps:
        raise BitstreamError("parameter sets are missing")
    size = parse_sps(sets.sps[0])
    if max(size.width, size.height) > _MAX_SIDE:
        raise BitstreamError(f"pictures of {size.width}x{size.height}, each side may be {_MAX_SIDE} at most")
    return CodecConfig(width=size.width, height=size.height, extradata=record or sets.avcc())


def config_from_annexb(extradata: bytes) -> CodecConfig:
    """Return configuration from parameter sets in Annex B bytes, as an encoder hands them out."""
    return _config(sets_from_annexb(extradata), record=None)
