"""What places are drawn on: in fractions of the picture, at twice its size, shrunk when done."""

import cv2
import numpy as np
from numpy.typing import NDArray

from device.video.scene.sheet import Colour, Image, Point

_SCALE = 2


class Canvas:
    """Draws in fractions of the picture."""

    def __init__(self, *, width: int, height: int, rng: np.random.Generator) -> None:
        self.width, self.height = width * _SCALE, height * _SCALE
        self.image: Image = np.zeros((self.height, self.width, 3), dtype=np.uint8)
        self.rng = rng

    def at(self, point: Point) -> tuple[int, int]:
        """Return a point in its own pixels."""
        return round(point[0] * self.width), round(point[1] * self.height)

    def shape(self, points: list[Point], colour: Colour, *, grain: float = 0.0, soft: int = 1) -> None:
        """Fill a polygon; `grain` is how much its brightness varies, `soft` how large the blotches are in pixels."""
        corners = np.array([self.at(point) for point in points], dtype=np.int32)
        left, top = np.clip(corners.min(axis=0), 0, (self.width, self.height)).tolist()
        right, bottom = np.clip(corners.max(axis=0) + 1, 0, (self.width, self.height)).tolist()
        if left >= right or top >= bottom:
            return
        mask = np.zeros((bottom - top, right - left), dtype=np.uint8)
        cv2.fillPoly(mask, [corners - (left, top)], 255, cv2.LINE_AA)
        share = mask[..., None].astype(np.float32) / 255
        under = self.image[top:bottom, left:right].astype(np.float32)
        paint = np.full(under.shape, colour, dtype=np.float32)
        if grain:
            paint *= self._blotches(mask.shape, grain, soft)[..., None]
        # In place: these arrays are the largest that a scene ever makes.
        paint -= under
        paint *= share
        under += paint
        self.image[top:bottom, left:right] = np.clip(under, 0, 255, out=under).astype(np.uint8)

    def box(
        self, left: float, top: float, right: float, bottom: float, colour: Colour, *, grain: float = 0.0, soft: int = 1
    ) -> None:
        """Fill a rectangle."""
        self.shape([(left, top), (right, top), (right, bottom), (left, bottom)], colour, grain=grain, soft=soft)

    def line(self, a: Point, b: Point, colour: Colour, thick: int = 1) -> None:
        """Draw a line, `thick` in pixels of the picture."""
        cv2.line(self.image, self.at(a), self.at(b), colour, thick * _SCALE, cv2.LINE_AA)

    def oval(self, centre: Point, *, wide: float, high: float, colour: Colour, arc: tuple[int, int] = (0, 360)) -> None:
        """Fill an ellipse of these half axes."""
        axes = (max(1, round(wide * self.width)), max(1, round(high * self.height)))
        cv2.ellipse(self.image, self.at(centre), axes, 0, arc[0], arc[1], colour, -1, cv2.LINE_AA)

    def _blotches(self, shape: tuple[int, ...], strength: float, soft: int) -> NDArray[np.float32]:
        height, width = shape[:2]
        fine = self.rng.standard_normal((height, width), dtype=np.float32) * strength + 1
        coarse = self.rng.standard_normal(
            (max(1, height // (soft * 8)), max(1, width // (soft * 8))), dtype=np.float32
        ) * (strength * 0.8)
        blurred = cv2.blur(fine, (soft * 2 + 1, soft * 2 + 1))
        return np.asarray(blurred + cv2.resize(coarse, (width, height)), dtype=np.float32)

    def done(self) -> Image:
        """Return the picture at its real size, a little darker towards its corners as a wide lens makes it."""
        width, height = self.width // _SCALE, self.height // _SCALE
        image = cv2.resize(self.image, (width, height), interpolation=cv2.INTER_AREA)
        down = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
        across = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
        shade = 1 - np.float32(0.16) * np.clip(across**2 + down**2 - 0.5, 0, 2)
        return np.asarray((image * shade[..., None]).astype(np.uint8), dtype=np.uint8)
