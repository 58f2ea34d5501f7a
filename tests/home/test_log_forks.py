"""A log with two histories: found out, kept as evidence once, and read no further."""

import pytest

from device.consent.errors import ConsentError
from device.logreader import CHUNK_BUNDLES
from tests.consent.decisions import approval, approve
from tests.consent.support import OWNER
from tests.home.log_support import Household, fill, offered, secretly


async def test_two_publics_with_two_histories_are_found_out(house: Household) -> None:
    """A mirror was shown another log than the device, of one size: both heads are kept, and nothing counts any more."""
    leaf = await offered(house)
    other = house.hood.log.fork(1)
    other.append(b"another entry")
    house.server.logs["mirror"] = other
    await house.look()
    assert house.evidence == ("fork", "there are two logs of 2 entries")
    (one,) = house.follower.evidence()
    assert {one.first_note, one.second_note} == {house.hood.log.head(), other.head()}
    assert "contradicts itself" in str(house.follower.problem())
    with pytest.raises(ConsentError, match="contradicts itself"):
        approve(house, approval(leaf).sign(OWNER))


@pytest.mark.parametrize("more", [1, 300, 900])
async def test_growth_that_does_not_follow_is_a_fork(house: Household, more: int) -> None:
    """The log goes on from another history, entries, tiles, cosignatures and all: the tiles themselves prove it."""
    fill(house.hood, 40)
    await house.look()
    other = house.hood.log.fork(20)
    for number in range(21 + more):
        other.append(b"other %d" % number)
    house.server.logs["log"] = house.server.logs["mirror"] = other
    await house.look()
    assert house.evidence == ("fork", f"a head of {41 + more} entries did not grow from the 41 that were read")
    assert house.follower.size == 41


@pytest.mark.parametrize("at", [0, 3, 600])
@pytest.mark.parametrize("how", ["edited", "dropped"])
@pytest.mark.parametrize("more", [0, 1, 300])
async def test_an_entry_that_is_edited_or_dropped_is_a_fork(house: Household, at: int, how: str, more: int) -> None:
    """What was read once can't be another later, or gone, wherever it stood."""
    fill(house.hood, 600)
    await house.look()
    entries = house.hood.log.entries
    other = house.hood.log.fork(at)
    other.entries += [b"edited"] if how == "edited" else []
    other.entries += [*entries[at + 1 :], *(b"more %d" % number for number in range(more + (how == "dropped")))]
    house.server.logs["log"] = house.server.logs["mirror"] = other
    await house.look()
    grown = f"a head of {601 + more} entries did not grow from the 601 that were read"
    assert house.evidence == ("fork", grown if more else "there are two logs of 601 entries")
    assert house.follower.size == 601


async def nothing_is_due(house: Household) -> None:
    """Before its time no more is asked, though there is more to read."""
    house.server.asked = []
    await house.reader.look()
    assert house.server.asked == []


async def test_after_a_contradiction_no_look_comes_sooner(house: Household) -> None:
    """A few entries are read, and a head on the way to them is another's: there is no hurry to read the rest."""
    await house.look()
    await house.look(secretly(house, 1))
    fill(house.hood, 5)
    await house.look()
    assert house.evidence is not None
    await nothing_is_due(house)


async def test_what_the_others_show_is_not_read_once_one_contradicts(house: Household) -> None:
    """The log has grown, and its mirror was shown another history of what was read: no entry is asked for."""
    await house.look()
    other = house.hood.log.fork(0)
    other.append(b"another")
    house.server.logs["mirror"] = other
    fill(house.hood, 5)
    house.server.asked = []
    await house.look()
    assert house.evidence == ("fork", "there are two logs of 1 entries")
    assert house.server.asked == [("log", "checkpoint"), ("mirror", "checkpoint")]


async def test_one_contradiction_is_kept_once_and_nothing_is_read_past_it(house: Household) -> None:
    """Those who serve what was passed are asked for no more of it, and none of them is blamed."""
    await house.look()
    await house.look(secretly(house, 1))
    fill(house.hood, 256 * 3 * CHUNK_BUNDLES)
    house.paths()
    await house.look()
    assert house.evidence == ("fork", "two heads disagree about the first 2 entries")
    assert len(house.follower.evidence()) == 1
    assert [source.error for source in house.reader.sources] == ["", ""]
    assert len([path for path in house.paths() if "entries" in path]) == CHUNK_BUNDLES
    await nothing_is_due(house)


async def test_rubbish_after_a_contradiction_is_only_rubbish(house: Household) -> None:
    """A mirror that shows no note at all while nothing of the log counts ends nothing."""
    await house.look()
    other = house.hood.log.fork(0)
    other.append(b"another")
    house.server.logs["log"] = other
    await house.look()
    assert house.evidence is not None
    house.server.instead["mirror", "checkpoint"] = b"rubbish"
    await house.look()
    log, mirror = house.reader.sources
    assert (log.size, log.error, mirror.size) == (1, "", None)
    assert mirror.error
