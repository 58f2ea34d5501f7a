"""Draws cats and dogs that walk, stand or sit."""

import math
from dataclasses import dataclass

from device.video.scene.parts import Actor
from device.video.scene.paths import Pose
from device.video.scene.pen import Pen
from device.video.scene.sheet import Colour, Sheet, bgr, shade

_STEPS_PER_S = 2.6


@dataclass(frozen=True, slots=True, kw_only=True)
class _Build:
    """A kind's proportions, in its height."""

    half: float
    body: float
    neck: float
    head: float
    muzzle: float
    leg: float
    tail: tuple[tuple[float, float], ...]


_BUILDS = {
    "cat": _Build(
        half=0.46, body=0.20, neck=0.14, head=0.15, muzzle=0.05, leg=0.075,
        tail=((-0.44, 0.60), (-0.66, 0.66), (-0.74, 0.84), (-0.68, 0.98)),
    ),
    "dog": _Build(
        half=0.42, body=0.17, neck=0.16, head=0.13, muzzle=0.13, leg=0.075,
        tail=((-0.40, 0.64), (-0.56, 0.76), (-0.64, 0.92)),
    ),
}  # fmt: skip


def draw_animal(sheet: Sheet, actor: Actor, pose: Pose, *, at_s: float) -> None:
    """Draw a cat or dog at its pose, its tail waving a little."""
    x, y, tall = pose.x * sheet.width, pose.y * sheet.height, pose.height * sheet.height
    build, fur = _BUILDS[actor.kind], bgr(actor.coat)
    sheet.dim((x, y), wide=tall * (0.6 if pose.sideways else 0.3), high=max(1.0, tall * 0.07), dark=0.4)
    pen = Pen(sheet, x=x, y=y, tall=tall, side=-1 if pose.sideways and pose.heading_x < 0 else 1)
    phase = math.tau * _STEPS_PER_S / 2 * at_s if pose.moves else 0.0
    if pose.sideways:
        _from_side(pen, build, fur=fur, phase=phase, walks=pose.moves, wag=math.sin(at_s * 2.1))
    else:
        _from_front(pen, build, fur=fur, phase=phase, walks=pose.moves, away=pose.heading_y < 0)


def _from_side(pen: Pen, build: _Build, *, fur: Colour, phase: float, walks: bool, wag: float) -> None:
    back = 0.56
    tail = [(x + 0.03 * wag * n, y) for n, (x, y) in enumerate(build.tail)]
    pen.limb(tail, thick=0.07, colour=shade(fur, 0.9))
    for number, foot in enumerate((-build.half + 0.06, build.half - 0.10)):
        for far in (True, False):
            turn = phase + (math.pi if far else 0.0) + (math.pi / 2 if number else 0.0)
            swing = 0.12 * math.sin(turn) if walks else 0.0
            lift = 0.05 * max(0.0, math.cos(turn)) if walks else 0.0
            knee = (foot + swing * 0.4 + (0.02 if far else 0.0), 0.26)
            pen.limb(
                [(foot, back - 0.08), knee, (foot + swing, 0.03 + lift)],
                thick=build.leg,
                colour=shade(fur, 0.7 if far else 0.95),
            )
    pen.oval((0.0, back), wide=build.half, high=build.body, colour=fur)
    pen.oval((build.half - 0.12, back + 0.03), wide=0.2, high=build.body * 1.08, colour=fur)
    head = (build.half + 0.13, 0.80)
    pen.limb([(build.half - 0.06, back + 0.08), head], thick=build.neck, colour=fur)
    _ears(pen, head, build, fur)
    pen.oval(head, wide=build.head, high=build.head * 0.9, colour=shade(fur, 1.05))
    pen.oval(
        (head[0] + build.head * 0.8, head[1] - 0.04), wide=build.muzzle + 0.02, high=0.055, colour=shade(fur, 1.15)
    )
    pen.oval((head[0] + build.head * 0.45, head[1] + 0.04), wide=0.018, high=0.022, colour=(40, 60, 60))


def _ears(pen: Pen, head: tuple[float, float], build: _Build, fur: Colour) -> None:
    x, y = head
    for shift in (-0.10, 0.02):
        pen.shape(
            [
                (x + shift - 0.045, y + build.head * 0.5),
                (x + shift, y + build.head + 0.09),
                (x + shift + 0.07, y + build.head * 0.6),
            ],
            colour=shade(fur, 0.8),
        )


def _from_front(pen: Pen, build: _Build, *, fur: Colour, phase: float, walks: bool, away: bool) -> None:
    for side in (-1, 1):
        lift = 0.05 * max(0.0, side * math.sin(phase)) if walks else 0.0
        pen.limb([(side * 0.11, 0.45), (side * 0.10, 0.03 + lift)], thick=build.leg * 1.3, colour=shade(fur, 0.9))
    pen.oval((0.0, 0.48), wide=0.20, high=0.26, colour=fur)
    head = (0.0, 0.78)
    for side in (-1, 1):
        pen.shape([(side * 0.03, 0.88), (side * 0.12, 1.0), (side * 0.15, 0.82)], colour=shade(fur, 0.8))
    pen.oval(head, wide=0.17, high=0.15, colour=shade(fur, 1.05))
    if away:
        pen.limb([(0.0, 0.5), (0.05, 0.8), (0.02, 0.98)], thick=0.07, colour=shade(fur, 0.85))
        return
    for side in (-1, 1):
        pen.oval((side * 0.06, 0.80), wide=0.02, high=0.024, colour=(40, 60, 60))
    pen.oval((0.0, 0.72), wide=0.06, high=0.045, colour=shade(fur, 1.15))
