"""Blobs of what moves, followed from picture to picture. Lengths are in pixels of the small picture.

A track is confirmed once it has come a net way, sideways or in size, and has not wandered to and fro. It is held while
something stands there, until it has been still for `still_s`.
"""

import math
from dataclasses import dataclass, replace
from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from device.video.motion.settings import MotionSettings

Gray = NDArray[np.uint8]
Why = Literal["new", "flickers", "has come no way", "wanders", "too fast", "is light", "too small"]

_SQUARE = np.ones((3, 3), dtype=np.uint8)
_US_PER_S = 1_000_000

# The centre of a blob trembles by itself, in pixels; only what exceeds that is way.
_TREMBLE: Final = 0.3
# Once it is this far from where it stood, in pixels, it has moved.
_STIRRED: Final = 1.5
# Seen at least so often, and over so long, before it counts.
_LEAST_SEEN: Final = 3
_LEAST_US: Final = 400_000
# In this share of the looks; what is fast, in own lengths a second, has to be seen more steadily.
_LEAST_SHARE: Final = 0.5
_LEAST_SHARE_FAST: Final = 0.75
_FAST: Final = 1.5
# Who runs comes three times its own length in a second, and so does a car in town; what is faster is near the lens.
_TOO_FAST: Final = 3.0
# But what flies near the lens keeps no straight way for long: in widths, net way over path, microseconds. Of a dark car
# at night there may be no more to be seen than a wheel.
_FAR: Final = 0.25
_STRAIGHT: Final = 0.75
_LONG_US: Final = 800_000
# Looks at which it had the edges of a thing, and how often it may have been smooth as light for each of those.
_LEAST_SHARP: Final = 2
_SOFT_PER_SHARP: Final = 0.5
# A size that leaps by more than this from one picture to the next is two blobs that merged, not one that grew.
_GROWS_BY: Final = 1.3
# How much of the picture's width a thing may come in a second between looks, and at most: while it is held, before.
_HELD_REACH_PER_S: Final = 0.35
_HELD_REACH: Final = 0.5
_REACH_PER_S: Final = 0.15
_REACH: Final = 0.12
# Blobs this near, in widths, belong together however soon the next picture comes.
_SLACK: Final = 0.03
# Looks without it before it is gone, however long ago it was seen.
_LEAST_MISSED: Final = 4
# While young, a track may become anything.
_YOUNG_US: Final = 1_500_000
# What has this share of the area that counts may go on with a track.
_FAINT: Final = 0.5
_MOST_BLOBS = 12
_MOST_TRACKS = 16
# Dilating by one pixel makes a small blob half as large again.
_DILATED = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """Connected pixels that changed: centre, box and area."""

    x: float
    y: float
    left: int
    top: int
    width: int
    height: int
    area: int

    @property
    def box(self) -> tuple[slice, slice]:
        """Rows and columns."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """Something followed from where it was first seen; `size` is the root of its area."""

    blob: Blob
    start_x: float
    start_y: float
    start_size: float
    start_us: int
    path: float = 0.0
    seen: int = 1
    looks: int = 1
    missed: int = 0
    seen_us: int
    rest_x: float
    rest_y: float
    moved_us: int
    confirmed_us: int | None = None
    sharp: int = 0
    soft: int = 0

    @property
    def confirmed(self) -> bool:
        """Whether it is somebody or something, and not just a change."""
        return self.confirmed_us is not None

    @property
    def net(self) -> float:
        """How far it is from where it was first seen, coming nearer counting as a way."""
        size = math.sqrt(self.blob.area) - self.start_size
        return math.hypot(self.blob.x - self.start_x, self.blob.y - self.start_y, size)

    def why(self, *, width: int, settings: MotionSettings) -> Why | None:
        """Tell why it isn't confirmed yet; None if it is, or could be."""
        if self.confirmed:
            return None
        speed = self._speed
        against: tuple[tuple[Why, bool], ...] = (
            ("new", self.seen < _LEAST_SEEN or self.seen_us - self.start_us < _LEAST_US),
            ("flickers", self.seen < (_LEAST_SHARE if speed < _FAST else _LEAST_SHARE_FAST) * self.looks),
            ("has come no way", self.net < settings.net_way_share * width),
            ("wanders", self.net < settings.straightness * self.path),
            ("too fast", speed > _TOO_FAST and not self._keeps_its_way(width)),
            ("is light", self.sharp < _LEAST_SHARP or self.soft > _SOFT_PER_SHARP * self.sharp),
        )
        return next((why for why, holds in against if holds), None)

    def _keeps_its_way(self, width: int) -> bool:
        long = self.seen_us - self.start_us >= _LONG_US
        return long and self.net >= _FAR * width and self.net >= _STRAIGHT * self.path

    @property
    def _speed(self) -> float:
        """Its path in own lengths a second."""
        length, passed_us = max(self.blob.width, self.blob.height), max(1, self.seen_us - self.start_us)
        return self.path / length * _US_PER_S / passed_us


