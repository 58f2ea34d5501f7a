"""What entries teach, and that nothing an operator or an agency logs makes a device crash or swell."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from broker.wire.envelopes import public_bytes
from broker.wire.merkle import leaf_hash
from broker.wire.records import RefusalCount, Refusals
from broker.wire.rules import DAY_US, HOUR_US
from device.consent.reading.lessons import Requested, Said, Stood, teach
from device.consent.reading.register import Register
from device.consent.reading.tables import MOST_OPEN
from device.vault.state import State
from tests.consent.support import follow, followed, read_on
from tests.simulators import NOW_US, NeighbourhoodSimulator

HOOD = NeighbourhoodSimulator()
HOOD.update(HOOD.announced()[0], "withdrawn")
HOOD.rotate(4)
HOOD.revoke()


def test_each_kind_of_entry_teaches_its_lesson() -> None:
    """In order, under the keys in force at each."""
    entries = HOOD.log.entries
    leaves = [leaf_hash(entry) for entry in entries]
    taught = teach(Register(), 0, entries, leaves, operator_key=public_bytes(HOOD.operator), by_us=NOW_US)
    assert [type(lesson) for lesson in taught.lessons] == [Stood, Requested, Said, Stood, Stood]
    assert taught.void == 0
    assert taught.register.in_force(HOOD.agency.agency) is None


def test_what_is_read_changes_no_register_that_others_ask() -> None:
    """It is taught to a copy: who reads on may yet fail to keep what was learnt."""
    register, entries = Register(), HOOD.log.entries
    leaves = [leaf_hash(entry) for entry in entries]
    teach(register, 0, entries, leaves, operator_key=public_bytes(HOOD.operator), by_us=NOW_US)
    assert register.standing(HOOD.agency.agency) is None


@given(st.data())
def test_an_altered_entry_teaches_nothing_else(data: st.DataObject) -> None:
    """A flipped bit, wherever: the entry teaches nothing, and the others what they taught or less."""
    entries = list(HOOD.log.entries)
    at = data.draw(st.integers(0, len(entries) - 1))
    altered = bytearray(entries[at])
    altered[data.draw(st.integers(0, len(altered) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    entries[at] = bytes(altered)
    leaves = [leaf_hash(entry) for entry in entries]
    taught = teach(Register(), 0, entries, leaves, operator_key=public_bytes(HOOD.operator), by_us=NOW_US)
    assert taught.void >= 1
    assert len(taught.lessons) + taught.void == len(entries)


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_no_entry_crashes_it(entries: list[bytes]) -> None:
    """Whatever stands in a log."""
    leaves = [leaf_hash(entry) for entry in entries]
    taught = teach(Register(), 0, entries, leaves, operator_key=public_bytes(HOOD.operator), by_us=NOW_US)
    assert (taught.lessons, taught.void) == ((), len(entries))


def test_counts_of_refusals_can_be_no_numbers_too_large_to_add() -> None:
    """An operator that signs nonsense makes a record nonsense, and breaks nothing."""
    hood = NeighbourhoodSimulator()
    for day in range(5):
        counts = tuple(RefusalCount(code=f"rule-{number}", count=(1 << 53) - 1) for number in range(40))
        since = NOW_US + day * DAY_US
        record = Refusals(agency=hood.agency.agency, since=since, until=since + HOUR_US, counts=counts)
        hood.log.append(record.sign(hood.operator))
    with followed(hood) as follower:
        assert follower.record(hood.agency.agency).turned_away == 5_000_000_000


def test_a_flood_of_open_requests_is_not_kept(tmp_path: Path) -> None:
    """Far beyond what the intake lets through, and open for ever by their own word: so many are kept, for so long."""
    hood = NeighbourhoodSimulator()
    for number in range(MOST_OPEN + 50):
        hood.announced(case=f"case {number}", expires_at=NOW_US + 7_000 * 365 * DAY_US)
    with State.open(tmp_path / "state.db") as state:
        follower = follow(hood, state, now_us=NOW_US + 400 * DAY_US)
        read_on(follower, hood.log)
        assert follower.counts() == {"agencies": 1, "requests": MOST_OPEN, "cases": MOST_OPEN + 50, "revoked": 0}
        later = NOW_US + 100 * DAY_US
        hood.announced(case="later", posted_at=later, expires_at=later + DAY_US)
        read_on(follower, hood.log)
        assert follower.counts()["requests"] == 1
