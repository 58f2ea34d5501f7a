"""Motion on a small luma picture: `(state, luma, at_us) -> (state, reading)`, pure: no clock, no chance, no decoder.

How it sees:

1. log luma by table, minus its box mean: what light does to the whole neighbourhood is gone, contrast remains;
2. how far that lies outside the background's range, each pixel's range being widened by one pixel in each direction,
   so that shake and sway cost nothing; beyond a threshold that rises where the background itself is restless;
3. blobs of what remains; blobs become a track if one grows out of the other's place. A track counts once it has come a
   net way and has not wandered to and fro. It then holds while something stands there, until the background has
   absorbed it;
4. a change of nearly everything at once is light, not somebody: the background is learnt anew, quietly.

A state holds arrays of its own; it is never changed in place.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

Gray = NDArray[np.uint8]
Real = NDArray[np.float32]

_LOG_SCALE = 46.0
_TABLE: Real = (_LOG_SCALE * np.log(np.arange(256, dtype=np.float32) + 12.0)).astype(np.float32)
_CROSS = np.ones((3, 3), dtype=np.uint8)
_US_PER_S = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class MotionSettings:
    """Shares are of the picture's width or area; contrast is in steps of log luma, some 45 to a factor of e."""

    box_mean_share: float = 0.19
    threshold_contrast: float = 5.0
    restless_factor: float = 3.0
    blob_area_share: float = 0.0020
    net_way_share: float = 0.06
    straightness: float = 0.45
    global_share: float = 0.42
    settle_s: float = 1.0
    learn_s: float = 3.0
    absorb_s: float = 40.0
    hold_s: float = 1.2


