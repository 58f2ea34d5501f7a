"""The model that labels: an SSD MobileNetV2 in OpenCV's dnn, and how its findings become a label.

It holds some 60 MB while loaded: the daemon runs it in a process of its own, see `process`. Where the weights
come from, and under which licence, stands beside them in `weights.md`. Needs nothing from the network.
"""

import lzma
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from device.video.errors import VideoError
from device.video.labels.best import CROP_PIXELS, Gray, Kind, Label
from device.video.motion.detector import MotionBox

Real = NDArray[np.float32]

WEIGHTS: Final = Path(__file__).with_name("weights.onnx.xz")
# Classes of the model in order, and what they are called here. A bicycle that moves has somebody on it.
CLASSES: Final = ("Person", "Bicycle", "Vehicle", "Car", "Cat", "Dog", "Cattle")
_KINDS: Final[tuple[Kind, ...]] = ("person", "person", "vehicle", "vehicle", "animal", "animal", "animal")

# Its feature maps, and the boxes that it starts from at each of their points: scale and width for a height of 1.
_MAPS: Final = (19, 10, 5, 3, 2, 1)
_SCALES: Final = (0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0)
_RATIOS: Final = (1.0, 2.0, 0.5, 3.0, 0.3333)
_FIRST: Final = ((0.1, 1.0), (0.2, 2.0), (0.2, 0.5))
_CENTRE, _SIZE = 10.0, 5.0
_GRAY: Final = 127

# What it finds with less is noise; and by so much of the smaller one a finding and a mover must cover each other.
_LEAST_SCORE: Final = 0.25
_LEAST_COVER: Final = 0.5
# All crops together must be as sure as this, and surer than of anything else by so much.
_LEAST_SURE: Final = 0.5
_SURER_BY: Final = 0.08
_MOST_SURE: Final = 0.99


class LabelsError(VideoError):
    """The model can't be used."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"labels: {reason}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that the model sees in a picture: kind, score 0 to 1, and where, in fractions of the picture."""

    kind: Kind
    score: float
    box: MotionBox


class Detector(Protocol):
    """Finds things in a gray picture; LabelsError if it can't."""

    def find(self, picture: Gray) -> list[Finding]:
        """Return what is in a picture, uint8 (height, width)."""
        ...


class SsdDetector:
    """The model, loaded when first asked. Not for several threads at once."""

    def __init__(self, weights: Path = WEIGHTS) -> None:
        self._weights = weights
        self._net: cv2.dnn.Net | None = None
        self._anchors = _anchors()

    def load(self) -> None:
        """Read the weights. LabelsError if they are missing or damaged."""
        try:
            packed = self._weights.read_bytes()
        except OSError as error:
            raise LabelsError(f"{self._weights} can't be read ({error.strerror}); install the package again") from error
        try:
            octets = np.frombuffer(lzma.decompress(packed), dtype=np.uint8)
            self._net = cv2.dnn.readNetFromONNX(octets)
        except (lzma.LZMAError, cv2.error) as error:
            raise LabelsError(f"{self._weights} is damaged; install the package again") from error

    def find(self, picture: Gray) -> list[Finding]:
        """Return what is in a picture; LabelsError if the model can't be loaded or can't look at this one."""
        if self._net is None:
            self.load()
        net = self._net
        if net is None or picture.ndim != 2 or not picture.size:  # noqa: PLR2004 - rows and columns
            raise LabelsError("a picture to label has no pixels")
        rows, columns = picture.shape
        square, scale = _square(picture)
        try:
            net.setInput(cv2.dnn.blobFromImage(square, 1 / 127.5, mean=(127.5,)))
            found: Real = np.asarray(net.forward(), dtype=np.float32)[0]
        except cv2.error as error:
            raise LabelsError(f"the model failed ({error.code})") from error
        return [
            Finding(kind=kind, score=score, box=_in_picture(box, scale, columns=columns, rows=rows))
            for kind, score, box in _decoded(found, self._anchors)
        ]


