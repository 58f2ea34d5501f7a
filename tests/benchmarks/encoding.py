"""What encoding costs: our settings for H.264 and VP9, against what else could have been chosen for each.

    python -m tests.benchmarks.encoding [--json FILE] [--video FILE] [--runs N]

H.264 stands beside x264's superfast at a constant rate factor of 26, with which this project began; VP9 beside SVT-AV1.
CPU seconds are for 1,000 pictures on one thread, medians over --runs (3), of a drawn scene and of real footage
(--video, else Debian's vtest.avi). A keyframe each second, nothing held back. The second table tells size and likeness.
"""

import argparse
import resource
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from device.video.codec.encoder import Encoder, EncoderSettings
from device.video.packets import TICKS_PER_S
from device.video.scene.draw import SceneFilm
from device.video.scene.file import Scene, builtin_scene, load_scene
from tests.benchmarks.harness import Row, against_peer, main
from tests.video.support import VTEST

FPS = 15
PICTURES = 120
SCENE, SCENE_FROM = "doorbell-visitor", 60
SIZES = ((1280, 720), (640, 360))
SUPERFAST = {
    "preset": "superfast",
    "tune": "zerolatency",
    "crf": "26",
    "x264-params": f"keyint={FPS}:min-keyint={FPS}:scenecut=0:open-gop=0:sliced-threads=0",
}
SVT = {"preset": "12", "crf": "40", "svtav1-params": "pred-struct=1:lp=1:rtc=1:scd=0"}
NAMES = ("H.264", "x264 superfast crf 26", "VP9", "SVT-AV1 preset 12")

Pictures = list[NDArray[np.uint8]]


@dataclass(frozen=True, slots=True)
class Coded:
    """What an encoder made of a film, and for how much CPU."""

    cpu_s: float
    data: list[bytes]
    decoder: str
    extradata: bytes | None


def ours(pictures: Pictures, settings: EncoderSettings) -> Coded:
    """Encode as a device does."""
    begun = _cpu_s()
    height, width = pictures[0].shape[0] * 2 // 3, pictures[0].shape[1]
    encoder = Encoder(width=width, height=height, fps=Fraction(FPS), settings=settings)
    data = [encoder.encode(picture, ticks=at * TICKS_PER_S // FPS).data for at, picture in enumerate(pictures)]
    config = encoder.config
    return Coded(_cpu_s() - begun, data, config.codec, config.extradata if config.codec == "h264" else None)


def theirs(pictures: Pictures, codec: str, decoder: str, options: dict[str, str]) -> Coded:
    """Encode with PyAV alone."""
    begun = _cpu_s()
    context = av.CodecContext.create(codec, "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height, context.pix_fmt = pictures[0].shape[1], pictures[0].shape[0] * 2 // 3, "yuv420p"
    context.time_base, context.framerate, context.gop_size = Fraction(1, FPS), Fraction(FPS), FPS
    context.max_b_frames, context.thread_count, context.options = 0, 1, options
    data = []
    for at, picture in enumerate(pictures):
        frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
        frame.pts = at
        data += [bytes(packet) for packet in context.encode(frame)]
    data += [bytes(packet) for packet in context.encode(None)]
    return Coded(_cpu_s() - begun, data, decoder, context.extradata)


def likeness_db(pictures: Pictures, coded: Coded) -> float:
    """Return the mean signal-to-noise ratio of the luma planes, in decibels."""
    context = av.CodecContext.create(coded.decoder, "r")
    assert isinstance(context, av.VideoCodecContext)
    context.extradata, context.thread_count = coded.extradata, 1
    frames = [frame for data in coded.data for frame in context.decode(av.Packet(data))]
    ratios = []
    for frame, picture in zip([*frames, *context.decode(None)], pictures, strict=True):
        luma = picture[: frame.height].astype(float)
        ratios.append(10 * np.log10(255**2 / np.mean((frame.to_ndarray()[: frame.height] - luma) ** 2)))
    return float(np.mean(ratios))


def drawn(width: int, height: int) -> Pictures:
    """Somebody comes up a drawn path."""
    scene = load_scene(builtin_scene(SCENE))
    size = scene.picture.model_copy(update={"width": width, "height": height, "fps": FPS})
    film = SceneFilm(Scene.model_validate({**scene.model_dump(), "picture": size.model_dump()}), seed=1)
    return [film.i420(SCENE_FROM + number).copy() for number in range(PICTURES)]


def footage(path: Path, width: int, height: int) -> Pictures:
    """Real people, scaled."""
    with av.open(str(path)) as container:
        frames = islice(container.decode(video=0), PICTURES)
        return [np.asarray(f.reformat(width, height, format="yuv420p").to_ndarray(), np.uint8) for f in frames]


def benchmark(arguments: argparse.Namespace) -> Sequence[Row]:
    """Run each encoder on each film at each size."""
    rows: list[Row] = []
    detail = Table("", "CPU s", "kbit/s", "dB")
    for width, height in SIZES:
        films = {"drawn": drawn(width, height), "real": footage(Path(arguments.video or VTEST), width, height)}
        for name, film in films.items():
            ways: list[Callable[[Pictures], Coded]] = [
                lambda p: ours(p, EncoderSettings()),
                lambda p: theirs(p, "libx264", "h264", SUPERFAST),
                lambda p: ours(p, EncoderSettings(codec="vp9")),
                lambda p: theirs(p, "libsvtav1", "libdav1d", SVT),
            ]
            runs = [[way(film) for way in ways] for _ in range(arguments.runs or 3)]
            cpu_s = [statistics.median(run[at].cpu_s for run in runs) * 1_000 / len(film) for at in range(len(ways))]
            what = f"{width}x{height} {name}"
            for at, coded in enumerate(runs[0]):
                rate = sum(map(len, coded.data)) * 8 * FPS / len(film) / 1_000
                detail.add_row(
                    f"{what}, {NAMES[at]}", f"{cpu_s[at]:.2f}", f"{rate:.0f}", f"{likeness_db(film, coded):.1f}"
                )
            rows += [
                against_peer(f"{what}: H.264, {NAMES[1]}", cpu_s[0], cpu_s[1], 0.6),
                against_peer(f"{what}: VP9, {NAMES[3]}", cpu_s[2], cpu_s[3], 1.0),
            ]
    Console().print(detail)
    return rows


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main(__doc__ or "", benchmark, ("--video", str), ("--runs", int))
