"""The published limits, checked again at home, and the owner's own below them."""

from typing import Any

import pytest

from broker.wire.records import Area
from broker.wire.rules import DAY_US, HOUR_US, MINUTE_US, Limits
from device.consent.policy import HouseholdPolicy, refusals
from device.consent.trust import VerifiedRequest
from tests.consent.support import verified_of
from tests.simulators import NOW_US, PLACE, NeighbourhoodSimulator


def verified(hood: NeighbourhoodSimulator, **changes: Any) -> VerifiedRequest:
    leaf, payload = hood.announced(**changes)
    return verified_of(hood, payload, leaf=leaf)


def rules(policy: HouseholdPolicy | None = None, *, now_us: int = NOW_US, **changes: Any) -> set[str]:
    found = refusals(verified(NeighbourhoodSimulator(), **changes), policy or HouseholdPolicy(), now_us=now_us)
    return {one.rule for one in found}


def test_a_request_within_the_limits_is_considered() -> None:
    """Nothing is held against a request that keeps every rule."""
    assert rules() == set()


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"start": NOW_US - 16 * MINUTE_US, "end": NOW_US - 2 * MINUTE_US}, "window"),
        ({"start": NOW_US - 13 * HOUR_US}, "window"),
        ({"end": NOW_US + 1}, "window-past"),
        ({"start": NOW_US - 46 * DAY_US, "end": NOW_US - 46 * DAY_US + HOUR_US}, "look-back"),
        ({"area": Area(lat_e7=PLACE.lat_e7, lon_e7=PLACE.lon_e7, radius_m=643)}, "area"),
        ({"area": Area(lat_e7=PLACE.lat_e7, lon_e7=PLACE.lon_e7, radius_m=143)}, "area"),
        ({"incident": "protest"}, "incident"),
        ({"contact": "someone@gmail.example"}, "contact"),
        ({"contact": "x@notpolice.springfield.example.org"}, "contact"),
        ({"retention_days": 181}, "retention"),
        ({"retention_days": 0}, "retention"),
        ({"excludes": ()}, "excludes"),
        ({"expires_at": NOW_US + 31 * DAY_US}, "expires"),
        ({"posted_at": NOW_US + HOUR_US, "expires_at": NOW_US + DAY_US}, "posted-ahead"),
        ({"posted_at": NOW_US - 5 * DAY_US, "start": NOW_US - 6 * DAY_US, "end": NOW_US - 6 * DAY_US + HOUR_US,
          "expires_at": NOW_US - 1}, "expired"),
        ({"devices": ("camera", "camera")}, "devices"),
    ],
)  # fmt: skip
def test_each_limit_is_held_at_home(changes: dict[str, Any], rule: str) -> None:
    """What the intake should have refused, the device refuses again."""
    assert rule in rules(**changes)


@pytest.mark.parametrize("radius_m", [144, 642])
def test_the_edges_of_the_area_are_allowed(radius_m: int) -> None:
    """144 m and 642 m are the whole metres nearest to 0.025 and 0.5 square miles from inside."""
    assert rules(area=Area(lat_e7=PLACE.lat_e7, lon_e7=PLACE.lon_e7, radius_m=radius_m)) == set()


def test_an_indoor_device_takes_part_only_if_its_owner_says_so() -> None:
    """Indoors the answer is no unless the owner opted in."""
    assert rules(HouseholdPolicy(indoor=True)) == {"indoor"}
    assert rules(HouseholdPolicy(indoor=True, indoor_takes_part=True)) == set()


def test_the_owner_may_look_back_less_far_than_the_rules() -> None:
    """45 days are allowed to ask; 30 are considered unless the owner says otherwise."""
    start = NOW_US - 31 * DAY_US
    assert rules(start=start, end=start + HOUR_US) == {"look-back"}
    assert rules(HouseholdPolicy(look_back_us=45 * DAY_US), start=start, end=start + HOUR_US) == set()


def test_a_withdrawn_request_is_refused() -> None:
    """A withdrawal that comes along with the request closes it before it was offered."""
    hood = NeighbourhoodSimulator()
    leaf, payload = hood.announced()
    hood.update(leaf, "withdrawn")
    found = refusals(verified_of(hood, payload), HouseholdPolicy(), now_us=NOW_US)
    assert [one.rule for one in found] == ["withdrawn"]


def test_an_answered_request_stays_open() -> None:
    """What an agency says of footage it was given closes nothing."""
    hood = NeighbourhoodSimulator()
    leaf, payload = hood.announced()
    hood.update(leaf, "answered")
    assert refusals(verified_of(hood, payload), HouseholdPolicy(), now_us=NOW_US) == []


def test_the_third_post_of_a_case_is_refused() -> None:
    """The device counts a case's posts in the log by itself; another case of the agency is none of it."""
    hood = NeighbourhoodSimulator()
    found = [hood.announced(purpose=f"Try {number}")[1] for number in range(3)]
    other = hood.announced(case="another")[1]
    rules_of = [{one.rule for one in refusals(verified_of(hood, payload), HouseholdPolicy(), now_us=NOW_US)}
                for payload in (*found, other)]  # fmt: skip
    assert rules_of == [set(), set(), {"posts-per-case"}, set()]


def test_an_agency_may_not_have_more_open_than_allowed() -> None:
    """What was open when a request was logged counts: what was withdrawn or had expired before that does not."""
    hood = NeighbourhoodSimulator()
    first, _ = hood.announced(case="first")
    hood.announced(case="ended", expires_at=NOW_US + MINUTE_US)
    second = hood.announced(case="second")[1]
    hood.update(first, "withdrawn")
    third = hood.announced(case="third")[1]
    policy = HouseholdPolicy(limits=Limits(open_per_agency=1))
    open_before = [verified_of(hood, payload).logged.open_before for payload in (second, third)]
    assert open_before == [1, 1]
    found = refusals(verified_of(hood, third), policy, now_us=NOW_US)
    assert [one.rule for one in found] == ["open-requests"]
