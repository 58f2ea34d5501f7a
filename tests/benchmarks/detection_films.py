"""Films with a known truth for the detection benchmark: written to H.264 files that every detector is given alike."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from device.video.scene.draw import SceneFilm
from device.video.scene.file import Scene

TICKS_PER_S = 90_000
# As a camera sends it: some 1 to 2 Mbit/s at 640x360.
GOP_S = 2
CRF = "25"


@dataclass(frozen=True, slots=True)
class Span:
    """From when to when, in seconds of the film."""

    start_s: float
    end_s: float

    def touches(self, other: "Span", *, slack_s: float = 0.0) -> bool:
        return self.start_s <= other.end_s + slack_s and other.start_s <= self.end_s + slack_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A film file and its truth: `events` have to be seen, `maybe` may be, nothing else may."""

    name: str
    path: Path
    duration_s: float
    fps: float
    events: tuple[Span, ...]
    maybe: tuple[Span, ...] = ()


def render_scene(scene: Scene, *, name: str, seed: int, path: Path) -> Clip:
    """Draw a scene into a file, unless that was done before."""
    film = SceneFilm(scene, seed=seed)
    fps = scene.picture.fps
    if not path.exists():
        pictures = ((index / fps, film.i420(index)) for index in range(film.scene.frames))
        write_h264(path, pictures, fps=fps)
    return Clip(
        name=name, path=path, duration_s=scene.frames / fps, fps=fps,
        events=tuple(Span(one.start_s, one.end_s) for one in film.scene.presences()),
    )  # fmt: skip


def write_h264(path: Path, pictures: Iterable[tuple[float, NDArray[np.uint8]]], *, fps: float) -> None:
    """Write I420 pictures, each with its time in seconds, as a camera would encode them."""
    part = path.with_suffix(".part.mp4")
    with av.open(str(part), "w") as target:
        stream: VideoStream | None = None
        for at_s, i420 in pictures:
            if stream is None:
                stream = _stream(target, i420, fps=fps)
            frame = av.VideoFrame.from_ndarray(i420, format="yuv420p")
            frame.pts, frame.time_base = round(at_s * TICKS_PER_S), Fraction(1, TICKS_PER_S)
            target.mux(stream.encode(frame))
        if stream is not None:
            target.mux(stream.encode(None))
    part.rename(path)


def _stream(target: av.container.OutputContainer, i420: NDArray[np.uint8], *, fps: float) -> VideoStream:
    stream = target.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
    stream.width, stream.height = i420.shape[1], i420.shape[0] * 2 // 3
    stream.pix_fmt, stream.gop_size = "yuv420p", max(1, round(fps * GOP_S))
    stream.codec_context.time_base = Fraction(1, TICKS_PER_S)
    stream.codec_context.thread_count = 1
    stream.options = {"preset": "veryfast", "bf": "0", "crf": CRF, "scenecut": "0"}
    return stream


def decoded(path: Path) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """Pictures of a file as I420, each with its time in seconds."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield float(frame.time or 0.0), np.asarray(frame.reformat(format="yuv420p").to_ndarray(), dtype=np.uint8)
