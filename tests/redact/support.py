"""Films in which a bright square wanders, and a finder that takes such squares for faces; it can be bent."""

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from device.video.redact.faces import Bgr, Face
from device.video.redact.pictures import pictures
from device.video.redact.regions import Box
from device.video.segments import Segment

Luma = NDArray[np.uint8]


@dataclass
class SquareFinder:
    """Finds what is bright; blind in the looks that are numbered in `blind`, and `score` sure of what it sees."""

    score: float = 0.9
    blind: set[int] = field(default_factory=set)
    looks: int = 0

    def find(self, picture: Bgr) -> list[Face]:
        self.looks += 1
        if self.looks - 1 in self.blind:
            return []
        gray = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
        rows, columns = np.nonzero(gray > 190)
        if not rows.size:
            return []
        height, width = gray.shape
        left, top, right, bottom = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        box = Box(left / width, top / height, (right - left) / width, (bottom - top) / height)
        return [Face(self.score, box)]


def lumas(segments: list[Segment]) -> list[tuple[int, Luma]]:
    """Return the time and the luma plane of each picture."""
    return [(one.at_us, np.asarray(one.frame.to_ndarray(format="gray"), np.uint8).copy()) for one in pictures(segments)]


def planes_of(segments: list[Segment]) -> list[tuple[int, Luma]]:
    """Return the time and the I420 picture of each."""
    return [
        (one.at_us, np.asarray(one.frame.to_ndarray(format="yuv420p"), np.uint8).copy()) for one in pictures(segments)
    ]
