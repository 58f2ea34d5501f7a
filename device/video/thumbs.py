"""Keeps the best picture of the clip under way, to become its thumbnail."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from device.video.motion.detector import MotionReading
from device.video.outputs import Thumbnail
from device.video.pictures import jpeg, thumbnail_picture

# A picture has to be better by so much to take the place of another: copying each would cost more than it gives.
_BETTER_BY = 3


@dataclass(frozen=True, slots=True, eq=False)
class _Best:
    clip: str
    score: int
    at_us: int
    picture: NDArray[np.uint8]


class Thumbs:
    """At most one small picture, of the clip looked at last."""

    def __init__(self) -> None:
        self._best: _Best | None = None

    def consider(self, clip: str | None, reading: MotionReading, picture: NDArray[np.uint8]) -> None:
        """Take a picture of the clip; it is kept if it is its first or clearly better."""
        best = self._best
        if clip is None:
            return
        if best is None or best.clip != clip or reading.score >= best.score + _BETTER_BY:
            self._best = _Best(clip, reading.score, reading.at_us, thumbnail_picture(picture))

    def take(self, clip: str) -> Thumbnail | None:
        """Return the thumbnail of a clip that ends; None if none of its pictures was seen."""
        best, self._best = self._best, None
        if best is None or best.clip != clip:
            return None
        return Thumbnail(clip=clip, at_us=best.at_us, jpeg=jpeg(best.picture))
