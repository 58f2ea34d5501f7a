"""Zones of a picture: polygons in fractions of its width and height, checked, and drawn as masks. No settings, no file.

An ignore zone is where motion counts for nothing; a privacy mask is where there is nothing to be seen at all.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from device.video.errors import VideoError

Point = tuple[float, float]
Polygon = tuple[Point, ...]
Mask = NDArray[np.uint8]

INSIDE: Final = 255

# Crossing edges are looked for pair by pair; no one draws by hand what needs more corners.
_MOST_POINTS = 64
_LEAST_POINTS = 3
# Of the picture: less than a pixel of any camera.
_LEAST_AREA = 1e-7
# Corners are drawn at 1/256 of a pixel.
_SHIFT = 8
_SQUARE = np.ones((3, 3), dtype=np.uint8)


class ZoneError(VideoError, ValueError):
    """A zone is no polygon that could be drawn."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"zone: {reason}")


def check_polygon(points: Sequence[Sequence[float]]) -> Polygon:
    """Return the polygon with these corners, each (x, y) from 0 to 1, (0, 0) being the top left of the picture.

    ZoneError: fewer than three corners or more than 64, a number that is not finite or outside, edges that cross, or
    no area. Edges that cross are refused since what lies inside would be a matter of taste.
    """
    if not _LEAST_POINTS <= len(points) <= _MOST_POINTS:
        raise ZoneError(f"has {len(points)} corners; use {_LEAST_POINTS} to {_MOST_POINTS}")
    polygon = tuple(_check_point(point) for point in points)
    for (one, a, b), (other, c, d) in combinations(_edges(polygon), 2):
        if _cross(a, b, c, d):
            raise ZoneError(f"its edges after corners {one + 1} and {other + 1} cross; list the corners all around")
    if _area(polygon) < _LEAST_AREA:
        raise ZoneError("has no area; its corners lie in one line")
    return polygon


def zone_mask(zones: Iterable[Polygon], *, width: int, height: int) -> Mask:
    """Draw zones as uint8 (height, width): 255 in every pixel that one of them so much as touches, 0 elsewhere.

    At its edge a zone may take a pixel more than it touches, never one less.
    """
    mask = np.zeros((height, width), dtype=np.uint8)
    if not mask.size:
        return mask
    for zone in zones:
        # A pixel's number is where its middle is.
        corners = [((x * width - 0.5) * (1 << _SHIFT), (y * height - 0.5) * (1 << _SHIFT)) for x, y in zone]
        # One at a time: drawn together, zones that overlap would leave a hole.
        cv2.fillPoly(mask, [np.rint(corners).astype(np.int32)], (INSIDE,), cv2.LINE_8, _SHIFT)
    return np.asarray(cv2.dilate(mask, _SQUARE), dtype=np.uint8)


def _check_point(point: Sequence[float]) -> Point:
    if len(point) != 2:  # noqa: PLR2004 - x and y
        raise ZoneError(f"{list(point)!r} is no corner; use [x, y]")
    x, y = (float(value) for value in point)
    if not (math.isfinite(x) and math.isfinite(y) and 0 <= x <= 1 and 0 <= y <= 1):
        raise ZoneError(f"corner [{x:g}, {y:g}] is outside the picture; x and y go from 0 to 1")
    return x, y


def _edges(polygon: Polygon) -> list[tuple[int, Point, Point]]:
    return [(number, point, polygon[(number + 1) % len(polygon)]) for number, point in enumerate(polygon)]


def _cross(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Whether the edges ab and cd cut through each other; to touch is not to cut."""
    return _side(a, b, c) * _side(a, b, d) < 0 and _side(c, d, a) * _side(c, d, b) < 0


def _side(a: Point, b: Point, point: Point) -> int:
    turn = (b[0] - a[0]) * (point[1] - a[1]) - (b[1] - a[1]) * (point[0] - a[0])
    return (turn > 0) - (turn < 0)


def _area(polygon: Polygon) -> float:
    return abs(sum(a[0] * b[1] - b[0] * a[1] for _, a, b in _edges(polygon))) / 2
