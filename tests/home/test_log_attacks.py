"""What an operator, a mirror or somebody with the log's key may try, and what a device makes of it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from broker.wire.tiles import encode_entries
from broker.wire.topics import Announcement
from device.consent.errors import ConsentError
from device.logreader import CHUNK_BUNDLES
from tests.consent.support import OWNER
from tests.consent.test_desk import approval, approve
from tests.home.log_support import Household, fill, witnessed_hood
from tests.simulators import NOW_US, LogSimulator, NeighbourhoodSimulator

HOUR_S = 3_600


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[Household]:
    hood = witnessed_hood()
    house = Household(tmp_path, hood, mirror=hood.log)
    house.shelf.film("c1")
    yield house
    await house.aclose()


async def offered(house: Household) -> str:
    leaf, payload = house.hood.announced()
    await house.look((leaf, payload))
    assert house.states() == {leaf: "offered"}
    return leaf


def secretly(house: Household, at: int) -> tuple[str, bytes]:
    """Announce a request that is in another log of the same keys, which is the public one up to entry `at`."""
    secret = NeighbourhoodSimulator(log=house.hood.log.fork(at))
    return secret.announced(case="secret")


async def test_a_secret_request_is_never_offered_and_gives_its_asker_away(house: Household) -> None:
    """Announced under a head that witnesses signed, not in the log that is read: once read so far, it is evidence."""
    await house.look()
    leaf, payload = secretly(house, 1)
    await house.look((leaf, payload))
    assert house.states() == {leaf: "announced"}
    house.hood.announced(case="public")
    await house.look()
    assert house.states() == {leaf: "announced"}  # nothing of this log is judged any more
    assert house.evidence == ("fork", "there are two logs of 2 entries")


async def test_a_secret_request_deep_in_a_fork_is_found_when_it_is_passed(house: Household) -> None:
    """Its head is larger than what was read: it is compared when the device reads past that size."""
    await house.look()
    await house.look(secretly(house, 1))
    fill(house.hood, 5)
    await house.look()
    assert house.evidence == ("fork", "two heads disagree about the first 2 entries")


async def test_a_secret_request_in_the_past_is_found_by_tiles(house: Household) -> None:
    """Its head is smaller than what was read: the tiles show what stood there."""
    secret = secretly(house, 1)
    fill(house.hood, 300)
    await house.look()
    await house.look(secret)
    assert house.states() == {}
    assert house.docket.refused_unverified == 1
    await house.look()
    assert house.evidence == ("fork", "a head of 2 entries is no beginning of the 301 that were read")


async def test_who_serves_false_tiles_hides_no_secret_request(house: Household) -> None:
    """The log itself serves tiles that lead nowhere, or nobody serves any: the doubt stands until somebody does."""
    secret = secretly(house, 1)
    fill(house.hood, 300)
    await house.look()
    house.server.instead["log", "tile/0/000"] = bytes(8_192)
    house.server.instead["mirror", "tile/0/000"] = b""
    await house.look(secret)
    for _ in range(2):
        await house.look()
        assert house.evidence is None
    assert "do not lead from 2 entries to the 301" in house.reader.sources[0].error
    del house.server.instead["mirror", "tile/0/000"]
    await house.look()
    assert house.evidence == ("fork", "a head of 2 entries is no beginning of the 301 that were read")


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


async def test_two_secret_requests_are_one_contradiction(house: Household) -> None:
    """Once one has shown that the log is two, the next adds nothing."""
    secrets = [secretly(house, 1), secretly(house, 1)]
    other = house.hood.log.fork(1)
    other.append(b"another entry")
    secrets.append(NeighbourhoodSimulator(log=other).announced(case="another secret"))
    fill(house.hood, 300)
    await house.look()
    await house.look(*secrets)
    for _ in range(4):
        await house.look()
    assert len(house.follower.evidence()) == 1


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


@pytest.mark.parametrize("size", [30, 700])
async def test_a_mirror_that_lies_is_passed_over(tmp_path: Path, size: int) -> None:
    """It serves other entries than its own head stands for: nothing is learnt of them, and the next one is asked."""
    hood = witnessed_hood()
    house = Household(tmp_path, hood, liar=hood.log, mirror=hood.log)
    fill(hood, size)
    house.server.down = {"log"}
    width = min(256, len(hood.log.entries))
    path = "tile/entries/000" if width == 256 else f"tile/entries/000.p/{width}"
    lies = encode_entries([b"a lie", *hood.log.entries[1:width]])
    house.server.instead["liar", path] = lies
    await house.look()
    assert house.follower.size == len(hood.log.entries)
    assert house.follower.kept.void == size
    assert house.evidence is None
    liar = next(one for one in house.reader.sources if one.name == "liar")
    assert "entries" in liar.error
    await house.aclose()


async def test_a_mirror_with_false_tiles_accuses_nobody(tmp_path: Path) -> None:
    """Tiles that don't hash to the head prove nothing against the log."""
    hood = witnessed_hood()
    house = Household(tmp_path, hood, liar=hood.log)
    await house.look()
    fill(hood, 1_000)
    house.server.down = {"log"}
    house.server.instead["liar", "tile/1/000.p/3"] = bytes(96)
    await house.look()
    assert house.evidence is None
    assert house.follower.size == 1
    house.server.down = set()
    await house.look()
    assert house.follower.size == 1_001
    await house.aclose()


