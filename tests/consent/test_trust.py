"""Whom a device believes: each way around the log, the admission or the signature is refused with its rule."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.wire.envelopes import public_bytes
from broker.wire.topics import Announcement
from device.consent.errors import NotReadYetError, RefusedError
from device.consent.trust import VerifiedRequest
from tests.consent.support import followed, read_on, trust_in, verified_of
from tests.simulators import LogSimulator, NeighbourhoodSimulator, signing_key


def rule_of(hood: NeighbourhoodSimulator, payload: bytes, leaf: str | None = None) -> str:
    with pytest.raises(RefusedError) as caught:
        verified_of(hood, payload, leaf=leaf)
    return caught.value.rule


def test_a_logged_request_of_an_admitted_agency_is_verified() -> None:
    """What is in the log, admitted and signed comes out as the request it is."""
    hood = NeighbourhoodSimulator()
    leaf, payload = hood.announced()
    verified = verified_of(hood, payload, leaf=leaf)
    assert (verified.leaf, verified.request, verified.agency) == (leaf, hood.request(), hood.agency)
    assert verified.closed_by is None


def test_nobody_else_makes_a_verified_request() -> None:
    """The type itself refuses to be made elsewhere, so a signature shows what must have happened before."""
    hood = NeighbourhoodSimulator()
    leaf, payload = hood.announced()
    found = verified_of(hood, payload, leaf=leaf)
    with pytest.raises(TypeError):
        VerifiedRequest(leaf, 1, found.request, found.admission, found.logged, found.entry, object())


def test_a_request_that_is_not_in_the_log_is_refused() -> None:
    """A proof of another entry does not carry over to a request that was never logged."""
    hood = NeighbourhoodSimulator()
    announcement = hood.log.logged(hood.post(hood.request()))
    secret = hood.request(case="secret").sign(hood.agency_key)
    assert rule_of(hood, replace(announcement, envelope=secret).encode()) == "proof"


def test_another_log_is_refused() -> None:
    """A log with the same name and another key convinces nobody."""
    hood = NeighbourhoodSimulator()
    forged = NeighbourhoodSimulator(log=LogSimulator(seed=9))
    _, payload = forged.announced()
    assert rule_of(hood, payload) == "proof"


def test_a_request_in_a_log_that_is_not_the_one_read_is_refused() -> None:
    """Asked in secret: the log's own key, and every witness, signed another tree for this device alone."""
    hood = NeighbourhoodSimulator()
    hood.announced(case="public")
    secret = NeighbourhoodSimulator(log=hood.log.fork(1))
    _, payload = secret.announced(case="secret")
    assert rule_of(hood, payload) == "not-in-log"


def test_what_was_not_read_yet_is_not_judged() -> None:
    """Until the device itself has read as far, the announcement is neither believed nor refused."""
    hood = NeighbourhoodSimulator()
    with followed(hood) as follower:
        leaf, payload = hood.announced()
        with pytest.raises(NotReadYetError, match="entry 1 of the public log, and 1 entries were read"):
            trust_in(hood, follower).verify(payload)
        read_on(follower, hood.log)
        assert trust_in(hood, follower).verify(payload).leaf == leaf


def test_an_agency_that_the_operator_did_not_admit_is_refused() -> None:
    """An admission under any other key than the pinned one counts for nothing, logged or not."""
    hood = NeighbourhoodSimulator(log=LogSimulator())
    hood.log.edit(0, hood.agency.sign(signing_key(8)))
    _, payload = hood.announced()
    assert rule_of(hood, payload) == "admission"


def test_an_agency_admitted_afterwards_is_refused() -> None:
    """The admission has to stand in the log before the request."""
    hood = NeighbourhoodSimulator()
    hood.log.edit(0, b"{}")
    index = hood.post(hood.request())
    hood.log.append(hood.agency.sign(hood.operator))
    assert rule_of(hood, hood.log.logged(index).encode()) == "admission"


def test_a_request_signed_by_another_key_is_refused() -> None:
    """A logged request counts only under the key that was admitted."""
    hood = NeighbourhoodSimulator()
    index = hood.log.append(hood.request().sign(signing_key(7)))
    assert rule_of(hood, hood.log.logged(index).encode()) == "signature"


def test_a_request_in_another_agencys_name_is_refused() -> None:
    """One admitted agency can't ask under the name of another."""
    hood = NeighbourhoodSimulator()
    _, payload = hood.announced(agency="shelbyville-pd")
    assert rule_of(hood, payload) == "admission"
    other = {"agency": "shelbyville-pd", "key": public_bytes(signing_key(7))}
    hood.log.append(hood.agency.model_copy(update=other).sign(hood.operator))
    _, payload = hood.announced(agency="shelbyville-pd", case="once more")
    assert rule_of(hood, payload) == "signature"


def test_a_revoked_agency_asks_nothing_from_that_entry_on() -> None:
    """What it asked before is closed as revoked; what it asks afterwards is refused, whatever its key."""
    hood = NeighbourhoodSimulator()
    _, before = hood.announced(case="before")
    hood.revoke()
    _, after = hood.announced(case="after")
    assert verified_of(hood, before).closed_by == "revoked"
    assert rule_of(hood, after) == "revoked"


