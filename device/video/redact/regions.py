"""Boxes, and boxes over time. Pure.

Places are fractions of the picture, 0 to 1 from its upper left corner; times are microseconds since the epoch.
"""

from bisect import bisect_right
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Box:
    """A part of the picture; it may reach past its edges."""

    x: float
    y: float
    width: float
    height: float

    def grown(self, *, left: float, right: float, above: float, below: float) -> "Box":
        """Return the box, larger by so much on each side."""
        return Box(self.x - left, self.y - above, self.width + left + right, self.height + above + below)

    def moved(self, x: float, y: float) -> "Box":
        """Return the box at another place."""
        return Box(self.x + x, self.y + y, self.width, self.height)

    def hull(self, other: "Box") -> "Box":
        """Return the smallest box that holds both."""
        x, y = min(self.x, other.x), min(self.y, other.y)
        right = max(self.x + self.width, other.x + other.width)
        bottom = max(self.y + self.height, other.y + other.height)
        return Box(x, y, right - x, bottom - y)

    def towards(self, other: "Box", share: float) -> "Box":
        """Return the box on the straight way to another: itself at 0, the other at 1."""
        return Box(
            self.x + (other.x - self.x) * share,
            self.y + (other.y - self.y) * share,
            self.width + (other.width - self.width) * share,
            self.height + (other.height - self.height) * share,
        )

    @property
    def centre(self) -> tuple[float, float]:
        """Its middle, x and y."""
        return self.x + self.width / 2, self.y + self.height / 2


@dataclass(frozen=True, slots=True)
class KeyBox:
    """Where a box is at a moment."""

    at_us: int
    box: Box


@dataclass(frozen=True, slots=True)
class Region:
    """A box over time: straight from each of its keys to the next, and there from its first to its last.

    With one key alone it is there all the time.
    """

    keys: tuple[KeyBox, ...]

    def __post_init__(self) -> None:
        if not self.keys:
            raise ValueError("a region needs at least one box")
        if any(key.box.width <= 0 or key.box.height <= 0 for key in self.keys):
            raise ValueError("a region's boxes need a width and a height")
        if any(after.at_us <= before.at_us for before, after in zip(self.keys, self.keys[1:], strict=False)):
            raise ValueError("a region's boxes must be in order of time")

    def during(self, from_us: int, until_us: int) -> Box | None:
        """Return the box for a picture that is shown from one moment until another; None if it is there at none of it.

        A box that begins while the picture is shown hides it: whoever drew the box was looking at that picture.
        """
        first_us = self.keys[0].at_us
        return self.at(max(from_us, first_us)) if first_us < until_us else self.at(from_us)

    def at(self, at_us: int) -> Box | None:
        """Return the box at a moment; None while it is not there."""
        if len(self.keys) == 1:
            return self.keys[0].box
        after = bisect_right(self.keys, at_us, key=lambda key: key.at_us)
        if after == len(self.keys):
            return self.keys[-1].box if at_us == self.keys[-1].at_us else None
        if after == 0:
            return None
        before, then = self.keys[after - 1], self.keys[after]
        return before.box.towards(then.box, (at_us - before.at_us) / (then.at_us - before.at_us))
