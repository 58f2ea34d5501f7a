"""Finds faces in single pictures: YuNet, a small network that ships with this package, in OpenCV's dnn on one thread.

Where its weights come from, and under which licence, stands beside them in `face_weights.md`.

It misses faces. By `python -m tests.benchmarks.faces`, with 31 real faces pasted into drawn films of 1280x720, tracked
as `tracks` does, this share of all pictures had at least 95 % of a face hidden:

    width of the face, pixels     12      16      24      32      48      96
    by day                      93 %    96 %   100 %    99 %    99 %   100 %
    dark, gray and noisy        49 %    73 %    92 %    98 %    99 %   100 %

These are upper bounds. All 31 are faces that it finds where they are large, mostly seen from the front; its thresholds
were chosen on the same films; and nobody in them turns round more than once a second (where they dart to and fro
without rest, 94 to 98 % at 48 and 96 pixels). Profiles, masks, hands, blur and rain make it worse, and the back of a
head is no face.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from device.video.errors import VideoError
from device.video.redact.regions import Box

Bgr = NDArray[np.uint8]
Real = NDArray[np.float32]

WEIGHTS: Final = Path(__file__).with_name("face_weights.onnx")
# What the derived clip's own words call it.
NAME: Final = "YuNet (libfacedetection 2024-09)"

# Findings with less are noise; tracks decide what becomes of the weak ones.
LEAST_SCORE: Final = 0.25
# Of two findings that share so much of both, the weaker one is the same face.
_SAME: Final = 0.45
# The network sees faces of some ten pixels and more: pictures are made so wide, but enlarged by no more than so much.
# Of faces 16 pixels wide in 1280x720, 88 % are found so, and 72 % without; it takes more than twice as long.
_WIDTH: Final = 1920
_MOST_ENLARGED: Final = 2.0
# A dark picture is mostly noise: smoothed by so many pixels, it shows five to eight of a hundred faces more.
_DARK: Final = 90
_SMOOTH: Final = 0.8
_STEPS: Final = (8, 16, 32)
_MOST_FOUND: Final = 400
_MOST_GROWTH: Final = 6.0


class FacesError(VideoError):
    """The detector can't be used."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"faces: {reason}")


@dataclass(frozen=True, slots=True)
class Face:
    """A face in a picture: how sure, 0 to 1, and where, from forehead to chin."""

    score: float
    box: Box


class FaceFinder(Protocol):
    """Finds faces in a picture, uint8 (height, width, 3), blue first."""

    def find(self, picture: Bgr) -> list[Face]:
        """Return what is found, the surest first; FacesError if it can't look."""
        ...


class YuNet:
    """The network, loaded when first asked. Not for several threads at once."""

    def __init__(self, weights: Path = WEIGHTS) -> None:
        self._weights = weights
        self._net: cv2.dnn.Net | None = None

    def find(self, picture: Bgr) -> list[Face]:
        """Return what is found, the surest first; FacesError if the network can't be loaded or can't look at this."""
        if self._net is None:
            self._net = self._loaded()
        picture = _prepared(picture)
        try:
            self._net.setInput(cv2.dnn.blobFromImage(_in_steps(picture)))
            outputs = self._net.forward([f"at{step}" for step in _STEPS])
        except cv2.error as error:
            raise FacesError(f"the network failed ({error.code})") from error
        found = [_decoded(np.asarray(output)[0], step) for output, step in zip(outputs, _STEPS, strict=True)]
        height, width = picture.shape[:2]
        return _faces(np.concatenate(found, axis=1), width=width, height=height)

    def _loaded(self) -> cv2.dnn.Net:
        try:
            return cv2.dnn.readNetFromONNX(np.frombuffer(self._weights.read_bytes(), dtype=np.uint8))
        except OSError as error:
            raise FacesError(f"{self._weights} can't be read ({error.strerror}); install the package again") from error
        except cv2.error as error:
            raise FacesError(f"{self._weights} is damaged; install the package again") from error


def _prepared(picture: Bgr) -> Bgr:
    """Return a picture as the network sees most in it."""
    rows, columns = picture.shape[:2]
    if picture.mean() < _DARK:
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), _SMOOTH), dtype=np.uint8)
    scale = min(_MOST_ENLARGED, _WIDTH / columns)
    if scale == 1:
        return picture
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, size, interpolation=how), dtype=np.uint8)


def _in_steps(picture: Bgr) -> Bgr:
    """Fill a picture up with black, right and below, until its sides are whole numbers of the largest step."""
    rows, columns = picture.shape[:2]
    below, right = -rows % _STEPS[-1], -columns % _STEPS[-1]
    return np.pad(picture, ((0, below), (0, right), (0, 0))) if below or right else picture


def _decoded(output: Real, step: int) -> Real:
    """Return score, left, top, width and height in pixels, a column each, of all places that may show a face."""
    face, thing, x, y, width, height = output
    # Each logit alone bounds the score: most places need no more than this look.
    likely = face > np.float32(2 * np.log(LEAST_SCORE))
    rows, columns = np.nonzero(likely)
    score = np.sqrt(_sigmoid(face[likely]) * _sigmoid(thing[likely]))
    across = np.exp(np.minimum(width[likely], _MOST_GROWTH)) * step
    down = np.exp(np.minimum(height[likely], _MOST_GROWTH)) * step
    left = (x[likely] + columns) * step - across / 2
    top = (y[likely] + rows) * step - down / 2
    found = np.stack((score, left, top, across, down)).astype(np.float32)
    return found[:, score >= LEAST_SCORE]


def _sigmoid(values: Real) -> Real:
    return np.asarray(1 / (1 + np.exp(-values)), dtype=np.float32)


def _faces(found: Real, *, width: int, height: int) -> list[Face]:
    order = np.argsort(-found[0], kind="stable")[:_MOST_FOUND]
    kept: list[Face] = []
    for score, x, y, across, down in found[:, order].T.tolist():
        box = Box(x / width, y / height, across / width, down / height)
        if all(overlap(box, other.box) < _SAME for other in kept):
            kept.append(Face(score, box))
    return kept


def overlap(a: Box, b: Box) -> float:
    """Return what two boxes share, of all that they cover together."""
    across = min(a.x + a.width, b.x + b.width) - max(a.x, b.x)
    down = min(a.y + a.height, b.y + b.height) - max(a.y, b.y)
    if across <= 0 or down <= 0:
        return 0.0
    shared = across * down
    return shared / (a.width * a.height + b.width * b.height - shared)
