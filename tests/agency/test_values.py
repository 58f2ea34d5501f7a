"""Values as people write them: read to the microsecond and the ten-millionth of a degree, or refused."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.agency.values import check_zone, degrees, moment_us, place, span_us, square_miles_m2
from broker.wire.encoding import EPOCH, format_time, parse_time
from broker.wire.geo import Point
from broker.wire.rules import HOUR_US, MINUTE_US
from broker.words import place_text

SEVEN_PM = parse_time("2026-05-28T17:00:00.000000Z")


@pytest.mark.parametrize(
    ("text", "zone"),
    [
        ("2026-05-28 19:00", "Europe/Berlin"),
        ("2026-05-28T19:00:00", "Europe/Berlin"),
        ("2026-05-28 19:00 Europe/Berlin", None),
        ("2026-05-28 19:00 Europe/Berlin", "UTC"),
        ("2026-05-28 17:00Z", "Europe/Berlin"),
        ("2026-05-28 17:00 UTC", None),
        ("2026-05-28 17:00", "UTC"),
        ("2026-05-28T19:00+02:00", None),
        ("2026-05-28 19:00 +0200", None),
        (" 2026-05-28t12:30:00.000000-04:30 ", None),
        (datetime(2026, 5, 28, 19, tzinfo=timezone(timedelta(hours=2))), None),
        (datetime(2026, 5, 28, 19), "Europe/Berlin"),  # noqa: DTZ001 - as TOML gives it
    ],
)
def test_times(text: object, zone: str | None) -> None:
    """A time has its own zone or offset, or the one that is given besides."""
    assert moment_us(text, zone) == SEVEN_PM


@pytest.mark.parametrize(
    ("text", "zone", "said"),
    [
        ("2026-05-28 19:00", None, "no time zone"),
        ("2026-05-28", "UTC", "no date and time"),
        ("yesterday", "UTC", "no date and time"),
        ("2026-02-30 10:00", "UTC", "no date and time"),
        ("2026-05-28 25:00", "UTC", "no date and time"),
        ("2026-05-28 19:00 Berlin", None, "did you mean Europe/Berlin"),
        ("2026-05-28 19:00 ../../etc/passwd", None, "no time zone"),
        ("2026-05-28 19:00+24:00", None, "no offset"),
        ("2026-03-29 02:30", "Europe/Berlin", "showed 02:30 never"),
        ("2026-10-25 02:30", "Europe/Berlin", "showed 02:30 twice"),
        ("0001-01-01 00:00+10:00", None, "outside the calendar"),
        ("9999-12-31 23:00", "America/New_York", "outside the calendar"),
        (True, "UTC", "no date and time"),
        (1.5, "UTC", "no date and time"),
    ],
)
def test_times_that_are_none(text: object, zone: str | None, said: str) -> None:
    """A day alone, a wall clock without a zone, and an hour that came twice or never are told as such."""
    with pytest.raises(ValueError, match=said):
        moment_us(text, zone)


@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001 - a wall clock's
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]),
)
def test_any_wall_clock(naive: datetime, zone: str) -> None:
    """A time that is read is the one instant at which that zone's clock shows it."""
    try:
        at_us = moment_us(naive, zone)
    except ValueError as error:
        assert "clocks were changed" in str(error)  # noqa: PT017 - one of two outcomes
        return
    assert (EPOCH + timedelta(microseconds=at_us)).astimezone(ZoneInfo(zone)).replace(tzinfo=None) == naive


@given(st.integers(-(10**15), 4 * 10**15))
def test_our_own_times_are_read(at_us: int) -> None:
    """What this project writes as a time it also reads."""
    assert moment_us(format_time(at_us), None) == at_us
    assert moment_us((EPOCH + timedelta(microseconds=at_us)).astimezone(UTC), None) == at_us


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("2h", 120), ("90 min", 90), ("90m", 90), ("1h 30m", 90), ("1h30m", 90), ("1.5 hours", 90), ("15 minutes", 15),
     ("1 Hour 15 Minutes", 75), ("0.25h", 15)],
)  # fmt: skip
def test_lengths(text: str, minutes: int) -> None:
    """Hours and minutes in the usual spellings."""
    assert span_us(text) == minutes * MINUTE_US


