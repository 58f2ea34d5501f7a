"""What stands in more than one place: sky, houses, hedges, parked cars, brick walls."""

import cv2
import numpy as np

from device.video.scene.canvas import Canvas
from device.video.scene.sheet import Colour, Point


def draw_sky(canvas: Canvas, *, down_to: float) -> None:
    """Draw a sky with a few thin clouds."""
    bands = 40
    for band in range(bands):
        part = band / bands
        colour = (round(226 - 6 * part), round(196 + 24 * part), round(168 + 52 * part))
        canvas.box(0, down_to * part, 1, down_to * (part + 2 / bands), colour)
    for x, y, wide in ((0.22, 0.06, 0.13), (0.30, 0.085, 0.10), (0.68, 0.05, 0.16), (0.60, 0.075, 0.09)):
        canvas.oval((x, y), wide=wide, high=0.02, colour=(238, 234, 230))


def draw_house(
    canvas: Canvas, left: float, right: float, *, top: float, foot: float, wall: Colour, roof: Colour
) -> None:
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


def draw_hedge(canvas: Canvas, left: float, right: float, *, top: float, foot: float) -> None:
    """Draw a clipped hedge."""
    canvas.box(left, top + 0.01, right, foot, (46, 84, 58), grain=0.16, soft=2)
    for x in np.arange(left, right, 0.018):
        y = top + 0.008 + float(canvas.rng.uniform(-0.008, 0.008))
        shade = float(canvas.rng.uniform(0.85, 1.15))
        canvas.oval(
            (float(x), y), wide=0.014, high=0.016, colour=(round(48 * shade), round(90 * shade), round(60 * shade))
        )


def draw_car(canvas: Canvas, x: float, foot: float, *, long: float, paint: Colour) -> None:
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


def draw_bricks(canvas: Canvas, left: float, right: float, top: float, bottom: float, *, rows: int) -> None:
    """Draw a wall of bricks."""
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
