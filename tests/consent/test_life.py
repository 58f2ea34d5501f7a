"""The life of a request: one table, and no way around it."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.consent.errors import TransitionError
from device.consent.requests import FINAL, TABLE, RequestState, Step, after


@pytest.mark.parametrize(("state", "step"), list(itertools.product(RequestState, Step)))
def test_every_pair_is_in_the_table_or_refused(state: RequestState, step: Step) -> None:
    """The whole cross product: a pair leads where the table says, or raises."""
    if (state, step) in TABLE:
        assert after(state, step) is TABLE[state, step]
    else:
        with pytest.raises(TransitionError, match=str(state)):
            after(state, step)


@given(st.lists(st.sampled_from(Step), max_size=30))
def test_nothing_is_received_that_was_not_approved(steps: list[Step]) -> None:
    """Along any walk, released comes only after approved, approved only after offered, offered only after verified."""
    state = RequestState.ANNOUNCED
    seen = [state]
    for step in steps:
        try:
            state = after(state, step)
        except TransitionError:
            continue
        seen.append(state)
    order = [RequestState.VERIFIED, RequestState.MATCHED, RequestState.OFFERED, RequestState.APPROVED,
             RequestState.RELEASED, RequestState.RECEIVED]  # fmt: skip
    reached = [state for state in order if state in seen]
    assert reached == order[: len(reached)]


def test_a_decision_is_final() -> None:
    """What was decided or closed stays so; unmatched alone may still find its match."""
    ends = {"declined", "received", "refused", "expired", "withdrawn", "undelivered"}
    assert {str(state) for state in FINAL} == ends
