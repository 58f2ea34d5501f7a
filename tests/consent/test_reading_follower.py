"""Reading on: the same however it is cut into looks, kept by compare-and-swap, and small."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.wire.records import RefusalCount, Refusals
from broker.wire.rules import DAY_US, MINUTE_US
from device.consent.reading.edge import ahead, tile_reader, tiles_for
from device.consent.reading.follower import Follower, MisservedError
from device.consent.reading.tables import KEPT_US, MovedError
from device.vault.state import Row, State
from tests.consent.support import follow, followed, read_on
from tests.simulators import NOW_US, NeighbourhoodSimulator

TABLES = ("log_standing", "log_requests", "log_updates", "log_records", "log_evidence")


def learnt(state: State) -> dict[str, list[Row]]:
    """Return all that was learnt; cases without their keyed names."""
    found = {table: state.query(f"SELECT * FROM {table} ORDER BY 1") for table in TABLES}
    found["cases"] = state.query("SELECT posts FROM log_cases ORDER BY posts")
    found["state"] = state.query("SELECT size, edge, note, at_s, posted_us, void FROM log_state")
    return found


STEPS = st.lists(
    st.tuples(st.sampled_from(["ask", "again", "withdraw", "answer", "revoke", "rotate", "rubbish", "read", "restart"]),
              st.integers(0, 1_000)),
    max_size=20,
)  # fmt: skip


def tell_story(hood: NeighbourhoodSimulator, step: str, number: int, leaves: list[str]) -> None:
    """Append what a step says; some of it counts for nothing, as it may in a log."""
    match step:
        case "ask":
            leaves.append(hood.announced(case=f"case {number % 7}", purpose=f"purpose {len(leaves)}")[0])
        case "again" if hood.log.entries:
            hood.log.append(hood.log.entries[number % len(hood.log.entries)])
        case "withdraw" | "answer" if leaves:
            kind = {"withdraw": "withdrawn", "answer": "answered"}[step]
            hood.update(leaves[number % len(leaves)], kind)
        case "revoke":
            hood.revoke(at=hood.agency.admitted_at + 1)
        case "rotate":
            hood.rotate(10 + number % 50, admitted_at=hood.agency.admitted_at + 2)
        case "rubbish":
            hood.log.entries += [b"rubbish %d" % extra for extra in range(number % 300)]


@given(STEPS)
def test_it_does_not_matter_how_reading_is_cut(story: list[tuple[str, int]]) -> None:
    """Read at any times, with restarts between, a log teaches what it teaches read at once."""
    hood, leaves = NeighbourhoodSimulator(), list[str]()
    with followed(hood, read=False) as whole, followed(hood, read=False) as cut:
        for step, number in story:
            if step == "read":
                read_on(cut, hood.log)
            elif step == "restart":
                cut = follow(hood, cut_state(cut))  # noqa: PLW2901 - the device starts again
            else:
                tell_story(hood, step, number, leaves)
        read_on(cut, hood.log)
        read_on(whole, hood.log)
        assert learnt(cut_state(cut)) == learnt(cut_state(whole))
        assert all(cut.request(leaf) == whole.request(leaf) for leaf in leaves)


def cut_state(follower: Follower) -> State:
    return follower._store._state


def test_what_was_read_is_replaced_only_from_where_it_was_learnt(tmp_path: Path) -> None:
    """Two readers of one state: the second to finish changes nothing, and neither half of it stays."""
    hood = NeighbourhoodSimulator()
    with State.open(tmp_path / "state.db") as state:
        one, other = follow(hood, state), follow(hood, state)
        head = other.hear(hood.log.head())
        assert head is not None
        read_on(one, hood.log)
        before = learnt(state)
        hood.announced()
        with pytest.raises(MovedError):
            other.take(head, [hood.log.entries[:1]])
        assert learnt(state) == before


def test_entries_that_are_not_the_heads_teach_nothing() -> None:
    """One edited, one missing, one too many: nothing of it is kept."""
    hood = NeighbourhoodSimulator()
    hood.announced()
    for entries in ([b"lie", hood.log.entries[1]], hood.log.entries[:1], [*hood.log.entries, b"more"]):
        with followed(hood, read=False) as follower:
            head = follower.hear(hood.log.head())
            assert head is not None
            with pytest.raises(MisservedError):
                follower.take(head, [entries])
            assert follower.size == 0
            assert learnt(cut_state(follower))["log_standing"] == []


@given(st.integers(0, 700), st.integers(1, 700))
def test_a_plan_holds_every_bundle_to_the_head(read: int, more: int) -> None:
    """Caught up by tiles from anywhere: bundle by bundle, each is known to be in the head before it is learnt."""
    hood = NeighbourhoodSimulator()
    with followed(hood) as follower:
        for count in (read, more):
            hood.log.entries += [b"entry %d" % number for number in range(count)]
            head = follower.hear(hood.log.head())
            if head is None:
                continue
            tiles = tiles_for(ahead(follower.size, head.size), size=head.size)
            files = {tile: hood.log.file(tile.path) or b"" for tile in tiles}
            plan = follower.plan(head, tile_reader(files, size=head.size))
            assert plan is not None
            while follower.size < head.size:
                until = min(head.size, (follower.size // 256 + 1) * 256)
                lie = [b"lie", *hood.log.entries[follower.size + 1 : until]]
                with pytest.raises(MisservedError):
                    follower.take(head, [lie], plan)
                follower.take(head, [hood.log.entries[follower.size : until]], plan)
        assert follower.size == len(hood.log.entries)
        assert follower.kept.edge.root == head.checkpoint.root if head else True


def test_an_agencys_record_adds_up() -> None:
    """How often it asked, how wide, what it took back, and what was turned away, from its admission on."""
    hood = NeighbourhoodSimulator()
    leaf, _ = hood.announced(case="one")
    hood.announced(case="two")
    hood.update(leaf, "withdrawn")
    hood.update(leaf, "withdrawn")
    counts = (RefusalCount(code="area", count=3), RefusalCount(code="window", count=2))
    refusals = Refusals(agency=hood.agency.agency, since=NOW_US - DAY_US, until=NOW_US, counts=counts)
    hood.log.append(refusals.sign(hood.operator))
    hood.log.append(refusals.sign(hood.agency_key))  # not the operator's word
    with followed(hood) as follower:
        record = follower.record(hood.agency.agency)
        assert (record.asked, record.withdrawn, record.turned_away) == (2, 1, 5)
        assert record.since_us == hood.agency.admitted_at
        assert round(record.mean_area_m2) == 125_664
        assert follower.kept.void == 1
        assert follower.record("nobody").asked == 0


def test_what_ended_long_ago_is_forgotten_and_its_case_is_not(tmp_path: Path) -> None:
    """A month after its end by the log's own time a request's row goes; that its case was posted stays."""
    hood = NeighbourhoodSimulator()
    old, _ = hood.announced(case="old", expires_at=NOW_US + MINUTE_US)
    with State.open(tmp_path / "state.db") as state:
        follower = follow(hood, state, now_us=NOW_US + 400 * DAY_US)  # a clock that runs ahead forgets nothing
        read_on(follower, hood.log)
        assert follower.request(old) is not None
        later = NOW_US + KEPT_US + DAY_US
        _, payload = hood.announced(case="old", posted_at=later, start=later - DAY_US // 2, end=later)
        read_on(follower, hood.log)
        assert follower.request(old) is None
        again = follower.request(hood.log.logged(2).leaf)
        assert again is not None
        assert again.earlier_posts == 1
        assert payload


def test_a_state_that_was_changed_admits_nobody(tmp_path: Path) -> None:
    """The operator's signature is checked again at each start."""
    hood = NeighbourhoodSimulator()
    with State.open(tmp_path / "state.db") as state:
        read_on(follow(hood, state), hood.log)
        with state.transaction() as tx:
            tx.execute("UPDATE log_standing SET envelope = ?", (hood.agency.sign(hood.agency_key),))
        with pytest.raises(Exception, match="is not the operator's"):
            follow(hood, state)
