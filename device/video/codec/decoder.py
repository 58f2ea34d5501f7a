"""Decoding for motion alone: the luma plane, one thread, no loop filter. For looking, not for keeping."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import av
import av.error
import numpy as np
from av.stream import Stream
from numpy.typing import NDArray

from device.video.codec.canonical import MAX_PIXELS
from device.video.errors import BitstreamError
from device.video.packets import TICKS_PER_S, CodecConfig, Packet

# Pictures that a decoder may hold back, to find the wall clock of what comes out.
_MAX_HELD = 64
# Formats whose first plane is luma, a byte a pixel.
_PLANAR_8_BIT = frozenset(
    {"yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "nv12", "gray"},
)


@dataclass(frozen=True, slots=True, eq=False)
class Luma:
    """A luma plane, uint8 (height, width), and the wall clock of its picture. The array may be a view: copy to keep."""

    plane: NDArray[np.uint8]
    at_us: int


class LumaDecoder:
    """Decodes packets of one configuration, in decoding order; gives pictures in the order they are shown."""

    def __init__(self, config: CodecConfig) -> None:
        context = av.CodecContext.create(config.codec, "r")
        context.extradata = config.extradata
        context.thread_count = 1
        context.options = {"skip_loop_filter": "all", "max_pixels": str(MAX_PIXELS)}
        self._context = context
        self._at_us: dict[int, int] = {}
        self.reorders = False

    def decode(self, packet: Packet) -> Iterator[Luma]:
        """Pictures that this packet completes, none to several; BitstreamError if it can't be decoded.

        `reorders` is true once a packet was not shown in the order in which it is decoded: then pictures come late.
        """
        coded = av.Packet(packet.unit.data)
        coded.time_base = Fraction(1, TICKS_PER_S)
        coded.dts, coded.pts = packet.unit.dts, packet.unit.pts
        self.reorders = self.reorders or packet.unit.pts != packet.unit.dts
        self._at_us[packet.unit.pts] = packet.at_us
        if len(self._at_us) > _MAX_HELD:
            del self._at_us[next(iter(self._at_us))]
        yield from self._pictures(coded, packet.at_us)

    def drain(self) -> Iterator[Luma]:
        """Pictures that were held back; the next packet must be a keyframe."""
        yield from self._pictures(None, 0)
        self._context.flush_buffers()
        self._at_us.clear()

    def _pictures(self, coded: "av.Packet[Stream] | None", at_us: int) -> Iterator[Luma]:
        try:
            frames = self._context.decode(coded)
        except av.error.FFmpegError as error:
            raise BitstreamError(f"undecodable picture ({error.strerror})") from error
        for frame in frames:
            yield Luma(luma_plane(frame), self._at_us.pop(frame.pts, at_us) if frame.pts is not None else at_us)


def luma_plane(frame: av.VideoFrame) -> NDArray[np.uint8]:
    """Return the luma plane of a frame, 8 bits a pixel; without copying where the frame has such a plane."""
    if frame.format.name not in _PLANAR_8_BIT:
        frame = frame.reformat(format="gray")
    plane = frame.planes[0]
    rows = np.frombuffer(cast("memoryview", plane), dtype=np.uint8).reshape(-1, plane.line_size)
    return rows[: frame.height, : frame.width]
