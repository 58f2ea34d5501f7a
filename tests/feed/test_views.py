"""How times, places and areas are written for people."""

import pytest

from broker.feed.views import area_text, day, duration_text, figure_of, moment, place_text, window_text
from broker.wire.encoding import parse_time
from broker.wire.geo import Point
from broker.wire.records import Area
from broker.wire.rules import HOUR_US, MINUTE_US

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
    [(15, "15 minutes"), (60, "1 hour"), (61, "1 hour 1 minute"), (720, "12 hours"), (0, "0 minutes")],
)
def test_durations_are_hours_and_minutes(minutes: int, text: str) -> None:
    """Nothing is said of hours or minutes that are none."""
    assert duration_text(minutes * MINUTE_US) == text


def test_places_have_hemispheres() -> None:
    """No sign is left for a reader to interpret."""
    assert place_text(Point.from_degrees(-33.72, -117.39)) == "33.72000° S, 117.39000° W"
    assert place_text(Point.from_degrees(0, 0)) == "0.00000° N, 0.00000° E"
    assert area_text(1_294_994) == "1.29 km² (0.5 sq mi)"


@pytest.mark.parametrize(("radius_m", "bar_m"), [(144, 100), (300, 250), (642, 500), (20, 50)])
def test_the_scale_bar_is_to_scale(radius_m: int, bar_m: int) -> None:
    """The bar is as long against the drawn radius as its label against the real one."""
    figure = figure_of(Area(lat_e7=0, lon_e7=0, radius_m=radius_m))
    assert figure.label == f"{bar_m} m"
    assert figure.bar / figure.radius == pytest.approx(bar_m / radius_m, rel=0.01)
