"""What films are tried with: settings without a pace, and waiting for what a film does."""

import time
from collections.abc import Callable

from device.video.film import Film
from device.video.film_settings import FilmSettings
from device.video.recorder import RecorderSettings
from device.video.source.capture import SourceSpec

CAMERA = SourceSpec(kind="rtsp", location="rtsp://camera/")


FAST = FilmSettings(speed=0)


CONTINUOUS = FilmSettings(speed=0, recorder=RecorderSettings(mode="continuous"), retry_first_s=1, retry_most_s=8)


def filmed(film: Film, *, within_s: float = 30) -> None:
    """Film to the end, and let go."""
    film.start()
    assert film.join(within_s)
    film.stop()
    assert film.join(within_s)


def until(true: Callable[[], bool], *, within_s: float = 10) -> None:
    """Wait for something another thread does."""
    end = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.002)
