"""What a camera's pictures are dated, by a clock that a test moves."""

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.video.packets import ticks_from_us
from device.video.source.dating import LiveDating
from device.video.source.timeline import Timeline
from tests.video.support import START_US

FRAME_US = 66_667


@dataclass
class Time:
    """A steady clock, and a wall clock that may be set."""

    steady: int = 5_000_000
    ahead: int = START_US

    def steady_us(self) -> int:
        return self.steady

    def now_us(self) -> int:
        return self.steady + self.ahead

    def wait(self, wake: threading.Event, seconds: float) -> None:
        raise NotImplementedError


class Camera:
    """A camera with a clock of its own, `rate` times as fast as ours; each picture is dated as it comes."""

    def __init__(self, *, rate: float = 1.0) -> None:
        self.time = Time()
        self.dating = LiveDating(self.time, steady_us=self.time.steady_us)
        self.dated_us: list[int] = []
        self._rate = rate
        self._media_us = 0.0
        self._taken_us = self.time.steady
        self._errors: list[int] = []

    def sleep(self, us: int) -> None:
        """Take no pictures for a while, and have a clock that stands still meanwhile."""
        self._taken_us += us

    def film(self, frames: int, *, delays_us: Iterable[int] = ()) -> None:
        """Take so many pictures; each comes after its delay, and never before the one before it."""
        delays = iter(delays_us)
        for _ in range(frames):
            self._media_us += FRAME_US * self._rate
            self._taken_us += FRAME_US
            self.time.steady = max(self.time.steady, self._taken_us + next(delays, 0))
            ticks = ticks_from_us(round(self._media_us))
            self.dated_us.append(self.dating.wall(ticks, ticks))
            self._errors.append(self.dated_us[-1] - self._taken_us - self.time.ahead)

    def errors(self) -> list[int]:
        return self._errors


@pytest.mark.parametrize("rate", [1.0, 1.001, 0.999, 1.01, 0.99])
def test_a_clock_that_drifts_is_followed_gently(rate: float) -> None:
    """Over ten minutes a clock up to one in a hundred off stays within 200 ms of ours, by steps that nobody sees."""
    camera = Camera(rate=rate)
    camera.film(9_000)
    assert max(map(abs, camera.errors())) < 200_000
    steps = [b - a for a, b in pairwise(camera.dated_us)]
    assert all(abs(step - FRAME_US) < FRAME_US * 0.035 for step in steps)


def test_an_honest_clock_is_left_alone() -> None:
    """Pictures that come on time, and some that are late, are dated exactly as the camera says."""
    camera = Camera()
    camera.film(900, delays_us=(60_000 if n % 7 == 3 else 0 for n in range(900)))
    steps = {b - a for a, b in pairwise(camera.dated_us)}
    assert max(steps) - min(steps) <= 24


def test_a_stall_that_is_caught_up_moves_nothing() -> None:
    """Pictures that waited four seconds in the network were filmed when they were filmed."""
    camera = Camera()
    camera.film(100)
    camera.film(60, delays_us=(4_000_000 - FRAME_US * number for number in range(60)))
    camera.film(100)
    assert max(map(abs, camera.errors())) < 60_000


def test_what_stays_behind_is_dated_anew() -> None:
    """When time is missing that the camera's clock knows nothing of, dates leap ahead.

    At once, if no network could hold pictures back for so long; within ten seconds if it could.
    """
    camera = Camera()
    camera.film(100)
    camera.sleep(30_000_000)
    camera.film(5)
    assert abs(camera.errors()[-1]) < 60_000
    camera.sleep(4_000_000)
    camera.film(160)
    assert abs(camera.errors()[-1]) < 60_000
    assert all(b > a for a, b in pairwise(camera.dated_us))


