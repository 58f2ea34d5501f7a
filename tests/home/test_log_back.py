"""A log that shows less than it did: told, held against, and told apart from a cache or mirror that lags."""

from pathlib import Path

from tests.home.log_support import Household, fill
from tests.simulators import LogSimulator, NeighbourhoodSimulator


def kinds(house: Household) -> list[tuple[str, bool]]:
    """The kinds of all evidence, and whether it stands."""
    return [(one.kind, one.accepted_us is None) for one in house.follower.evidence()]


async def test_a_log_that_drops_an_entry_and_adds_none_goes_back(house: Household) -> None:
    """It is shorter than it was: no cache is to blame after a while, and by its tiles it is another history."""
    fill(house.hood, 600)
    await house.look()
    other = house.hood.log.fork(3)
    other.entries += house.hood.log.entries[4:]
    house.server.logs["log"] = other
    house.pass_time(11 * 60)
    await house.look()
    assert house.evidence == ("fork", "a head of 600 entries is no beginning of the 601 that were read")
    assert kinds(house) == [("rollback", True), ("fork", True)]


async def test_a_log_that_goes_back_is_told_and_kept(house: Household) -> None:
    """The log itself shows a smaller head than it showed before, and no cache is to blame: evidence, and a hold."""
    fill(house.hood, 3)
    await house.look()
    house.server.logs["log"] = house.hood.log.fork(2)
    await house.look()
    assert kinds(house) == []
    assert house.follower.size == 4
    house.pass_time(11 * 60)
    await house.look()
    assert house.follower.contradiction is None
    for _ in range(2):
        assert "went back from 4 to 2 entries" in str(house.follower.hold())
        assert house.follower.problem() == house.follower.hold()
        assert kinds(house) == [("rollback", True)]
        house.close()
        house.open()
    assert house.follower.size == 4


async def test_a_log_that_shows_as_much_again_counts_again(house: Household) -> None:
    """However often it went back, what it signed is kept once; more at a mirror does not make it good."""
    house.server.logs["mirror"] = house.hood.log
    fill(house.hood, 3)
    await house.look()
    for _ in range(3):
        house.server.logs["log"] = house.hood.log.fork(2)
        house.pass_time(11 * 60)
        await house.look()
        await house.look()
        assert "went back" in str(house.follower.hold())
        assert kinds(house) == [("rollback", True)]
        house.server.logs["log"] = house.hood.log
        await house.look()
        assert house.follower.hold() is None
        assert kinds(house) == [("rollback", False)]


async def test_one_old_answer_on_a_quiet_log_is_a_caches(house: Household) -> None:
    """Long after the log grew last, but not after it last showed as much."""
    fill(house.hood, 3)
    await house.look()
    for _ in range(4):
        house.pass_time(9 * 60)
        await house.look()
    house.server.logs["log"] = house.hood.log.fork(2)
    house.pass_time(9 * 60)
    await house.look()
    assert (house.follower.hold(), kinds(house)) == (None, [])


async def test_a_rollback_holds_where_nobody_witnesses(tmp_path: Path) -> None:
    """It needs no witness to be seen, and is told."""
    house = Household(tmp_path, NeighbourhoodSimulator(log=LogSimulator()))
    fill(house.hood, 3)
    await house.look()
    house.server.logs["log"] = house.hood.log.fork(2)
    house.pass_time(11 * 60)
    await house.look()
    assert "went back" in str(house.follower.problem())
    await house.reader.read_again()
    assert house.follower.hold() is None
    await house.aclose()


async def test_a_mirror_that_lags_is_no_contradiction(house: Household) -> None:
    """An older head of the same history, at a mirror or by the broker, changes nothing."""
    house.server.logs["mirror"] = house.hood.log.fork(1)
    old = house.hood.log.head()
    fill(house.hood, 3)
    await house.look()
    await house.reader.told(old)
    await house.look()
    assert house.evidence is None
    assert house.follower.size == 4
