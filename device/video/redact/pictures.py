"""Segments as whole pictures, one at a time: for making another film of them. Memory holds what a decoder does."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
import av.error
from av.stream import Stream

from device.video.codec.canonical import MAX_PIXELS
from device.video.errors import BitstreamError, MuxError
from device.video.packets import TICKS_PER_S, AccessUnit, CodecConfig, ticks_from_us, us_from_ticks
from device.video.segments import Segment

# A tick of 90 kHz and a little: times that are so far apart stay apart as ticks.
_TICK_US = 12


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A decoded picture, in the order in which they are shown; the frame is the decoder's own and must not change."""

    at_us: int
    frame: av.VideoFrame


def times(segments: Iterable[Segment]) -> list[int]:
    """Return when each picture is shown, in order; the same times as those of `pictures`."""
    return sorted(at_us for _, at_us in _placed(segments))


def pictures(segments: Iterable[Segment], *, filtered: bool = True) -> Iterator[Picture]:
    """Decode segments of one camera, in order. BitstreamError if one is damaged, MuxError if their format changes."""
    decoder: PictureDecoder | None = None
    config: CodecConfig | None = None
    for segment in segments:
        if config is not None and segment.config != config:
            raise MuxError("the camera's picture format changes within the clip; cut it there into two")
        config = segment.config
        decoder = decoder or PictureDecoder(config, filtered=filtered)
        for unit, at_us in _placed([segment], after=decoder.last_us):
            yield from decoder.decode(unit, at_us=at_us)
    if decoder is not None:
        yield from decoder.drain()


def _placed(segments: Iterable[Segment], *, after: int | None = None) -> Iterator[tuple[AccessUnit, int]]:
    """Give each unit with the time at which it is shown; where the clock was set back, it stands still instead."""
    for segment in segments:
        head = segment.units[0].pts
        start_us = segment.start_us if after is None else max(segment.start_us, after + _TICK_US)
        for unit in segment.units:
            at_us = start_us + us_from_ticks(unit.pts - head)
            after = at_us if after is None else max(after, at_us)
            yield unit, at_us


class PictureDecoder:
    """Decodes units of one configuration with all that their codec does for the eye, on one thread."""

    def __init__(self, config: CodecConfig, *, filtered: bool = True) -> None:
        """Leave the loop filter out for quick looks: `filtered=False`."""
        context = av.CodecContext.create(config.codec, "r")
        context.extradata = config.extradata
        context.thread_count = 1
        context.options = {"max_pixels": str(MAX_PIXELS), "skip_loop_filter": "default" if filtered else "all"}
        self._context = context
        self._codec = config.codec
        self._at_us: dict[int, int] = {}
        self._number = 0
        self._origin_us: int | None = None
        self.last_us: int | None = None

    def decode(self, unit: AccessUnit, *, at_us: int) -> Iterator[Picture]:
        """Pictures that this unit completes, none to several; BitstreamError if it is damaged."""
        if self._origin_us is None:
            self._origin_us = at_us
        ticks = ticks_from_us(at_us - self._origin_us)
        coded = av.Packet(unit.data)
        coded.time_base = Fraction(1, TICKS_PER_S)
        # What is decoded counts up; what is shown goes by its time.
        coded.dts, coded.pts = self._number, ticks
        self._number += 1
        self._at_us[ticks] = at_us
        self.last_us = at_us if self.last_us is None else max(self.last_us, at_us)
        yield from self._pictures(coded)

    def drain(self) -> Iterator[Picture]:
        """Pictures that were held back; the next unit must be a keyframe."""
        yield from self._pictures(None)
        self._context.flush_buffers()
        self._at_us.clear()

    def _pictures(self, coded: "av.Packet[Stream] | None") -> Iterator[Picture]:
        try:
            frames = self._context.decode(coded)
        except av.error.FFmpegError as error:
            raise BitstreamError(f"undecodable picture ({error.strerror})", codec=self._codec) from error
        for frame in frames:
            at_us = self._at_us.pop(frame.pts, None) if frame.pts is not None else None
            if at_us is None:
                raise BitstreamError("a picture without its time", codec=self._codec)
            yield Picture(at_us, frame)
