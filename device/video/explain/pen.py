"""Paper, ink and marks for explanations: text that is readable on anything, boxes, hatching. Knows no motion."""

from collections.abc import Iterable, Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from device.video.zones import Polygon, zone_mask

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]

# Blue first, as OpenCV has it.
PAPER: Final[Colour] = (246, 248, 249)
INK: Final[Colour] = (44, 38, 34)
FAINT: Final[Colour] = (134, 126, 120)
RULE: Final[Colour] = (222, 222, 219)
WHITE: Final[Colour] = (255, 255, 255)
COUNTS: Final[Colour] = (92, 158, 22)
FOLLOWED: Final[Colour] = (40, 170, 245)
FOLLOWED_DARK: Final[Colour] = (12, 112, 190)
SMALL: Final[Colour] = (196, 178, 160)
CALM: Final[Colour] = (214, 186, 150)
HELD: Final[Colour] = (150, 196, 96)
LEFT_OUT: Final[Colour] = (234, 233, 230)
KEYFRAME: Final[Colour] = (150, 92, 60)
RANG: Final[Colour] = (190, 70, 150)
LIGHT: Final[Colour] = (208, 150, 190)
ZONE: Final[Colour] = (214, 120, 60)

_FONT: Final = cv2.FONT_HERSHEY_SIMPLEX
_BOLD: Final = cv2.FONT_HERSHEY_DUPLEX
_SHIFT: Final = 4
_PAD: Final = 5
# Height of capital letters at size 1, in pixels.
_TALL: Final = 21


def paper(height: int, width: int) -> Image:
    """Return an empty sheet."""
    return np.full((height, width, 3), PAPER, dtype=np.uint8)


def text_width(text: str, size: float, *, bold: bool = False) -> int:
    """Width of a line of text in pixels."""
    return int(cv2.getTextSize(text, _BOLD if bold else _FONT, size, 1)[0][0])


def write(
    image: Image, text: str, at: tuple[int, int], *, size: float = 0.45, colour: Colour = INK, bold: bool = False
) -> int:
    """Write a line of text, `at` its lower left; gives where it ends."""
    # The stroke fonts know ASCII alone, in every OpenCV.
    plain = text.encode("ascii", "replace").decode()
    cv2.putText(image, plain, at, _BOLD if bold else _FONT, size, colour, 1, cv2.LINE_AA)
    return at[0] + text_width(plain, size, bold=bold)


def fitted(text: str, width: int, *, size: float = 0.45) -> str:
    """Return the text, cut with dots if it is wider than this."""
    if text_width(text, size) <= width:
        return text
    while text and text_width(text + "...", size) > width:
        text = text[:-1]
    return f"{text.rstrip()}..." if text else ""


def wrapped(text: str, width: int, *, size: float = 0.45, lines: int = 3) -> list[str]:
    """Break a text into lines no wider than this; the last is cut if there would be more."""
    out: list[str] = [""]
    for word in text.split():
        longer = f"{out[-1]} {word}".strip()
        if text_width(longer, size) <= width or not out[-1]:
            out[-1] = longer
        else:
            out.append(word)
    if len(out) <= lines:
        return out
    return [*out[: lines - 1], fitted(" ".join(out[lines - 1 :]), width, size=size)]


