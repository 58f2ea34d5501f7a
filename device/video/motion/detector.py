"""Motion on a small luma picture: `(state, luma, at_us) -> (state, reading)`, pure: no clock, no chance, no decoder.

How it sees:

1. `background`: which pixels differ from what they usually are by more than they usually do, light set aside;
2. `tracks`: blobs of those, followed; one that comes a net way is somebody, and is held while standing still;
3. a change of nearly everything at once is light, not somebody: the background is learnt anew, quietly.

Pictures may come at any pace: every one, or keyframes some seconds apart with a few in a row now and then. A state says
what pace it would like: `stirring`, something may be beginning; `holding`, somebody is there and sure. A state holds
arrays of its own and is never changed in place, so that a caller may go back to one.
"""

from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from device.video.motion.background import (
    Background,
    absorb,
    changed_pixels,
    contrast_of,
    first_background,
    has_edges,
    learn,
)
from device.video.motion.reading import (
    Grounds,
    MotionBox,
    MotionReading,
    MotionTrack,
    Quiet,
    quiet_reading,
    reading_of,
)
from device.video.motion.settings import MotionSettings
from device.video.motion.tracks import (
    Blob,
    Track,
    confirmed,
    find_blobs,
    follow,
    judged,
    on_its_way,
    promising,
    restarted,
)
from device.video.zones import zone_mask

__all__ = ["MotionBox", "MotionReading", "MotionSettings", "MotionState", "MotionTrack", "read_motion", "shrink"]

Gray = NDArray[np.uint8]

_US_PER_S = 1_000_000
# In a picture with a side shorter than this nothing could be told from anything.
_LEAST_SIDE = 8
# So many new blobs within one picture time are a shaken camera or a flash, not so many people.
_LEAPT_BLOBS = 6
_LEAPT_US = 500_000
# The background's restlessness has to be seen for so long before pictures may be left out.
_GETS_TO_KNOW_US = 3_000_000


@dataclass(frozen=True, slots=True, eq=False)
class MotionState:
    """What is remembered of the pictures before; made by `read_motion` alone, start with `MotionState()`."""

    background: Background | None = None
    tracks: tuple[Track, ...] = ()
    since_us: int = 0
    quiet_until_us: int = 0
    last_us: int = 0
    open: Gray | None = None
    settings: MotionSettings = field(default_factory=MotionSettings)

    @property
    def stirring(self) -> bool:
        """Whether something may be beginning, or the picture isn't known yet: every frame is wanted."""
        if self.background is None or self.last_us - self.since_us < _GETS_TO_KNOW_US:
            return True
        if self.holding:
            return False
        width = self.background.low.shape[1]
        return any(promising(track, self.last_us, width=width, settings=self.settings) for track in self.tracks)

    @property
    def holding(self) -> bool:
        """Whether somebody is there and sure: a few frames now and then tell how long."""
        return any(track.confirmed for track in self.tracks)


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
    if min(luma.shape) < _LEAST_SIDE:
        return state, quiet_reading(at_us, "picture too small")
    if at_us < state.last_us:
        state = _set_back(state, at_us)
    contrast = contrast_of(luma, settings)
    known = state.background
    if known is None or known.low.shape != contrast.shape:
        return _begun(state, contrast, at_us), quiet_reading(at_us, "first picture")
    changed = changed_pixels(known, contrast)
    ignored_share, looked_at = 0.0, changed.size
    if state.open is not None:
        looked_at = cv2.countNonZero(state.open)
        every = cv2.countNonZero(changed)
        changed = np.asarray(cv2.bitwise_and(changed, state.open), dtype=np.uint8)
        ignored_share = (every - cv2.countNonZero(changed)) / changed.size
    least = settings.blob_area_share * changed.size
    moving = _moving(changed, least)
    if moving is not None and cv2.countNonZero(moving) > settings.global_share * looked_at:
        return _begun(state, contrast, at_us), quiet_reading(at_us, "light changed everywhere")
    settling = at_us < state.quiet_until_us
    blobs, small = find_blobs(moving, least=least) if moving is not None and not settling else ([], [])
    tracks, quiet = _followed(state, blobs, small, at_us, shape=contrast.shape)
    if settling:
        tracks, quiet = (), "settling"
    tracks = tuple(_considered(track, known, contrast, changed, settings) for track in tracks)
    still = [track for track in tracks if _stood_too_long(track, at_us, settings)]
    background = learn(
        known, contrast, at_us,
        moving=moving, held=_held(tracks, contrast.shape, settings), quick=settling, settings=settings,
    )  # fmt: skip
    if still:
        background = absorb(background, contrast, [track.blob.box for track in still], settings)
        tracks = tuple(track for track in tracks if track not in still)
    following = MotionState(background, tracks, state.since_us, state.quiet_until_us, at_us, state.open, settings)
    grounds = Grounds(tracks=tracks, small=tuple(small), shape=contrast.shape, settings=settings)
    return following, reading_of(at_us, quiet, ignored_share, grounds)


