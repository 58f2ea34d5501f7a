"""Films for the CPU benchmarks: real footage in which somebody always walks, and a drawn one in which nobody does."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from device.video.scene.draw import SceneFilm
from device.video.scene.file import Scene, builtin_scene, load_scene
from tests.video.support import VTEST

FPS = 15
GOP_FRAMES = 30
QUIET = "empty-porch"
CROSSED = b"""
title = "Somebody crosses, over and over"
place = "porch"
duration_s = 7.0
noise = 2.0
picture = { width = 1280, height = 720, fps = 15 }

[[actors]]
kind = "person"
path = [
    { at_s = 1.0, x = 0.10, y = 0.97, height = 0.60 },
    { at_s = 3.0, x = 0.90, y = 0.97, height = 0.60 },
]
"""


def busy_film(path: Path, *, frames: int, width: int, height: int) -> Path:
    """Debian's vtest.avi, scaled, over and over: people walk in it at every moment."""
    if not VTEST.is_file():
        raise SystemExit(f"{VTEST} is missing; install Debian's opencv-doc, or give a film with --video")

    def pictures() -> Iterator[NDArray[np.uint8]]:
        while True:
            with av.open(str(VTEST)) as source:
                for frame in source.decode(source.streams.video[0]):
                    scaled = frame.reformat(width=width, height=height, format="yuv420p")
                    yield np.asarray(scaled.to_ndarray(), dtype=np.uint8)

    return _write(path, pictures(), frames=frames, width=width, height=height)


def quiet_film(path: Path, *, frames: int, width: int, height: int) -> Path:
    """An empty porch under drifting clouds, with a sensor's noise."""
    scene = load_scene(builtin_scene(QUIET))
    size = scene.picture.model_copy(update={"width": width, "height": height, "fps": FPS})
    return scene_film(path, Scene.model_validate({**scene.model_dump(), "picture": size.model_dump()}), frames=frames)


def scene_film(path: Path, scene: Scene, *, frames: int) -> Path:
    """So many pictures of a scene, over and over, at the scene's size."""
    film = SceneFilm(scene, seed=1)
    pictures = (film.i420(index % scene.frames) for index in range(frames))
    return _write(path, pictures, frames=frames, width=scene.picture.width, height=scene.picture.height)


def resized(source: Path, path: Path, *, width: int, height: int) -> Path:
    """The same film at another size."""
    with av.open(str(source)) as container:
        pictures = (
            np.asarray(frame.reformat(width=width, height=height, format="yuv420p").to_ndarray(), dtype=np.uint8)
            for frame in container.decode(video=0)
        )
        return _write(path, pictures, frames=1 << 30, width=width, height=height)


def _write(path: Path, pictures: Iterator[NDArray[np.uint8]], *, frames: int, width: int, height: int) -> Path:
    """H.264 as a camera sends it: no B-frames, a keyframe every two seconds, 2 Mbit/s at 1280x720."""
    with av.open(str(path), "w") as target:
        stream = target.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = width, height, "yuv420p", GOP_FRAMES
        stream.bit_rate = 2_000_000 * width * height // (1280 * 720)
        stream.options = {"preset": "veryfast", "bf": "0"}
        for index, picture in zip(range(frames), pictures, strict=False):
            frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
            frame.pts, frame.time_base, frame.pict_type = index, Fraction(1, FPS), 0
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return path
