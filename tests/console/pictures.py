"""Films with a face in them, made of one of OpenCV's sample photographs; and what is seen in a film."""

import io
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

Gray = NDArray[np.uint8]
PHOTOGRAPH = Path("/usr/share/doc/opencv-doc/examples/data/messi5.jpg")
SWAY = 0.06  # how much of the picture the view wanders


def face_film(path: Path, *, width: int, height: int, fps: int, seconds: int) -> Path:
    """Write a film that wanders over a photograph of a man: H.264 as a camera sends it, a keyframe each second."""
    photograph = cv2.imread(str(PHOTOGRAPH))
    assert photograph is not None, f"{PHOTOGRAPH} can't be read; it is in Debian's opencv-doc"
    wide, high = round(width * (1 + SWAY)) & ~1, round(height * (1 + SWAY)) & ~1
    ground = cv2.cvtColor(cv2.resize(photograph, (wide, high), interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2RGB)
    with av.open(str(path), "w") as target:
        stream = target.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = width, height, "yuv420p", fps
        stream.bit_rate = 2_000_000 * width * height // (1280 * 720)
        stream.options = {"preset": "veryfast", "bf": "0"}
        for number in range(fps * seconds):
            turn = 2 * np.pi * number / (fps * 6)
            left, top = (round((side // 2) * (1 + move)) for side, move in (
                (wide - width, np.sin(turn)), (high - height, np.cos(turn)),
            ))  # fmt: skip
            view = np.ascontiguousarray(ground[top : top + height, left : left + width], np.uint8)
            frame = av.VideoFrame.from_ndarray(view, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return path


def decoded(mp4: bytes) -> list[Gray]:
    """Return all pictures of a film, their brightness alone."""
    with av.open(io.BytesIO(mp4), "r") as container:
        return [np.asarray(frame.to_ndarray(format="gray"), np.uint8) for frame in container.decode(video=0)]


def roughness(picture: Gray, x: float, y: float, width: float, height: float) -> float:
    """Return how far the pixels of a part differ from one another; its rim, where an encoder smears, is left out."""
    high, wide = picture.shape
    rim_x, rim_y = 0.1 * width, 0.1 * height
    part = picture[
        round((y + rim_y) * high) : round((y + height - rim_y) * high),
        round((x + rim_x) * wide) : round((x + width - rim_x) * wide),
    ]
    return float(part.std())
