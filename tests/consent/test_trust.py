"""Whom a device believes: each way around the log, the admission or the signature is refused with its rule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.wire.envelopes import public_bytes
from device.consent.errors import RefusedError
from device.consent.trust import Trust, VerifiedRequest
from tests.simulators import LogSimulator, NeighbourhoodSimulator, signing_key, with_envelope


def trust_of(hood: NeighbourhoodSimulator) -> Trust:
    return Trust(policy=hood.log.policy, operator_key=public_bytes(hood.operator))


def rule_of(hood: NeighbourhoodSimulator, payload: bytes, leaf: str | None = None) -> str:
    with pytest.raises(RefusedError) as caught:
        trust_of(hood).verify(payload, leaf=leaf)
    return caught.value.rule


def test_a_logged_request_of_an_admitted_agency_is_verified() -> None:
    """What is in the log, admitted and signed comes out as the request it is."""
    hood = NeighbourhoodSimulator()
    leaf, payload = hood.announced()
    verified = trust_of(hood).verify(payload, leaf=leaf)
    assert (verified.leaf, verified.request, verified.agency) == (leaf, hood.request(), hood.agency)
    assert verified.closed_by is None


def test_nobody_else_makes_a_verified_request() -> None:
    """The type itself refuses to be made elsewhere, so a signature shows what must have happened before."""
    hood = NeighbourhoodSimulator()
    leaf, payload = hood.announced()
    verified = trust_of(hood).verify(payload, leaf=leaf)
    with pytest.raises(TypeError):
        VerifiedRequest(leaf, 1, verified.request, verified.agency, (), verified.entry, object())


def test_a_request_that_is_not_in_the_log_is_refused() -> None:
    """A proof of another entry does not carry over to a request that was never logged."""
    hood = NeighbourhoodSimulator()
    announcement = hood.announce(hood.post(hood.request()))
    secret = hood.request(case="secret").sign(hood.agency_key)
    assert rule_of(hood, with_envelope(announcement, secret).encode()) == "proof"


def test_another_log_is_refused() -> None:
    """A log with the same name and another key convinces nobody."""
    hood = NeighbourhoodSimulator()
    forged = NeighbourhoodSimulator()
    forged.log = LogSimulator(seed=9)
    forged.admission = forged.log.append(forged.agency.sign(forged.operator))
    _, payload = forged.announced()
    assert rule_of(hood, payload) == "proof"


def test_an_agency_that_the_operator_did_not_admit_is_refused() -> None:
    """An admission under any other key than the pinned one counts for nothing, logged or not."""
    hood = NeighbourhoodSimulator()
    hood.admission = hood.log.append(hood.agency.sign(signing_key(8)))
    _, payload = hood.announced()
    assert rule_of(hood, payload) == "admission"


def test_an_agency_admitted_afterwards_is_refused() -> None:
    """The admission has to stand in the log before the request."""
    hood = NeighbourhoodSimulator()
    index = hood.post(hood.request())
    hood.admission = hood.log.append(hood.agency.model_copy(update={"name": "Again"}).sign(hood.operator))
    assert rule_of(hood, hood.announce(index).encode()) == "admission"


def test_a_request_signed_by_another_key_is_refused() -> None:
    """A logged request counts only under the key that was admitted."""
    hood = NeighbourhoodSimulator()
    index = hood.log.append(hood.request().sign(signing_key(7)))
    assert rule_of(hood, hood.announce(index).encode()) == "signature"


def test_a_request_in_another_agencys_name_is_refused() -> None:
    """One admitted agency can't ask under the name of another."""
    hood = NeighbourhoodSimulator()
    _, payload = hood.announced(agency="shelbyville-pd")
    assert rule_of(hood, payload) == "agency"


def test_an_announcement_under_another_topic_is_refused() -> None:
    """The topic's hash and the entry have to agree."""
    hood = NeighbourhoodSimulator()
    _, payload = hood.announced()
    assert rule_of(hood, payload, leaf="0" * 64) == "topic"


def test_updates_count_only_if_they_are_the_agencys_and_for_this_request() -> None:
    """A logged withdrawal closes the request; one for another request, or by somebody else, is refused."""
    hood = NeighbourhoodSimulator()
    index, other = hood.post(hood.request()), hood.post(hood.request(case="other"))
    leaf, other_leaf = hood.announce(index).request.leaf, hood.announce(other).request.leaf
    withdrawal, misplaced = hood.update(leaf, "withdrawn"), hood.update(other_leaf, "withdrawn")
    assert trust_of(hood).verify(hood.announce(index, [withdrawal]).encode()).closed_by == "withdrawn"
    assert rule_of(hood, hood.announce(index, [misplaced]).encode()) == "update"
    hood.agency_key = signing_key(6)
    foreign = hood.update(leaf, "withdrawn")
    assert rule_of(hood, hood.announce(index, [foreign]).encode()) == "update"


@given(st.data())
def test_no_altered_byte_is_believed(data: st.DataObject) -> None:
    """Flip any bit of an announcement: it is refused, or says what it said before."""
    hood = NeighbourhoodSimulator()
    leaf, payload = hood.announced()
    altered = bytearray(payload)
    altered[data.draw(st.integers(0, len(payload) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        verified = trust_of(hood).verify(bytes(altered), leaf=leaf)
    except RefusedError:
        return
    assert verified.request == hood.request()


@given(st.binary(max_size=400))
def test_no_bytes_crash_it(payload: bytes) -> None:
    """Whatever a broker delivers is refused as malformed, without an error of any other kind."""
    hood = NeighbourhoodSimulator()
    assert rule_of(hood, payload) == "malformed"
