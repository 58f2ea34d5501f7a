"""Hiding for good: pixels become one flat colour, in luma and chroma, before anything encodes them. Pure."""

import math
from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from device.video.redact.regions import Box

Plane = NDArray[np.uint8]

# A middle gray, which no codec has to spend bits on and which is seen on dark and light.
LUMA: Final = 96
CHROMA: Final = 128
# Bounds go to whole blocks of this many pixels, outwards: then no block of a codec holds a hidden pixel beside others.
BLOCK: Final = 16


def hide(planes: tuple[Plane, Plane, Plane], boxes: Iterable[Box]) -> int:
    """Fill boxes of a picture: luma (height, width), both chroma planes of half of each. Tells how many lay in it."""
    luma, *chroma = planes
    height, width = luma.shape
    count = 0
    for box in boxes:
        pixels = pixels_of(box, width=width, height=height)
        if pixels is None:
            continue
        left, top, right, bottom = pixels
        luma[top:bottom, left:right] = LUMA
        for plane in chroma:
            plane[top // 2 : (bottom + 1) // 2, left // 2 : (right + 1) // 2] = CHROMA
        count += 1
    return count


def pixels_of(box: Box, *, width: int, height: int) -> tuple[int, int, int, int] | None:
    """Return left, top, right and bottom of the whole blocks that a box touches; None if it lies outside."""
    left, top = max(0.0, box.x) * width, max(0.0, box.y) * height
    right, bottom = min(1.0, box.x + box.width) * width, min(1.0, box.y + box.height) * height
    if right <= left or bottom <= top:
        return None
    return (
        math.floor(left / BLOCK) * BLOCK,
        math.floor(top / BLOCK) * BLOCK,
        min(width, math.ceil(right / BLOCK) * BLOCK),
        min(height, math.ceil(bottom / BLOCK) * BLOCK),
    )