@pytest.mark.parametrize(("moved_s", "late_s"), [(3_600, 0.06), (0.5, 0.6), (-2, 2.1)])
def test_our_own_clock_may_be_set(moved_s: float, late_s: float) -> None:
    """Ahead is followed at once, or gently where it is little; back is gone gently, since dates never run backwards."""
    camera = Camera()
    camera.film(100)
    camera.time.ahead += round(moved_s * 1e6)
    camera.film(1)
    assert abs(camera.errors()[-1]) < late_s * 1e6
    camera.film(1_800)
    assert abs(camera.errors()[-1]) < 60_000
    assert not camera.dating.set_back
    assert all(b > a for a, b in pairwise(camera.dated_us))


def test_a_clock_set_far_back_is_told() -> None:
    """What can't be dated after what was before must begin anew."""
    camera = Camera()
    camera.film(10)
    camera.time.ahead -= 3_600_000_000
    camera.film(1)
    assert camera.dating.set_back


@pytest.mark.parametrize("stored", [0, 1, 30, 150])
def test_what_a_camera_had_in_store_was_filmed_before(stored: int) -> None:
    """A burst at the start is dated back from the last of it, and nothing after is dated into the future."""
    time = Time()
    dating = LiveDating(time, steady_us=time.steady_us)

    def sent() -> Iterator[int]:
        for number in range(stored + 40):
            time.steady += 1_000 if number < stored else FRAME_US
            yield number * FRAME_US

    dated = []
    for media_us in dating.settle(sent(), ticks_from_us, lambda _: 1_000):
        ticks = ticks_from_us(media_us)
        dated.append((dating.wall(ticks, ticks), time.now_us()))
    assert len(dated) == stored + 40
    assert abs(dated[-1][0] - dated[-1][1]) < 60_000
    assert all(at <= now + 60_000 for at, now in dated)
    steps = [b[0] - a[0] for a, b in pairwise(dated)]
    assert all(abs(step - FRAME_US) < FRAME_US * 0.03 for step in steps)


@pytest.mark.parametrize("leap_s", [99, -99, 1.5, -1.5])
@pytest.mark.parametrize("wrong", [0, 3, 7])
def test_a_stamp_that_is_wrong_at_the_start_dates_nothing_wrong(leap_s: float, wrong: int) -> None:
    """A single leap there and back among the first packets does not tie the camera's time to another hour."""
    time = Time()
    dating = LiveDating(time, steady_us=time.steady_us)
    line = Timeline(frame_ticks=6_000)

    def sent() -> Iterator[int]:
        for number in range(30):
            time.steady += FRAME_US
            yield ticks_from_us(number * FRAME_US) + (round(leap_s * 90_000) if number == wrong else 0)

    for stamp in dating.settle(sent(), lambda ticks: ticks, lambda _: 1_000):
        _, ticks = line.place(stamp, stamp, lead_ticks=dating.lead_ticks())
        dated = dating.wall(ticks, stamp)
        assert abs(dated - time.now_us()) < 600_000


def test_a_picture_from_the_future_is_a_leap() -> None:
    """How far the next picture may lead is the time that passed, and a second."""
    camera = Camera()
    camera.film(20)
    assert abs(camera.dating.lead_ticks() - 90_000) < 10_000
    camera.time.steady += 3_000_000
    assert abs(camera.dating.lead_ticks() - 360_000) < 10_000


@given(
    st.lists(st.tuples(st.integers(0, 3_000_000), st.integers(-200_000, 1_000_000), st.integers(-3, 3)), max_size=80)
)
def test_no_times_break_the_dating(steps: list[tuple[int, int, int]]) -> None:
    """Whatever the clocks do, dates are numbers, and a growing place in the film never has an earlier date."""
    time = Time()
    dating = LiveDating(time, steady_us=time.steady_us)
    ticks = 0
    dated: list[int] = []
    for steady, media, wall in steps:
        time.steady += steady
        time.ahead += wall * 700_000
        ticks = max(ticks, ticks + media)
        dated.append(dating.wall(ticks, ticks))
        assert dating.lead_ticks() > 0
    assert dated == sorted(dated)
