"""Draws a person: a body of a few rounded limbs that walk, stand, or reach for the bell."""

import math

from device.video.scene.parts import Actor
from device.video.scene.paths import Pose
from device.video.scene.pen import Pen
from device.video.scene.sheet import Colour, Sheet, bgr, shade

_STEPS_PER_S = 1.7
_SKIN = (128, 164, 212)
_SHOES = (30, 32, 36)


def draw_person(sheet: Sheet, actor: Actor, pose: Pose, *, at_s: float, ringing: bool) -> None:
    """Draw an actor into the picture at its pose; parts outside are cut off."""
    x, y, tall = pose.x * sheet.width, pose.y * sheet.height, pose.height * sheet.height
    # Seen from the side when it crosses the picture, from the front when it comes, goes or stands.
    sideways = pose.moves and pose.sideways
    phase = math.tau * _STEPS_PER_S / 2 * at_s if pose.moves else 0.0
    sheet.dim((x, y), wide=max(2, tall * 0.2), high=max(1, tall * 0.045), dark=0.45)
    pen = Pen(sheet, x=x, y=y, tall=tall, side=-1 if sideways and pose.speed_x < 0 else 1)
    coat, trousers, hair = (bgr(text) for text in (actor.coat, actor.trousers, actor.hair))
    if sideways:
        _from_side(pen, phase=phase, coat=coat, trousers=trousers, hair=hair, bag=actor.bag)
    else:
        away = pose.moves and pose.speed_y < 0
        _from_front(
            pen, phase=phase, coat=coat, trousers=trousers, hair=hair, away=away, ringing=ringing, walks=pose.moves
        )


def _from_side(pen: Pen, *, phase: float, coat: Colour, trousers: Colour, hair: Colour, bag: bool) -> None:
    bob = 0.012 * abs(math.cos(phase))
    hip, shoulder = (0.0, 0.48 + bob), (0.02, 0.80 + bob)
    swing = math.sin(phase)
    for turn, tone in ((-swing, 0.7), (swing, 1.0)):
        _leg(
            pen,
            hip=hip,
            swing=turn,
            lift=max(0.0, math.cos(phase if tone == 1.0 else phase + math.pi)),
            colour=shade(trousers, tone),
        )
        if tone != 1.0:
            _arm(pen, shoulder=shoulder, swing=swing, colour=shade(coat, 0.65))
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
    pen.limb([(-0.055, 0.80 + bob), (-0.06, 0.45 + bob)], thick=0.03, colour=shade(coat, 0.82))
    if bag:
        pen.shape(
            [(-0.16, 0.80 + bob), (-0.07, 0.81 + bob), (-0.07, 0.52 + bob), (-0.17, 0.54 + bob)], colour=(60, 74, 150)
        )
    _arm(pen, shoulder=shoulder, swing=-swing, colour=shade(coat, 1.12))
    _head(pen, centre=(0.03, 0.915 + bob), hair=hair, face=0.025)


def _leg(pen: Pen, *, hip: tuple[float, float], swing: float, lift: float, colour: Colour) -> None:
    angle = 0.48 * swing
    knee = (hip[0] + 0.24 * math.sin(angle), hip[1] - 0.24 * math.cos(angle))
    shin = angle - 0.75 * lift * (1 - abs(swing) * 0.4)
    ankle = (knee[0] + 0.235 * math.sin(shin), knee[1] - 0.235 * math.cos(shin))
    pen.limb([hip, knee], thick=0.105, colour=colour)
    pen.limb([knee, ankle], thick=0.078, colour=colour)
    pen.limb([ankle, (ankle[0] + 0.065, ankle[1] - 0.008)], thick=0.045, colour=_SHOES)


def _arm(pen: Pen, *, shoulder: tuple[float, float], swing: float, colour: Colour) -> None:
    angle = 0.5 * swing
    elbow = (shoulder[0] + 0.17 * math.sin(angle), shoulder[1] - 0.17 * math.cos(angle))
    bent = angle + 0.35
    hand = (elbow[0] + 0.15 * math.sin(bent), elbow[1] - 0.15 * math.cos(bent))
    pen.limb([shoulder, elbow, hand], thick=0.062, colour=colour)
    pen.oval(hand, wide=0.028, high=0.028, colour=_SKIN)


def _from_front(
    pen: Pen, *, phase: float, coat: Colour, trousers: Colour, hair: Colour, away: bool, ringing: bool, walks: bool
) -> None:
    swing = math.sin(phase) if walks else 0.0
    sway = 0.012 * swing
    for side in (-1, 1):
        lift = 0.05 * max(0.0, side * swing)
        pen.limb(
            [(side * 0.055 + sway, 0.48), (side * 0.06, 0.25 + lift), (side * 0.062, 0.035 + lift)],
            thick=0.098,
            colour=shade(trousers, 0.9 + 0.1 * side),
        )
        pen.oval((side * 0.066, 0.022 + lift), wide=0.05, high=0.026, colour=_SHOES)
    for side in (-1, 1):
        reach = 0.03 * side * swing
        if ringing and side == 1:
            joints = [(0.125 + sway, 0.79), (0.215, 0.70), (0.24, 0.86)]
        else:
            joints = [(side * 0.125 + sway, 0.79), (side * 0.165, 0.62 + reach), (side * 0.15, 0.47 + reach)]
        pen.limb(joints, thick=0.066, colour=shade(coat, 0.86))
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
        pen.limb([(sway, 0.835), (0.0, 0.43)], thick=0.012, colour=shade(coat, 0.65))
        pen.shape([(-0.045 + sway, 0.845), (0.045 + sway, 0.845), (sway, 0.77)], colour=shade(coat, 1.45))
    _head(pen, centre=(sway, 0.92), hair=hair, face=None if away else 0.0)


def _head(pen: Pen, *, centre: tuple[float, float], hair: Colour, face: float | None) -> None:
    x, y = centre
    pen.limb([(x - (face or 0) * 0.6, 0.84), (x, y - 0.02)], thick=0.06, colour=shade(_SKIN, 0.82))
    pen.oval((x, y + 0.012), wide=0.062, high=0.074, colour=hair)
    if face is None:
        return
    pen.oval((x + face * 0.8, y - 0.008), wide=0.05, high=0.062, colour=_SKIN)
    pen.oval((x - face * 0.3, y + 0.048), wide=0.052, high=0.026, colour=hair)
    if face == 0.0:
        for side in (-1, 1):
            pen.oval((x + side * 0.02, y + 0.002), wide=0.0065, high=0.008, colour=(40, 40, 50))
        pen.limb([(x - 0.014, y - 0.04), (x + 0.014, y - 0.04)], thick=0.008, colour=(92, 98, 160))
