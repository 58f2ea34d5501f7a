"""More places that scenes are set in: a garden, a street seen from across, a hall indoors."""

import math

from device.video.scene.canvas import Canvas
from device.video.scene.furniture import draw_car, draw_hedge, draw_house, draw_sky
from device.video.scene.sheet import Colour, shade


def draw_garden(canvas: Canvas) -> None:
    """Draw a lawn behind a house: fence, shed, flower bed, a path of slabs."""
    draw_sky(canvas, down_to=0.36)
    canvas.box(0, 0.20, 1, 0.40, (66, 96, 78), grain=0.18, soft=4)
    draw_house(canvas, 0.30, 0.52, top=0.19, foot=0.36, wall=(186, 196, 206), roof=(76, 80, 112))
    _fence(canvas, top=0.30, foot=0.47)
    canvas.box(0, 0.46, 1, 1, (60, 124, 86), grain=0.14, soft=2)
    for stripe in range(5):
        top = 0.47 + 0.53 * (stripe / 5) ** 1.6
        foot = 0.47 + 0.53 * ((stripe + 0.5) / 5) ** 1.6
        canvas.box(0, top, 1, foot, (66, 132, 92), grain=0.14, soft=2)
    _shed(canvas)
    _bed(canvas)
    for slab in range(7):
        part = (slab / 7) ** 1.5
        x, y, reach = 0.60 - 0.10 * part, 0.52 + 0.46 * part, 0.022 + 0.05 * part
        canvas.box(x - reach, y, x + reach, y + 0.016 + 0.035 * part, (150, 160, 166), grain=0.05)


def _fence(canvas: Canvas, *, top: float, foot: float) -> None:
    canvas.box(0, top + 0.02, 1, foot, (72, 96, 124), grain=0.08, soft=2)
    boards = 46
    for board in range(boards):
        x = board / boards
        tone = float(canvas.rng.uniform(0.85, 1.12))
        wood = shade((84, 112, 142), tone)
        canvas.shape(
            [
                (x + 0.001, foot),
                (x + 0.001, top + 0.012),
                (x + 0.0105, top),
                (x + 0.020, top + 0.012),
                (x + 0.020, foot),
            ],
            wood,
            grain=0.04,
        )
    for y in (top + 0.035, foot - 0.03):
        canvas.line((0, y), (1, y), (62, 86, 112), 1)


def _shed(canvas: Canvas) -> None:
    canvas.box(0.74, 0.28, 0.95, 0.56, (96, 122, 150), grain=0.05, soft=2)
    for x in (0.765, 0.79, 0.815, 0.84, 0.865, 0.89, 0.915):
        canvas.line((x, 0.29), (x, 0.555), (78, 102, 128), 1)
    canvas.shape([(0.72, 0.29), (0.765, 0.20), (0.925, 0.20), (0.97, 0.29)], (84, 86, 92), grain=0.06)
    canvas.box(0.80, 0.345, 0.865, 0.56, (70, 92, 116), grain=0.04)
    canvas.box(0.885, 0.36, 0.93, 0.43, (222, 226, 228))
    canvas.box(0.889, 0.368, 0.926, 0.422, (96, 88, 78), grain=0.1)
    canvas.oval((0.856, 0.46), wide=0.003, high=0.006, colour=(40, 44, 50))


