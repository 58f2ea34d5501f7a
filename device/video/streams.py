"""Reads the video stream of an opened container as packets: H.264 is copied, anything else decoded and encoded once.

Audio and all other streams are never read. A damaged packet breaks the rest of its group of pictures, which is dropped
and counted.
"""

from collections.abc import Callable, Iterator
from fractions import Fraction

import av
import av.error
from av.container import InputContainer
from av.video.stream import VideoStream

from device.video.canonical import Canonical
from device.video.decoder import luma_plane
from device.video.encoder import Encoder, EncoderSettings
from device.video.errors import BitstreamError, SourceError
from device.video.packets import TICKS_PER_S, AccessUnit, Packet, us_from_ticks
from device.video.timeline import Timeline

_MIN_SIDE = 16
_MAX_SIDE = 8192
_USUAL_FPS = Fraction(15)
_MIN_FPS, _MAX_FPS = Fraction(1, 2), Fraction(240)


class StreamReader:
    """Packets of one opened container. `wall` turns ticks since the first picture into wall-clock microseconds."""

    def __init__(
        self,
        container: InputContainer,
        *,
        name: str,
        encoder: EncoderSettings,
        wall: Callable[[int], int],
        timeline: Timeline | None = None,
    ) -> None:
        if not container.streams.video:
            raise SourceError(source=name, reason="has no video in it")
        self._container = container
        self._stream: VideoStream = container.streams.video[0]
        self._name = name
        self._encoder_settings = encoder
        self._wall = wall
        self._encoder: Encoder | None = None
        # The stubs don't say that a codec without a decoder here has no context.
        if getattr(self._stream, "codec_context", None) is None:
            raise SourceError(source=name, reason="its video is of a kind that can't be read")
        self._check_size(self._stream.codec_context.width, self._stream.codec_context.height)
        self.fps = _sane_rate(self._stream.average_rate or self._stream.guessed_rate)
        self.timeline = timeline or Timeline(frame_ticks=round(TICKS_PER_S / self.fps))
        self.dropped = 0

    def packets(self) -> Iterator[Packet]:
        """Return all packets until the container ends; av's errors pass through, the caller knows what they mean."""
        return self._copied() if self._stream.codec_context.name == "h264" else self._encoded()

    def _copied(self) -> Iterator[Packet]:
        canonical = self._canonical()
        broken = True
        for packet in self._demuxed():
            if not packet.size:
                continue
            dts, pts = self.timeline.place(self._ticks(packet.dts), self._ticks(packet.pts))
            unit = None if packet.is_corrupt else _unit(canonical, bytes(packet), dts=dts, pts=pts)
            broken = unit is None or (broken and not unit.keyframe)
            if broken or unit is None or canonical.config is None:
                self.dropped += 1
                continue
            span_us = us_from_ticks(self._span(packet.duration))
            yield Packet(config=canonical.config, unit=unit, at_us=self._wall(pts), duration_us=span_us)

    def _demuxed(self) -> Iterator["av.Packet[VideoStream]"]:
        while True:
            try:
                yield from self._container.demux(self._stream)
            except IndexError:
                # A damaged transport stream brings up streams that PyAV doesn't know; reading goes on after them.
                self.dropped += 1
                continue
            return

    def _canonical(self) -> Canonical:
        try:
            return Canonical(extradata=self._stream.codec_context.extradata)
        except BitstreamError as error:
            raise SourceError(source=self._name, reason=f"its parameter sets are damaged ({error.reason})") from error

    def _encoded(self) -> Iterator[Packet]:
        self._stream.codec_context.thread_count = 1
        for packet in self._demuxed():
            try:
                frames = packet.decode()
            except (av.error.InvalidDataError, av.error.UndefinedError):
                self.dropped += 1
                continue
            for frame in frames:
                yield self._encode(frame)

    def _encode(self, frame: av.VideoFrame) -> Packet:
        stamp = self._ticks(frame.pts)
        _, ticks = self.timeline.place(stamp, stamp)
        width, height = frame.width & ~1, frame.height & ~1
        self._check_size(width, height)
        if frame.format.name != "yuv420p" or (width, height) != (frame.width, frame.height):
            frame = frame.reformat(width=width, height=height, format="yuv420p")
        encoder = self._encoder
        if encoder is None or (encoder.config.width, encoder.config.height) != (width, height):
            encoder = Encoder(width=width, height=height, fps=self.fps, settings=self._encoder_settings)
            self._encoder = encoder
        unit = encoder.encode_frame(frame, ticks=ticks)
        return Packet(
            config=encoder.config,
            unit=unit,
            at_us=self._wall(ticks),
            duration_us=us_from_ticks(self.timeline.frame_ticks),
            luma=luma_plane(frame),
        )

    def _ticks(self, stamp: int | None) -> int | None:
        base = self._stream.time_base
        return None if stamp is None or base is None else round(stamp * base * TICKS_PER_S)

    def _span(self, duration: int | None) -> int:
        ticks = self._ticks(duration) or 0
        return ticks if 0 < ticks <= 10 * TICKS_PER_S else self.timeline.frame_ticks

    def _check_size(self, width: int, height: int) -> None:
        # Zero is what a stream says that has not given its parameter sets yet.
        if width and height and not (_MIN_SIDE <= width <= _MAX_SIDE and _MIN_SIDE <= height <= _MAX_SIDE):
            raise SourceError(
                source=self._name, reason=f"pictures of {width}x{height}; each side must be {_MIN_SIDE} to {_MAX_SIDE}"
            )


def _sane_rate(rate: Fraction | None) -> Fraction:
    return rate if rate is not None and _MIN_FPS <= rate <= _MAX_FPS else _USUAL_FPS


def _unit(canonical: Canonical, data: bytes, *, dts: int, pts: int) -> AccessUnit | None:
    """Return the access unit of a packet; None if it is damaged."""
    try:
        return canonical.unit(data, dts=dts, pts=pts)
    except BitstreamError:
        return None
