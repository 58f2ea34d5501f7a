"""What is hidden is gone: nothing of it reaches an encoder."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

from device.video.codec.encoder import Encoder, EncoderSettings
from device.video.packets import Codec
from device.video.redact.hiding import BLOCK, CHROMA, LUMA, hide, pixels_of
from device.video.redact.regions import Box
from tests.redact.test_regions import boxes

WIDTH, HEIGHT = 160, 96
Plane = NDArray[np.uint8]


def planes_of(i420: Plane) -> tuple[Plane, Plane, Plane]:
    chroma = i420[HEIGHT:].reshape(2, HEIGHT // 2, WIDTH // 2)
    return i420[:HEIGHT], chroma[0], chroma[1]


def noise(seed: int) -> Plane:
    return np.random.default_rng(seed).integers(0, 256, (HEIGHT * 3 // 2, WIDTH)).astype(np.uint8)


@given(boxes)
def test_a_box_is_flat_in_all_planes_and_the_rest_is_untouched(box: Box) -> None:
    """Every pixel that the box touches, in whole blocks, has one colour; no other pixel changed."""
    before, after = noise(1), noise(1)
    count = hide(planes_of(after), [box])
    pixels = pixels_of(box, width=WIDTH, height=HEIGHT)
    assert count == (pixels is not None)
    left, top, right, bottom = pixels or (0, 0, 0, 0)
    assert all(edge % BLOCK == 0 for edge in (left, top, right, bottom))
    for number, (plane, was) in enumerate(zip(planes_of(after), planes_of(before), strict=True)):
        by = 2 if number else 1
        mask = np.zeros(plane.shape, bool)
        mask[top // by : bottom // by, left // by : right // by] = True
        assert (plane[mask] == (CHROMA if number else LUMA)).all()
        assert (plane[~mask] == was[~mask]).all()
    if pixels:
        assert left <= max(0.0, box.x) * WIDTH
        assert right >= min(1.0, box.x + box.width) * WIDTH - 1e-9


@pytest.mark.parametrize("codec", ["h264", "vp9"])
def test_two_films_that_differ_under_the_box_alone_become_the_same_bytes(codec: Codec) -> None:
    """So nothing of what was under it can be learnt from the file, by whatever means."""
    box = Box(0.2, 0.3, 0.4, 0.3)
    left, top, right, bottom = pixels_of(box, width=WIDTH, height=HEIGHT) or (0, 0, 0, 0)
    made = []
    for variant in range(2):
        encoder = Encoder(width=WIDTH, height=HEIGHT, fps=Fraction(15), settings=EncoderSettings(codec=codec))
        units = []
        for number in range(20):
            i420 = noise(number)
            other = noise(1_000 * variant + number)
            for plane, source in zip(planes_of(i420), planes_of(other), strict=True):
                by = HEIGHT // plane.shape[0]
                part = (slice(top // by, bottom // by), slice(left // by, right // by))
                plane[part] = source[part]
            hide(planes_of(i420), [box])
            units.append(encoder.encode(i420, ticks=number * 6_000).data)
        made.append(units)
    assert made[0] == made[1]
