"""Draws cars and vans, from the side, from the front or from behind."""

from collections.abc import Sequence

from device.video.scene.parts import Actor
from device.video.scene.paths import Pose
from device.video.scene.pen import Pen
from device.video.scene.sheet import Colour, Point, Sheet, bgr, shade

_GLASS = (88, 78, 66)
_TYRE = (34, 34, 36)
_HUB = (168, 170, 172)
_LAMP, _LAMP_ON = (190, 226, 240), (250, 254, 255)
_TAIL, _TAIL_ON = (60, 60, 170), (90, 90, 250)

# Outlines in heights, the front to the right, about the middle.
_CAR_BODY: Sequence[Point] = (
    (-1.30, 0.20), (-1.29, 0.52), (-1.02, 0.60), (-0.62, 0.97), (0.28, 1.0), (0.74, 0.64), (1.22, 0.55), (1.30, 0.22),
)  # fmt: skip
_CAR_GLASS: Sequence[Sequence[Point]] = (
    ((-0.86, 0.62), (-0.57, 0.91), (-0.13, 0.93), (-0.13, 0.63)),
    ((-0.05, 0.63), (-0.05, 0.93), (0.25, 0.93), (0.58, 0.65)),
)
_VAN_BODY: Sequence[Point] = (
    (-1.00, 0.16), (-1.00, 0.97), (-0.92, 1.0), (0.44, 1.0), (0.72, 0.62), (0.98, 0.52), (1.01, 0.18),
)  # fmt: skip
_VAN_GLASS: Sequence[Sequence[Point]] = (((0.16, 0.60), (0.16, 0.91), (0.40, 0.91), (0.62, 0.61)),)


def draw_vehicle(sheet: Sheet, actor: Actor, pose: Pose) -> None:
    """Draw a car or van at its pose; it looks the way that it goes, or went."""
    x, y, tall = pose.x * sheet.width, pose.y * sheet.height, pose.height * sheet.height
    paint = bgr(actor.coat)
    van = actor.kind == "van"
    half = tall * ((1.0 if van else 1.3) if pose.sideways else 0.55)
    sheet.dim((x, y - tall * 0.02), wide=half * 1.06, high=max(1.0, tall * 0.09), dark=0.55)
    pen = Pen(sheet, x=x, y=y, tall=tall, side=-1 if pose.sideways and pose.heading_x < 0 else 1)
    if pose.sideways:
        _from_side(pen, paint=paint, van=van, lights=actor.lights)
    else:
        _from_front(pen, paint=paint, van=van, lights=actor.lights, away=pose.heading_y < 0)


def _from_side(pen: Pen, *, paint: Colour, van: bool, lights: bool) -> None:
    pen.shape(_VAN_BODY if van else _CAR_BODY, colour=paint)
    for glass in _VAN_GLASS if van else _CAR_GLASS:
        pen.shape(glass, colour=_GLASS)
    left, right = (-1.0, 1.0) if van else (-1.3, 1.3)
    pen.shape([(left, 0.18), (left, 0.32), (right, 0.32), (right, 0.18)], colour=shade(paint, 0.62))
    pen.limb([(-0.09, 0.60), (-0.09, 0.26)], thick=0.012, colour=shade(paint, 0.6))
    pen.limb([(0.02, 0.52), (0.12, 0.52)], thick=0.02, colour=shade(paint, 0.5))
    pen.oval((right - 0.06, 0.45), wide=0.05, high=0.06, colour=_LAMP_ON if lights else _LAMP)
    pen.oval((left + 0.05, 0.48), wide=0.04, high=0.06, colour=_TAIL_ON if lights else _TAIL)
    for middle in (-0.62, 0.60) if van else (-0.80, 0.80):
        pen.oval((middle, 0.20), wide=0.21, high=0.21, colour=_TYRE)
        pen.oval((middle, 0.20), wide=0.115, high=0.115, colour=_HUB)


def _from_front(pen: Pen, *, paint: Colour, van: bool, lights: bool, away: bool) -> None:
    wide = 0.45 if van else 0.58
    roof = wide * (0.92 if van else 0.72)
    waist = 0.58
    for side in (-1, 1):
        pen.shape(
            [
                (side * wide * 0.93, 0.0),
                (side * wide * 0.93, 0.25),
                (side * wide * 0.6, 0.25),
                (side * wide * 0.6, 0.0),
            ],
            colour=_TYRE,
        )
    pen.shape(
        [(-wide, 0.14), (-wide, 0.5), (-wide * 0.94, waist), (wide * 0.94, waist), (wide, 0.5), (wide, 0.14)],
        colour=paint,
    )
    pen.shape([(-wide * 0.92, waist), (-roof, 0.97), (roof, 0.97), (wide * 0.92, waist)], colour=shade(paint, 0.9))
    pen.shape(
        [(-wide * 0.80, waist + 0.02), (-roof * 0.88, 0.92), (roof * 0.88, 0.92), (wide * 0.80, waist + 0.02)],
        colour=_GLASS,
    )
    pen.shape([(-wide, 0.14), (-wide, 0.24), (wide, 0.24), (wide, 0.14)], colour=shade(paint, 0.6))
    pen.shape([(-0.17, 0.26), (-0.17, 0.33), (0.17, 0.33), (0.17, 0.26)], colour=(214, 218, 220))
    lamp = (_TAIL_ON if lights else _TAIL) if away else (_LAMP_ON if lights else _LAMP)
    for side in (-1, 1):
        pen.oval((side * wide * 0.78, 0.42), wide=0.10, high=0.055, colour=lamp)
        if not away:
            pen.limb([(side * wide * 1.0, 0.60), (side * (wide + 0.06), 0.62)], thick=0.06, colour=shade(paint, 0.7))
