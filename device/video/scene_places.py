"""The places that scenes are set in: a porch as a doorbell sees it, a driveway seen from over a garage.

Drawn once, at twice the size, and shrunk.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Point = tuple[float, float]
Colour = tuple[int, int, int]

_SCALE = 2


class _Canvas:
    """Draws in fractions of the picture."""

    def __init__(self, *, width: int, height: int, rng: np.random.Generator) -> None:
        self.width, self.height = width * _SCALE, height * _SCALE
        self.image: Image = np.zeros((self.height, self.width, 3), dtype=np.uint8)
        self.rng = rng

    def at(self, point: Point) -> tuple[int, int]:
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
        self.shape([(left, top), (right, top), (right, bottom), (left, bottom)], colour, grain=grain, soft=soft)

    def line(self, a: Point, b: Point, colour: Colour, thick: int = 1) -> None:
        cv2.line(self.image, self.at(a), self.at(b), colour, thick * _SCALE, cv2.LINE_AA)

    def oval(self, centre: Point, *, wide: float, high: float, colour: Colour, arc: tuple[int, int] = (0, 360)) -> None:
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


def draw_place(name: str, *, width: int, height: int, rng: np.random.Generator) -> Image:
    """Return the still picture of a place, uint8 (height, width, 3), blue first."""
    canvas = _Canvas(width=width, height=height, rng=rng)
    _PLACES[name](canvas)
    return canvas.done()


def _sky(canvas: _Canvas, *, down_to: float) -> None:
    bands = 40
    for band in range(bands):
        part = band / bands
        colour = (round(226 - 6 * part), round(196 + 24 * part), round(168 + 52 * part))
        canvas.box(0, down_to * part, 1, down_to * (part + 2 / bands), colour)
    for x, y, wide in ((0.22, 0.06, 0.13), (0.30, 0.085, 0.10), (0.68, 0.05, 0.16), (0.60, 0.075, 0.09)):
        canvas.oval((x, y), wide=wide, high=0.02, colour=(238, 234, 230))


def _house(canvas: _Canvas, left: float, right: float, *, top: float, foot: float, wall: Colour, roof: Colour) -> None:
    """Draw a house across the street: wall, roof, windows and a door."""
    wide = right - left
    canvas.box(left, top, right, foot, wall, grain=0.03)
    peak = top - 0.42 * (foot - top)
    canvas.shape(
        [(left - 0.012, top), (left + wide * 0.18, peak), (right - wide * 0.18, peak), (right + 0.012, top)],
        roof,
        grain=0.05,
    )
    high = foot - top
    for part in (0.12, 0.62):
        x = left + wide * part
        canvas.box(x, top + high * 0.22, x + wide * 0.2, top + high * 0.58, (226, 230, 232))
        canvas.box(x + wide * 0.015, top + high * 0.25, x + wide * 0.185, top + high * 0.55, (110, 92, 74), grain=0.1)
        canvas.line((x + wide * 0.1, top + high * 0.25), (x + wide * 0.1, top + high * 0.55), (226, 230, 232))
    canvas.box(left + wide * 0.41, top + high * 0.42, left + wide * 0.54, foot, (52, 62, 92), grain=0.04)


def _hedge(canvas: _Canvas, left: float, right: float, *, top: float, foot: float) -> None:
    canvas.box(left, top + 0.01, right, foot, (46, 84, 58), grain=0.16, soft=2)
    for x in np.arange(left, right, 0.018):
        y = top + 0.008 + float(canvas.rng.uniform(-0.008, 0.008))
        shade = float(canvas.rng.uniform(0.85, 1.15))
        canvas.oval(
            (float(x), y), wide=0.014, high=0.016, colour=(round(48 * shade), round(90 * shade), round(60 * shade))
        )


def _car(canvas: _Canvas, x: float, foot: float, *, long: float, paint: Colour) -> None:
    """Draw a parked car from the side; `long` is its length in widths of the picture."""
    high = long * 0.52

    def at(part: float, up: float) -> Point:
        return x + part * long, foot - up * high

    dark: Colour = (paint[0] * 3 // 5, paint[1] * 3 // 5, paint[2] * 3 // 5)
    canvas.oval((x + long / 2, foot - 0.02 * high), wide=long * 0.54, high=high * 0.09, colour=(58, 60, 62))
    canvas.shape(
        [
            at(0.0, 0.14),
            at(0.01, 0.42),
            at(0.16, 0.50),
            at(0.30, 0.82),
            at(0.68, 0.84),
            at(0.84, 0.54),
            at(0.98, 0.46),
            at(1.0, 0.16),
        ],
        paint,
        grain=0.015,
    )
    canvas.shape([at(0.23, 0.52), at(0.325, 0.77), at(0.47, 0.785), at(0.47, 0.53)], (88, 78, 66), grain=0.05)
    canvas.shape([at(0.50, 0.53), at(0.50, 0.785), at(0.665, 0.785), at(0.775, 0.55)], (88, 78, 66), grain=0.05)
    canvas.shape([at(0.0, 0.14), at(0.0, 0.26), at(1.0, 0.26), at(1.0, 0.14)], dark)
    canvas.line(at(0.485, 0.50), at(0.485, 0.2), dark)
    canvas.oval(at(0.985, 0.38), wide=long * 0.018, high=high * 0.05, colour=(190, 226, 240))
    canvas.oval(at(0.012, 0.38), wide=long * 0.014, high=high * 0.05, colour=(60, 60, 190))
    for part in (0.2, 0.79):
        tyre = long * 0.085
        canvas.oval(at(part, 0.13), wide=tyre, high=tyre * canvas.width / canvas.height, colour=(34, 34, 36))
        canvas.oval(
            at(part, 0.13), wide=tyre * 0.55, high=tyre * 0.55 * canvas.width / canvas.height, colour=(168, 170, 172)
        )


def _bricks(canvas: _Canvas, left: float, right: float, top: float, bottom: float, *, rows: int) -> None:
    canvas.box(left, top, right, bottom, (164, 172, 178), grain=0.03)
    tall = (bottom - top) / rows
    wide = tall * 2.3 * canvas.height / canvas.width
    for row in range(rows):
        y = top + row * tall
        start = left - (wide / 2 if row % 2 else 0)
        for x in np.arange(start, right, wide):
            tone = float(canvas.rng.uniform(0.86, 1.12))
            a, b = (
                canvas.at((max(left, float(x) + 0.0016), y + 0.003)),
                canvas.at((min(right, float(x) + wide - 0.0016), y + tall - 0.003)),
            )
            if b[0] > a[0]:
                cv2.rectangle(canvas.image, a, b, (round(76 * tone), round(92 * tone), round(148 * tone)), -1)


def _porch(canvas: _Canvas) -> None:
    """Draw what a doorbell sees: the path to the gate, the street, houses; its own wall and post at the sides."""
    _sky(canvas, down_to=0.40)
    canvas.box(0, 0.30, 1, 0.42, (70, 100, 82), grain=0.14, soft=3)
    _house(canvas, 0.16, 0.39, top=0.24, foot=0.415, wall=(178, 200, 212), roof=(74, 78, 102))
    _house(canvas, 0.64, 0.90, top=0.22, foot=0.415, wall=(196, 190, 180), roof=(88, 76, 72))
    _hedge(canvas, 0.40, 0.63, top=0.33, foot=0.42)
    canvas.box(0, 0.412, 1, 0.445, (150, 156, 160), grain=0.03)
    canvas.box(0, 0.44, 1, 0.52, (96, 98, 100), grain=0.05)
    canvas.line((0, 0.478), (1, 0.478), (176, 180, 180))
    _car(canvas, 0.70, 0.487, long=0.19, paint=(124, 70, 46))
    canvas.box(0, 0.515, 1, 0.55, (158, 164, 168), grain=0.03)
    canvas.box(0, 0.548, 1, 1, (62, 122, 84), grain=0.13, soft=2)
    canvas.shape([(0.46, 0.548), (0.54, 0.548), (0.80, 1.0), (0.20, 1.0)], (150, 164, 172), grain=0.05)
    for step in range(9):
        part = (step / 9) ** 1.7
        y = 0.548 + part * 0.452
        reach = 0.04 + 0.26 * part
        canvas.line((0.5 - reach, y), (0.5 + reach, y), (118, 130, 138), 1)
    _hedge(canvas, 0.0, 0.43, top=0.50, foot=0.575)
    _hedge(canvas, 0.57, 1.0, top=0.50, foot=0.575)
    for x in (0.438, 0.562):
        canvas.box(x - 0.008, 0.475, x + 0.008, 0.58, (206, 210, 212), grain=0.02)
    canvas.shape([(0.10, 0.955), (0.90, 0.955), (1.0, 1.0), (0.0, 1.0)], (124, 134, 142), grain=0.05)
    _bricks(canvas, 0.0, 0.115, 0.0, 1.0, rows=26)
    canvas.box(0.115, 0.0, 0.125, 1.0, (90, 100, 112), grain=0.04)
    canvas.box(0.915, 0.0, 0.965, 1.0, (222, 224, 224), grain=0.015)
    canvas.box(0.955, 0.0, 0.965, 1.0, (176, 180, 182))
    canvas.box(0.0, 0.0, 1.0, 0.035, (206, 210, 212), grain=0.02)
    canvas.box(0.0, 0.033, 1.0, 0.042, (128, 134, 138))
    canvas.oval((0.07, 0.22), wide=0.018, high=0.05, colour=(48, 50, 54))
    canvas.oval((0.07, 0.225), wide=0.011, high=0.034, colour=(150, 214, 236))


def _driveway(canvas: _Canvas) -> None:
    """Draw what a camera over a garage sees: the house and its door, the drive, a parked car, the street."""
    _sky(canvas, down_to=0.36)
    canvas.box(0.30, 0.18, 1, 0.40, (62, 92, 74), grain=0.16, soft=4)
    _house(canvas, 0.70, 0.97, top=0.20, foot=0.37, wall=(190, 206, 214), roof=(70, 74, 96))
    _hedge(canvas, 0.34, 1.0, top=0.335, foot=0.43)
    canvas.box(0.3, 0.42, 1, 0.455, (154, 160, 164), grain=0.03)
    canvas.box(0.0, 0.45, 1, 1, (60, 118, 80), grain=0.13, soft=2)
    canvas.shape([(0.44, 0.45), (0.92, 0.45), (1.10, 1.0), (0.10, 1.0)], (138, 142, 146), grain=0.05, soft=2)
    for left, right in ((0.52, 0.32), (0.70, 0.66)):
        canvas.line((left, 0.45), (right, 1.0), (116, 120, 124))
    canvas.line((0.385, 0.62), (0.98, 0.62), (116, 120, 124))
    canvas.line((0.27, 0.80), (1.04, 0.80), (116, 120, 124))
    _bricks(canvas, 0.0, 0.36, 0.0, 0.66, rows=22)
    canvas.shape([(0.0, 0.655), (0.36, 0.655), (0.36, 0.685), (0.0, 0.70)], (118, 126, 132), grain=0.04)
    canvas.box(0.0, 0.0, 0.375, 0.03, (206, 210, 212))
    canvas.box(0.352, 0.0, 0.366, 0.66, (204, 208, 210))
    canvas.box(0.035, 0.16, 0.155, 0.42, (222, 226, 228), grain=0.015)
    canvas.box(0.042, 0.175, 0.148, 0.405, (104, 90, 74), grain=0.08, soft=3)
    canvas.line((0.095, 0.175), (0.095, 0.405), (222, 226, 228), 2)
    canvas.line((0.042, 0.29), (0.148, 0.29), (222, 226, 228), 2)
    canvas.box(0.205, 0.14, 0.315, 0.66, (218, 222, 224), grain=0.015)
    canvas.box(0.214, 0.155, 0.306, 0.655, (64, 66, 128), grain=0.03)
    for top, bottom in ((0.19, 0.36), (0.41, 0.61)):
        canvas.box(0.226, top, 0.256, bottom, (52, 54, 106))
        canvas.box(0.264, top, 0.294, bottom, (52, 54, 106))
    canvas.oval((0.223, 0.40), wide=0.004, high=0.008, colour=(120, 200, 220))
    canvas.shape([(0.19, 0.655), (0.33, 0.655), (0.35, 0.72), (0.18, 0.72)], (150, 156, 160), grain=0.03)
    _car(canvas, 0.60, 0.60, long=0.30, paint=(150, 148, 150))


_PLACES: dict[str, Callable[[_Canvas], None]] = {"porch": _porch, "driveway": _driveway}