@pytest.mark.parametrize("text", ["", "2", "h", "-2h", "2h30", "two hours", "1:30", "1e3h", 2, None, "²h", "1d"])
def test_lengths_that_are_none(text: object) -> None:
    """A number without a unit is not guessed at."""
    with pytest.raises(ValueError, match="no length of time"):
        span_us(text)


@pytest.mark.parametrize(
    "text",
    ["52.52N 13.405E", "52.52, 13.405", "52.52 13.405", "13.405E 52.52N", "52.52° N, 13.405° E", "52.52n;13.405e",
     "+52.52 +13.405"],
)  # fmt: skip
def test_places(text: str) -> None:
    """Latitude and longitude, by hemisphere or in this order."""
    assert place(text) == (52.52, 13.405)
    assert place("33.87S 151.21E") == (-33.87, 151.21)
    assert place("-33.87, -70.5") == (-33.87, -70.5)


@pytest.mark.parametrize(
    "text", ["", "52.52", "52.52N 13.405N", "52.52N 13.405", "-52.52S 13.4E", "52.52N13.405E7", "a b", 5, "1e2 3"]
)
def test_places_that_are_none(text: object) -> None:
    """Half a place, two latitudes, or a sign beside a letter."""
    with pytest.raises(ValueError, match=r"no pair|not one latitude|no number of degrees"):
        place(text)


@given(st.integers(-900_000_000, 900_000_000), st.integers(-1_800_000_000, 1_800_000_000))
def test_pages_coordinates_can_be_pasted(lat_e7: int, lon_e7: int) -> None:
    """What a page shows of a place is read again, to the metre that it shows."""
    lat, lon = place(place_text(Point(lat_e7, lon_e7)))
    assert abs(lat - lat_e7 / 1e7) < 1e-5
    assert abs(lon - lon_e7 / 1e7) < 1e-5


def test_long_texts_are_no_work() -> None:
    """Whatever a stranger's form holds is refused at once, however its spaces may be divided."""
    for text in ("1" + " " * 60_000 + "x", "1N" * 30_000, "1" * 60_000, "1 " * 30_000):
        for read in (place, span_us, lambda text: degrees(text, north_south=True), lambda text: moment_us(text, "UTC")):
            with pytest.raises(ValueError, match="is no"):
                read(text)


def test_one_axis() -> None:
    """A latitude is no longitude; a number needs no letter."""
    assert degrees("52.52N", north_south=True) == 52.52
    assert degrees("13.405 W", north_south=False) == -13.405
    assert degrees(-7, north_south=False) == -7.0
    for text, north_south in (("13.4E", True), ("52N", False), ("x", True), (None, True), (True, True)):
        with pytest.raises(ValueError, match=r"degrees|north|east"):
            degrees(text, north_south=north_south)


def test_square_miles() -> None:
    """The published limits in square miles are kept by what they come to in square metres."""
    assert (square_miles_m2(0.025), square_miles_m2(0.5), square_miles_m2(1)) == (64_749, 1_294_994, 2_589_988)
    for value in (0, -1, float("nan"), float("inf"), "0.1", True):
        with pytest.raises(ValueError, match="square miles"):
            square_miles_m2(value)


def test_zones() -> None:
    """A zone's name is the database's; a near one is offered."""
    assert check_zone("Asia/Tokyo") == "Asia/Tokyo"
    for name, near in (("Tokyo", "Asia/Tokyo"), ("Europe/Berln", "Europe/Berlin")):
        with pytest.raises(ValueError, match=near):
            check_zone(name)
    assert span_us("1h") == HOUR_US
