"""The filmstrip: keyframes alone, small, at their times."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from device.video.errors import BitstreamError
from device.video.packets import AccessUnit, Codec
from device.video.redact.strip import filmstrip
from tests.video.support import coded, segments_of


@pytest.mark.parametrize("codec", ["h264", "vp9"])
def test_a_strip_has_the_keyframes_at_their_times(codec: Codec) -> None:
    """One picture for each second of a film that has a keyframe each second, each as it looks there."""
    segments = segments_of(coded(90, codec=codec))
    strip = filmstrip(segments)
    assert [at_us for at_us, _ in strip] == [segment.start_us for segment in segments]
    for number, (_, data) in enumerate(strip):
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
        assert image is not None
        assert image.shape == (72, 120)
        bright = np.nonzero(image > 190)[1]
        assert bright.mean() == pytest.approx((number * 45 % 140 + 10) * 120 / 160, abs=2)


def test_a_long_film_has_an_even_choice() -> None:
    """No more than asked for, from the first on, evenly."""
    segments = segments_of(coded(90))
    strip = filmstrip(segments, height=36, most=3)
    assert [at_us for at_us, _ in strip] == [segments[number].start_us for number in (0, 2, 4)]


def test_a_film_whose_format_changes_has_a_strip() -> None:
    """Each part is decoded by its own codec."""
    other = segments_of(coded(30, codec="vp9"))
    film = segments_of(coded(30))
    later = [replace(one, start_us=one.start_us + 10_000_000) for one in other]
    assert len(filmstrip([*film, *later])) == len(film) + len(later)


def test_no_film_is_no_strip_and_a_damaged_keyframe_is_told() -> None:
    """Nothing comes of nothing."""
    assert filmstrip([]) == []
    first = segments_of(coded(30))[0]
    with pytest.raises(BitstreamError):
        filmstrip([replace(first, units=(AccessUnit(0, 0, keyframe=True, data=b"\0\0\0\x02\x65\xff"),))])
