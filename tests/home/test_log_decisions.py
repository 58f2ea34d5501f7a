"""What the log says of a request that the owner was offered or has approved, and what is sent then."""

from pathlib import Path

import pytest

from device.consent.errors import ConsentError
from tests.consent.decisions import approval, approve
from tests.consent.support import OWNER
from tests.home.log_support import Household, fill, offered, witnessed_hood
from tests.simulators import NeighbourhoodSimulator


async def test_a_replay_changes_nothing(house: Household) -> None:
    """The same announcement again, or its entry logged again, is the request that is known."""
    leaf = await offered(house)
    house.hood.log.append(house.hood.log.entries[1])
    payload = house.hood.log.logged(1).encode()
    await house.look((leaf, payload), (leaf, payload))
    assert house.states() == {leaf: "offered"}
    house.desk.decline(leaf)
    await house.look((leaf, payload))
    assert house.states() == {leaf: "declined"}


async def test_a_revocation_closes_what_is_open_and_refuses_late_approvals(house: Household) -> None:
    """From that entry on the agency has nothing on offer here, with the rule that says why."""
    leaf = await offered(house)
    house.hood.revoke()
    await house.look()
    (stored,) = house.desk.requests()
    assert (stored.state, stored.rule, stored.message) == ("withdrawn", "revoked", "the agency's admission was revoked")
    with pytest.raises(ConsentError, match="revoked"):
        approve(house, approval(leaf).sign(OWNER))


async def test_a_withdrawal_in_the_log_counts_though_nobody_tells_of_it(house: Household) -> None:
    """An operator that keeps a withdrawal from the broker keeps it from nobody."""
    leaf = await offered(house)
    house.hood.update(leaf, "withdrawn")
    await house.look()
    assert house.states() == {leaf: "withdrawn"}


async def test_a_withdrawal_in_another_history_of_the_same_size_counts(house: Household) -> None:
    """The owner believes a log that is as long as the one before, and says something else."""
    leaf = await offered(house)
    other = house.hood.log.fork(2)
    fill(house.hood, 1)
    await house.look()
    NeighbourhoodSimulator(log=other).update(leaf, "withdrawn")
    house.server.logs["log"] = house.server.logs["mirror"] = other
    await house.look()
    assert house.evidence == ("fork", "there are two logs of 3 entries")
    assert house.states() == {leaf: "offered"}
    await house.reader.read_again()
    await house.look()
    assert house.states() == {leaf: "withdrawn"}


async def test_the_owner_may_believe_the_log_again(house: Household) -> None:
    """Only that ends it: what was read is forgotten, the log is read as it is shown now, and the evidence stays."""
    leaf = await offered(house)
    other = house.hood.log.fork(1)
    hood = NeighbourhoodSimulator(log=other)
    new_leaf, payload = hood.announced(case="other")
    house.server.logs["log"] = house.server.logs["mirror"] = other
    await house.look()
    assert house.evidence is not None
    await house.look((new_leaf, payload))
    assert house.states() == {leaf: "offered", new_leaf: "announced"}
    await house.reader.read_again()
    await house.look()
    assert house.evidence is None
    assert house.states() == {leaf: "offered", new_leaf: "offered"}
    assert [one.accepted_us for one in house.follower.evidence()] == [house.now_us]
    with pytest.raises(ConsentError, match="not-in-log"):
        approve(house, approval(leaf).sign(OWNER))


@pytest.mark.parametrize("cosigners", [0, 1])
async def test_nothing_is_sent_of_a_request_that_is_in_the_log_no_more(tmp_path: Path, cosigners: int) -> None:
    """Approved, and then the owner believes another history: it waits until that is read so far, and is closed."""
    house = Household(tmp_path, witnessed_hood(witnesses=cosigners, mirrors=cosigners))
    house.shelf.film("c1")
    leaf = await offered(house)
    approve(house, approval(leaf).sign(OWNER))
    other = house.hood.log.fork(1)
    other.append(b"another entry")
    house.server.logs["log"] = other
    await house.look()
    assert house.desk.releasing(leaf) is None
    await house.reader.read_again()
    assert house.desk.releasing(leaf) is None
    assert house.states() == {leaf: "approved"}
    await house.look()
    assert house.follower.hold() is None
    assert house.desk.releasing(leaf) is None
    (stored,) = house.desk.requests()
    assert (stored.state, stored.rule) == ("withdrawn", "not-in-log")
    assert [entry.kind for entry in house.ledger.entries()] == ["approved"]
    assert house.desk.spent_bundles() == {"x.age"}
    assert house.shelf.pinned == {}
    await house.aclose()


async def test_what_was_approved_waits_until_the_log_holds_it_again(house: Household) -> None:
    """Read anew, and not as far as that yet: neither sent nor closed; once it is read, it goes."""
    leaf = await offered(house)
    approve(house, approval(leaf).sign(OWNER))
    log = house.hood.log
    house.server.logs["log"] = house.server.logs["mirror"] = log.fork(1)
    await house.reader.read_again()
    await house.look()
    assert (house.follower.size, house.follower.hold()) == (1, None)
    assert house.desk.releasing(leaf) is None
    assert house.states() == {leaf: "approved"}
    house.server.logs["log"] = house.server.logs["mirror"] = log
    await house.look()
    sending = house.desk.releasing(leaf)
    assert sending is not None
    assert sending.closed_by is None


async def test_what_is_on_its_way_stops_when_it_is_in_the_log_no_more(house: Household) -> None:
    """Some bytes may have gone: only its receipt is asked for; a request at another place is another one."""
    leaf = await offered(house)
    approve(house, approval(leaf).sign(OWNER))
    assert house.desk.releasing(leaf) is not None
    other = house.hood.log.fork(1)
    other.entries += [b"another entry", *house.hood.log.entries[1:]]
    house.server.logs["log"] = house.server.logs["mirror"] = other
    await house.reader.read_again()
    assert house.desk.releasing(leaf) is None
    await house.look()
    sending = house.desk.releasing(leaf)
    assert sending is not None
    assert sending.closed_by == "not-in-log"
    assert house.states() == {leaf: "released"}
