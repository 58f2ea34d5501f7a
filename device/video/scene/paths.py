"""Where actors are: poses along their paths, and the boxes around them."""

import bisect
import math
from dataclasses import dataclass

from device.video.scene.parts import Actor, Waypoint

# Widths for a height of 1, in pixels, seen from the side and from the front.
_WIDTHS = {"person": (0.40, 0.39), "car": (2.62, 1.24), "van": (2.05, 0.92), "cat": (1.75, 0.62), "dog": (1.55, 0.52)}
_STILL = 0.004


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A box in fractions of the picture; may reach outside."""

    left: float
    top: float
    right: float
    bottom: float

    def inside(self) -> float:
        """Share of the box that is within the picture."""
        width = min(self.right, 1.0) - max(self.left, 0.0)
        height = min(self.bottom, 1.0) - max(self.top, 0.0)
        area = (self.right - self.left) * (self.bottom - self.top)
        return max(width, 0.0) * max(height, 0.0) / area if area > 0 else 0.0

    def moved(self, x: float, y: float) -> "Box":
        """Return the box so far to the right and down."""
        return Box(left=self.left + x, top=self.top + y, right=self.right + x, bottom=self.bottom + y)

    def mirrored(self) -> "Box":
        """Return the box as a mirror shows it."""
        return Box(left=1 - self.right, top=self.top, right=1 - self.left, bottom=self.bottom)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pose:
    """An actor at a moment: feet, height (fractions), and how fast it moves (fractions a second).

    `heading_x`, `heading_y`: the way that it goes, or went when it last moved.
    """

    x: float
    y: float
    height: float
    speed_x: float
    speed_y: float
    heading_x: float
    heading_y: float

    @property
    def moves(self) -> bool:
        """Whether it walks or drives."""
        return math.hypot(self.speed_x, self.speed_y) > _STILL

    @property
    def sideways(self) -> bool:
        """Whether it is seen from the side: crossing the picture rather than coming or going."""
        return abs(self.heading_x) > 0.5 * abs(self.heading_y)


def actor_pose(actor: Actor, at_s: float) -> Pose | None:
    """Where an actor is; None before its first waypoint and after its last."""
    path = actor.path
    if not path[0].at_s <= at_s <= path[-1].at_s:
        return None
    # A moment that is a waypoint's belongs to the leg before it, except at the start.
    number = max(1, bisect.bisect_left(path, at_s, key=lambda point: point.at_s))
    a, b = path[number - 1], path[number]
    part = (at_s - a.at_s) / (b.at_s - a.at_s)
    heading_x, heading_y = _heading(path, number)
    speed_x, speed_y = _speed(a, b)
    return Pose(
        x=a.x + (b.x - a.x) * part,
        y=a.y + (b.y - a.y) * part,
        height=a.height + (b.height - a.height) * part,
        speed_x=speed_x,
        speed_y=speed_y,
        heading_x=heading_x,
        heading_y=heading_y,
    )


def _speed(a: Waypoint, b: Waypoint) -> tuple[float, float]:
    span = b.at_s - a.at_s
    return (b.x - a.x) / span, (b.y - a.y) / span


def _heading(path: tuple[Waypoint, ...], number: int) -> tuple[float, float]:
    """Return the speed on this leg, or on the nearest one before it, else after it, on which the actor moves."""
    for leg in (*range(number, 0, -1), *range(number + 1, len(path))):
        speed = _speed(path[leg - 1], path[leg])
        if math.hypot(*speed) > _STILL:
            return speed
    return 1.0, 0.0


def actor_box(actor: Actor, at_s: float, *, aspect: float = 16 / 9) -> Box | None:
    """Return the box around an actor in a picture `aspect` times as wide as high; None while it isn't there."""
    pose = actor_pose(actor, at_s)
    return None if pose is None else pose_box(actor, pose, aspect=aspect)


def pose_box(actor: Actor, pose: Pose, *, aspect: float) -> Box:
    """Return the box around an actor at a pose."""
    side, front = _WIDTHS[actor.kind]
    half = pose.height * (side if pose.sideways else front) / aspect / 2
    return Box(left=pose.x - half, top=pose.y - pose.height, right=pose.x + half, bottom=pose.y)
