"""Requests as the owner sees them, over all devices."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.consent.requests import RequestState
from device.console.grouping import CLOSED, DECIDED, away_summary, group_of, grouped

STATES = st.sampled_from([str(state) for state in RequestState])


def summary(leaf: str, state: str, changed_us: int = 1, **more: Any) -> dict[str, Any]:
    standing = {"leaf": leaf, "state": state, "rule": "", "message": "", "changed_us": changed_us}
    return {**standing, "approval": None, "receipt": None, **more}


def test_what_waits_at_one_device_waits_whatever_the_others_say() -> None:
    listed = [("porch", summary("a", "declined")), ("drive", summary("a", "offered"))]
    (one,) = grouped(listed, now_us=0)
    assert one["group"] == "waiting"
    assert [place["device"] for place in one["places"]] == ["porch", "drive"]


def test_what_waits_unheard_is_with_the_muted() -> None:
    assert group_of([{"state": "offered", "muted": True}, {"state": "unmatched", "muted": False}]) == "muted"
    assert group_of([{"state": "offered", "muted": True}, {"state": "offered", "muted": False}]) == "waiting"


@given(st.lists(st.tuples(STATES, st.booleans()), min_size=1, max_size=5))
def test_every_request_is_to_be_found_in_one_group(states: list[tuple[str, bool]]) -> None:
    places = [{"state": state, "muted": muted} for state, muted in states]
    group = group_of(places)
    names = {state for state, _ in states}
    assert (group in {"waiting", "muted"}) == ("offered" in names)
    if group == "decided":
        assert names & DECIDED
    if group == "closed":
        assert names & CLOSED
        assert not names & DECIDED
    if group == "aside":
        assert not names & (DECIDED | CLOSED | {"offered"})


def test_the_newest_change_anywhere_comes_first() -> None:
    listed = [
        ("porch", summary("old", "declined", 5)),
        ("porch", summary("new", "offered", 1)),
        ("drive", summary("new", "offered", 9)),
    ]
    assert [one["leaf"] for one in grouped(listed, now_us=0)] == ["new", "old"]


def test_what_one_device_could_not_verify_is_told_by_another_that_could() -> None:
    known = summary("a", "offered", request={"case": "1"}, agency={"name": "PD"}, updates=[])
    (one,) = grouped([("porch", summary("a", "announced")), ("drive", known)], now_us=0)
    assert one["request"] == {"case": "1"}
    assert one["agency"] == {"name": "PD"}


def test_a_device_that_does_not_answer_is_told_of_and_decides_nothing() -> None:
    listed = [("porch", summary("a", "offered")), ("drive", away_summary("a", "no daemon runs"))]
    (one,) = grouped(listed, now_us=0)
    assert one["group"] == "waiting"
    assert [(place["state"], place["message"]) for place in one["places"]] == [
        ("offered", ""), ("away", "no daemon runs"),
    ]  # fmt: skip


@pytest.mark.parametrize("field", ["approval", "receipt"])
def test_a_record_that_can_t_be_read_costs_a_number_and_not_the_page(field: str) -> None:
    (one,) = grouped([("porch", summary("a", "received") | {field: "{}"})], now_us=0)
    assert one["places"][0]["total_bytes"] is None
    assert one["places"][0]["received_us"] is None
