"""The area as the page draws it: the circle to scale, between the smallest and the largest that there may be. Pure."""

import math
from dataclasses import dataclass

from broker.agency.rulebook import radius_range
from broker.agency.values import place
from broker.wire.geo import Point, circle_area_m2
from broker.wire.rules import Limits
from broker.words import area_text, place_text

HALF = 150  # the drawing is twice as wide
LARGEST = 128  # the largest circle's radius in the drawing
_BAR_M = 200
_MOST_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Figure:
    """Radii and the scale bar's length in the drawing's units; `words` say what is drawn."""

    radius: float
    least: float
    most: float
    bar: float
    bar_text: str
    per_metre: float
    words: str


def figure(radius_text: str, at_text: str, limits: Limits) -> Figure:
    """Return the drawing of a circle whose radius and middle were typed; what can't be read is drawn as nothing."""
    least, most = radius_range(limits)
    scale = LARGEST / most
    digits = radius_text.isascii() and radius_text.isdecimal() and len(radius_text) <= _MOST_DIGITS
    radius = int(radius_text) if digits else 0
    try:
        middle = place_text(Point.from_degrees(*place(at_text)))
    except ValueError:
        middle = "the middle"
    # What is larger than the drawing still shows that it is: its rim lies outside.
    shown = min(radius * scale, HALF * math.sqrt(2))
    words = f"{radius:,} m around {middle}: {area_text(circle_area_m2(radius))}" if radius else "No radius yet"
    return Figure(
        round(shown, 1),
        round(least * scale, 1),
        LARGEST,
        round(_BAR_M * scale, 1),
        f"{_BAR_M} m",
        round(scale, 6),
        words,
    )
