"""The one encoder: raw pictures to H.264 or VP9, for sources that are something else. One picture in, one unit out.

What is chosen here is paid for every picture of every day, so it was measured (`python -m tests.benchmarks.encoding`):

- The same quantizer for every picture, not a constant rate factor: x264 then needs no look at the picture beforehand,
  a fifth of its time, and spends nothing on the noise of a night.
- x264's `ultrafast` with its deblocking filter left on, which costs little and is most of what one sees.
- libvpx in real-time mode, without frames that are never shown. SVT-AV1 makes smaller files still, for more time and
  sixteen threads.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, cast

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType
from numpy.typing import NDArray

from device.video.codec.canonical import Canonical, config_from_annexb
from device.video.codec.vp9 import read_frame, vpcc_record
from device.video.errors import BitstreamError
from device.video.packets import TICKS_PER_S, AccessUnit, Codec, CodecConfig

Preset = Literal["ultrafast", "superfast", "veryfast"]

QUALITIES = range(1, 11)

# For each quality from 1 to 10. Two steps of H.264's quantizer are a quarter more or less of its coarseness; those of
# VP9 give about the same signal-to-noise ratio, on drawn and on real footage.
_X264_QP = (34, 32, 30, 28, 26, 24, 22, 20, 18, 16)
_VP9_CRF = (50, 47, 44, 40, 37, 34, 30, 26, 20, 14)
_VP9_CPU_USED: dict[Preset, int] = {"ultrafast": 8, "superfast": 7, "veryfast": 5}
# Keyframes are asked for by time; the encoders' own count of pictures must never come first.
_NO_GOP = 1 << 20

_MakeUnit = Callable[[bytes, int], AccessUnit]


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderSettings:
    """`quality`: 1 (small, coarse) to 10 (large, fine), about the same for each codec.

    `preset`: how much work is put into small files, in x264's words; VP9 has steps like them. `gop_s`: seconds from one
    keyframe to the next.
    """

    codec: Codec = "h264"
    quality: int = 5
    preset: Preset = "ultrafast"
    gop_s: float = 1.0

    def __post_init__(self) -> None:
        if self.quality not in QUALITIES or self.gop_s <= 0:
            raise ValueError(f"quality is 1 to 10 and gop_s more than 0, not {self.quality} and {self.gop_s}")


class Encoder:
    """Encodes without reordering, in closed groups of pictures; deterministic, since it runs on one thread.

    `config` is there before the first picture. A keyframe comes with the first picture and then every `gop_s`, by the
    pictures' own times, whatever the rate.
    """

    def __init__(self, *, width: int, height: int, fps: Fraction, settings: EncoderSettings) -> None:
        """Sides are even; `fps` is the nominal rate. BitstreamError if the codec has no room for so much."""
        frame = Fraction(TICKS_PER_S) / fps
        # A camera's times tremble: a picture half a frame early is the one that was meant.
        self._gop_ticks = Fraction(settings.gop_s) * TICKS_PER_S - frame / 2
        self._keyframe_at: int | None = None
        self._frame: _Frame | None = None
        opened = _open_x264 if settings.codec == "h264" else _open_vp9
        context = av.CodecContext.create("libx264" if settings.codec == "h264" else "libvpx-vp9", "w")
        context.width, context.height, context.pix_fmt = width, height, "yuv420p"
        context.time_base, context.framerate = Fraction(1, TICKS_PER_S), fps
        context.gop_size, context.max_b_frames, context.thread_count = _NO_GOP, 0, 1
        self._context = context
        self.config: CodecConfig
        self._unit: _MakeUnit
        self.config, self._unit = opened(context, settings)

    def encode(self, i420: NDArray[np.uint8], *, ticks: int) -> AccessUnit:
        """Encode one picture, uint8 (height * 3 / 2, width), shown at `ticks` of 90 kHz."""
        if self._frame is None:
            self._frame = _Frame(self.config.width, self.config.height)
        self._frame.fill(i420)
        return self.encode_frame(self._frame.frame, ticks=ticks)

    def encode_frame(self, frame: av.VideoFrame, *, ticks: int) -> AccessUnit:
        """Encode one yuv420p frame."""
        frame.pts = ticks
        frame.time_base = Fraction(1, TICKS_PER_S)
        keyframe = self._keyframe_at is None or ticks - self._keyframe_at >= self._gop_ticks
        # A decoded frame says of what kind it was; that is no wish of ours.
        frame.pict_type = PictureType.I if keyframe else PictureType.NONE
        packets = self._context.encode(frame)
        if len(packets) != 1:
            raise BitstreamError("the encoder gave no picture for a picture", codec=self.config.codec)
        unit = self._unit(bytes(packets[0]), ticks)
        if unit.keyframe != keyframe:
            raise BitstreamError("the encoder began a group of pictures at another place", codec=self.config.codec)
        if keyframe:
            self._keyframe_at = ticks
        return unit


class _Frame:
    """A yuv420p frame that is filled again and again: a new one each time costs a tenth of the encoding.

    The encoders copy what they keep, so it is free again when `encode` returns.
    """

    def __init__(self, width: int, height: int) -> None:
        self.frame = av.VideoFrame(width, height, "yuv420p")
        self._planes = [
            np.frombuffer(cast("memoryview", plane), np.uint8).reshape(-1, plane.line_size)[
                : plane.height, : plane.width
            ]
            for plane in self.frame.planes
        ]

    def fill(self, i420: NDArray[np.uint8]) -> None:
        """Copy a picture in, uint8 (height * 3 / 2, width)."""
        height, width = self._planes[0].shape
        chroma = i420[height:].reshape(2, height // 2, width // 2)
        for plane, values in zip(self._planes, (i420[:height], *chroma), strict=True):
            plane[:] = values


def _open_x264(context: VideoCodecContext, settings: EncoderSettings) -> tuple[CodecConfig, _MakeUnit]:
    context.flags |= av.codec.context.Flags.global_header | av.codec.context.Flags.closed_gop
    qp = _X264_QP[settings.quality - 1]
    context.options = {
        "preset": settings.preset,
        "tune": "zerolatency",
        "forced-idr": "1",
        "x264-params": f"qp={qp}:keyint=infinite:scenecut=0:open-gop=0:sliced-threads=0:deblock=0,0",
    }
    context.open()
    extradata = context.extradata or b""
    canonical = Canonical(extradata=extradata)
    return config_from_annexb(extradata), lambda data, ticks: canonical.unit(data, dts=ticks, pts=ticks)


def _open_vp9(context: VideoCodecContext, settings: EncoderSettings) -> tuple[CodecConfig, _MakeUnit]:
    width, height, fps = context.width, context.height, context.framerate
    record = vpcc_record(width=width, height=height, fps=fps)
    context.options = {
        "deadline": "realtime",
        "cpu-used": str(_VP9_CPU_USED[settings.preset]),
        "crf": str(_VP9_CRF[settings.quality - 1]),
        "b": "0",
        "lag-in-frames": "0",
        "auto-alt-ref": "0",
        "row-mt": "0",
    }
    context.open()

    def unit(data: bytes, ticks: int) -> AccessUnit:
        frame = read_frame(data)
        if not frame.shown or frame.size not in (None, (width, height)):
            raise BitstreamError("the encoder gave another picture than it was asked for", codec="VP9")
        return AccessUnit(dts=ticks, pts=ticks, keyframe=frame.keyframe, data=data)

    return CodecConfig(codec="vp9", width=width, height=height, extradata=record), unit