def find_blobs(moving: Gray, *, least: float) -> tuple[list[Blob], list[Blob]]:
    """Return blobs of at least so many pixels, the largest first, and those that are too small, likewise."""
    # Legs and head of a distant person come apart: close small gaps before counting.
    joined = cv2.dilate(moving, _SQUARE)
    left, top, width, height = cv2.boundingRect(joined)
    part = joined[top : top + height, left : left + width]
    _, _, stats, centres = cv2.connectedComponentsWithStats(part, connectivity=8)
    found: list[Blob] = []
    small: list[Blob] = []
    for row, (x, y) in zip(stats[1:].tolist(), centres[1:].tolist(), strict=True):
        blob = Blob(
            x=x + left, y=y + top, left=row[0] + left, top=row[1] + top, width=row[2], height=row[3], area=row[4]
        )
        (found if blob.area >= least * _DILATED else small).append(blob)
    for blobs in (found, small):
        blobs.sort(key=lambda blob: -blob.area)
    return found[:_MOST_BLOBS], small[:_MOST_BLOBS]


def follow(
    tracks: tuple[Track, ...],
    blobs: list[Blob],
    small: list[Blob],
    at_us: int,
    *,
    gap_us: int,
    shape: tuple[int, int],
    settings: MotionSettings,
) -> tuple[Track, ...]:
    """Give each blob to the nearest track that it could belong to, confirmed and older ones first; the rest begin.

    Of the `small` ones the larger may go on with a track, and begin none.
    """
    free = list(blobs)
    out: list[Track] = []
    gap_s, width = gap_us / _US_PER_S, shape[1]
    least = settings.blob_area_share * shape[0] * width * _DILATED
    faint = [blob for blob in small if blob.area >= _FAINT * least]
    reach = width * max(_SLACK, min(_REACH, _REACH_PER_S * gap_s))
    held_reach = width * max(_SLACK, min(_HELD_REACH, _HELD_REACH_PER_S * gap_s))
    for track in sorted(tracks, key=lambda track: (not track.confirmed, track.start_us)):
        so_far = held_reach if track.confirmed else reach
        blob = _nearest(track, free, so_far) or _nearest(track, faint, so_far)
        if blob is not None:
            out.append(_moved(track, blob, at_us))
        elif track.missed + 1 < _LEAST_MISSED or at_us - track.seen_us <= settings.hold_s * _US_PER_S:
            out.append(replace(track, missed=track.missed + 1, looks=track.looks + 1))
    out += [
        Track(
            blob=blob, start_x=blob.x, start_y=blob.y, start_size=math.sqrt(blob.area), start_us=at_us,
            seen_us=at_us, rest_x=blob.x, rest_y=blob.y, moved_us=at_us,
        )
        for blob in free
    ]  # fmt: skip
    return tuple(out[:_MOST_TRACKS])


def confirmed(track: Track) -> Track:
    """Return the track as one that counts from now on."""
    return replace(track, confirmed_us=track.seen_us)


def judged(track: Track, *, sharp: bool) -> Track:
    """Return the track after one more look at whether it has the edges of a thing."""
    return replace(track, sharp=track.sharp + sharp, soft=track.soft + (not sharp))


def promising(track: Track, at_us: int, *, width: int, settings: MotionSettings) -> bool:
    """Whether it may be confirmed soon: it is new, or on a straight way."""
    if track.confirmed:
        return False
    if at_us - track.start_us <= _YOUNG_US:
        return True
    return on_its_way(track, width=width, settings=settings) and track.net >= settings.straightness * track.path


def on_its_way(track: Track, *, width: int, settings: MotionSettings) -> bool:
    """Whether it has come half the way it has to come."""
    return track.net >= settings.net_way_share * width / 2


def restarted(tracks: tuple[Track, ...], at_us: int) -> tuple[Track, ...]:
    """Return the tracks after time ran back: what is confirmed stays and is as new, the rest is forgotten."""
    return tuple(
        replace(track, start_us=at_us, seen_us=at_us, moved_us=at_us, confirmed_us=at_us)
        for track in tracks
        if track.confirmed
    )


def _nearest(track: Track, among: list[Blob], so_far: float) -> Blob | None:
    """Take the blob out of `among` that the track most likely has become, if any."""
    near = [blob for blob in among if _apart(track.blob, blob) <= so_far]
    if not near:
        return None
    blob = min(near, key=lambda b: _unlike(track.blob, b))
    among.remove(blob)
    return blob


def _apart(a: Blob, b: Blob) -> int:
    across = max(a.left, b.left) - min(a.left + a.width, b.left + b.width)
    down = max(a.top, b.top) - min(a.top + a.height, b.top + b.height)
    return max(across, down)


def _unlike(a: Blob, b: Blob) -> float:
    return abs(b.x - a.x) + abs(b.y - a.y) - 0.02 * b.area


def _moved(track: Track, blob: Blob, at_us: int) -> Track:
    before, after = math.sqrt(track.blob.area), math.sqrt(blob.area)
    x, y, size = blob.x - track.blob.x, blob.y - track.blob.y, after - before
    # What merged or came apart has not moved: its start leaps with it.
    leapt = not 1 / _GROWS_BY < after / before < _GROWS_BY
    stirred = math.hypot(blob.x - track.rest_x, blob.y - track.rest_y) > _STIRRED
    return replace(
        track,
        blob=blob,
        start_x=track.start_x + (x if leapt else 0.0),
        start_y=track.start_y + (y if leapt else 0.0),
        start_size=track.start_size + (size if leapt else 0.0),
        path=track.path + (0.0 if leapt else max(0.0, math.hypot(x, y, size) - _TREMBLE)),
        seen=track.seen + 1,
        looks=track.looks + 1,
        missed=0,
        seen_us=at_us,
        rest_x=blob.x if stirred else track.rest_x,
        rest_y=blob.y if stirred else track.rest_y,
        moved_us=at_us if stirred else track.moved_us,
    )