def test_a_revoked_key_never_comes_back() -> None:
    """Admitted again, the agency needs another key; under that one it may ask."""
    hood = NeighbourhoodSimulator()
    hood.revoke()
    hood.rotate(3, admitted_at=hood.now_us + 1)  # the very key that was revoked
    _, payload = hood.announced(case="old key")
    assert rule_of(hood, payload) == "admission"
    hood.rotate(4, admitted_at=hood.now_us + 2)
    _, payload = hood.announced(case="new key")
    assert verified_of(hood, payload).closed_by is None


def test_a_rotated_key_counts_up_to_the_entry_that_replaced_it() -> None:
    """Requests before the rotation stay as they are; the old key signs nothing from then on, nor any update."""
    hood = NeighbourhoodSimulator()
    leaf, before = hood.announced(case="before")
    old_key = hood.agency_key
    hood.rotate(4)
    hood.agency_key, new_key = old_key, hood.agency_key
    _, late = hood.announced(case="late")
    hood.update(leaf, "withdrawn")
    assert rule_of(hood, late) == "signature"
    assert verified_of(hood, before).closed_by is None
    hood.agency_key = new_key
    hood.update(leaf, "withdrawn")
    assert verified_of(hood, before).closed_by == "withdrawn"


def test_an_older_admission_does_not_bring_an_older_key_back() -> None:
    """Whoever has the log's key, and not the operator's, can only log again what the operator once signed."""
    hood = NeighbourhoodSimulator()
    first, old_key = hood.log.entries[0], hood.agency_key
    hood.rotate(4)
    hood.log.append(first)
    hood.agency_key = old_key
    _, payload = hood.announced()
    assert rule_of(hood, payload) == "admission"


def test_an_announcement_under_another_topic_is_refused() -> None:
    """The topic's hash and the entry have to agree."""
    hood = NeighbourhoodSimulator()
    _, payload = hood.announced()
    assert rule_of(hood, payload, leaf="0" * 64) == "topic"


def test_an_entry_that_is_no_request_is_refused() -> None:
    """An admission announced as if it were a request is malformed."""
    hood = NeighbourhoodSimulator()
    assert rule_of(hood, hood.log.logged(hood.admission).encode()) == "malformed"


def test_a_request_logged_twice_counts_where_it_stood_first() -> None:
    """The same envelope at another entry, after a withdrawal say, is refused."""
    hood = NeighbourhoodSimulator()
    index = hood.post(hood.request())
    hood.update(hood.log.logged(index).leaf, "withdrawn")
    again = hood.log.append(hood.log.entries[index])
    assert rule_of(hood, hood.log.logged(again).encode()) == "not-in-log"
    assert verified_of(hood, hood.log.logged(index).encode()).closed_by == "withdrawn"


def test_updates_count_only_if_they_are_the_agencys_own() -> None:
    """Neither another agency nor a stranger's key closes a request."""
    hood = NeighbourhoodSimulator()
    leaf, payload = hood.announced()
    stranger = NeighbourhoodSimulator(log=hood.log)
    stranger.agency_key = signing_key(6)
    stranger.update(leaf, "withdrawn")
    other = {"agency": "shelbyville-pd", "key": public_bytes(signing_key(6))}
    stranger.agency = hood.agency.model_copy(update=other)
    hood.log.append(stranger.agency.sign(hood.operator))
    stranger.update(leaf, "withdrawn")
    assert verified_of(hood, payload).closed_by is None


@pytest.mark.parametrize(
    ("said", "closed_by"),
    [(["answered"], None), (["resolved"], "resolved"), (["resolved", "withdrawn"], "withdrawn"),
     (["withdrawn", "resolved"], "withdrawn"), (["answered", "resolved", "answered"], "resolved")],
)  # fmt: skip
def test_what_the_agency_says_closes_or_not(said: list[str], closed_by: str | None) -> None:
    """Answered keeps a request open; a withdrawal outlasts everything."""
    hood = NeighbourhoodSimulator()
    leaf, payload = hood.announced()
    for kind in said:
        hood.update(leaf, kind)
    verified = verified_of(hood, payload)
    assert verified.closed_by == closed_by
    assert [update.kind for update in verified.updates] == said


HOOD = NeighbourhoodSimulator()
LEAF, PAYLOAD = HOOD.announced()


@given(st.data())
def test_no_altered_byte_is_believed(data: st.DataObject) -> None:
    """Flip any bit of an announcement: it is refused, or says what it said before."""
    altered = bytearray(PAYLOAD)
    altered[data.draw(st.integers(0, len(PAYLOAD) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        verified = verified_of(HOOD, bytes(altered), leaf=LEAF)
    except RefusedError:
        return
    assert verified.request == HOOD.request()


@given(st.binary(max_size=400))
def test_no_bytes_crash_it(payload: bytes) -> None:
    """Whatever a broker delivers is refused as malformed, without an error of any other kind."""
    assert rule_of(HOOD, payload) == "malformed"


@given(st.binary(max_size=300))
def test_no_entry_crashes_it(envelope: bytes) -> None:
    """Whatever a log holds, announced with a proof that holds, is refused without an error of any other kind."""
    log = HOOD.log.fork(2)
    hood = NeighbourhoodSimulator(log=log)
    index = log.append(envelope)
    assert rule_of(hood, Announcement(envelope, log.proof(index)).encode()) == "malformed"
