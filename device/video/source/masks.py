"""Privacy masks: black in a picture before anybody keeps it or looks at it.

A mask covers whole samples of colour, so two pixels by two, and more where the picture was converted or scaled on its
way here: then a masked pixel's colour is in its neighbours, too.
"""

from collections.abc import Iterable

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from device.video.zones import Polygon, zone_mask

Plane = NDArray[np.uint8]

BLACK = 16
NEUTRAL = 128
# How far libswscale's filters reach when halving the colour, in samples of colour.
_REACH = 2


class Masks:
    """The masks of pictures of one size, which is even. `converted`: they were not yuv420p of this size before."""

    def __init__(self, polygons: Iterable[Polygon], *, width: int, height: int, converted: bool = False) -> None:
        drawn = zone_mask(polygons, width=width, height=height).reshape(height // 2, 2, width // 2, 2).max(axis=(1, 3))
        if converted:
            square = np.ones((2 * _REACH + 1, 2 * _REACH + 1), np.uint8)
            drawn = np.asarray(cv2.dilate(drawn, square), np.uint8)
        colour = np.not_equal(drawn, 0)
        rows, columns = np.flatnonzero(colour.any(axis=1)), np.flatnonzero(colour.any(axis=0))
        top, bottom = (int(rows[0]), int(rows[-1]) + 1) if rows.size else (0, 0)
        left, right = (int(columns[0]), int(columns[-1]) + 1) if columns.size else (0, 0)
        self.width, self.height, self.converted = width, height, converted
        self._colour_box = np.s_[top:bottom, left:right]
        self._luma_box = np.s_[2 * top : 2 * bottom, 2 * left : 2 * right]
        self._colour = np.ascontiguousarray(colour[self._colour_box])
        self._luma = np.ascontiguousarray(self._colour.repeat(2, axis=0).repeat(2, axis=1))

    def frame(self, frame: av.VideoFrame) -> None:
        """Black out a yuv420p frame, in place; a decoder that still needs it keeps one of its own."""
        frame.make_writable()
        luma, *colours = (_plane(plane) for plane in frame.planes)
        self._blacken(luma, *colours)

    def i420(self, picture: Plane) -> None:
        """Black out a picture, uint8 (height * 3 / 2, width), in place."""
        colours = picture[self.height :].reshape(2, self.height // 2, self.width // 2)
        self._blacken(picture[: self.height], colours[0], colours[1])

    def _blacken(self, luma: Plane, *colours: Plane) -> None:
        np.copyto(luma[self._luma_box], BLACK, where=self._luma)
        for plane in colours:
            np.copyto(plane[self._colour_box], NEUTRAL, where=self._colour)


def _plane(plane: av.video.plane.VideoPlane) -> Plane:
    rows = np.frombuffer(memoryview(plane), dtype=np.uint8).reshape(-1, plane.line_size)
    return rows[: plane.height, : plane.width]
