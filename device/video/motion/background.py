"""What a picture looks like while nothing moves, and which pixels are not like that. Pure arithmetic on 8 bits.

Contrast is log luma minus its box mean, in steps of 1/41 of a factor of e, 128 being as light as its surroundings: what
light does to the whole neighbourhood is gone. A pixel has changed if its contrast lies outside the range of its
background, widened by one pixel in each direction, by more than a threshold that rises where the background is restless
by itself.
"""

from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from device.video.motion.settings import MotionSettings

Gray = NDArray[np.uint8]
Real = NDArray[np.float32]
Box = tuple[slice, slice]

# Sensor noise grows where luma is small, log luma's steps even more: the offset flattens them.
_OFFSET = 12.0
# 0 to 127, so that a difference of two fits into 8 bits.
_LIGHT: Gray = np.rint(
    127 * np.log((np.arange(256) + _OFFSET) / _OFFSET) / np.log((255 + _OFFSET) / _OFFSET)
).astype(np.uint8)  # fmt: skip
_CONTRAST_AGAINST_MEAN: Gray = _LIGHT + np.uint8(128)
_SQUARE = np.ones((3, 3), dtype=np.uint8)
_US_PER_S = 1_000_000

# Learning slower than this follows all that is slow, and costs a third.
_LEARN_EVERY_US = 200_000
# However long ago the last picture was, one picture teaches no more than so much of what it shows.
_MOST_BACKGROUND_RATE = 0.25
_MOST_RESTLESS_RATE = 0.08
# One leap teaches no more restlessness than this, in steps: somebody passing must not leave a blind spot.
_MOST_EXCESS = 40
# Pixels around a box, where its edges are.
_RIM = 3
# A change whose fine texture is less of it than this is light: beams and shadows are mostly below 0.20, people above
# 0.26, near and far.
_LEAST_ROUGHNESS = 0.20
# So is one whose texture is as alike as this to what was there, if there was one: its mean square in steps.
_SAME_TEXTURE = 0.85
_LEAST_TEXTURE = 4.0
# Seconds in which it learns after a sudden change.
_QUICK_S = 0.3


@dataclass(frozen=True, slots=True, eq=False)
class Background:
    """`mean` contrast and mean excess (`restless`), float32; `low` to `high`: the range of what has not changed."""

    mean: Real
    restless: Real
    low: Gray
    high: Gray
    learnt_us: int


def contrast_of(luma: Gray, settings: MotionSettings) -> Gray:
    """Contrast of a luma picture, uint8 (height, width)."""
    side = max(3, round(luma.shape[1] * settings.box_mean_share) | 1)
    mean = cv2.blur(cv2.LUT(luma, _LIGHT), (side, side), borderType=cv2.BORDER_REFLECT)
    return _gray(cv2.subtract(cv2.LUT(luma, _CONTRAST_AGAINST_MEAN), mean))


def first_background(contrast: Gray, at_us: int, *, known: Background | None, settings: MotionSettings) -> Background:
    """Begin from one picture; where the `known` background was restless, this one is."""
    keep = known is not None and known.restless.shape == contrast.shape
    restless = cast("Background", known).restless if keep else np.zeros(contrast.shape, dtype=np.float32)
    return _ranged(contrast.astype(np.float32), restless, at_us, settings)


def changed_pixels(background: Background, contrast: Gray) -> Gray:
    """How far each pixel lies outside its range; 0 where nothing has changed."""
    return _gray(
        cv2.bitwise_or(cv2.subtract(contrast, background.high), cv2.subtract(background.low, contrast))
    )  # fmt: skip