@pytest.mark.parametrize("path", ["checkpoint", "tile/entries/000.p/41"])
@pytest.mark.parametrize("answer", [b"<html>", b"x" * 20_000_000, b""], ids=["page", "endless", "empty"])
async def test_rubbish_and_too_much_are_passed_over(house: Household, path: str, answer: bytes) -> None:
    """An error page, a file that is too large: the other one is read."""
    fill(house.hood, 40)
    house.server.instead["log", path] = answer
    await house.look()
    assert house.reader.sources[0].error
    assert house.follower.size == 41
    assert house.evidence is None


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


async def test_what_is_asked_of_the_log_does_not_depend_on_what_matches(tmp_path: Path) -> None:
    """Two devices, one with a clip of everything, one with none: those who serve the log can't tell them apart."""
    asked = []
    for films in (True, False):
        hood = witnessed_hood()
        house = Household(tmp_path / str(films), hood, mirror=hood.log)
        if films:
            house.shelf.film("c1")
        for step in range(4):
            found = [hood.announced(case=f"{step} {number}") for number in range(3)]
            fill(hood, 100 * step)
            await house.look(*found)
            await house.look()
        assert ("offered" in house.states().values()) is films
        asked.append(house.server.asked)
        await house.aclose()
    assert asked[0] == asked[1]
    assert {path.partition(".p/")[0].rpartition("/")[0] for _, path in asked[0]} <= {
        "",
        "tile/entries",
        "tile/0",
        "tile/1",
    }


async def test_doubts_are_compared_at_one_a_look(house: Household) -> None:
    """However much is announced that was not read, each look asks for the tiles of one head."""
    log = house.hood.log
    leaves = [house.hood.announced(case=f"case {number}")[0] for number in range(3)]
    again = [log.append(log.entries[1 + number]) for number in range(3)]  # the first counts, so these are not read
    fill(house.hood, 20)
    await house.look()
    house.paths()
    payloads = [Announcement(log.entries[at], log.proof(at, at + 1)).encode() for at in again]
    await house.look(*zip(leaves, payloads, strict=True))
    tiles = []
    for _ in range(4):
        await house.look()
        tiles.append([path for path in house.paths() if "tile" in path])
    assert tiles == [["tile/0/000.p/27"]] * 3 + [[]]
    assert house.docket.refused_unverified == 3
    assert house.evidence is None


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