def choose(looks: Iterable[tuple[list[Finding], MotionBox]]) -> Label:
    """Return the label that findings speak for; each list is of one crop, with the box of what moved in it."""
    missed: dict[Kind, float] = {}
    for findings, mover in looks:
        best: dict[Kind, float] = {}
        for finding in findings:
            if finding.score >= _LEAST_SCORE and _cover(finding.box, mover) >= _LEAST_COVER:
                best[finding.kind] = max(best.get(finding.kind, 0.0), min(finding.score, _MOST_SURE))
        for kind, score in best.items():
            missed[kind] = missed.get(kind, 1.0) * (1 - score)
    sure = sorted(((1 - rest, kind) for kind, rest in missed.items()), reverse=True)
    if not sure or sure[0][0] < _LEAST_SURE or (len(sure) > 1 and sure[0][0] - sure[1][0] < _SURER_BY):
        return Label(kind="unknown", by="model", confidence=0)
    return Label(kind=sure[0][1], by="model", confidence=round(100 * min(sure[0][0], _MOST_SURE)))


def _cover(a: MotionBox, b: MotionBox) -> float:
    """Return the share of the smaller box that lies within the other."""
    across = min(a.left + a.width, b.left + b.width) - max(a.left, b.left)
    down = min(a.top + a.height, b.top + b.height) - max(a.top, b.top)
    least = min(a.width * a.height, b.width * b.height)
    return across * down / least if across > 0 and down > 0 and least > 0 else 0.0


def _square(picture: Gray) -> tuple[Gray, float]:
    """Scale a picture into the upper left of a gray square, and tell by how much."""
    scale = CROP_PIXELS / max(picture.shape)
    rows, columns = (max(1, round(side * scale)) for side in picture.shape)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    square = np.full((CROP_PIXELS, CROP_PIXELS), _GRAY, dtype=np.uint8)
    square[:rows, :columns] = cv2.resize(picture, (columns, rows), interpolation=how)
    return square, scale


def _anchors() -> Real:
    """Return the boxes that the model starts from: middle y and x, height and width, in fractions; (1917, 4)."""
    found: list[tuple[float, float, float, float]] = []
    for number, side in enumerate(_MAPS):
        between = math.sqrt(_SCALES[number] * _SCALES[number + 1])
        shapes = _FIRST if number == 0 else (*((_SCALES[number], ratio) for ratio in _RATIOS), (between, 1.0))
        found += [
            ((y + 0.5) / side, (x + 0.5) / side, scale / math.sqrt(ratio), scale * math.sqrt(ratio))
            for y in range(side)
            for x in range(side)
            for scale, ratio in shapes
        ]
    return np.array(found, dtype=np.float32)


def _decoded(found: Real, anchors: Real) -> list[tuple[Kind, float, tuple[float, float, float, float]]]:
    """Return kind, score and left, top, width, height in fractions of the square, of all that is not noise."""
    scores = 1 / (1 + np.exp(-found[:, 4:]))
    which, classes = np.nonzero(scores >= _LEAST_SCORE)
    offsets, start = found[which, :4], anchors[which]
    middles = offsets[:, :2] / _CENTRE * start[:, 2:] + start[:, :2]
    sizes = np.exp(np.minimum(offsets[:, 2:] / _SIZE, 4)) * start[:, 2:]
    corners = middles - sizes / 2
    return [
        (_KINDS[number], float(scores[row, number]), (float(left), float(top), float(width), float(height)))
        for row, number, (top, left), (height, width) in zip(which, classes, corners, sizes, strict=True)
    ]


def _in_picture(box: tuple[float, float, float, float], scale: float, *, columns: int, rows: int) -> MotionBox:
    left, top, width, height = (side * CROP_PIXELS / scale for side in box)
    return MotionBox(left=left / columns, top=top / rows, width=width / columns, height=height / rows)