@dataclass(frozen=True, slots=True, kw_only=True)
class MotionBox:
    """Where something moves, in fractions of the picture."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MotionReading:
    """What was seen in one picture.

    `score`, 0 to 100, says how much of the picture moved and how far it came; 0 when nothing is active.
    """

    at_us: int
    active: bool
    score: int
    boxes: tuple[MotionBox, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Blob:
    x: float
    y: float
    left: int
    top: int
    width: int
    height: int
    area: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Track:
    """Something followed from where it was first seen; lengths in pixels of the small picture."""

    blob: _Blob
    start_x: float
    start_y: float
    path: float
    start_us: int
    seen_us: int
    moved_us: int
    confirmed: bool

    @property
    def net(self) -> float:
        return float(np.hypot(self.blob.x - self.start_x, self.blob.y - self.start_y))


@dataclass(frozen=True, slots=True, eq=False)
class MotionState:
    """What is remembered of the pictures before; made by `read_motion` alone, start with `MotionState()`."""

    background: Real | None = None
    restless: Real | None = None
    tracks: tuple[_Track, ...] = ()
    quiet_until_us: int = 0
    last_us: int = 0
    settings: MotionSettings = field(default_factory=MotionSettings)


def shrink(luma: Gray, *, width: int = 160) -> Gray:
    """Halve a luma plane until one more halving would be narrower than `width`; a view of the same if none is due."""
    while luma.shape[1] >= 2 * width and luma.shape[0] >= 2:  # noqa: PLR2004 - a row has to remain
        size = (luma.shape[1] // 2, luma.shape[0] // 2)
        # Two pixels to one exactly: OpenCV has a quick path for it.
        even = luma[: size[1] * 2, : size[0] * 2]
        luma = np.asarray(cv2.resize(even, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return luma


def read_motion(state: MotionState, luma: Gray, at_us: int) -> tuple[MotionState, MotionReading]:
    """Look at one small luma picture, uint8 (height, width), some 160 to 320 wide.

    Gives the next state, and what was seen.
    """
    settings = state.settings
    contrast = _contrast(luma, settings)
    known = state.background
    if known is None or state.restless is None or known.shape != contrast.shape:
        return _fresh(state, contrast, at_us), MotionReading(at_us=at_us, active=False, score=0)
    step_s = min(1.0, max(0.0, (at_us - state.last_us) / _US_PER_S))
    excess = np.maximum(contrast - cv2.dilate(known, _CROSS), cv2.erode(known, _CROSS) - contrast)
    np.maximum(excess, 0, out=excess)
    threshold = state.restless * settings.restless_factor + settings.threshold_contrast
    mask = cv2.medianBlur((excess > threshold).astype(np.uint8), 3)
    if float(mask.mean()) > settings.global_share:
        return _fresh(state, contrast, at_us), MotionReading(at_us=at_us, active=False, score=0)
    blobs = _blobs(mask, least=settings.blob_area_share * mask.size)
    settling = at_us < state.quiet_until_us
    tracks = () if settling else _follow(state.tracks, blobs, at_us, width=mask.shape[1], settings=settings)
    held = _held(tracks, mask)
    following = MotionState(
        background=_learn(known, contrast, mask, step_s, quick=settling, settings=settings),
        restless=_learn_restless(state.restless, excess, held, step_s, quick=settling, settings=settings),
        tracks=tracks,
        quiet_until_us=state.quiet_until_us,
        last_us=at_us,
        settings=settings,
    )
    return following, _reading(tracks, at_us, mask.shape)


def _contrast(luma: Gray, settings: MotionSettings) -> Real:
    light = cv2.LUT(luma, _TABLE)
    side = max(3, round(luma.shape[1] * settings.box_mean_share) | 1)
    return np.asarray(light - cv2.blur(light, (side, side), borderType=cv2.BORDER_REFLECT), dtype=np.float32)


def _fresh(state: MotionState, contrast: Real, at_us: int) -> MotionState:
    """Begin again from this picture, quiet for a while; what was known to be restless stays so."""
    keep = state.restless is not None and state.restless.shape == contrast.shape
    restless = state.restless if keep else np.zeros_like(contrast)
    return MotionState(
        background=contrast,
        restless=restless,
        quiet_until_us=at_us + round(state.settings.settle_s * _US_PER_S),
        last_us=at_us,
        settings=state.settings,
    )


def _blobs(mask: Gray, *, least: float) -> list[_Blob]:
    if not cv2.countNonZero(mask):
        return []
    # Legs and head of a distant person come apart: close small gaps before counting.
    joined = cv2.dilate(mask, _CROSS)
    count, _, stats, centres = cv2.connectedComponentsWithStats(joined, connectivity=8)
    found: list[_Blob] = []
    for number in range(1, count):
        left, top, width, height, area = (int(value) for value in stats[number])
        if area >= least * 1.5:
            x, y = (float(value) for value in centres[number])
            found.append(_Blob(x=x, y=y, left=left, top=top, width=width, height=height, area=area))
    return sorted(found, key=lambda blob: -blob.area)[:12]


def _follow(
    tracks: tuple[_Track, ...], blobs: list[_Blob], at_us: int, *, width: int, settings: MotionSettings
) -> tuple[_Track, ...]:
    """Give each blob to the nearest track that it could belong to, oldest tracks first; the rest begin tracks."""
    free = list(blobs)
    out: list[_Track] = []
    for track in sorted(tracks, key=lambda track: (not track.confirmed, track.start_us)):
        near = [blob for blob in free if _touches(track.blob, blob, slack=width * 0.03)]
        if near:
            blob = min(near, key=lambda b: abs(b.x - track.blob.x) + abs(b.y - track.blob.y) - 0.02 * b.area)
            free.remove(blob)
            out.append(_moved(track, blob, at_us, width=width, settings=settings))
        elif at_us - track.seen_us <= settings.hold_s * _US_PER_S:
            out.append(track)
    out += [
        _Track(
            blob=blob, start_x=blob.x, start_y=blob.y, path=0.0,
            start_us=at_us, seen_us=at_us, moved_us=at_us, confirmed=False,
        )
        for blob in free
    ]  # fmt: skip
    return tuple(out[:16])


def _touches(a: _Blob, b: _Blob, *, slack: float) -> bool:
    apart_x = max(a.left, b.left) - min(a.left + a.width, b.left + b.width)
    apart_y = max(a.top, b.top) - min(a.top + a.height, b.top + b.height)
    return apart_x <= slack and apart_y <= slack


def _moved(track: _Track, blob: _Blob, at_us: int, *, width: int, settings: MotionSettings) -> _Track:
    way = float(np.hypot(blob.x - track.blob.x, blob.y - track.blob.y))
    # The centre of a blob trembles by itself; only what exceeds that is way.
    path = track.path + max(0.0, way - 0.3)
    net = float(np.hypot(blob.x - track.start_x, blob.y - track.start_y))
    lasted = at_us - track.start_us >= 0.25 * _US_PER_S
    confirmed = track.confirmed or (
        lasted and net >= settings.net_way_share * width and net >= settings.straightness * path
    )
    moved_us = at_us if way > 0.3 else track.moved_us  # noqa: PLR2004 - the same tremble
    return _Track(
        blob=blob, start_x=track.start_x, start_y=track.start_y, path=path,
        start_us=track.start_us, seen_us=at_us, moved_us=moved_us, confirmed=confirmed,
    )  # fmt: skip


def _held(tracks: tuple[_Track, ...], mask: Gray) -> Gray:
    """Where confirmed tracks are: there the background must not call itself restless."""
    held = np.zeros_like(mask)
    for track in tracks:
        if track.confirmed:
            blob = track.blob
            held[blob.top : blob.top + blob.height, blob.left : blob.left + blob.width] = 1
    return held


def _learn(known: Real, contrast: Real, mask: Gray, step_s: float, *, quick: bool, settings: MotionSettings) -> Real:
    usual = min(1.0, step_s / (0.3 if quick else settings.learn_s))
    slow = min(1.0, step_s / (0.3 if quick else settings.absorb_s))
    rate = np.where(cv2.dilate(mask, _CROSS) > 0, np.float32(slow), np.float32(usual))
    return np.asarray(known + rate * (contrast - known), dtype=np.float32)


def _learn_restless(
    restless: Real, excess: Real, held: Gray, step_s: float, *, quick: bool, settings: MotionSettings
) -> Real:
    rate = min(1.0, step_s / (0.5 if quick else settings.learn_s))
    following = restless + np.float32(rate) * (excess - restless)
    return np.asarray(np.where(held > 0, restless, following), dtype=np.float32)


def _reading(tracks: tuple[_Track, ...], at_us: int, shape: tuple[int, ...]) -> MotionReading:
    rows, columns = shape[:2]
    shown = [track for track in tracks if track.confirmed]
    if not shown:
        return MotionReading(at_us=at_us, active=False, score=0)
    boxes = tuple(
        MotionBox(
            left=track.blob.left / columns,
            top=track.blob.top / rows,
            width=track.blob.width / columns,
            height=track.blob.height / rows,
        )
        for track in shown
    )
    area = sum(track.blob.area for track in shown) / (rows * columns)
    way = max(track.net for track in shown) / columns
    score = round(100 * min(1.0, 0.25 + 0.4 * min(1.0, area / 0.06) + 0.35 * min(1.0, way / 0.25)))
    return MotionReading(at_us=at_us, active=True, score=score, boxes=boxes)
