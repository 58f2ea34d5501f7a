"""What scenes are drawn on: the planes of one picture, luma alone or with chroma at half its size.

Luma counts from 0 here (black) to 219; the 16 that video adds comes with the grain. Every plane is drawn by the same
calls, so the luma of a picture does not depend on whether its colours were wanted.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Real = NDArray[np.float32]
Point = tuple[float, float]
Colour = tuple[int, int, int]
Planes = tuple[Image, ...]

BLACK_LEVEL = 16
GREY = 128

_SHIFT = 4
_ONE = 1 << _SHIFT
# OpenCV's drawing overflows far outside of a picture.
_FAR = 20_000.0


def u8(image: NDArray[np.generic]) -> Image:
    """Say what OpenCV's stubs don't: that this is an array of bytes."""
    return np.asarray(image, dtype=np.uint8)


def bgr(text: str) -> Colour:
    """Return a colour of a scene file, `#rrggbb`, blue first."""
    red, green, blue = (int(text[i : i + 2], 16) for i in (1, 3, 5))
    return blue, green, red


def shade(colour: Colour, light: float) -> Colour:
    """Return a colour so many times as bright."""
    blue, green, red = (min(255, max(0, round(value * light))) for value in colour)
    return blue, green, red


@lru_cache(maxsize=4096)
def yuv(colour: Colour) -> Colour:
    """Return the values of a colour, blue first, in the planes (ITU-R BT.601, luma from 0)."""
    blue, green, red = colour
    return (
        round(0.257 * red + 0.504 * green + 0.098 * blue),
        round(GREY - 0.148 * red - 0.291 * green + 0.439 * blue),
        round(GREY + 0.439 * red - 0.368 * green - 0.071 * blue),
    )


def planes_of(image: Image) -> Planes:
    """Return the planes of a picture (height, width, 3), blue first, of even height and width."""
    rows, columns = image.shape[:2]
    flat = u8(cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420))
    chroma = flat[rows:].reshape(2, rows // 2, columns // 2)
    return np.maximum(flat[:rows], BLACK_LEVEL) - np.uint8(BLACK_LEVEL), chroma[0].copy(), chroma[1].copy()


class Sheet:
    """The planes of a picture that is being drawn. Places are in pixels of luma; what is outside is cut off."""

    def __init__(self, planes: Planes) -> None:
        self.planes = planes
        self.height, self.width = planes[0].shape

    def line(self, points: Sequence[Point], *, thick: float, colour: Colour) -> None:
        """Draw a line through points, with round ends."""
        for number, (plane, value) in enumerate(zip(self.planes, yuv(colour), strict=False)):
            scale = 0.5 if number else 1.0
            width = max(1, round(thick * scale))
            corners = _fixed(points, scale)
            for a, b in pairwise(corners):
                cv2.line(plane, a, b, value, width, cv2.LINE_AA, _SHIFT)

    def shape(self, points: Sequence[Point], *, colour: Colour) -> None:
        """Fill a polygon."""
        for number, (plane, value) in enumerate(zip(self.planes, yuv(colour), strict=False)):
            corners = np.array(_fixed(points, 0.5 if number else 1.0), dtype=np.int32)
            cv2.fillPoly(plane, [corners], value, cv2.LINE_AA, _SHIFT)

    def oval(
        self,
        centre: Point,
        *,
        wide: float,
        high: float,
        colour: Colour,
        turn: float = 0.0,
        arc: tuple[int, int] = (0, 360),
    ) -> None:
        """Fill an ellipse of these half axes, turned by degrees."""
        for number, (plane, value) in enumerate(zip(self.planes, yuv(colour), strict=False)):
            scale = 0.5 if number else 1.0
            (middle,) = _fixed([centre], scale)
            axes = (max(1, round(min(wide, _FAR) * scale * _ONE)), max(1, round(min(high, _FAR) * scale * _ONE)))
            cv2.ellipse(plane, middle, axes, turn, arc[0], arc[1], value, -1, cv2.LINE_AA, _SHIFT)

    def dim(self, centre: Point, *, wide: float, high: float, dark: float) -> None:
        """Darken an ellipse: the shadow at somebody's feet."""
        x, y = centre
        left, right = max(0, math.floor(x - wide)), min(self.width, math.ceil(x + wide) + 1)
        top, bottom = max(0, math.floor(y - high)), min(self.height, math.ceil(y + high) + 1)
        if left >= right or top >= bottom:
            return
        keep = np.full((bottom - top, right - left), 255, dtype=np.uint8)
        axes = (max(1, round(wide)), max(1, round(high)))
        cv2.ellipse(keep, (round(x) - left, round(y) - top), axes, 0, 0, 360, round(255 * (1 - dark)), -1, cv2.LINE_AA)
        part = self.planes[0][top:bottom, left:right]
        cv2.multiply(part, keep, dst=part, scale=1 / 255)
        for plane in self.planes[1:]:
            part = plane[top // 2 : (bottom + 1) // 2, left // 2 : (right + 1) // 2]
            half = cv2.resize(keep, (part.shape[1], part.shape[0]), interpolation=cv2.INTER_AREA)
            part[...] = ((part.astype(np.float32) - GREY) * (half / np.float32(255)) + GREY).round().astype(np.uint8)

    def lay(self, cut: "Cut", *, left: int, top: int) -> None:
        """Lay a cut-out over the picture with its upper left corner there; both even."""
        for number, plane in enumerate(self.planes):
            half = 2 if number else 1
            _lay(plane, cut.planes[number], cut.keeps[min(number, 1)], left=left // half, top=top // half)


class Cut:
    """A cut-out: planes already multiplied by their cover, and what each lets through of what is beneath (255: all).

    `keeps` is for luma and for chroma; a cut-out for luma alone has one of each.
    """

    def __init__(self, planes: Planes, keeps: Planes) -> None:
        self.planes, self.keeps = planes, keeps

    @classmethod
    def of(cls, image: Image, cover: Image) -> "Cut":
        """Make one of a picture, blue first, and its cover (255: opaque), both of even height and width."""
        small = u8(cv2.resize(cover, (cover.shape[1] // 2, cover.shape[0] // 2), interpolation=cv2.INTER_AREA))
        y, u, v = planes_of(image)
        covers = (cover, small, small)
        planes = tuple(u8(cv2.multiply(p, c, scale=1 / 255)) for p, c in zip((y, u, v), covers, strict=True))
        return cls(planes, (u8(255 - cover), u8(255 - small)))

    def warped(self, matrix: NDArray[np.float64], *, colour: bool) -> "Cut":
        """Return it moved by an affine matrix of luma pixels; without colours if they are not wanted."""
        planes = tuple(_warp(plane, matrix, 0, half=n > 0) for n, plane in enumerate(self.planes[: 3 if colour else 1]))
        keeps = tuple(_warp(keep, matrix, 255, half=n > 0) for n, keep in enumerate(self.keeps[: 2 if colour else 1]))
        return Cut(planes, keeps)


def _warp(plane: Image, matrix: NDArray[np.float64], beyond: int, *, half: bool) -> Image:
    if half:
        matrix = matrix.copy()
        matrix[:, 2] /= 2
    size = (plane.shape[1], plane.shape[0])
    return u8(cv2.warpAffine(plane, matrix, size, flags=cv2.INTER_LINEAR, borderValue=(beyond,)))


def _lay(plane: Image, over: Image, keep: Image, *, left: int, top: int) -> None:
    rows, columns = plane.shape
    tall, wide = over.shape
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + wide, columns), min(top + tall, rows)
    if x0 >= x1 or y0 >= y1:
        return
    part = np.s_[y0 - top : y1 - top, x0 - left : x1 - left]
    under = plane[y0:y1, x0:x1]
    cv2.multiply(under, keep[part], dst=under, scale=1 / 255)
    cv2.add(under, over[part], dst=under)


def _fixed(points: Sequence[Point], scale: float) -> list[tuple[int, int]]:
    """Return points as OpenCV's fixed-point numbers; a whole number is a pixel's middle there."""
    off = 0.0 if scale == 1.0 else -0.25
    return [
        (round((min(max(x, -_FAR), _FAR) * scale + off) * _ONE), round((min(max(y, -_FAR), _FAR) * scale + off) * _ONE))
        for x, y in points
    ]
