"""Reads the video stream of an opened container as packets: H.264 is copied, anything else decoded and encoded once.

So is H.264 where something is to be black in its pictures: what came from the camera is then never handed on. Audio and
all other streams are never read.
"""

from collections.abc import Iterator
from fractions import Fraction

import av
import av.error
from av.container import InputContainer
from av.video.stream import VideoStream

from device.video.codec.canonical import MAX_PIXELS, check_size
from device.video.errors import BitstreamError, SourceError
from device.video.faults import reason_of
from device.video.packets import TICKS_PER_S, Packet, us_from_ticks
from device.video.source.capture import CaptureSettings
from device.video.source.copied import Copier, Demuxed, Place
from device.video.source.damage import Damage
from device.video.source.dating import Dating
from device.video.source.encoded import Recoder, Use
from device.video.source.timeline import Timeline

# For whoever opens a container: libavformat decodes a little to know what is in it, and this holds it back, too.
OPEN_OPTIONS = {"max_pixels": str(MAX_PIXELS)}

_USUAL_FPS = Fraction(15)
_MIN_FPS, _MAX_FPS = Fraction(1, 2), Fraction(240)
_MOST_SPAN_TICKS = 10 * TICKS_PER_S


class StreamReader:
    """Packets of one opened container.

    `use`: "keep" gives packets without luma; "look" gives luma, and access units that hold nothing where the pictures
    had to be decoded anyway; "both" is for a source that is kept and looked at. Luma is at most some 640 wide. `heard`
    counts what came, of use or not.
    """

    def __init__(
        self,
        container: InputContainer,
        *,
        name: str,
        settings: CaptureSettings,
        dating: Dating,
        damage: Damage,
        use: Use = "both",
        timeline: Timeline | None = None,
    ) -> None:
        if not container.streams.video:
            raise SourceError(source=name, reason="has no video in it")
        self._container = container
        self._stream: VideoStream = container.streams.video[0]
        self._name = name
        self._settings = settings
        self._dating = dating
        self._damage = damage
        self._use: Use = use
        # The stubs don't say that a codec without a decoder here has no context.
        if getattr(self._stream, "codec_context", None) is None:
            raise SourceError(source=name, reason="its video is of a kind that can't be read")
        self._check_size(self._stream.codec_context.width, self._stream.codec_context.height)
        self.fps = _sane_rate(self._stream.average_rate or self._stream.guessed_rate)
        self.timeline = timeline or Timeline(frame_ticks=round(TICKS_PER_S / self.fps))
        # A stamp is so many ticks over so many; none where the container has no time.
        ticks = (self._stream.time_base or Fraction(0)) * TICKS_PER_S
        self._per, self._base = ticks.numerator, ticks.denominator if ticks else 0
        self._copier: Copier | None = None
        self._lost = 0
        self.heard = 0

    @property
    def dropped(self) -> int:
        """Packets and pictures lost so far."""
        return self._lost + (self._copier.dropped if self._copier else 0)

    def packets(self) -> Iterator[Packet]:
        """Return all packets until the container ends; av's errors pass through, the caller knows what they mean."""
        return self._copied() if self._may_copy() else self._encoded()

    def _may_copy(self) -> bool:
        context = self._stream.codec_context
        # Without a container nothing says when a picture is shown that is not shown in the order of coding.
        untold = self._container.format.name == "h264" and context.has_b_frames
        return context.name == "h264" and not untold and not self._settings.masks

    def _copied(self) -> Iterator[Packet]:
        try:
            extradata = self._stream.codec_context.extradata
            copier = self._copier = Copier(extradata=extradata, place=self._place, damage=self._damage)
        except BitstreamError as error:
            raise SourceError(source=self._name, reason=f"its parameter sets are damaged ({error.reason})") from error
        return copier.packets(self._told(packet) for packet in self._demuxed() if packet.size)

    def _encoded(self) -> Iterator[Packet]:
        context = self._stream.codec_context
        context.thread_count = 1
        # What is never kept may look a little coarse.
        context.options = OPEN_OPTIONS | ({"skip_loop_filter": "all"} if self._use == "look" else {})
        recoder = Recoder(settings=self._settings, fps=self.fps, use=self._use, place=self._place)
        for packet in self._demuxed():
            try:
                frames = packet.decode()
            except av.error.FFmpegError as error:
                self._lose(reason_of(error))
                continue
            for frame in frames:
                try:
                    check_size(frame.width, frame.height)
                    yield recoder.packet(frame, self._stamp_of(frame))
                except BitstreamError as error:
                    self._lose(error.reason)

    def _lose(self, reason: str) -> None:
        self._damage.found(reason)
        self._lost += 1

    def _demuxed(self) -> Iterator["av.Packet[VideoStream]"]:
        return self._dating.settle(self._read(), self._stamp, lambda packet: packet.size)

    def _read(self) -> Iterator["av.Packet[VideoStream]"]:
        while True:
            try:
                for packet in self._container.demux(self._stream):
                    self.heard += 1
                    yield packet
            except IndexError:
                # A damaged transport stream brings up streams that PyAV doesn't know; reading goes on after them.
                self._lose("a stream that was not announced")
                continue
            return

    def _told(self, packet: "av.Packet[VideoStream]") -> Demuxed:
        # Parameter sets change at keyframes alone, and PyAV takes its time to look.
        changed = packet.is_keyframe and packet.has_sidedata("new_extradata")
        return Demuxed(
            data=bytes(packet),
            dts=self._ticks(packet.dts),
            pts=self._ticks(packet.pts),
            duration=self._ticks(packet.duration),
            corrupt=packet.is_corrupt,
            extradata=bytes(packet.get_sidedata("new_extradata")) if changed else None,
        )

    def _stamp_of(self, frame: av.VideoFrame) -> Demuxed:
        stamp = self._ticks(frame.pts)
        return Demuxed(data=b"", dts=stamp, pts=stamp)

    def _stamp(self, packet: "av.Packet[VideoStream]") -> int | None:
        return self._ticks(packet.pts if packet.pts is not None else packet.dts)

    def _place(self, one: Demuxed) -> Place:
        dts, pts = self.timeline.place(one.dts, one.pts, lead_ticks=self._dating.lead_ticks())
        span = one.duration or 0
        ticks = span if 0 < span <= _MOST_SPAN_TICKS else self.timeline.frame_ticks
        at_us = self._dating.wall(pts, one.pts if one.pts is not None else one.dts)
        return Place(dts=dts, pts=pts, at_us=at_us, duration_us=us_from_ticks(ticks))

    def _ticks(self, stamp: int | None) -> int | None:
        # Three times for each packet of each day: whole numbers, not fractions.
        return None if stamp is None or not self._base else (2 * stamp * self._per + self._base) // (2 * self._base)

    def _check_size(self, width: int, height: int) -> None:
        # Zero is what a stream says that has not given its parameter sets yet.
        if width and height:
            try:
                check_size(width, height)
            except BitstreamError as error:
                raise SourceError(source=self._name, reason=error.reason) from error


def _sane_rate(rate: Fraction | None) -> Fraction:
    return rate if rate is not None and _MIN_FPS <= rate <= _MAX_FPS else _USUAL_FPS
