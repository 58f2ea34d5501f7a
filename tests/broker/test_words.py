"""How times, places and areas are written for people, and files named for caches."""

import pytest

from broker.agency.values import square_miles_m2
from broker.caching import hashed_name
from broker.wire.encoding import parse_time
from broker.wire.geo import Point
from broker.wire.rules import HOUR_US, MINUTE_US
from broker.words import (
    SQUARE_MILE_M2,
    area_text,
    count_text,
    day_text,
    days_text,
    duration_text,
    miles_text,
    moment_text,
    place_text,
    window_text,
)

AT_US = parse_time("2026-05-03T23:05:59.000001Z")


def test_times_are_in_utc_and_say_so() -> None:
    """A date is written once where a window begins and ends on it."""
    assert day_text(AT_US) == "3 May 2026"
    assert moment_text(AT_US) == "3 May 2026, 23:05 UTC"
    assert window_text(AT_US - HOUR_US, AT_US) == "3 May 2026, 22:05 to 23:05 UTC"
    assert window_text(AT_US, AT_US + HOUR_US) == "3 May 2026, 23:05 to 4 May 2026, 00:05 UTC"


@pytest.mark.parametrize(
    ("minutes", "exact", "rough"),
    [
        (15, "15 minutes", "15 minutes"),
        (60, "1 hour", "1 hour"),
        (61, "1 hour 1 minute", "1 hour 1 minute"),
        (720, "12 hours", "12 hours"),
        (0, "0 minutes", "0 minutes"),
        (3_600, "60 hours", "2 days"),
        (43_195, "719 hours 55 minutes", "30 days"),
    ],
)
def test_durations_are_hours_and_minutes(minutes: int, exact: str, rough: str) -> None:
    """Nothing is said of hours or minutes that are none; where it does not matter, whole days are enough."""
    assert duration_text(minutes * MINUTE_US) == exact
    assert days_text(minutes * MINUTE_US) == rough


def test_places_have_hemispheres() -> None:
    """No sign is left for a reader to interpret."""
    assert place_text(Point.from_degrees(-33.72, -117.39)) == "33.72000° S, 117.39000° W"
    assert place_text(Point.from_degrees(0, 0)) == "0.00000° N, 0.00000° E"
    assert place_text(Point.from_degrees(52.52, 13.4), 2) == "52.52° N, 13.40° E"


def test_a_square_mile_is_the_same_everywhere() -> None:
    """What is written in miles is read back as the same area."""
    assert area_text(1_294_994) == "1.29 km² (0.5 sq mi)"
    assert miles_text(SQUARE_MILE_M2) == "1"
    assert square_miles_m2(1) == int(SQUARE_MILE_M2)


def test_counts_agree_with_their_word() -> None:
    """One of a thing, several of them, and thousands apart."""
    assert (count_text(1, "entry", "entries"), count_text(1_234, "entry", "entries")) == ("1 entry", "1,234 entries")
    assert (count_text(0, "day"), count_text(1, "day")) == ("0 days", "1 day")


def test_a_name_changes_with_what_is_in_the_file() -> None:
    """A file's hash stands before its suffix: what never changes under a name may be kept under it."""
    assert hashed_name("a.min.js", b"") == "a.min.e3b0c44298fc1c14.js"
    assert hashed_name("a.min.js", b" ") != hashed_name("a.min.js", b"")
