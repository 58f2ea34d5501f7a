"""Reading on: the same however it is cut into looks, kept by compare-and-swap, and small."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.wire.envelopes import public_bytes
from broker.wire.notes import parse_checkpoint, parse_note
from broker.wire.records import RefusalCount, Refusals
from broker.wire.rules import DAY_US, MINUTE_US
from device.consent.reading.edge import ahead, tile_reader, tiles_for
from device.consent.reading.follower import Follower, MisservedError
from device.consent.reading.heads import Head, Heard, Outcome
from device.consent.reading.tables import KEPT_US, MovedError
from device.vault.state import Row, State
from tests.consent.support import follow, followed, read_on
from tests.simulators import NOW_US, LogSimulator, NeighbourhoodSimulator

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
        head = other.hear(hood.log.head()).more
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
            head = follower.hear(hood.log.head()).more
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
            head = follower.hear(hood.log.head()).more
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


class Watched(Follower):
    """A follower that is looked at after each of its steps, as a thread of the desk may."""

    seen: list[tuple[int, bool]]

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name in {"_kept", "_register"} and hasattr(self, "seen"):
            self.seen.append((self.size, self.standing("springfield-pd", self.size) is not None))


def test_whom_the_log_admits_is_known_once_it_is_read_so_far(tmp_path: Path) -> None:
    """No thread sees that entries were read without what they teach: it would refuse what is admitted."""
    hood = NeighbourhoodSimulator()
    with State.open(tmp_path / "state.db") as state:
        follower = Watched(
            state, policy=hood.log.policy, operator_key=public_bytes(hood.operator), now_us=lambda: NOW_US,
            max_age_us=DAY_US,
        )  # fmt: skip
        follower.seen = []
        read_on(follower, hood.log)
        follower.begin_again()
        assert follower.size == 0
    assert (1, True) in follower.seen
    assert (1, False) not in follower.seen


def test_what_becomes_of_a_head_is_said() -> None:
    """Each of the five, with the head if the log signed it, and why it does not count."""
    hood = NeighbourhoodSimulator(log=LogSimulator(witnesses=1))
    other, alone = hood.log.fork(0), hood.log.fork(1)
    other.append(b"another")
    alone.witnesses = {}
    alone.append(b"more")
    with followed(hood, read=False) as follower:
        assert follower.hear(LogSimulator(seed=9).head()).outcome is Outcome.REFUSED
        heard = follower.hear(hood.log.head())
        assert heard.outcome is Outcome.MORE
        assert heard.more is heard.head
        read_on(follower, hood.log)
        assert follower.hear(hood.log.head()).outcome is Outcome.KNOWN
        unmet = follower.hear(alone.head())
        assert (unmet.outcome, unmet.more, unmet.head is None) == (Outcome.UNMET, None, False)
        assert "quorum" in unmet.why
        for note in (other.head(), hood.log.head()):
            contradicted = follower.hear(note)
            assert (contradicted.outcome, contradicted.more) == (Outcome.CONTRADICTED, None)
        assert follower.hear(b"rubbish") == Heard(Outcome.REFUSED, why=follower.hear(b"rubbish").why)


def test_what_contradicts_itself_teaches_nothing_more() -> None:
    """One piece of evidence stands until it is answered, whatever is shown meanwhile, and nothing is read on."""
    hood = NeighbourhoodSimulator()
    with followed(hood) as follower:
        hood.announced()
        head = follower.hear(hood.log.head()).more
        assert head is not None
        for word in (b"one", b"two"):
            other = hood.log.fork(0)
            other.append(word)
            follower.hear(other.head())
            follower.blame(Head(other.head(), parse_checkpoint(parse_note(other.head()).text), None), other.read)
        assert len(follower.evidence()) == 1
        follower.take(head, [hood.log.entries[1:]])
        assert follower.size == 1
        follower.begin_again()
        read_on(follower, hood.log)
        assert follower.size == 2


def test_a_doubt_that_false_tiles_do_not_settle_is_said_to_stand() -> None:
    """Tiles that don't lead to what was read say nothing about a head, for it or against it."""
    hood = NeighbourhoodSimulator()
    hood.log.entries += [b"entry %d" % number for number in range(20)]
    other = hood.log.fork(1)
    other.append(b"another")
    with followed(hood) as follower:
        for _ in range(2):
            follower.doubt(other.head())
        head = follower.doubted()
        assert head is not None
        assert len(follower._doubts) == 1
        forged = hood.log.fork(21)
        forged.edit(0, b"edited")
        with pytest.raises(MisservedError, match="do not lead"):
            follower.settle_doubt(head, forged.read)
        assert follower.contradiction is None
        assert follower.doubted() == head
        follower.settle_doubt(head, hood.log.read)
        assert follower.contradiction is not None
        follower.begin_again()
        assert follower.doubted() is None


def test_whether_a_request_is_in_the_log_is_said_of_its_place() -> None:
    """There, not there, or not read so far; where its place is not known, anywhere will do."""
    hood = NeighbourhoodSimulator()
    leaf, _ = hood.announced()
    with followed(hood) as follower:
        assert [follower.holds(leaf, at) for at in (0, 1, 2, None)] == [False, True, None, True]
        assert [follower.holds("0" * 64, at) for at in (0, 1, 2, None)] == [False, False, None, None]


def test_a_state_that_was_changed_admits_nobody(tmp_path: Path) -> None:
    """The operator's signature is checked again at each start."""
    hood = NeighbourhoodSimulator()
    with State.open(tmp_path / "state.db") as state:
        read_on(follow(hood, state), hood.log)
        with state.transaction() as tx:
            tx.execute("UPDATE log_standing SET envelope = ?", (hood.agency.sign(hood.agency_key),))
        with pytest.raises(Exception, match="is not the operator's"):
            follow(hood, state)
