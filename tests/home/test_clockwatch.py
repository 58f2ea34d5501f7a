"""A clock that leaps is believed once it has stayed there; one that ticks is believed always."""

import sys
import threading

from hypothesis import given
from hypothesis import strategies as st

from device.clockwatch import LEAP_US, OFF_US, SETTLES_US, ClockWatch, Reading

START = 1_790_000_000_000_000
DAY_US = 86_400_000_000


def test_a_ticking_clock_is_believed() -> None:
    """Drift and small corrections are no leaps."""
    watch = ClockWatch(Reading(START, 0), last_us=None)
    for second in range(1, 1_000):
        drift = second * 1_000
        assert watch.believed_us(Reading(START + second * 1_000_000 + drift, second * 1_000_000)) == (
            START + second * 1_000_000 + drift
        )


def test_a_leap_that_is_taken_back_never_counted() -> None:
    """A month ahead for six seconds: age and expiry never see it."""
    watch = ClockWatch(Reading(START, 0), last_us=None)
    for second in range(1, 30):
        ahead = 31 * DAY_US if 10 <= second < 16 else 0
        believed = watch.believed_us(Reading(START + ahead + second * 1_000_000, second * 1_000_000))
        assert believed == START + second * 1_000_000


def test_a_clock_that_stays_where_it_leapt_is_believed_in_time() -> None:
    """A device that started in 1970 and was set by the network believes it after a while."""
    watch = ClockWatch(Reading(0, 0), last_us=None)
    assert watch.believed_us(Reading(START, 1_000_000)) == 1_000_000
    assert watch.believed_us(Reading(START + SETTLES_US, 1_000_000 + SETTLES_US)) == START + SETTLES_US


def test_a_restart_far_from_what_was_believed_waits_too() -> None:
    """Off for a day is believed at once; off for a year, or back in time, after a while."""
    assert (
        ClockWatch(Reading(START + DAY_US, 0), last_us=START).believed_us(Reading(START + DAY_US, 0)) == START + DAY_US
    )
    for wall in (START + 365 * DAY_US, START - DAY_US):
        watch = ClockWatch(Reading(wall, 0), last_us=START)
        assert watch.believed_us(Reading(wall, 0)) == START
        assert watch.believed_us(Reading(wall + SETTLES_US, SETTLES_US)) == wall + SETTLES_US
    assert OFF_US > DAY_US


@given(st.lists(st.integers(-400 * DAY_US, 400 * DAY_US), min_size=1, max_size=40))
def test_however_it_leaps_it_is_never_believed_before_it_settled(leaps: list[int]) -> None:
    """Ten leaps a minute, whatever their size: the believed time goes on as the monotonic clock does."""
    watch = ClockWatch(Reading(START, 0), last_us=None)
    for number, leap in enumerate(leaps, 1):
        monotonic = min(number * 6_000_000, SETTLES_US - 1)
        believed = watch.believed_us(Reading(START + leap + monotonic, monotonic))
        assert abs(believed - START - monotonic) < LEAP_US * (number + 1)


def test_every_thread_may_ask() -> None:
    """Film, requests and health ask at once, while the clock leaps to and fro: each gets an answer."""
    watch = ClockWatch(Reading(START, 0), last_us=None)
    failed: list[BaseException] = []

    def ask(leap: int) -> None:
        try:
            for number in range(20_000):
                ahead = leap if number % 3 else 0
                watch.believed_us(Reading(START + ahead + number, number))
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is told below
            failed.append(error)

    threads = [threading.Thread(target=ask, args=(leap * DAY_US,)) for leap in range(1, 5)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert failed == []
