"""What to turn: from which sensitivity on something would count, and the line that ignores a place. Pure."""

import math
from collections.abc import Iterable
from typing import Final

from device.video.explain.words import share
from device.video.motion.detector import MotionBox, MotionSettings, MotionTrack
from device.video.motion.reading import Grounds
from device.video.zones import Polygon

KEY: Final = "[camera] sensitivity"
# Sensitivity goes from 1 to 10; which of the finer ones would do is what is asked.
_LEVELS: Final = range(1, 11)
# Of the picture: a zone reaches so much further than what was seen, since no picture shows all of it.
_AROUND: Final = 0.02
# Motion closes gaps before it measures, which makes a small thing half as large again.
_JOINED: Final = 1.5
_STEADIER: Final = ("new", "flickers", "gone at once")


def level_for_area(area_share: float) -> int | None:
    """Return the least sensitivity at which so much of the picture is large enough; None if there is none."""
    return next((n for n in _LEVELS if MotionSettings.for_sensitivity(n).blob_area_share <= area_share), None)


def level_for_way(track: MotionTrack) -> int | None:
    """Return the least sensitivity at which it has come far enough, if it came straight enough; None if none."""
    if track.net_way < MotionSettings().straightness * track.path:
        return None
    return next((n for n in _LEVELS if MotionSettings.for_sensitivity(n).net_way_share <= track.net_way), None)


def largest_small(grounds: Grounds | None) -> float:
    """Return how much of the picture the largest thing covers that is too small, measured as motion does."""
    if grounds is None or not grounds.small:
        return 0.0
    rows, columns = grounds.shape
    # The largest comes first.
    return grounds.small[0].area / (_JOINED * rows * columns)


def lever_words(why: str, level: int | None) -> str:
    """Say what to turn so that something refused would count; `level` is the one that would do, None if none does."""
    if why == "ignored zone":
        return f"would count without that zone of [camera] ignore_zones; else at no {KEY}"
    if why in _STEADIER:
        return f"a finer {KEY} may see it for longer"
    if level is None:
        return f"would count at no {KEY}"
    enough = "large enough" if why == "too small" else "far enough"
    return f"{enough} to count from {KEY} = {level} on"


def hull(boxes: Iterable[MotionBox]) -> MotionBox | None:
    """Return the box around all of these; None if there are none."""
    known = list(boxes)
    if not known:
        return None
    left, top = min(box.left for box in known), min(box.top for box in known)
    right = max(box.left + box.width for box in known)
    bottom = max(box.top + box.height for box in known)
    return MotionBox(left=left, top=top, width=right - left, height=bottom - top)


def around(box: MotionBox) -> MotionBox:
    """Return the box with a rim, within the picture, its sides at whole per cents."""
    left, top = _below(box.left - _AROUND), _below(box.top - _AROUND)
    right, bottom = _above(box.left + box.width + _AROUND), _above(box.top + box.height + _AROUND)
    return MotionBox(left=left, top=top, width=right - left, height=bottom - top)


def zone_line(box: MotionBox, ignored: tuple[Polygon, ...]) -> str:
    """Return the line of `[camera]` that ignores a place as well as what is ignored already."""
    right, bottom = box.left + box.width, box.top + box.height
    corners = ((box.left, box.top), (right, box.top), (right, bottom), (box.left, bottom))
    zones = ", ".join(f"[{', '.join(f'[{x:.4g}, {y:.4g}]' for x, y in zone)}]" for zone in (*ignored, corners))
    return f"ignore_zones = [{zones}]"


def zone_intro(box: MotionBox) -> str:
    """Say what the line of `zone_line` is for, and what it costs."""
    return f"should it not have been one, in [camera] (ignores {share(box.width * box.height)} of the picture):"


def _below(value: float) -> float:
    return max(0.0, math.floor(value * 100) / 100)


def _above(value: float) -> float:
    return min(1.0, math.ceil(value * 100) / 100)
