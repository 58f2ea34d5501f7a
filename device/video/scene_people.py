"""Draws a person: a body of a few rounded limbs that walk, stand, or reach for the bell."""

import math
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from device.video.scene import Actor, Pose

_SHIFT = 4
_ONE = 1 << _SHIFT
_STEPS_PER_S = 1.7
_STILL = 0.004
_SKIN = (128, 164, 212)
_SHOES = (30, 32, 36)

Colour = tuple[int, int, int]


class _Pen:
    """Draws in units of the person's height, feet at (0, 0), y upwards; `side` mirrors x."""

    def __init__(self, image: NDArray[np.uint8], *, x: float, y: float, tall: float, side: int) -> None:
        self._image = image
        self._x, self._y, self._tall, self._side = x, y, tall, side

    def at(self, point: tuple[float, float]) -> tuple[int, int]:
        return (
            round((self._x + self._side * point[0] * self._tall) * _ONE),
            round((self._y - point[1] * self._tall) * _ONE),
        )

    def limb(self, points: list[tuple[float, float]], *, thick: float, colour: Colour) -> None:
        width = max(1, round(thick * self._tall))
        for a, b in pairwise(points):
            cv2.line(self._image, self.at(a), self.at(b), colour, width, cv2.LINE_AA, _SHIFT)

    def shape(self, points: list[tuple[float, float]], *, colour: Colour) -> None:
        corners = np.array([self.at(point) for point in points], dtype=np.int32)
        cv2.fillPoly(self._image, [corners], colour, cv2.LINE_AA, _SHIFT)

    def oval(
        self, centre: tuple[float, float], *, wide: float, high: float, colour: Colour, arc: tuple[int, int] = (0, 360)
    ) -> None:
        axes = (max(1, round(wide * self._tall * _ONE)), max(1, round(high * self._tall * _ONE)))
        cv2.ellipse(self._image, self.at(centre), axes, 0, arc[0], arc[1], colour, -1, cv2.LINE_AA, _SHIFT)


def draw_person(image: NDArray[np.uint8], actor: Actor, pose: Pose, *, at_s: float, ringing: bool) -> None:
    """Draw an actor into the picture at its pose; parts outside are cut off."""
    rows, columns = image.shape[:2]
    x, y, tall = pose.x * columns, pose.y * rows, pose.height * rows
    walks = math.hypot(pose.speed_x, pose.speed_y) > _STILL
    # Seen from the side when it crosses the picture, from the front when it comes or goes.
    sideways = walks and abs(pose.speed_x) > 0.5 * abs(pose.speed_y)
    phase = math.tau * _STEPS_PER_S / 2 * at_s if walks else 0.0
    _shadow(image, x=x, y=y, tall=tall)
    pen = _Pen(image, x=x, y=y, tall=tall, side=-1 if sideways and pose.speed_x < 0 else 1)
    coat, trousers, hair = (_bgr(text) for text in (actor.coat, actor.trousers, actor.hair))
    if sideways:
        _from_side(pen, phase=phase, coat=coat, trousers=trousers, hair=hair, bag=actor.bag)
    else:
        away = walks and pose.speed_y < 0
        _from_front(pen, phase=phase, coat=coat, trousers=trousers, hair=hair, away=away, ringing=ringing, walks=walks)


def _from_side(pen: _Pen, *, phase: float, coat: Colour, trousers: Colour, hair: Colour, bag: bool) -> None:
    bob = 0.012 * abs(math.cos(phase))
    hip, shoulder = (0.0, 0.48 + bob), (0.02, 0.80 + bob)
    swing = math.sin(phase)
    for turn, shade in ((-swing, 0.7), (swing, 1.0)):
        _leg(
            pen,
            hip=hip,
            swing=turn,
            lift=max(0.0, math.cos(phase if shade == 1.0 else phase + math.pi)),
            colour=_shade(trousers, shade),
        )
        if shade != 1.0:
            _arm(pen, shoulder=shoulder, swing=swing, colour=_shade(coat, 0.65))
    pen.shape(
        [
            (-0.085, 0.83 + bob),
            (0.075, 0.83 + bob),
            (0.085, 0.62),
            (0.075, 0.42 + bob),
            (-0.085, 0.42 + bob),
            (-0.10, 0.64),
        ],
        colour=coat,
    )
    pen.limb([(-0.055, 0.80 + bob), (-0.06, 0.45 + bob)], thick=0.03, colour=_shade(coat, 0.82))
    if bag:
        pen.shape(
            [(-0.16, 0.80 + bob), (-0.07, 0.81 + bob), (-0.07, 0.52 + bob), (-0.17, 0.54 + bob)], colour=(60, 74, 150)
        )
    _arm(pen, shoulder=shoulder, swing=-swing, colour=_shade(coat, 1.12))
    _head(pen, centre=(0.03, 0.915 + bob), hair=hair, face=0.025)