class Tags:
    """Small labels on one picture that never lie on one another."""

    def __init__(self, image: Image) -> None:
        self._image = image
        self._taken: list[tuple[int, int, int, int]] = []
        self._shunned: list[tuple[int, int, int, int]] = []

    def shun(self, boxes: Iterable[tuple[int, int, int, int]]) -> None:
        """Keep labels off these boxes (left, top, right, bottom) where there is another place."""
        self._shunned += boxes

    def put(
        self, text: str, places: Sequence[tuple[int, int]], *, colour: Colour, ink: Colour = WHITE, size: float = 0.42
    ) -> bool:
        """Put a label at the first of these places, its top left, that is free; tells whether there was one."""
        height, width = self._image.shape[:2]
        wide, tall = text_width(text, size) + 2 * _PAD, round(_TALL * size) + 2 * _PAD
        for left, top in places:
            x = min(max(0, left), max(0, width - wide))
            y = min(max(0, top), max(0, height - tall))
            rect = (x, y, x + wide, y + tall)
            if any(_overlap(rect, other) for other in self._taken):
                continue
            self._taken.append(rect)
            cv2.rectangle(self._image, (x, y), (x + wide - 1, y + tall - 1), colour, cv2.FILLED)
            write(self._image, text, (x + _PAD, y + tall - _PAD), size=size, colour=ink)
            return True
        return False

    def beside(
        self,
        text: str,
        box: tuple[int, int, int, int],
        *,
        colour: Colour,
        ink: Colour = WHITE,
        weak: bool = False,
    ) -> bool:
        """Put a label above a box (left, top, right, bottom), or below it, or at its sides.

        It is left away if there is no place; a `weak` one also if it could only lie upon what is shunned.
        """
        left, top, right, bottom = box
        tall = round(_TALL * 0.42) + 2 * _PAD
        height, width = self._image.shape[:2]
        wide = text_width(text, 0.42) + 2 * _PAD
        places = (
            (left - 1, top - tall), (left - 1, bottom + 1), (right - wide, top - tall), (right - wide, bottom + 1),
            (right + 2, top), (left - wide - 2, top), (left + 2, top + 2),
        )  # fmt: skip
        inside = [(min(max(0, x), max(0, width - wide)), y) for x, y in places if 0 <= y <= height - tall]
        others = [one for one in self._shunned if one != box]
        clear = [(x, y) for x, y in inside if not any(_overlap((x, y, x + wide, y + tall), one) for one in others)]
        return self.put(text, clear if weak else [*clear, *inside], colour=colour, ink=ink)


def frame_box(image: Image, box: tuple[int, int, int, int], colour: Colour, *, thick: int = 1) -> None:
    """Draw a box with a thin dark rim, so that it shows on light and dark."""
    left, top, right, bottom = box
    cv2.rectangle(image, (left - thick, top - thick), (right + thick, bottom + thick), (70, 70, 70), 1)
    cv2.rectangle(image, (left, top), (right, bottom), colour, thick)


def dashed_box(image: Image, box: tuple[int, int, int, int], colour: Colour, *, dash: int = 7) -> None:
    """Draw a box in dashes: what is known to be there, and not seen now."""
    left, top, right, bottom = box
    for x in range(left, right, 2 * dash):
        for y in (top, bottom):
            cv2.line(image, (x, y), (min(x + dash, right), y), colour, 1, cv2.LINE_AA)
    for y in range(top, bottom, 2 * dash):
        for x in (left, right):
            cv2.line(image, (x, y), (x, min(y + dash, bottom)), colour, 1, cv2.LINE_AA)


class Hatching:
    """Zones hatched on pictures of one size, with their outlines."""

    def __init__(self, zones: Sequence[Polygon], *, width: int, height: int, colour: Colour, step: int = 14) -> None:
        self._colour = np.array(colour, dtype=np.float32)
        inside = zone_mask(zones, width=width, height=height)
        lines = np.zeros((height, width), dtype=np.uint8)
        for start in range(-height, width, step):
            cv2.line(lines, (start, height), (start + height, 0), (150,), 1, cv2.LINE_AA)
        self._strength = cv2.bitwise_and(lines, inside)
        corners = [np.rint(np.array(zone) * (width * 16, height * 16)).astype(np.int32) for zone in zones]
        cv2.polylines(self._strength, corners, True, (230,), 2, cv2.LINE_AA, _SHIFT)
        self.tops = [(round(zone[0][0] * width), round(zone[0][1] * height)) for zone in zones]
        self._any = bool(zones)

    def draw(self, image: Image) -> None:
        """Hatch a picture, in place."""
        if self._any:
            alpha = self._strength[..., None].astype(np.float32) / 255
            image[:] = (image * (1 - alpha) + self._colour * alpha).astype(np.uint8)


def _overlap(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
