"""The one encoder: raw pictures to H.264, for sources that are something else. One picture in, one access unit out."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import av
import numpy as np
from numpy.typing import NDArray

from device.video.canonical import Canonical, config_from_annexb
from device.video.errors import BitstreamError
from device.video.packets import TICKS_PER_S, AccessUnit, CodecConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderSettings:
    """`crf`: 0 (large) to 51 (small); `gop_s`: seconds from one keyframe to the next."""

    preset: Literal["ultrafast", "superfast", "veryfast"] = "superfast"
    crf: int = 26
    gop_s: float = 1.0


class Encoder:
    """libx264 without reordering, with closed groups of pictures; deterministic, since it runs on one thread."""

    def __init__(self, *, width: int, height: int, fps: Fraction, settings: EncoderSettings) -> None:
        context = av.CodecContext.create("libx264", "w")
        context.width, context.height, context.pix_fmt = width, height, "yuv420p"
        context.time_base, context.framerate = Fraction(1, TICKS_PER_S), fps
        gop = context.gop_size = max(1, round(fps * Fraction(settings.gop_s)))
        context.max_b_frames = 0
        context.thread_count = 1
        context.flags |= av.codec.context.Flags.global_header | av.codec.context.Flags.closed_gop
        context.options = {
            "preset": settings.preset,
            "tune": "zerolatency",
            "crf": str(settings.crf),
            "x264-params": f"keyint={gop}:min-keyint={gop}:scenecut=0:open-gop=0:sliced-threads=0",
        }
        context.open()
        self._context = context
        extradata = context.extradata or b""
        self.config: CodecConfig = config_from_annexb(extradata)
        self._canonical = Canonical(extradata=extradata)

    def encode(self, i420: NDArray[np.uint8], *, ticks: int) -> AccessUnit:
        """Encode one picture, uint8 (height * 3 / 2, width), shown at `ticks` of 90 kHz."""
        frame = av.VideoFrame.from_ndarray(i420, format="yuv420p")
        return self.encode_frame(frame, ticks=ticks)

    def encode_frame(self, frame: av.VideoFrame, *, ticks: int) -> AccessUnit:
        """Encode one yuv420p frame."""
        frame.pts = ticks
        frame.time_base = Fraction(1, TICKS_PER_S)
        frame.pict_type = 0
        packets = self._context.encode(frame)
        if len(packets) != 1:
            raise BitstreamError("the encoder gave no picture for a picture")
        return self._canonical.unit(bytes(packets[0]), dts=ticks, pts=ticks)
