"""What moved in an event: values, the frames that show it best, and a rule that tells from its shape alone. Pure.

While an event lasts, `BestFrames` keeps up to three small pictures of what moves, and where it was. Afterwards somebody
labels that, off the hot path: the model (`model`, in a process of its own: `process`) or `shape_label`.
Nothing here decodes, waits or knows of the model.
"""

import statistics
from dataclasses import dataclass
from typing import Final, Literal, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from device.video.motion.detector import MotionBox, MotionReading

Gray = NDArray[np.uint8]
Kind = Literal["person", "vehicle", "animal", "unknown"]
By = Literal["model", "shape"]

# The model looks at squares of this many pixels; more would be kept for nothing.
CROP_PIXELS: Final = 300
# What is around a mover helps to tell what it is: so many times its length. Of somebody upright more is shown, and more
# above than below, since often legs alone were seen to move.
_AROUND: Final = 1.7
_AROUND_UPRIGHT, _HIGHER = 2.4, 0.12
_LEAST_PIXELS: Final = 64
_MOST_CROPS: Final = 3
_MOST_LOOKS: Final = 64
_APART_US: Final = 600_000
_RIPE_US: Final = 3_000_000
# A frame must be better by so much to be copied in another's place, and one that cuts the mover off is worth less.
_BETTER: Final = 1.15
_CUT_OFF: Final = 0.6
_EDGE: Final = 0.012


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What moved, who says so, and how sure, 0 to 100; an unknown is as sure as 0."""

    kind: Kind
    by: By
    confidence: int

    def __post_init__(self) -> None:
        if not 0 <= self.confidence <= 100:  # noqa: PLR2004 - percent
            raise ValueError(f"a confidence of {self.confidence} is not within 0 to 100")


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Where the largest mover was at a moment."""

    at_us: int
    box: MotionBox


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Crop:
    """A mover and what is around it: uint8 (height, width), each at most CROP_PIXELS; `box` in fractions of it."""

    at_us: int
    worth: float
    box: MotionBox
    picture: Gray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Best:
    """What is known of an event's mover: up to three crops, the best first, and looks in order.

    `aspect` is the width of the camera's picture for a height of 1.
    """

    crops: tuple[Crop, ...]
    looks: tuple[Look, ...]
    aspect: float


class Labeller(Protocol):
    """Tells what moved. Never raises for a picture that it can't use: it says less, or asks the shape rule."""

    def label(self, best: Best) -> Label:
        """Return the label of an event; may take its time."""
        ...

    def rest(self) -> None:
        """Give back what it holds, since nothing came for a while; it may be asked again."""
        ...


class BestFrames:
    """Collects what shows an event's mover best; bounded, and cheap where a frame is no better than those it has."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything: a new event begins."""
        self._crops: list[Crop] = []
        self._looks: list[Look] = []
        self._every = 1
        self._seen = 0
        self._aspect = 1.0

    @property
    def ripe(self) -> bool:
        """Whether it is as good as it will soon get, so that an event needn't end to be labelled."""
        looks = self._looks
        return len(self._crops) == _MOST_CROPS and looks[-1].at_us - looks[0].at_us >= _RIPE_US

    def consider(self, reading: MotionReading, picture: Gray) -> None:
        """Take a reading of the event, and the luma it was made from, some 320 to 640 wide; copies what it keeps."""
        if not reading.active or not reading.boxes:
            return
        box = max((_inside(box) for box in reading.boxes), key=lambda box: box.width * box.height)
        if box.width <= 0 or box.height <= 0:
            return
        self._aspect = picture.shape[1] / picture.shape[0]
        self._look(Look(at_us=reading.at_us, box=box))
        worth = (box.width * box.height) ** 0.5 * (_CUT_OFF if _cut_off(box) else 1.0)
        place = self._place(worth, reading.at_us)
        if place is not None:
            crop = _cut(picture, box, worth=worth, at_us=reading.at_us)
            self._crops[place : place + 1] = [crop]

    def best(self) -> Best:
        """Return what there is so far; empty if nothing was active."""
        crops = sorted(self._crops, key=lambda crop: -crop.worth)
        return Best(crops=tuple(crops), looks=tuple(self._looks), aspect=self._aspect)

    def _place(self, worth: float, at_us: int) -> int | None:
        """Where a crop of this worth belongs: a new place, that of one which it beats, or none."""
        near = [number for number, crop in enumerate(self._crops) if abs(at_us - crop.at_us) < _APART_US]
        if not near and len(self._crops) < _MOST_CROPS:
            return len(self._crops)
        rival = min(near or range(len(self._crops)), key=lambda number: self._crops[number].worth)
        return rival if worth > _BETTER * self._crops[rival].worth else None

    def _look(self, look: Look) -> None:
        """Keep every look, then every second, every fourth: the whole event, evenly."""
        if self._seen % self._every == 0:
            self._looks.append(look)
        self._seen += 1
        if len(self._looks) == _MOST_LOOKS:
            del self._looks[1::2]
            self._every *= 2


def _inside(box: MotionBox) -> MotionBox:
    left, top = max(0.0, box.left), max(0.0, box.top)
    right, bottom = min(1.0, box.left + box.width), min(1.0, box.top + box.height)
    return MotionBox(left=left, top=top, width=right - left, height=bottom - top)


