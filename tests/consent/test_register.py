"""Who stands in the register: whatever is not plainly good news for an agency is bad news for it."""

from pathlib import Path
from typing import Any

import pytest

from broker.wire.encoding import WireError
from broker.wire.envelopes import public_bytes
from broker.wire.rules import DAY_US, MINUTE_US
from device.consent.reading.register import Admission, Ended, Register, Suspended
from device.vault.state import State
from tests.consent.support import Home, follow, followed, read_on
from tests.simulators import NOW_US, LogSimulator, NeighbourhoodSimulator

AHEAD_US = NOW_US + 400 * DAY_US


def witnessed() -> NeighbourhoodSimulator:
    return NeighbourhoodSimulator(log=LogSimulator(witnesses=1))


def offered(home: Home) -> tuple[str, bytes]:
    """Have a request on offer."""
    home.shelf.film("c1")
    leaf, payload = home.hood.announced()
    home.consider((leaf, payload))
    assert home.states()[leaf] == "offered"
    return leaf, payload


@pytest.mark.parametrize("cosigners", [0, 1])
def test_what_is_taken_back_under_a_key_that_does_not_count_is_not_offered(tmp_path: Path, cosigners: int) -> None:
    """Admitted by a record that is dated years ahead, the agency changes its key today, and takes all back with it."""
    hood = NeighbourhoodSimulator(log=LogSimulator(witnesses=cosigners))
    home = Home(tmp_path, hood)
    leaf, _ = offered(home)
    hood.rotate(4, admitted_at=AHEAD_US)
    hood.rotate(5, admitted_at=NOW_US)
    hood.update(leaf, "withdrawn")
    home.consider()
    assert home.states()[leaf] == "withdrawn"
    home.close()


@pytest.mark.parametrize("at_us", [0, NOW_US, AHEAD_US])
@pytest.mark.parametrize("admitted_us", [NOW_US - DAY_US, AHEAD_US])
def test_a_revocation_ends_what_stands_whatever_its_date(tmp_path: Path, at_us: int, admitted_us: int) -> None:
    """And whatever the date of the admission: by the order of the log all that was open is closed, none is new."""
    hood = NeighbourhoodSimulator()
    home = Home(tmp_path, hood)
    if admitted_us != hood.agency.admitted_at:
        hood.rotate(4, admitted_at=admitted_us)
    leaf, _ = offered(home)
    hood.revoke(at=at_us)
    after, payload = hood.announced(case="after")
    home.consider((after, payload))
    assert home.states() == {leaf: "withdrawn"}
    home.close()


BAD: dict[str, dict[str, Any]] = {
    "contact": {"contact": "someone@elsewhere.example"},
    "older": {"admitted_at": NOW_US - 2 * DAY_US},
    "as old": {"admitted_at": NOW_US - DAY_US},
    "ahead": {"admitted_at": NOW_US + 6 * MINUTE_US},
}


@pytest.mark.parametrize("changes", BAD.values(), ids=BAD)
def test_an_admission_that_can_not_be_taken_suspends_its_agency(tmp_path: Path, changes: dict[str, Any]) -> None:
    """Neither the old key nor the new one asks or says anything, over a restart too, until a good record comes."""
    hood = witnessed()
    old = hood.agency_key
    leaf, _ = hood.announced()
    hood.rotate(4, **changes)
    new = hood.agency_key
    for key in (old, new):
        hood.log.append(hood.request(case=f"by {len(hood.log.entries)}").sign(key))
    with State.open(tmp_path / "state.db") as state:
        read_on(follow(hood, state), hood.log)
        follower = follow(hood, state)
        before = follower.request(leaf)
        assert before is not None
        assert before.closed == "suspended"
        assert isinstance(follower.standing(hood.agency.agency, follower.size), Suspended)
        assert (follower.kept.void, follower.record(hood.agency.agency).asked) == (2, 1)
        hood.rotate(5, admitted_at=NOW_US, contact="records@police.springfield.example")
        again, _ = hood.announced(case="again")
        read_on(follower, hood.log)
        found = follower.request(again)
        assert found is not None
        assert found.closed is None


def test_a_first_admission_that_can_not_be_taken_admits_nobody() -> None:
    """Nor does the same record once it was revoked, when its day has come."""
    hood = witnessed()
    hood.log.entries.clear()
    hood.rotate(4, admitted_at=NOW_US + DAY_US)
    hood.announced()
    hood.revoke()
    hood.log.append(hood.log.entries[0])
    hood.announced(case="after")
    with followed(hood) as follower:
        assert isinstance(follower.standing(hood.agency.agency, 9), Suspended)
        hood.log.append(hood.log.entries[0])
        hood.log.now_s += 2 * DAY_US // 1_000_000
        hood.announced(case="later")
        read_on(follower, hood.log)
        assert follower.size == 7
        assert follower.record(hood.agency.agency).asked == 0


def test_a_key_that_was_revoked_never_comes_back() -> None:
    """With whatever date; another one does, if its record is newer than the revocation."""
    hood = NeighbourhoodSimulator()
    hood.revoke()
    hood.rotate(3, admitted_at=NOW_US + 1)
    hood.announced(case="the same key")
    hood.rotate(4, admitted_at=NOW_US)
    hood.announced(case="made before")
    hood.rotate(5, admitted_at=NOW_US + 1)
    hood.announced(case="another key")
    with followed(hood) as follower:
        assert follower.record(hood.agency.agency).asked == 1


def test_the_very_record_in_force_says_nothing_new() -> None:
    """Logged again it neither suspends nor admits."""
    hood = NeighbourhoodSimulator()
    hood.log.append(hood.log.entries[0])
    hood.announced()
    with followed(hood) as follower:
        assert (follower.record(hood.agency.agency).asked, follower.kept.void) == (1, 1)


def test_a_flood_of_admissions_leaves_room_for_every_revocation() -> None:
    """Of all agencies and of one: what finds no room suspends its agency; revoked is revoked."""
    agency = NeighbourhoodSimulator().agency

    def admission(index: int, name: str) -> Admission:
        return Admission(index, agency.model_copy(update={"agency": name, "admitted_at": index}), b"")

    for register in (Register(most=3), Register(most_of_agency=2)):
        register.add(admission(0, "one"), by_us=None)
        register.add(admission(1, "one"), by_us=None)
        if register.add(admission(2, "one"), by_us=None) == admission(2, "one"):
            assert isinstance(register.add(admission(3, "one"), by_us=None), Suspended)
            with pytest.raises(WireError, match="no room"):
                register.add(admission(4, "two"), by_us=None)
        for _ in range(3):
            with pytest.raises(WireError, match="no room"):
                register.add(admission(5, "one"), by_us=None)
        revocation = revoked("one")
        assert register.add(revocation, by_us=None) == revocation
        assert register.in_force("one") is None
        with pytest.raises(WireError, match="nothing to revoke"):
            register.add(revocation, by_us=None)
        with pytest.raises(WireError, match="no room"):
            register.add(admission(11, "one"), by_us=None)


def revoked(name: str) -> Ended:
    hood = NeighbourhoodSimulator()
    entry = hood.log.entries[hood.revoke(agency=name)]
    return Ended.open(10, entry, operator_key=public_bytes(hood.operator))


def test_a_register_that_is_read_on_from_stays_as_it_was() -> None:
    """Another thread may ask it meanwhile."""
    agency = NeighbourhoodSimulator().agency
    register = Register()
    other = register.copy()
    other.add(Admission(0, agency, b""), by_us=None)
    assert register.standing(agency.agency) is None
    assert other.since_us(agency.agency) == agency.admitted_at