def _leg(pen: _Pen, *, hip: tuple[float, float], swing: float, lift: float, colour: Colour) -> None:
    angle = 0.48 * swing
    knee = (hip[0] + 0.24 * math.sin(angle), hip[1] - 0.24 * math.cos(angle))
    shin = angle - 0.75 * lift * (1 - abs(swing) * 0.4)
    ankle = (knee[0] + 0.235 * math.sin(shin), knee[1] - 0.235 * math.cos(shin))
    pen.limb([hip, knee], thick=0.105, colour=colour)
    pen.limb([knee, ankle], thick=0.078, colour=colour)
    pen.limb([ankle, (ankle[0] + 0.065, ankle[1] - 0.008)], thick=0.045, colour=_SHOES)


def _arm(pen: _Pen, *, shoulder: tuple[float, float], swing: float, colour: Colour) -> None:
    angle = 0.5 * swing
    elbow = (shoulder[0] + 0.17 * math.sin(angle), shoulder[1] - 0.17 * math.cos(angle))
    bent = angle + 0.35
    hand = (elbow[0] + 0.15 * math.sin(bent), elbow[1] - 0.15 * math.cos(bent))
    pen.limb([shoulder, elbow, hand], thick=0.062, colour=colour)
    pen.oval(hand, wide=0.028, high=0.028, colour=_SKIN)


def _from_front(
    pen: _Pen, *, phase: float, coat: Colour, trousers: Colour, hair: Colour, away: bool, ringing: bool, walks: bool
) -> None:
    swing = math.sin(phase) if walks else 0.0
    sway = 0.012 * swing
    for side in (-1, 1):
        lift = 0.05 * max(0.0, side * swing)
        pen.limb(
            [(side * 0.055 + sway, 0.48), (side * 0.06, 0.25 + lift), (side * 0.062, 0.035 + lift)],
            thick=0.098,
            colour=_shade(trousers, 0.9 + 0.1 * side),
        )
        pen.oval((side * 0.066, 0.022 + lift), wide=0.05, high=0.026, colour=_SHOES)
    for side in (-1, 1):
        reach = 0.03 * side * swing
        if ringing and side == 1:
            joints = [(0.125 + sway, 0.79), (0.215, 0.70), (0.24, 0.86)]
        else:
            joints = [(side * 0.125 + sway, 0.79), (side * 0.165, 0.62 + reach), (side * 0.15, 0.47 + reach)]
        pen.limb(joints, thick=0.066, colour=_shade(coat, 0.86))
        pen.oval(joints[-1], wide=0.03, high=0.032, colour=_SKIN)
    pen.shape(
        [
            (-0.075 + sway, 0.845),
            (0.075 + sway, 0.845),
            (0.142 + sway, 0.80),
            (0.115 + sway, 0.60),
            (0.122, 0.42),
            (-0.122, 0.42),
            (-0.115 + sway, 0.60),
            (-0.142 + sway, 0.80),
        ],
        colour=coat,
    )
    if not away:
        pen.limb([(sway, 0.835), (0.0, 0.43)], thick=0.012, colour=_shade(coat, 0.65))
        pen.shape([(-0.045 + sway, 0.845), (0.045 + sway, 0.845), (sway, 0.77)], colour=_shade(coat, 1.45))
    _head(pen, centre=(sway, 0.92), hair=hair, face=None if away else 0.0)


def _head(pen: _Pen, *, centre: tuple[float, float], hair: Colour, face: float | None) -> None:
    x, y = centre
    pen.limb([(x - (face or 0) * 0.6, 0.84), (x, y - 0.02)], thick=0.06, colour=_shade(_SKIN, 0.82))
    pen.oval((x, y + 0.012), wide=0.062, high=0.074, colour=hair)
    if face is None:
        return
    pen.oval((x + face * 0.8, y - 0.008), wide=0.05, high=0.062, colour=_SKIN)
    pen.oval((x - face * 0.3, y + 0.048), wide=0.052, high=0.026, colour=hair)
    if face == 0.0:
        for side in (-1, 1):
            pen.oval((x + side * 0.02, y + 0.002), wide=0.0065, high=0.008, colour=(40, 40, 50))
        pen.limb([(x - 0.014, y - 0.04), (x + 0.014, y - 0.04)], thick=0.008, colour=(92, 98, 160))


def _shadow(image: NDArray[np.uint8], *, x: float, y: float, tall: float) -> None:
    rows, columns = image.shape[:2]
    wide, high = max(2, round(tall * 0.2)), max(1, round(tall * 0.045))
    left, right = max(0, round(x) - wide), min(columns, round(x) + wide + 1)
    top, bottom = max(0, round(y) - high), min(rows, round(y) + high + 1)
    if left >= right or top >= bottom:
        return
    mask = np.zeros((bottom - top, right - left), dtype=np.uint8)
    cv2.ellipse(mask, (round(x) - left, round(y) - top), (wide, high), 0, 0, 360, 115, -1, cv2.LINE_AA)
    part = image[top:bottom, left:right]
    part[...] = (part * (1 - mask[..., None] / 255.0)).astype(np.uint8)


def _bgr(text: str) -> Colour:
    red, green, blue = (int(text[i : i + 2], 16) for i in (1, 3, 5))
    return blue, green, red


def _shade(colour: Colour, light: float) -> Colour:
    blue, green, red = (min(255, round(value * light)) for value in colour)
    return blue, green, red
