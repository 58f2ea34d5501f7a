"""A part of a film as lanes over time: events, scores, what was refused, what was looked at, sizes of packets."""

import math
from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from device.video.explain.account import Account
from device.video.explain.pen import (
    CALM,
    COUNTS,
    FAINT,
    FOLLOWED,
    FOLLOWED_DARK,
    HELD,
    KEYFRAME,
    LEFT_OUT,
    LIGHT,
    RANG,
    RULE,
    SMALL,
    WHITE,
    ZONE,
    Colour,
    Image,
    dashed_box,
    fitted,
    paper,
    text_width,
    write,
)
from device.video.explain.refused import Refused
from device.video.explain.words import clock

LABELS: Final = 92
_RIGHT: Final = 14
_EVENTS, _SCORE, _REFUSED, _LOOKED, _PACKETS, _AXIS = 22, 44, 15, 12, 34, 20
_GAP: Final = 6
HEIGHT: Final = _EVENTS + _SCORE + _REFUSED + _LOOKED + _PACKETS + _AXIS + 5 * _GAP

_MODES: Final[dict[str, Colour]] = {"calm": CALM, "alert": FOLLOWED, "held": HELD, "left out": LEFT_OUT}
_REFUSED_BY: Final[dict[str, Colour]] = {"ignored zone": ZONE, "too small": SMALL}
LEGEND: Final[tuple[tuple[str, Colour], ...]] = (
    ("calm", CALM),
    ("alert", FOLLOWED),
    ("held", HELD),
    ("not looked at", LEFT_OUT),
    ("keyframe", KEYFRAME),
)
_BOXES: Final[tuple[tuple[str, Colour, str], ...]] = (
    ("box", COUNTS, "counts"),
    ("dashed", COUNTS, "counts, not seen now"),
    ("box", FOLLOWED, "followed, doesn't count"),
    ("box", SMALL, "too small"),
    ("bar", ZONE, "refused: in an ignored zone"),
    ("bar", LIGHT, "refused: all the picture"),
    ("dot", RANG, "bell"),
)
_WORDS: Final = (
    "calm: keyframes are enough.  alert: something may begin.  held: the event is sure.",
    "Gray, pale pictures were not looked at: eco leaves them out while no change shows, or an event is sure.",
)
_KEY_LINE: Final = 17
KEY_HEIGHT: Final = (1 + len(_WORDS)) * _KEY_LINE
_TICKS_S: Final = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200)
_TICK_APART: Final = 90
_LEAST_TEXT: Final = 14


