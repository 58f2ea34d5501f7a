"""Whose word for the log counts, and for how long: keys, quorums, cosignatures and clocks."""

from pathlib import Path

import pytest

from device.consent.errors import ConsentError
from tests.consent.decisions import approval, approve
from tests.consent.support import OWNER
from tests.home.log_support import Household, fill, offered
from tests.simulators import NOW_US, LogSimulator, NeighbourhoodSimulator

HOUR_S = 3_600


async def test_a_stale_log_holds_everything_and_loses_nothing(house: Household) -> None:
    """Nobody cosigned for a day: nothing new is offered, nothing approved or sent, until witnesses are heard again."""
    leaf = await offered(house)
    house.pass_time(25 * HOUR_S)
    with pytest.raises(ConsentError, match="last witnessed 25 h ago, and 24 h are allowed"):
        approve(house, approval(leaf).sign(OWNER))
    other, payload = house.hood.announced(case="another")
    await house.look((other, payload))
    assert house.states() == {leaf: "offered", other: "announced"}
    house.hood.log.now_s += 25 * HOUR_S
    await house.look()
    assert house.states() == {leaf: "offered", other: "offered"}
    approve(house, approval(leaf).sign(OWNER))
    house.pass_time(25 * HOUR_S)
    assert house.desk.releasing(leaf) is None
    assert house.states()[leaf] == "approved"
    house.hood.log.now_s += 25 * HOUR_S
    await house.look()
    assert house.desk.releasing(leaf) is not None


@pytest.mark.parametrize("hours", [-20 * 24, -2])
async def test_a_clock_that_is_set_back_holds(house: Household, hours: int) -> None:
    """Before the time of the newest cosignature it can't tell how old that is, read before or since."""
    await house.look()
    assert house.follower.hold() is None
    house.pass_time(hours * HOUR_S)
    assert str(house.follower.hold()).startswith("the clock is before ")
    fill(house.hood, 1)
    await house.look()
    assert house.follower.size == 2
    assert str(house.follower.hold()).startswith("the clock is before ")
    house.pass_time((-hours - 0.5) * HOUR_S)
    assert house.follower.hold() is None


async def test_a_witness_ahead_of_its_time_does_not_keep_a_log_fresh(house: Household) -> None:
    """A cosignature from next year is as good as a clock that is a year behind, until one of today is read."""
    house.hood.log.now_s += 365 * 24 * HOUR_S
    await house.look()
    assert house.follower.hold() is not None
    house.hood.log.now_s -= 365 * 24 * HOUR_S
    fill(house.hood, 1)
    await house.look()
    assert house.follower.hold() is None
    house.pass_time(25 * HOUR_S)
    assert house.follower.hold() is not None


async def test_a_log_without_witnesses_has_no_age(tmp_path: Path) -> None:
    """Where the owner put up with that, nothing says how old the log is, and nothing is held for it."""
    house = Household(tmp_path, NeighbourhoodSimulator(log=LogSimulator()))
    house.shelf.film("c1")
    leaf = await offered(house)
    house.pass_time(13 * 24 * HOUR_S)
    approve(house, approval(leaf).sign(OWNER))
    assert not house.follower.witnessed
    await house.aclose()


async def test_a_quorum_that_is_not_met_is_no_head(house: Household) -> None:
    """Signed by the log alone, or by some of the witnesses, a head is not read on from."""
    await house.look()
    bare = LogSimulator(now_s=house.hood.log.now_s)
    bare.entries = house.hood.log.entries
    house.server.logs["log"] = house.server.logs["mirror"] = bare
    fill(house.hood, 1)
    await house.look()
    assert house.follower.size == 1
    assert "no quorum" in house.reader.sources[0].error
    assert house.reader.sources[1].error == ""


async def test_cosignatures_are_put_together_from_all_who_serve(house: Household) -> None:
    """The log shows its witnesses', each mirror its own: together they are the quorum."""
    log = house.hood.log
    of_witness, of_mirror = log.fork(1), log.fork(1)
    of_witness.mirrors, of_mirror.witnesses = {}, {}
    house.server.logs.update(log=of_witness, mirror=of_mirror)
    await house.look()
    assert house.follower.size == 1
    assert [one["cosigned_us"] for one in house.follower.cosigners()] == [NOW_US, NOW_US]


async def test_an_unknown_key_is_refused_and_counted(house: Household) -> None:
    """A log of the same name under another key is nobody's log."""
    await house.look()
    house.server.logs["mirror"] = LogSimulator(seed=9)
    await house.look()
    assert house.follower.refused == 1
    assert house.evidence is None
    assert "not signed by" in house.reader.sources[1].error or "no signature" in house.reader.sources[1].error


async def test_a_false_signature_spoils_only_its_own_note(house: Household) -> None:
    """A mirror that puts a false line of anybody's below a head doesn't keep the head from counting."""
    note = house.hood.log.head()
    for line in note.split(b"\n\n")[1].splitlines():
        name, _, encoded = line.decode().removeprefix("\u2014 ").rpartition(" ")
        false = f"\u2014 {name} {encoded[:-8]}AAAAAAA=\n".encode()
        house.server.instead["mirror", "checkpoint"] = note.replace(line + b"\n", false)
        fill(house.hood, 1)
        note = house.hood.log.head()
        await house.look()
        assert house.follower.size == len(house.hood.log.entries)


async def test_the_newest_cosignature_of_each_counts(house: Household) -> None:
    """Those who serve one head may show cosignatures of different times."""
    await house.look()
    fresh = house.hood.log.fork(1)
    fresh.now_s += 3_600
    house.server.logs["mirror"] = fresh
    house.pass_time(3_600)
    await house.look()
    assert house.follower.age_us() == 0