def _set_back(state: MotionState, at_us: int) -> MotionState:
    """Return the state as if its last picture had been now, where time ran back."""
    ahead_us = state.last_us - at_us
    return replace(
        state,
        tracks=restarted(state.tracks, at_us),
        since_us=state.since_us - ahead_us,
        quiet_until_us=state.quiet_until_us - ahead_us,
        last_us=at_us,
    )


def _begun(state: MotionState, contrast: Gray, at_us: int) -> MotionState:
    """Begin again from this picture, quiet for a while; what was known to be restless stays so."""
    settings, known = state.settings, state.background
    height, width = contrast.shape
    zones = None
    if settings.ignore:
        zones = np.asarray(cv2.bitwise_not(zone_mask(settings.ignore, width=width, height=height)), dtype=np.uint8)
    return MotionState(
        background=first_background(contrast, at_us, known=known, settings=settings),
        since_us=at_us,
        quiet_until_us=at_us + round(settings.settle_s * _US_PER_S),
        last_us=at_us,
        open=zones,
        settings=settings,
    )


def _moving(changed: Gray, least: float) -> Gray | None:
    """Pixels that changed together with their neighbours, 255; None if they can't make up a blob."""
    if cv2.countNonZero(changed) < least / 2:
        return None
    moving = cv2.medianBlur(cv2.compare(changed, 0, cv2.CMP_GT), 3)  # type: ignore[call-overload]
    return np.asarray(moving, dtype=np.uint8) if cv2.countNonZero(moving) else None


def _followed(
    state: MotionState, blobs: list[Blob], small: list[Blob], at_us: int, *, shape: tuple[int, int]
) -> tuple[tuple[Track, ...], Quiet | None]:
    gap_us = at_us - state.last_us
    if not state.tracks and not blobs:
        return (), None
    tracks = follow(state.tracks, blobs, small, at_us, gap_us=gap_us, shape=shape, settings=state.settings)
    new = sum(track.start_us == at_us and track.seen == 1 for track in tracks)
    if new >= _LEAPT_BLOBS and gap_us < _LEAPT_US:
        return tuple(track for track in tracks if track.start_us != at_us), "everything leapt"
    return tracks, None


def _considered(track: Track, known: Background, contrast: Gray, changed: Gray, settings: MotionSettings) -> Track:
    """Look closer at a track that comes a way, and confirm it if there is nothing against it."""
    width = contrast.shape[1]
    if track.confirmed or track.missed or not on_its_way(track, width=width, settings=settings):
        return track
    track = judged(track, sharp=has_edges(known, contrast, changed, track.blob.box))
    return confirmed(track) if track.why(width=width, settings=settings) is None else track


def _stood_too_long(track: Track, at_us: int, settings: MotionSettings) -> bool:
    return track.confirmed and at_us - track.moved_us > settings.still_s * _US_PER_S


def _held(tracks: tuple[Track, ...], shape: tuple[int, ...], settings: MotionSettings) -> Gray | None:
    """Where confirmed tracks are, and what they lend their contrast to: there the background must learn nothing."""
    held = None
    around = round(shape[1] * settings.box_mean_share / 2)
    for track in tracks:
        if track.confirmed:
            if held is None:
                held = np.zeros(shape, dtype=np.uint8)
            rows, columns = (slice(max(0, side.start - around), side.stop + around) for side in track.blob.box)
            held[rows, columns] = 255
    return held
