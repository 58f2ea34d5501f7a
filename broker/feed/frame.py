"""What every map has around it: a frame with coordinates at its edges, a scale bar. Pure; in the drawing's units."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from broker.words import degrees_text

from .geometry import Position, near
from .texts import length_text

LEFT: Final = 20
TOP: Final = 4
RIGHT: Final = 4
BOTTOM: Final = 20
_STEPS = (1.0, 2.0, 5.0)
_WIDE_STEPS = (10.0, 15.0, 30.0, 45.0, 90.0)
_SAMPLES = 48
_TICKS = 5  # on an edge, about
_BAR_SHARE = 0.3
_LABEL_ROOM = 34  # from a corner, so that no two labels meet


@dataclass(frozen=True, slots=True)
class Frame:
    """The inner rectangle of a drawing; around it is room for labels."""

    width: int
    height: int

    @property
    def view_box(self) -> str:
        """The whole drawing."""
        return f"0 0 {LEFT + self.width + RIGHT} {TOP + self.height + BOTTOM}"


@dataclass(frozen=True, slots=True)
class Tick:
    """A round coordinate at an edge: where its short line begins and ends, and its label, if it has one there."""

    x1: float
    y1: float
    x2: float
    y2: float
    label: str = ""
    x: float = 0.0
    y: float = 0.0
    upright: bool = True


@dataclass(frozen=True, slots=True)
class Bar:
    """A scale bar: its length in units, and what it stands for."""

    length: float
    label: str


def bar_for(metres_per_unit: float, width: int) -> Bar:
    """Return the longest round bar that takes less than a third of the width."""
    most = metres_per_unit * width * _BAR_SHARE
    power = 10.0 ** math.floor(math.log10(most))
    metres = max(step * power for step in _STEPS if step * power <= most)
    return Bar(round(metres / metres_per_unit, 2), length_text(metres))


def ticks_of(frame: Frame, position_at: Callable[[float, float], Position]) -> tuple[Tick, ...]:
    """Return the ticks of all four edges, labelled at the left and the bottom.

    `position_at(x, y)` says what is at a place of the drawing: no projection is assumed here.
    """
    left, right, top, bottom = float(LEFT), float(LEFT + frame.width), float(TOP), float(TOP + frame.height)
    ys = [top + frame.height * step / _SAMPLES for step in range(_SAMPLES + 1)]
    xs = [left + frame.width * step / _SAMPLES for step in range(_SAMPLES + 1)]
    found: list[Tick] = []
    for x, inward in ((left, 4.0), (right, -4.0)):
        lats = [position_at(x, y)[0] for y in ys]
        for y, lat, decimals in _crossings(ys, lats):
            label = degrees_text(lat, decimals, "NS") if x == left and _apart(y, top, bottom) else ""
            found.append(Tick(x, y, x + inward, y, label, LEFT - 6.0, y, upright=False))
    for y, inward in ((bottom, -4.0), (top, 4.0)):
        lons = _unwrapped([position_at(x, y)[1] for x in xs])
        for x, lon, decimals in _crossings(xs, lons):
            label = degrees_text(near(lon, 0), decimals, "EW") if y == bottom and _apart(x, left, right) else ""
            found.append(Tick(x, y, x, y + inward, label, x, bottom + 14.0))
    return tuple(found)


def path_of(points: Sequence[tuple[float, float]], *, closed: bool = True) -> str:
    """Return an SVG path through points."""
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) + ("Z" if closed else "")


def _apart(at: float, low: float, high: float) -> bool:
    return low + _LABEL_ROOM <= at <= high - _LABEL_ROOM


def _unwrapped(lons: Sequence[float]) -> list[float]:
    found = [lons[0]]
    for lon in lons[1:]:
        found.append(near(lon, found[-1]))
    return found


def _crossings(places: Sequence[float], values: Sequence[float]) -> list[tuple[float, float, int]]:
    """Return (place, round value, decimals to write it with) wherever values along an edge pass a round one."""
    step, decimals = _step((max(values) - min(values)) / _TICKS)
    found = []
    for place1, place2, value1, value2 in zip(places, places[1:], values, values[1:], strict=False):
        low, high = min(value1, value2), max(value1, value2)
        number = math.ceil(low / step)
        while number * step < high:
            share = (number * step - value1) / (value2 - value1)
            found.append((round(place1 + (place2 - place1) * share, 1), number * step, decimals))
            number += 1
    return found


def _step(least: float) -> tuple[float, int]:
    """Return a round step of at least `least` degrees, and the decimals that it needs."""
    least = max(least, 1e-6)
    for wide in _WIDE_STEPS:
        if least > _STEPS[-1] and least <= wide:
            return wide, 0
    if least > _WIDE_STEPS[-1]:
        return _WIDE_STEPS[-1], 0
    power = 10.0 ** math.floor(math.log10(least))
    step = next((one * power for one in _STEPS if one * power >= least), 10 * power)
    return step, max(0, -math.floor(math.log10(step) + 1e-9))