def _cut_off(box: MotionBox) -> bool:
    """Whether the picture's edge may hide a part of it. Below is where feet are: that edge doesn't count."""
    return box.left < _EDGE or box.top < _EDGE or box.left + box.width > 1 - _EDGE


def _cut(picture: Gray, box: MotionBox, *, worth: float, at_us: int) -> Crop:
    rows, columns = picture.shape
    left, top = box.left * columns, box.top * rows
    width, height = box.width * columns, box.height * rows
    upright = height >= width
    side = max(_LEAST_PIXELS, round(max(width, height) * (_AROUND_UPRIGHT if upright else _AROUND)))
    across, down = min(side, columns), min(side, rows)
    x = round(min(max(0.0, left + width / 2 - across / 2), columns - across))
    y = round(min(max(0.0, top + height / 2 - down * (0.5 + _HIGHER * upright)), rows - down))
    cut = picture[y : y + down, x : x + across]
    scale = min(1.0, CROP_PIXELS / max(cut.shape))
    if scale < 1:
        size = (max(1, round(across * scale)), max(1, round(down * scale)))
        cut = np.asarray(cv2.resize(cut, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    else:
        cut = cut.copy()
    within = MotionBox(left=(left - x) / across, top=(top - y) / down, width=width / across, height=height / down)
    return Crop(at_us=at_us, worth=worth, box=_inside(within), picture=cut)


# The shape rule. A camera at home hangs at 2 to 3 m; what stands on the ground is seen, for its distance below the
# horizon, the taller the taller it is: a person and a car some 0.4 to 1, a cat or a dog 0.1 to 0.4. Legs that move
# alone are neither slim nor long. Nothing alive at a door is three times as long as high.
_HORIZON: Final = 0.30
_LEAST_DEPTH: Final = 0.15
_LEAST_LOOKS: Final = 4
# So many of the looks must agree, and what isn't upright must come this far, in widths or heights of the picture.
_AGREEING: Final[dict[Kind, float]] = {"person": 0.65, "vehicle": 0.8, "animal": 0.8, "unknown": 2.0}
_LEAST_WAY: Final[dict[Kind, float]] = {"vehicle": 0.25, "animal": 0.15}
_PERSON_TALL, _PERSON_SLIM = (0.42, 1.8), (0.18, 0.78)
_ANIMAL_TALL, _ANIMAL_SLIM, _ANIMAL_MOST_AREA = (0.06, 0.42), (1.15, 2.4), 0.04
_CAR_TALL, _CAR_SLIM, _CAR_LEAST_AREA = (0.50, 1.8), (1.5, 2.9), 0.02
_LONG_TALL, _LONG_SLIM, _LONG_LEAST_AREA = (0.15, 0.6), (2.9, 5.5), 0.015
_MOST_CONFIDENCE: Final = 70


def shape_label(best: Best) -> Label:
    """Tell what moved from its boxes alone: proportions, size where it stands, and way. Unknown rather than wrong."""
    whole = [look.box for look in best.looks if not _cut_off(look.box)]
    if len(whole) < _LEAST_LOOKS:
        return Label(kind="unknown", by="shape", confidence=0)
    votes: dict[Kind, float] = {}
    for box in whole:
        kind = _shape(box, best.aspect)
        votes[kind] = votes.get(kind, 0.0) + 1 / len(whole)
    kind = max(votes, key=lambda one: votes[one])
    if votes[kind] < _AGREEING[kind] or _way(whole) < _LEAST_WAY.get(kind, 0.0):
        return Label(kind="unknown", by="shape", confidence=0)
    return Label(kind=kind, by="shape", confidence=round(_MOST_CONFIDENCE * votes[kind]))


def _shape(box: MotionBox, aspect: float) -> Kind:
    slimness = box.width * aspect / box.height
    depth = box.top + box.height - _HORIZON
    if depth < _LEAST_DEPTH:
        return "unknown"
    tallness, area = box.height / depth, box.width * box.height

    def fits(tall: tuple[float, float], slim: tuple[float, float]) -> bool:
        return tall[0] <= tallness <= tall[1] and slim[0] <= slimness <= slim[1]

    if fits(_PERSON_TALL, _PERSON_SLIM):
        return "person"
    if fits(_ANIMAL_TALL, _ANIMAL_SLIM) and area <= _ANIMAL_MOST_AREA:
        return "animal"
    car = fits(_CAR_TALL, _CAR_SLIM) and area >= _CAR_LEAST_AREA
    return "vehicle" if car or (fits(_LONG_TALL, _LONG_SLIM) and area >= _LONG_LEAST_AREA) else "unknown"


def _way(boxes: list[MotionBox]) -> float:
    """Return how far the middle came, in picture widths or heights, from the first looks to the last."""
    part = max(1, len(boxes) // 4)

    def middle(some: list[MotionBox]) -> tuple[float, float]:
        return (
            statistics.fmean(box.left + box.width / 2 for box in some),
            statistics.fmean(box.top + box.height / 2 for box in some),
        )

    (x0, y0), (x1, y1) = middle(boxes[:part]), middle(boxes[-part:])
    return max(abs(x1 - x0), abs(y1 - y0))