def learn(
    background: Background,
    contrast: Gray,
    at_us: int,
    *,
    moving: Gray | None,
    held: Gray | None,
    quick: bool,
    settings: MotionSettings,
) -> Background:
    """Follow a picture, if the last one followed is long enough ago; `background` itself when not.

    Masks, non-zero where: `moving`, pixels that changed; `held`, pixels of things that are being followed, which
    teach nothing.
    """
    passed_us = at_us - background.learnt_us
    if 0 <= passed_us < _LEARN_EVERY_US and not quick:
        return background
    step_s = max(0.0, passed_us / _US_PER_S)
    mean, restless = background.mean.copy(), background.restless.copy()
    usual = min(1.0, step_s / _QUICK_S) if quick else min(_MOST_BACKGROUND_RATE, step_s / settings.learn_s)
    slow = usual if quick else min(_MOST_BACKGROUND_RATE, step_s / settings.absorb_s)
    rises = min(0.5, step_s / _QUICK_S) if quick else min(_MOST_RESTLESS_RATE, step_s / settings.learn_s)
    # What is held teaches nothing at all: taught a little at its edges, the background would creep inwards.
    free = None if held is None else cv2.bitwise_not(held)
    still = free if moving is None else cv2.bitwise_not(moving if held is None else cv2.bitwise_or(moving, held))
    middle = cv2.convertScaleAbs(background.mean)
    over = cv2.subtract(contrast, cv2.dilate(middle, _SQUARE))
    excess = cv2.min(cv2.max(over, cv2.subtract(cv2.erode(middle, _SQUARE), contrast)), _MOST_EXCESS)  # type: ignore[call-overload]
    cv2.accumulateWeighted(contrast, mean, usual, still)
    if moving is not None:
        cv2.accumulateWeighted(contrast, mean, slow, moving if free is None else cv2.bitwise_and(moving, free))
    cv2.accumulateWeighted(excess, restless, rises, free)
    return _ranged(mean, restless, at_us, settings)


def absorb(background: Background, contrast: Gray, boxes: list[Box], settings: MotionSettings) -> Background:
    """Take what stands in these boxes for background from now on."""
    mean = background.mean.copy()
    for box in boxes:
        mean[box] = contrast[box]
    return _ranged(mean, background.restless, background.learnt_us, settings)


def has_edges(background: Background, contrast: Gray, changed: Gray, box: Box) -> bool:
    """Whether what changed within a box has edges or a texture of its own, as things have.

    Light adds something smooth to log luma, whatever lies under it. Where it was too dark to see much, light brings
    out what was there: the same texture, only stronger.
    """
    rows, columns = (slice(max(0, side.start - _RIM), side.stop + _RIM) for side in box)
    where = changed[rows, columns]
    around = _gray(cv2.dilate(cv2.compare(where, 0, cv2.CMP_GT), _SQUARE, iterations=2))  # type: ignore[call-overload]
    now, fine_now = _fine(contrast[rows, columns].astype(np.float32))
    was, fine_was = _fine(background.mean[rows, columns])
    amount = cv2.mean(cv2.absdiff(now, was), where)[0]
    if cv2.mean(cv2.absdiff(fine_now, fine_was), around)[0] < _LEAST_ROUGHNESS * amount:
        return False
    inside = around > 0
    fine_now, fine_was = fine_now[inside], fine_was[inside]
    power = float(fine_was @ fine_was)
    alike = float(fine_was @ fine_now) >= _SAME_TEXTURE * (power * float(fine_now @ fine_now)) ** 0.5
    return power < _LEAST_TEXTURE * fine_was.size or not alike


def _fine(image: Real) -> tuple[Real, Real]:
    """Return the image without the grain of single pixels, and its fine texture."""
    smooth = cv2.blur(image, (3, 3))
    return cast("Real", smooth), cast("Real", cv2.subtract(smooth, cv2.blur(smooth, (9, 9))))


def _ranged(mean: Real, restless: Real, at_us: int, settings: MotionSettings) -> Background:
    middle = cv2.convertScaleAbs(mean)
    margin = cv2.convertScaleAbs(restless, alpha=settings.restless_factor, beta=settings.threshold_contrast)
    low = _gray(cv2.subtract(cv2.erode(middle, _SQUARE), margin))
    high = _gray(cv2.add(cv2.dilate(middle, _SQUARE), margin))
    return Background(mean=mean, restless=restless, low=low, high=high, learnt_us=at_us)


def _gray(image: cv2.typing.MatLike) -> Gray:
    return cast("Gray", image)
