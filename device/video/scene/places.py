"""The places that scenes are set in at a house: a porch as a doorbell sees it, a driveway seen from over a garage."""

from collections.abc import Callable

import numpy as np

from device.video.scene.canvas import Canvas
from device.video.scene.furniture import draw_bricks, draw_car, draw_hedge, draw_house, draw_sky
from device.video.scene.grounds import draw_garden, draw_hall, draw_street
from device.video.scene.sheet import Image


def draw_place(name: str, *, width: int, height: int, rng: np.random.Generator) -> Image:
    """Return the still picture of a place, uint8 (height, width, 3), blue first."""
    canvas = Canvas(width=width, height=height, rng=rng)
    _PLACES[name](canvas)
    return canvas.done()


def _porch(canvas: Canvas) -> None:
    """Draw what a doorbell sees: the path to the gate, the street, houses; its own wall and post at the sides."""
    draw_sky(canvas, down_to=0.40)
    canvas.box(0, 0.30, 1, 0.42, (70, 100, 82), grain=0.14, soft=3)
    draw_house(canvas, 0.16, 0.39, top=0.24, foot=0.415, wall=(178, 200, 212), roof=(74, 78, 102))
    draw_house(canvas, 0.64, 0.90, top=0.22, foot=0.415, wall=(196, 190, 180), roof=(88, 76, 72))
    draw_hedge(canvas, 0.40, 0.63, top=0.33, foot=0.42)
    canvas.box(0, 0.412, 1, 0.445, (150, 156, 160), grain=0.03)
    canvas.box(0, 0.44, 1, 0.52, (96, 98, 100), grain=0.05)
    canvas.line((0, 0.478), (1, 0.478), (176, 180, 180))
    draw_car(canvas, 0.70, 0.487, long=0.19, paint=(124, 70, 46))
    canvas.box(0, 0.515, 1, 0.55, (158, 164, 168), grain=0.03)
    canvas.box(0, 0.548, 1, 1, (62, 122, 84), grain=0.13, soft=2)
    canvas.shape([(0.46, 0.548), (0.54, 0.548), (0.80, 1.0), (0.20, 1.0)], (150, 164, 172), grain=0.05)
    for step in range(9):
        part = (step / 9) ** 1.7
        y = 0.548 + part * 0.452
        reach = 0.04 + 0.26 * part
        canvas.line((0.5 - reach, y), (0.5 + reach, y), (118, 130, 138), 1)
    draw_hedge(canvas, 0.0, 0.43, top=0.50, foot=0.575)
    draw_hedge(canvas, 0.57, 1.0, top=0.50, foot=0.575)
    for x in (0.438, 0.562):
        canvas.box(x - 0.008, 0.475, x + 0.008, 0.58, (206, 210, 212), grain=0.02)
    canvas.shape([(0.10, 0.955), (0.90, 0.955), (1.0, 1.0), (0.0, 1.0)], (124, 134, 142), grain=0.05)
    draw_bricks(canvas, 0.0, 0.115, 0.0, 1.0, rows=26)
    canvas.box(0.115, 0.0, 0.125, 1.0, (90, 100, 112), grain=0.04)
    canvas.box(0.915, 0.0, 0.965, 1.0, (222, 224, 224), grain=0.015)
    canvas.box(0.955, 0.0, 0.965, 1.0, (176, 180, 182))
    canvas.box(0.0, 0.0, 1.0, 0.035, (206, 210, 212), grain=0.02)
    canvas.box(0.0, 0.033, 1.0, 0.042, (128, 134, 138))
    canvas.oval((0.07, 0.22), wide=0.018, high=0.05, colour=(48, 50, 54))
    canvas.oval((0.07, 0.225), wide=0.011, high=0.034, colour=(150, 214, 236))


def _driveway(canvas: Canvas) -> None:
    """Draw what a camera over a garage sees: the house and its door, the drive, a parked car, the street."""
    draw_sky(canvas, down_to=0.36)
    canvas.box(0.30, 0.18, 1, 0.40, (62, 92, 74), grain=0.16, soft=4)
    draw_house(canvas, 0.70, 0.97, top=0.20, foot=0.37, wall=(190, 206, 214), roof=(70, 74, 96))
    draw_hedge(canvas, 0.34, 1.0, top=0.335, foot=0.43)
    canvas.box(0.3, 0.42, 1, 0.455, (154, 160, 164), grain=0.03)
    canvas.box(0.0, 0.45, 1, 1, (60, 118, 80), grain=0.13, soft=2)
    canvas.shape([(0.44, 0.45), (0.92, 0.45), (1.10, 1.0), (0.10, 1.0)], (138, 142, 146), grain=0.05, soft=2)
    for left, right in ((0.52, 0.32), (0.70, 0.66)):
        canvas.line((left, 0.45), (right, 1.0), (116, 120, 124))
    canvas.line((0.385, 0.62), (0.98, 0.62), (116, 120, 124))
    canvas.line((0.27, 0.80), (1.04, 0.80), (116, 120, 124))
    draw_bricks(canvas, 0.0, 0.36, 0.0, 0.66, rows=22)
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
    draw_car(canvas, 0.60, 0.60, long=0.30, paint=(150, 148, 150))


_PLACES: dict[str, Callable[[Canvas], None]] = {
    "porch": _porch,
    "driveway": _driveway,
    "garden": draw_garden,
    "street": draw_street,
    "hall": draw_hall,
}
