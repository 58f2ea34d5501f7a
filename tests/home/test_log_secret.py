"""Requests that are asked in secret: announced, and not in the log that everybody can read."""

from broker.wire.topics import Announcement
from tests.home.log_support import Household, fill, secretly
from tests.simulators import NeighbourhoodSimulator


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
