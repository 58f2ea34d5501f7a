"""How times, places and areas are written for people."""

import inspect
import re

import pytest

import broker.wire.rules
from broker.feed.texts import (
    REASONS,
    ago_text,
    area_text,
    count_text,
    day,
    duration_text,
    length_text,
    moment,
    place_text,
    reason_text,
    window_text,
)
from broker.log import intake
from broker.wire.encoding import parse_time
from broker.wire.geo import Point
from broker.wire.rules import DAY_US, HOUR_US, MINUTE_US

AT_US = parse_time("2026-05-03T23:05:59.000001Z")


def test_times_are_in_utc_and_say_so() -> None:
    """A date is written once where a window begins and ends on it."""
    assert day(AT_US) == "3 May 2026"
    assert moment(AT_US).text == "3 May 2026, 23:05 UTC"
    assert moment(AT_US).iso == "2026-05-03T23:05:59.000001Z"
    assert window_text(AT_US - HOUR_US, AT_US) == "3 May 2026, 22:05 to 23:05 UTC"
    assert window_text(AT_US, AT_US + HOUR_US) == "3 May 2026, 23:05 to 4 May 2026, 00:05 UTC"


@pytest.mark.parametrize(
    ("minutes", "text"),
    [
        (15, "15 minutes"),
        (60, "1 hour"),
        (61, "1 hour 1 minute"),
        (720, "12 hours"),
        (0, "0 minutes"),
        (43_200, "30 days"),
    ],
)
def test_durations_are_hours_and_minutes(minutes: int, text: str) -> None:
    """Nothing is said of hours or minutes that are none."""
    assert duration_text(minutes * MINUTE_US) == text


def test_places_have_hemispheres() -> None:
    """No sign is left for a reader to interpret."""
    assert place_text(Point.from_degrees(-33.72, -117.39)) == "33.72000° S, 117.39000° W"
    assert place_text(Point.from_degrees(0, 0)) == "0.00000° N, 0.00000° E"
    assert area_text(1_294_994) == "1.29 km² (0.5 sq mi)"


@pytest.mark.parametrize(
    ("age_us", "text"),
    [(-5, "0 s ago"), (59_000_000, "59 s ago"), (HOUR_US, "1 hour ago"), (3 * DAY_US, "3 days ago")],
)
def test_an_age_is_told_roughly(age_us: int, text: str) -> None:
    """One unit, the largest that fits; a clock that is ahead is no reason for a negative age."""
    assert ago_text(age_us) == text


def test_numbers_have_their_thousands_apart() -> None:
    """Counts agree with their word, lengths take the unit that suits them."""
    assert (count_text(1, "entry", "entries"), count_text(1_234, "entry", "entries")) == ("1 entry", "1,234 entries")
    assert (length_text(500), length_text(2_000)) == ("500 m", "2 km")


def test_every_reason_of_a_refusal_has_its_words() -> None:
    """The codes that intake and the rules name are all told in words; an unknown one is still readable."""
    named = set(re.findall(r"^    ([a-z-]+)  +\S", intake.__doc__ or "", re.MULTILINE))
    rules = set(re.findall(r'Violation\(\s*"([a-z-]+)"', inspect.getsource(broker.wire.rules)))
    assert named >= {"malformed", "signature", "closed"}
    assert rules >= {"window", "area", "retention"}
    assert named | rules <= REASONS.keys()
    assert reason_text("never-heard") == "never heard"
