"""The published limits on a request: the last value that may be asked passes, the next one does not."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.wire.records import EXCLUDED_PURPOSES, INCIDENTS
from broker.wire.rules import (
    DAY_US,
    HOUR_US,
    MINUTE_US,
    Limits,
    check_agency,
    check_open,
    check_posts,
    check_request,
)
from tests.wire.support import NOW_US, agency, request

LIMITS = Limits()


def broken(*, now_us: int = NOW_US, limits: Limits = LIMITS, **changes: Any) -> list[str]:
    violations = check_request(request(**changes), agency(), limits=limits, now_us=now_us)
    assert all(violation.message for violation in violations)
    return [violation.rule for violation in violations]


@given(st.integers(-2 * HOUR_US, 20 * HOUR_US))
def test_the_window_is_15_minutes_to_12_hours(window_us: int) -> None:
    """Shorter, longer and reversed windows are refused."""
    start = NOW_US - 30 * HOUR_US
    allowed = 15 * MINUTE_US <= window_us <= 12 * HOUR_US
    assert broken(start=start, end=start + window_us) == ([] if allowed else ["window"])


@given(st.integers(1, 2_000))
def test_the_area_is_a_fortieth_to_half_a_square_mile(radius_m: int) -> None:
    """144 to 642 m of radius."""
    allowed = 144 <= radius_m <= 642
    assert broken(area={"lat_e7": 0, "lon_e7": 0, "radius_m": radius_m}) == ([] if allowed else ["area"])


@pytest.mark.parametrize(
    ("changes", "rules"),
    [
        ({"end": NOW_US}, []),
        ({"end": NOW_US + 1}, ["window-past"]),
        ({"start": NOW_US - 45 * DAY_US, "end": NOW_US - 45 * DAY_US + HOUR_US}, []),
        ({"start": NOW_US - 45 * DAY_US - 1, "end": NOW_US - 45 * DAY_US + HOUR_US}, ["look-back"]),
        ({"expires_at": NOW_US + 30 * DAY_US}, []),
        ({"expires_at": NOW_US + 30 * DAY_US + 1}, ["expires"]),
        ({"expires_at": NOW_US - 1}, ["expires", "expired"]),
        ({"retention_days": 1}, []),
        ({"retention_days": 180}, []),
        ({"retention_days": 181}, ["retention"]),
        ({"retention_days": 0}, ["retention"]),
        ({"incident": "loitering"}, ["incident"]),
        ({"contact": "a@springfield.example.gov"}, []),
        ({"contact": "a@unit.springfield.example.gov"}, []),
        ({"contact": "a@evilspringfield.example.gov"}, ["contact"]),
        ({"contact": "a@example.gov"}, ["contact"]),
        ({"contact": "a@springfield.example.gov.evil.example"}, ["contact"]),
        ({"agency": "shelbyville-pd"}, ["agency"]),
        ({"devices": ("doorbell", "doorbell")}, ["devices"]),
        ({"excludes": ()}, ["excludes"]),
        ({"excludes": (*EXCLUDED_PURPOSES, EXCLUDED_PURPOSES[0])}, ["excludes"]),
        ({"excludes": (*EXCLUDED_PURPOSES, "marketing")}, []),
        ({"retention_days": 999, "incident": "loitering"}, ["incident", "retention"]),
    ],
)
def test_each_limit_holds_at_its_edge(changes: dict[str, Any], rules: list[str]) -> None:
    """The rule is named by its stable code, and every broken one is named."""
    assert broken(**changes) == rules


@pytest.mark.parametrize("incident", INCIDENTS)
def test_every_listed_incident_may_be_asked_about(incident: str) -> None:
    """The published list is the list."""
    assert broken(incident=incident) == []


@pytest.mark.parametrize("missing", EXCLUDED_PURPOSES)
def test_every_excluded_purpose_has_to_be_declared(missing: str) -> None:
    """Leaving one out is refused, and the message says which."""
    excludes = tuple(code for code in EXCLUDED_PURPOSES if code != missing)
    (violation,) = check_request(request(excludes=excludes), agency(), limits=LIMITS, now_us=NOW_US)
    assert missing in violation.message


def test_time_goes_on_after_the_post() -> None:
    """A device checks again later: a request holds until it expires, and not before it was posted."""
    assert broken(now_us=NOW_US + 14 * DAY_US - 1) == []
    assert broken(now_us=NOW_US + 14 * DAY_US) == ["expired"]
    assert broken(now_us=NOW_US - 5 * MINUTE_US) == []
    assert broken(now_us=NOW_US - 5 * MINUTE_US - 1) == ["posted-ahead"]


def test_a_household_may_set_narrower_limits() -> None:
    """The limits are values that are handed in."""
    assert broken(limits=Limits(retention_max_days=30)) == ["retention"]
    assert broken(limits=Limits(window_max_us=HOUR_US)) == ["window"]


@pytest.mark.parametrize(("earlier", "rules"), [(0, []), (1, []), (2, ["posts-per-case"]), (7, ["posts-per-case"])])
def test_two_posts_a_case(earlier: int, rules: list[str]) -> None:
    """The third post is one too many."""
    assert [violation.rule for violation in check_posts(earlier, limits=LIMITS)] == rules


@pytest.mark.parametrize(
    ("now_open", "rules"), [(0, []), (199, []), (200, ["open-requests"]), (9_999, ["open-requests"])]
)
def test_an_agency_has_so_many_requests_open(now_open: int, rules: list[str]) -> None:
    """The two hundred and first is one too many."""
    assert [violation.rule for violation in check_open(now_open, limits=LIMITS)] == rules


@pytest.mark.parametrize(
    ("contact", "rules"),
    [
        ("records@springfield.example.gov", []),
        ("records@unit.springfield.example.gov", []),
        ("records@springfield.example.com", ["contact"]),
        ("records@evilspringfield.example.gov", ["contact"]),
    ],
)
def test_an_agency_is_reached_in_its_own_domain(contact: str, rules: list[str]) -> None:
    """Nobody is admitted whose contact is elsewhere."""
    assert [violation.rule for violation in check_agency(agency(contact=contact))] == rules