class Timeline:
    """Lanes of one part of a film, `width` pixels wide; `letters` name what was refused."""

    def __init__(
        self, account: Account, *, from_us: int, to_us: int, width: int, letters: Sequence[tuple[str, Refused]] = ()
    ) -> None:
        self._account = account
        self._from_us = from_us
        self._span_us = max(1, to_us - from_us)
        self._width = width - LABELS - _RIGHT
        self._letters = letters
        self.image = paper(HEIGHT, width)
        top = 0
        for name, height, draw in (
            ("events", _EVENTS, self._draw_events),
            ("score", _SCORE, self._draw_scores),
            ("refused", _REFUSED, self._draw_refused),
            ("looked at", _LOOKED, self._draw_modes),
            ("packets", _PACKETS, self._draw_sizes),
        ):
            write(self.image, name, (10, top + min(height, 30) // 2 + 5), size=0.4, colour=FAINT)
            draw(top, height)
            top += height + _GAP
        self._draw_axis(top - _GAP // 2)

    def x(self, at_us: int) -> int:
        """Where a moment is, kept within the lanes."""
        share = min(1.0, max(0.0, (at_us - self._from_us) / self._span_us))
        return LABELS + round(share * (self._width - 1))

    def _draw_events(self, top: int, height: int) -> None:
        self._ground(top, height)
        if not self._account.events:
            write(self.image, "none", (LABELS + 6, top + height - 7), size=0.4, colour=FAINT)
        for event in self._account.events:
            if event.kind == "ring" or not self._within(event.start_us, event.end_us):
                continue
            left, right = self.x(event.start_us), max(self.x(event.start_us) + 2, self.x(event.end_us))
            cv2.rectangle(self.image, (left, top + 1), (right, top + height - 2), COUNTS, cv2.FILLED)
            label = "" if event.label is None or event.label.kind == "unknown" else f"  {event.label.kind}"
            text = next((t for t in (f"{event.number}{label}", str(event.number)) if self._fits(t, right - left)), "")
            write(self.image, text, (left + 6, top + height - 7), size=0.42, colour=WHITE)
        for event in self._account.events:
            if event.kind == "ring" and self._within(event.start_us, event.start_us):
                middle = (self.x(event.start_us), top + height // 2)
                cv2.circle(self.image, middle, 7, WHITE, cv2.FILLED, cv2.LINE_AA)
                cv2.circle(self.image, middle, 5, RANG, cv2.FILLED, cv2.LINE_AA)

    def _draw_scores(self, top: int, height: int) -> None:
        self._ground(top, height)
        scores = np.zeros(len(self._account.pictures), dtype=np.float32)
        score = 0
        for number, picture in enumerate(self._account.pictures):
            score = score if picture.glance is None else picture.glance.score
            scores[number] = score
        for column, value in enumerate(self._columns(scores)):
            if value > 0:
                x, y = LABELS + column, top + height - 1 - round(float(value) / 100 * (height - 2))
                cv2.line(self.image, (x, y), (x, top + height - 1), (176, 214, 150), 1)
                cv2.line(self.image, (x, y), (x, min(top + height - 1, y + 1)), COUNTS, 1)

    def _draw_refused(self, top: int, height: int) -> None:
        self._ground(top, height)
        # What is too small is there all the time in rain, and lies below the rest.
        for one in sorted(self._account.refused, key=lambda one: one.why != "too small"):
            if self._within(one.start_us, one.end_us):
                left, right = self.x(one.start_us), max(self.x(one.start_us) + 2, self.x(one.end_us))
                colour = _REFUSED_BY.get(one.why, LIGHT if one.box is None else FOLLOWED)
                cv2.rectangle(self.image, (left, top + height - 5), (right, top + height - 2), colour, cv2.FILLED)
        free = LABELS
        for letter, one in sorted(self._letters, key=lambda item: item[1].at_us):
            x = self.x(one.at_us) - 4
            if self._within(one.at_us, one.at_us) and x >= free:
                write(self.image, letter, (x, top + 9), size=0.36, colour=FOLLOWED_DARK)
                free = x + 12

    def _draw_modes(self, top: int, height: int) -> None:
        self._ground(top, height)
        order = ("left out", "calm", "held", "alert")
        modes = np.array([order.index(picture.mode) for picture in self._account.pictures], dtype=np.float32)
        for column, value in enumerate(self._columns(modes)):
            x = LABELS + column
            cv2.line(self.image, (x, top), (x, top + height - 1), _MODES[order[int(value)]], 1)

    def _draw_sizes(self, top: int, height: int) -> None:
        self._ground(top, height)
        pictures = self._account.pictures
        sizes = np.array([0 if one.keyframe else one.size_bytes for one in pictures], dtype=np.float32)
        keys = np.array([one.keyframe for one in pictures], dtype=np.float32)
        # Some packets stick out far; the others must not vanish beside them.
        most = float(np.percentile(sizes, 99)) * 1.15 if sizes.size else 0.0
        # Where several pictures fall into a column, or a keyframe on every one, keyframes would hide the rest.
        sparse = keys.sum() * 6 < self._width * len(pictures) / max(1, len(self._bounds_in()))
        for column, (size, key) in enumerate(zip(self._columns(sizes), self._columns(keys), strict=True)):
            x, low = LABELS + column, top + height - 1
            if key and sparse:
                cv2.line(self.image, (x, top), (x, low), KEYFRAME, 1)
            if size > 0 and most > 0:
                tall = round(min(1.0, float(size) / most) * (height - 3))
                cv2.line(self.image, (x, low - tall), (x, low), FAINT, 1)

    def _bounds_in(self) -> range:
        """Numbers of the pictures in this part."""
        first, last = self._account.at(self._from_us), self._account.at(self._from_us + self._span_us)
        return range(first or 0, (last or 0) + 1)

    def _columns(self, values: NDArray[np.float32]) -> list[float]:
        """Return the largest value of each column; a picture lasts until the next."""
        times = np.array([picture.at_us for picture in self._account.pictures], dtype=np.int64)
        edges = self._from_us + (np.arange(self._width + 1) * self._span_us) // self._width
        places = np.searchsorted(times, edges, side="left")
        out: list[float] = []
        for first, end in zip(places[:-1].tolist(), places[1:].tolist(), strict=True):
            part = values[first:end] if end > first else values[max(0, first - 1) : max(0, first - 1) + 1]
            out.append(float(part.max()) if part.size else 0.0)
        return out

    def _draw_axis(self, top: int) -> None:
        span_s = self._span_us / 1_000_000
        step_s = next((s for s in _TICKS_S if s / span_s * self._width >= _TICK_APART), _TICKS_S[-1])
        first_s = self._account.seconds(self._from_us)
        tick = math.ceil(first_s / step_s - 1e-6)
        while (at_s := tick * step_s) <= first_s + span_s:
            x = self.x(self._account.start_us + round(at_s * 1_000_000))
            cv2.line(self.image, (x, top), (x, top + 4), FAINT, 1)
            text = clock(at_s).removesuffix(".0")
            left = min(x - text_width(text, 0.38) // 2, LABELS + self._width - text_width(text, 0.38))
            write(self.image, text, (left, top + 16), size=0.38, colour=FAINT)
            tick += 1

    def _ground(self, top: int, height: int) -> None:
        right = LABELS + self._width - 1
        cv2.rectangle(self.image, (LABELS, top), (right, top + height - 1), WHITE, cv2.FILLED)
        cv2.line(self.image, (LABELS, top + height - 1), (right, top + height - 1), RULE, 1)

    def _within(self, start_us: int, end_us: int) -> bool:
        return start_us <= self._from_us + self._span_us and end_us >= self._from_us

    def _fits(self, text: str, width: int) -> bool:
        return width > _LEAST_TEXT and fitted(text, width - 8, size=0.42) == text


def write_legend(image: Image, at: tuple[int, int]) -> None:
    """Write what the colours of the lane "looked at" mean, `at` being its right end and its base line."""
    x, y = at
    for text, colour in reversed(LEGEND):
        x -= text_width(text, 0.38)
        write(image, text, (x, y), size=0.38, colour=FAINT)
        cv2.rectangle(image, (x - 15, y - 9), (x - 6, y), colour, cv2.FILLED)
        cv2.rectangle(image, (x - 15, y - 9), (x - 6, y), (190, 190, 186), 1)
        x -= 30


def write_key(image: Image, at: tuple[int, int]) -> None:
    """Write what boxes, bars, dots and words mean, `at` being the left end of the first line and its base line."""
    x, y = at
    for style, colour, text in _BOXES:
        box = (x, y - 9, x + 14, y)
        if style == "dot":
            cv2.circle(image, (x + 7, y - 4), 5, colour, cv2.FILLED, cv2.LINE_AA)
        elif style == "dashed":
            dashed_box(image, box, colour, dash=3)
        else:
            cv2.rectangle(image, box[:2], box[2:], colour, cv2.FILLED if style == "bar" else 2)
        x = write(image, text, (x + 20, y), size=0.38, colour=FAINT) + 16
    for number, text in enumerate(_WORDS):
        write(image, text, (at[0], y + (number + 1) * _KEY_LINE), size=0.38, colour=FAINT)


def legend_width() -> int:
    """Width of the legend in pixels."""
    return sum(text_width(text, 0.38) + 30 for text, _ in LEGEND)
