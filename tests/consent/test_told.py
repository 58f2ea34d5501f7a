"""What the daemon tells the owner's own process of the log is checked there as far as it can be."""

import json
from typing import Any

import pytest

from broker.wire.encoding import WireError, to_base64
from broker.wire.envelopes import public_bytes
from device.consent.errors import RefusedError
from device.consent.reading.told import ToldView, tell
from device.consent.trust import Trust
from tests.consent.support import followed, trust_in
from tests.simulators import NeighbourhoodSimulator, signing_key


def told_of(hood: NeighbourhoodSimulator, payload: bytes) -> dict[str, Any]:
    with followed(hood) as follower:
        verified = trust_in(hood, follower).verify(payload)
        told = tell(size=follower.size, admission=verified.admission, logged=verified.logged)
    parsed: dict[str, Any] = json.loads(json.dumps(told))
    return parsed


def test_what_is_told_verifies_to_the_same_request() -> None:
    """The owner's process comes to what the daemon came to, updates and all."""
    hood = NeighbourhoodSimulator()
    leaf, payload = hood.announced()
    hood.update(leaf, "answered")
    view = ToldView(told_of(hood, payload), leaf=leaf, operator_key=public_bytes(hood.operator))
    verified = Trust(policy=hood.log.policy, view=view).verify(payload, leaf=leaf)
    with followed(hood) as follower:
        there = trust_in(hood, follower).verify(payload)
    assert (verified.request, verified.admission, verified.logged) == (there.request, there.admission, there.logged)


def test_an_admission_that_is_not_the_operators_is_refused() -> None:
    """A daemon that was taken over can't admit an agency of its own making."""
    hood = NeighbourhoodSimulator()
    leaf, payload = hood.announced()
    told = told_of(hood, payload)
    told["admission"]["envelope"] = to_base64(hood.agency.sign(signing_key(9)))
    with pytest.raises(WireError):
        ToldView(told, leaf=leaf, operator_key=public_bytes(hood.operator))


def test_what_is_told_of_one_request_is_not_believed_of_another() -> None:
    """Neither another agency's admission nor another request's place will do."""
    hood = NeighbourhoodSimulator()
    leaf, payload = hood.announced(case="one")
    _, other = hood.announced(case="two")
    key = public_bytes(hood.operator)
    trust = Trust(policy=hood.log.policy, view=ToldView(told_of(hood, payload), leaf=leaf, operator_key=key))
    with pytest.raises(RefusedError, match="not-in-log"):
        trust.verify(other)
    _, foreign = hood.announced(agency="shelbyville-pd")
    view = ToldView({**told_of(hood, payload), "size": 99}, leaf=leaf, operator_key=key)
    with pytest.raises(RefusedError, match="admission"):
        Trust(policy=hood.log.policy, view=view).verify(foreign)


@pytest.mark.parametrize("told", [{}, {"size": "x"}, {"size": 1, "admission": None}, {"size": 1, "admission": {}}])
def test_another_form_is_one_clear_error(told: dict[str, Any]) -> None:
    """What an older or newer daemon may tell is an error of the wire's, not a crash."""
    with pytest.raises(WireError, match="does not hold"):
        ToldView(told, leaf="0" * 64, operator_key=bytes(32))