def _bed(canvas: Canvas) -> None:
    canvas.shape([(0.0, 0.60), (0.20, 0.585), (0.26, 0.64), (0.16, 0.72), (0.0, 0.74)], (52, 72, 92), grain=0.1, soft=2)
    petals: tuple[Colour, ...] = ((70, 70, 210), (80, 190, 236), (190, 110, 190), (232, 232, 236))
    for number in range(110):
        x, y = float(canvas.rng.uniform(0.0, 0.235)), float(canvas.rng.uniform(0.575, 0.715))
        if number % 3:
            canvas.oval(
                (x, y), wide=0.008, high=0.012, colour=shade((52, 108, 70), float(canvas.rng.uniform(0.8, 1.3)))
            )
        else:
            canvas.oval((x, y - 0.01), wide=0.005, high=0.008, colour=petals[number // 3 % len(petals)])


def draw_street(canvas: Canvas) -> None:
    """Draw a street seen from the first floor of a house: row of houses, two pavements, the road between them."""
    draw_sky(canvas, down_to=0.24)
    canvas.box(0, 0.20, 1, 0.44, (64, 94, 76), grain=0.16, soft=3)
    walls: tuple[Colour, ...] = ((176, 196, 212), (150, 168, 196), (196, 198, 190), (166, 190, 204))
    roofs: tuple[Colour, ...] = ((72, 76, 104), (84, 78, 78), (70, 84, 112), (78, 76, 84))
    for number, (wall, roof) in enumerate(zip(walls, roofs, strict=True)):
        left = -0.02 + 0.262 * number
        draw_house(canvas, left, left + 0.248, top=0.17, foot=0.43, wall=wall, roof=roof)
    for number in range(3):
        left = 0.225 + 0.262 * number
        draw_hedge(canvas, left, left + 0.028, top=0.36, foot=0.435)
    canvas.box(0, 0.43, 1, 0.50, (160, 166, 170), grain=0.03)
    canvas.box(0, 0.495, 1, 0.508, (128, 134, 138))
    canvas.box(0, 0.505, 1, 0.80, (98, 100, 102), grain=0.05)
    for dash in range(9):
        canvas.box(0.02 + dash * 0.12, 0.632, 0.075 + dash * 0.12, 0.644, (196, 200, 202))
    canvas.box(0, 0.795, 1, 0.815, (132, 138, 142))
    canvas.box(0, 0.812, 1, 0.93, (158, 164, 168), grain=0.03)
    for joint in range(11):
        left = 0.1 * joint - 0.02
        canvas.line((left, 0.815), (left - 0.015, 0.93), (140, 146, 150), 1)
    canvas.box(0, 0.925, 1, 1, (58, 112, 78), grain=0.14, soft=2)
    draw_car(canvas, 0.70, 0.555, long=0.20, paint=(70, 66, 132))
    draw_car(canvas, 0.06, 0.552, long=0.19, paint=(168, 172, 176))
    for x in (0.20, 0.80):
        canvas.box(x - 0.004, 0.02, x + 0.004, 0.47, (92, 96, 98))
        canvas.box(x - 0.004, 0.015, x + 0.045, 0.03, (92, 96, 98))
        canvas.oval((x + 0.04, 0.034), wide=0.014, high=0.010, colour=(206, 226, 236))


def draw_hall(canvas: Canvas) -> None:
    """Draw a hall indoors: a door with a window, stairs, a chest with a lamp, a rug."""
    canvas.box(0, 0, 1, 0.64, (188, 204, 212), grain=0.02, soft=6)
    canvas.box(0, 0, 1, 0.05, (222, 226, 228), grain=0.01)
    canvas.shape([(0, 0.64), (1, 0.64), (1, 1), (0, 1)], (92, 126, 160), grain=0.04, soft=2)
    for line in range(14):
        x = line / 13
        canvas.line((0.5 + (x - 0.5) * 0.9, 0.64), (0.5 + (x - 0.5) * 2.2, 1.0), (78, 108, 140), 1)
    canvas.box(0, 0.61, 1, 0.645, (226, 230, 232))
    _hall_door(canvas)
    _stairs(canvas)
    canvas.box(0.08, 0.44, 0.26, 0.68, (62, 84, 112), grain=0.05)
    for y in (0.50, 0.58):
        canvas.line((0.085, y), (0.255, y), (46, 64, 88), 1)
        canvas.oval((0.17, y - 0.03), wide=0.006, high=0.008, colour=(150, 190, 206))
    canvas.shape([(0.135, 0.36), (0.205, 0.36), (0.19, 0.27), (0.15, 0.27)], (178, 214, 232))
    canvas.box(0.167, 0.36, 0.173, 0.44, (90, 110, 130))
    canvas.box(0.07, 0.12, 0.20, 0.22, (58, 76, 98))
    canvas.box(0.077, 0.132, 0.193, 0.208, (142, 132, 96), grain=0.15, soft=3)
    canvas.shape([(0.36, 0.74), (0.60, 0.74), (0.68, 0.95), (0.30, 0.95)], (66, 62, 140), grain=0.06, soft=2)
    canvas.shape([(0.375, 0.76), (0.585, 0.76), (0.655, 0.93), (0.325, 0.93)], (96, 98, 168), grain=0.06, soft=2)


def _hall_door(canvas: Canvas) -> None:
    canvas.box(0.385, 0.11, 0.575, 0.645, (228, 231, 232), grain=0.01)
    canvas.box(0.40, 0.135, 0.56, 0.645, (96, 116, 86), grain=0.02)
    canvas.box(0.425, 0.17, 0.535, 0.36, (226, 222, 206), grain=0.04)
    canvas.line((0.48, 0.17), (0.48, 0.36), (96, 116, 86), 2)
    canvas.line((0.425, 0.265), (0.535, 0.265), (96, 116, 86), 2)
    for left, right in ((0.42, 0.475), (0.485, 0.54)):
        canvas.box(left, 0.42, right, 0.60, (84, 102, 74))
    canvas.oval((0.412, 0.40), wide=0.006, high=0.010, colour=(130, 196, 214))


def _stairs(canvas: Canvas) -> None:
    steps = 9
    for step in range(steps):
        left, foot = 0.70 + step * 0.034, 0.645 - step * 0.066
        canvas.box(left, foot - 0.066, 1.0, foot, shade((120, 150, 178), 1 - 0.03 * step), grain=0.02)
        canvas.box(left, foot - 0.066, 1.0, foot - 0.052, shade((150, 176, 200), 1 - 0.02 * step))
    for step in range(steps):
        x, y = 0.712 + step * 0.034, 0.58 - step * 0.066
        canvas.line((x, y), (x, y - 0.19), (230, 232, 234), 1)
    rise = math.hypot(0.30, 0.30)
    canvas.line((0.70, 0.40), (0.70 + rise * 0.72, 0.40 - rise * 1.40), (66, 90, 118), 3)
