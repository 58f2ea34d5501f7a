"""What the tests of this room share: a clock that leaps, films made on the spot, a camera that can be bent."""

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from itertools import count
from pathlib import Path
from typing import cast

import av
import av.error
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from device.video.clock import Clock
from device.video.codec.encoder import Encoder, EncoderSettings
from device.video.errors import SourceVanishedError
from device.video.outputs import Output, SegmentReady
from device.video.packets import TICKS_PER_S, AccessUnit, Codec, CodecConfig, Packet, Ring, us_from_ticks
from device.video.segments import Segment, Segmenter, SegmentSettings
from device.video.source.capture import CaptureSettings, Source, SourceSpec

START_US = 1_750_000_000_000_000
CONFIG = CodecConfig(width=64, height=48, extradata=b"\x01not-really")
OTHER_CONFIG = CodecConfig(width=32, height=24, extradata=b"\x01another")
VTEST = Path("/usr/share/doc/opencv-doc/examples/data/vtest.avi")


class LeapingClock:
    """A clock that stands still until somebody waits, and then leaps: films play in no time."""

    def __init__(self, start_us: int = START_US) -> None:
        self._now_us = start_us
        self._lock = threading.Lock()

    def now_us(self) -> int:
        with self._lock:
            return self._now_us

    def wait(self, wake: threading.Event, seconds: float) -> None:
        if not wake.is_set():
            with self._lock:
                self._now_us += max(1, round(seconds * 1_000_000))


class Ids:
    """Ids in the order they were asked for."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def __call__(self) -> str:
        return f"id-{next(self._numbers)}"


def picture(index: int, *, width: int = 160, height: int = 96) -> NDArray[np.uint8]:
    """A textured I420 picture in which a bright square wanders."""
    rng = np.random.default_rng(7)
    image = rng.integers(60, 120, (height * 3 // 2, width)).astype(np.uint8)
    image[height:] = 128
    left = index * 3 % (width - 20)
    image[30:60, left : left + 20] = 230
    return image


@cache
def coded(frames: int = 45, fps: int = 15, codec: Codec = "h264") -> tuple[Packet, ...]:
    """Real packets of a small film, H.264 unless told otherwise, a keyframe each second."""
    encoder = Encoder(width=160, height=96, fps=Fraction(fps), settings=EncoderSettings(codec=codec))
    span = TICKS_PER_S // fps
    return tuple(
        Packet(
            config=encoder.config,
            unit=encoder.encode(picture(i), ticks=i * span),
            at_us=START_US + us_from_ticks(i * span),
            duration_us=us_from_ticks(span),
        )
        for i in range(frames)
    )


def segments_of(packets: Iterable[Packet]) -> list[Segment]:
    """The segments that packets make."""
    segmenter = Segmenter(SegmentSettings())
    done = [segment for packet in packets for segment in segmenter.push(packet)]
    return done + segmenter.flush()


def fake_packet(
    number: int, *, keyframe: bool, at_us: int | None = None, size: int = 10, config: CodecConfig = CONFIG
) -> Packet:
    """A packet whose data is no H.264, for what never looks inside; ten pictures a second."""
    data = number.to_bytes(4) + bytes(max(0, size - 4))
    unit = AccessUnit(dts=number * 9_000, pts=number * 9_000, keyframe=keyframe, data=data)
    return Packet(
        config=config, unit=unit, at_us=START_US + number * 100_000 if at_us is None else at_us, duration_us=100_000
    )


def write_film(
    path: Path,
    *,
    codec: str = "libx264",
    frames: int = 45,
    fps: int = 15,
    gop: int = 15,
    options: dict[str, str] | None = None,
    size: tuple[int, int] = (160, 96),
    audio: bool = False,
    video: bool = True,
) -> Path:
    """Write a film with PyAV, as some camera or phone would; with a track of silence if asked."""
    with av.open(str(path), "w") as container:
        stream = cast("VideoStream", container.add_stream(codec, rate=fps)) if video else None
        sound = container.add_stream("aac", rate=8000) if audio else None
        if stream is not None:
            stream.width, stream.height, stream.pix_fmt, stream.gop_size = *size, "yuv420p", gop
            stream.codec_context.thread_count = 1
            stream.options = dict(options or {})
            for index in range(frames):
                frame = av.VideoFrame.from_ndarray(picture(index, width=size[0], height=size[1]), format="yuv420p")
                frame.pts, frame.time_base = index, Fraction(1, fps)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        if sound is not None:
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            silence.sample_rate = 8000
            for index in range(frames * 8000 // fps // 1024):
                silence.pts = index * 1024
                container.mux(sound.encode(silence))
            container.mux(sound.encode(None))
    return path


def demuxed(path: Path) -> list[tuple[bytes, int, int, bool]]:
    """What PyAV itself finds in a file: data, dts and pts in ticks, keyframe."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        base = cast("Fraction", stream.time_base) * TICKS_PER_S
        return [
            (bytes(packet), round(packet.dts * base), round(packet.pts * base), packet.is_keyframe)
            for packet in container.demux(stream)
            if packet.dts is not None and packet.pts is not None
        ]


@dataclass
class BentCamera:
    """A live source that does what a test says: each opening plays one list of items, then vanishes or ends.

    It stands in for the camera, through the interface that cameras have. `fault` is raised instead of vanishing.
    """

    openings: list[list[Packet | Ring | None]]
    vanish: bool = True
    fault: Exception | None = None
    opened: int = 0
    closed: int = 0
    dropped: int = 0
    _playing: list[Packet | Ring | None] = field(default_factory=list)

    def open(self, _spec: SourceSpec, _settings: CaptureSettings, _clock: Clock, _start_us: int) -> Source:
        self._playing = self.openings[self.opened] if self.opened < len(self.openings) else []
        self.opened += 1
        return self

    def items(self) -> Iterator[Packet | Ring | None]:
        yield from self._playing
        if self.fault is not None:
            raise self.fault
        if self.vanish:
            raise SourceVanishedError(source="rtsp://camera/", reason="it was unplugged")

    def close(self) -> None:
        self.closed += 1


def segments_in(outputs: Iterable[Output]) -> dict[str, list[Segment]]:
    """The segments handed out, by clip."""
    clips: dict[str, list[Segment]] = {}
    for output in outputs:
        if isinstance(output, SegmentReady):
            clips.setdefault(output.clip, []).append(output.segment)
    return clips
