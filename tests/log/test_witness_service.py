"""A witness and its disk: what it cosigned is kept before it says so, through cuts, races and clocks that go back."""

import itertools
import json
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.log.errors import LogDamagedError
from broker.log.witness.answer import CLOCK_SLACK_S, Refusal
from broker.log.witness.service import ClockBehindError, Cosigned, Witness
from broker.log.witness.store import MAX_FORKS, MAX_OTHERS, CosignerInUseError, WitnessStore
from broker.wire.cosigning import AddCheckpoint, add_lines
from broker.wire.notes import Checkpoint, VerifierKey, cosigned_at
from tests.log.mirror_support import LOGS, ORIGIN, Tree
from tests.log.support import Clock, PowerCutError, key_of
from tests.log.witness_support import (
    NAME,
    Disk,
    FailingOnce,
    Ticking,
    files_of,
    kept_size,
    put_back,
    signed_head,
    status_of,
    witness_on,
)

TREE = Tree().grow(64)
TREES = [TREE, *(TREE.forked(at, 40, salt=b"fork at %d " % at) for at in (0, 7, 30))]
SECOND_US = 1_000_000


def time_of(witness: Witness, answer: Cosigned | Refusal, tree: Tree, size: int) -> int:
    assert isinstance(answer, Cosigned), answer
    at_s = cosigned_at(add_lines(tree.note(size), answer.line), witness.verifier)
    assert at_s is not None
    return at_s


def test_growth_is_cosigned_with_the_time(tmp_path: Path) -> None:
    """The answer is a line that makes the submitted checkpoint a cosigned one."""
    clock = Clock()
    with witness_on(tmp_path, clock=clock) as witness:
        for old, size in ((0, 5), (5, 5), (5, 64)):
            clock.now_us += 7 * SECOND_US
            answer = witness.add_checkpoint(TREE.submission(old, size))
            assert time_of(witness, answer, TREE, size) == clock.now_us // SECOND_US
        assert kept_size(witness) == 64


def test_another_process_goes_on_where_the_last_one_was(tmp_path: Path) -> None:
    """What was cosigned is known after a restart; a second process meanwhile is turned away."""
    with witness_on(tmp_path) as witness:
        signed_head(witness.add_checkpoint(TREE.submission(0, 9)))
        with pytest.raises(CosignerInUseError, match="in use"), witness_on(tmp_path):
            pass
    with witness_on(tmp_path) as witness:
        answer = witness.add_checkpoint(TREE.submission(0, 64))
        assert isinstance(answer, Refusal)
        assert answer.size == 9
        signed_head(witness.add_checkpoint(TREE.submission(9, 64)))


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize("done", [False, True])
def test_the_power_goes_at_every_step(tmp_path: Path, *, done: bool, lost: bool) -> None:
    """Cut at each sync, done or not, its names lost or not: nothing that was answered is forgotten or contradicted."""
    cuts = 0
    for cut_at in range(1, 12):
        folder = tmp_path / str(cut_at)
        with witness_on(folder) as witness:
            signed_head(witness.add_checkpoint(TREE.submission(0, 5)))
        disk, answered, before = Disk(done=done), 5, files_of(folder)
        with suppress(PowerCutError), witness_on(folder, clock=Ticking(), fsync=disk) as witness:
            disk.arm(cut_at)
            for size in (9, 9, 20, 33):
                before = files_of(folder)
                signed_head(witness.add_checkpoint(TREE.submission(answered, size)))
                answered = size
        cuts += disk.cut
        if lost and disk.cut:
            put_back(folder, before)
        with witness_on(folder) as witness:
            kept = kept_size(witness)
            assert answered <= kept <= 33
            fork = TREE.forked(answered - 1, 64)
            assert status_of(witness.add_checkpoint(fork.submission(kept))) == 422
            signed_head(witness.add_checkpoint(TREE.submission(kept)))
    assert cuts == 8, "each of the two steps of four answers was cut at, and then the runs were whole"


def test_a_write_that_failed_is_not_answered_and_not_assumed(tmp_path: Path) -> None:
    """A disk that reports a failure gets no signature out; the next request finds what is really there."""
    for cut_at, stored in ((1, 5), (2, 9)):  # the draft's sync, then the folder's: by then it has its name
        folder = tmp_path / str(cut_at)
        with witness_on(folder) as witness:
            signed_head(witness.add_checkpoint(TREE.submission(0, 5)))
        disk = FailingOnce()
        with witness_on(folder, fsync=disk) as witness:
            disk.arm(cut_at)
            with pytest.raises(OSError, match="no space"):
                witness.add_checkpoint(TREE.submission(5, 9))
            answer = witness.add_checkpoint(TREE.submission(0, 64))
            assert isinstance(answer, Refusal)
            assert answer.size == stored
            syncs = disk.syncs
            signed_head(witness.add_checkpoint(TREE.submission(stored, 9)))
            assert disk.syncs > syncs, "what was written before the failure may not be on the disk: it is written again"


def test_what_is_asked_again_within_a_second_is_not_written_again(tmp_path: Path) -> None:
    """The same checkpoint at the same time has the same cosignature: repeating it costs the disk nothing."""
    disk, clock = Disk(), Clock()
    with witness_on(tmp_path, clock=clock, fsync=disk) as witness:
        first = witness.add_checkpoint(TREE.submission(0))
        syncs = disk.syncs
        assert witness.add_checkpoint(TREE.submission(64)) == first
        assert disk.syncs == syncs
        clock.now_us += SECOND_US
        assert witness.add_checkpoint(TREE.submission(64)) != first


@pytest.mark.parametrize("sizes", [[20, 33], [33, 20], list(range(10, 64))])
def test_of_requests_at_once_none_rolls_another_back(tmp_path: Path, sizes: list[int]) -> None:
    """Racing from the same old size, one is cosigned, and the others are told its size."""
    with witness_on(tmp_path) as witness:
        signed_head(witness.add_checkpoint(TREE.submission(0, 9)))
        start = threading.Barrier(len(sizes))
        answers: list[tuple[int, Cosigned | Refusal]] = []

        def ask(size: int) -> None:
            body = TREE.submission(9, size)
            start.wait()
            answers.append((size, witness.add_checkpoint(body)))

        threads = [threading.Thread(target=ask, args=(size,)) for size in sizes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (winner,) = [size for size, answer in answers if isinstance(answer, Cosigned)]
        assert {answer.size for _, answer in answers if isinstance(answer, Refusal)} == {winner}
        assert kept_size(witness) == winner


def test_a_clock_that_was_set_back_does_not_turn_back_time(tmp_path: Path) -> None:
    """A little: the last time is used again. Far: nothing is signed or kept until the clock is right."""
    clock = Clock()
    start_us = clock.now_us
    with witness_on(tmp_path, clock=clock) as witness:
        signed_head(witness.add_checkpoint(TREE.submission(0, 5)))
        clock.now_us = start_us - CLOCK_SLACK_S * SECOND_US
        assert time_of(witness, witness.add_checkpoint(TREE.submission(5, 6)), TREE, 6) == start_us // SECOND_US
    with witness_on(tmp_path, clock=clock) as witness:
        clock.now_us -= SECOND_US
        with pytest.raises(ClockBehindError):
            witness.add_checkpoint(TREE.submission(6, 7))
        assert kept_size(witness) == 6
        clock.now_us = start_us + SECOND_US
        signed_head(witness.add_checkpoint(TREE.submission(6, 7)))


def test_logs_do_not_touch_each_other(tmp_path: Path) -> None:
    """Each origin has its own size; one that is forgotten by the settings is not forgotten on disk."""
    other = key_of("another log")
    logs = {**LOGS, "other.example.org": [VerifierKey("other.example.org", 1, other.public_key().public_bytes_raw())]}
    body = AddCheckpoint(0, (), TREE.note(3, key=other, origin="other.example.org")).encode()
    with witness_on(tmp_path, logs=logs) as witness:
        signed_head(witness.add_checkpoint(TREE.submission(0, 20)))
        assert signed_head(witness.add_checkpoint(body)) == Checkpoint("other.example.org", 3, TREE.root(3))
    with witness_on(tmp_path) as witness:
        assert status_of(witness.add_checkpoint(body)) == 404
        assert kept_size(witness) == 20
    with witness_on(tmp_path, logs=logs) as witness:
        answer = witness.add_checkpoint(body)
        assert isinstance(answer, Refusal)
        assert answer.size == 3


def test_a_fork_is_kept_as_two_notes_that_anybody_can_check(tmp_path: Path) -> None:
    """Evidence is both signed notes; the same fork is kept once, and survives a restart."""
    fork = TREE.forked(3, 9)
    with witness_on(tmp_path) as witness:
        signed_head(witness.add_checkpoint(TREE.submission(0, 9)))
        for _ in range(2):
            assert status_of(witness.add_checkpoint(fork.submission(9))) == 409
    with witness_on(tmp_path) as witness:
        (found,) = witness.evidence()
        assert (found["kind"], found["origin"]) == ("fork", ORIGIN)
        assert [found["first"].encode(), found["second"].encode()] == [TREE.note(9), fork.note()]
        assert witness.status()["logs"][0]["evidence"] == 1
        signed_head(witness.add_checkpoint(TREE.submission(9, 64)))


def test_evidence_that_was_tampered_with_does_not_hide_the_rest(tmp_path: Path) -> None:
    """A file that is no evidence any more is said to be damaged, and the others are shown."""
    with witness_on(tmp_path) as witness:
        signed_head(witness.add_checkpoint(TREE.submission(0, 9)))
        for at in (3, 4):
            witness.add_checkpoint(TREE.forked(at, 9).submission(9))
        next(tmp_path.glob("evidence/*/*")).write_bytes(b"torn")
        assert sorted(one["kind"] for one in witness.evidence()) == ["damaged", "fork"]


def test_evidence_that_is_cleared_meanwhile_is_in_nobodys_way(tmp_path: Path) -> None:
    """A name that leads nowhere any more, as between listing and looking, is left out; new evidence is kept."""
    with witness_on(tmp_path) as witness:
        signed_head(witness.add_checkpoint(TREE.submission(0, 9)))
        witness.add_checkpoint(TREE.forked(3, 9).submission(9))
        (kept,) = tmp_path.glob("evidence/*/*")
        kept.with_name("fork-cleared.json").symlink_to(tmp_path / "nowhere")
        assert [one["kind"] for one in witness.evidence()] == ["fork"]
        witness.add_checkpoint(TREE.forked(4, 9).submission(9))
        assert [one["kind"] for one in witness.evidence()] == ["fork", "fork"]


def test_the_status_shows_no_path_of_the_disk(tmp_path: Path) -> None:
    """A kept note that is damaged while the witness runs is said to be so; where it lies is nobody's business."""
    with witness_on(tmp_path) as witness:
        signed_head(witness.add_checkpoint(TREE.submission(0, 5)))
        (path,) = (tmp_path / "latest").iterdir()
        path.write_bytes(b"torn")
        (log,) = witness.status()["logs"]
        assert "can't be used" in log["error"]
        assert str(tmp_path) not in log["error"]
        path.unlink()
        path.mkdir()
        (log,) = witness.status()["logs"]
        assert log["error"] == "Is a directory"


def test_what_could_not_be_proven_is_kept_until_it_is(tmp_path: Path) -> None:
    """A false proof may be the sender's fault: it is no fork, and is dropped once the right proof comes."""
    with witness_on(tmp_path) as witness:
        signed_head(witness.add_checkpoint(TREE.submission(0, 9)))
        assert status_of(witness.add_checkpoint(AddCheckpoint(9, (), TREE.note(20)).encode())) == 422
        assert [one["kind"] for one in witness.evidence()] == ["unproven"]
        signed_head(witness.add_checkpoint(TREE.submission(9, 20)))
        assert list(witness.evidence()) == []


def test_evidence_is_bounded(tmp_path: Path) -> None:
    """However many forks are shown, the first ones stay; of what is unproven the newest do."""
    with witness_on(tmp_path) as witness:
        signed_head(witness.add_checkpoint(TREE.submission(0, 2)))
        for number in range(MAX_FORKS + 5):
            witness.add_checkpoint(Tree(salt=b"%d " % number).grow(2).submission(2))
            witness.add_checkpoint(Tree(salt=b"%d " % number).grow(4).submission(2))
        kinds = [one["kind"] for one in witness.evidence()]
        assert (kinds.count("fork"), kinds.count("unproven")) == (MAX_FORKS, MAX_OTHERS)


@pytest.mark.parametrize("done", [False, True])
def test_evidence_outlasts_the_power_or_was_never_answered(tmp_path: Path, *, done: bool) -> None:
    """Cut while evidence is written, the refusal stands, and after the cut there is whole evidence or none."""
    fork = TREE.forked(3, 9)
    for cut_at in range(1, 5):
        folder = tmp_path / str(cut_at)
        with witness_on(folder) as witness:
            signed_head(witness.add_checkpoint(TREE.submission(0, 9)))
        disk = Disk(done=done)
        with witness_on(folder, fsync=disk) as witness:
            disk.arm(cut_at)
            assert status_of(witness.add_checkpoint(fork.submission(9))) == 409
        with witness_on(folder) as witness:
            assert status_of(witness.add_checkpoint(fork.submission(9))) == 409
            assert [one["kind"] for one in witness.evidence()] == ["fork"]


@pytest.mark.parametrize("spoil", [b"", b"torn", TREE.note(5), b"\xff"])
def test_a_memory_that_is_damaged_stops_the_start(tmp_path: Path, spoil: bytes) -> None:
    """A kept note that is not whole, or not cosigned with this key, is never taken for "nothing seen yet"."""
    with witness_on(tmp_path) as witness:
        signed_head(witness.add_checkpoint(TREE.submission(0, 5)))
    (path,) = (tmp_path / "latest").iterdir()
    path.write_bytes(spoil)
    with pytest.raises(LogDamagedError, match=str(path)), witness_on(tmp_path):
        pass


def test_another_key_does_not_go_on_where_this_one_was(tmp_path: Path) -> None:
    """Whoever puts a new key into an old folder is told so: the new key never vouched for what lies there."""
    with witness_on(tmp_path) as witness:
        signed_head(witness.add_checkpoint(TREE.submission(0, 5)))
    witness = Witness(name=NAME, key=key_of("a new key"), logs=LOGS, store=WitnessStore(tmp_path), now_us=Clock())
    with pytest.raises(LogDamagedError, match="not cosigned with this key"):
        witness.open()


def test_a_draft_of_a_killed_process_means_nothing(tmp_path: Path) -> None:
    """What was being written when the process died is not read, and in nobody's way."""
    with witness_on(tmp_path) as witness:
        signed_head(witness.add_checkpoint(TREE.submission(0, 5)))
    (path,) = (tmp_path / "latest").iterdir()
    path.with_name(path.name + ".tmp").write_bytes(b"torn")
    with witness_on(tmp_path) as witness:
        assert kept_size(witness) == 5
        signed_head(witness.add_checkpoint(TREE.submission(5, 6)))


def test_the_status_says_what_there_is_to_say(tmp_path: Path) -> None:
    """Name, key, and of each log the size, the root, when it was cosigned and seen."""
    clock = Clock()
    with witness_on(tmp_path, clock=clock) as witness:
        (log,) = witness.status()["logs"]
        assert (log["size"], log["cosigned_at"], log["last_seen"]) == (None, None, None)
        witness.add_checkpoint(TREE.submission(0, 5))
        clock.now_us += SECOND_US
        witness.add_checkpoint(TREE.submission(0, 6))
        status = json.loads(json.dumps(witness.status()))
        assert (status["kind"], status["name"]) == ("witness", NAME)
        assert status["key"] == str(witness.verifier)
        (log,) = status["logs"]
        assert (log["origin"], log["size"], log["evidence"]) == (ORIGIN, 5, 0)
        assert (log["cosigned_at"], log["last_seen"]) == ("2026-05-04T12:00:00.000000Z", "2026-05-04T12:00:01.000000Z")


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40), st.booleans(), st.integers(-2, 2)), max_size=12))
def test_restarts_forks_and_clocks_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int, bool, int]]
) -> None:
    """Whatever is shown, between restarts and clock changes, the cosignatures tell of one log that grows in time."""
    folder, clock = tmp_path_factory.mktemp("witness"), Clock()
    cosigned: list[tuple[Tree, int, int]] = []
    for tree_number, size, restart, hours in steps:
        clock.now_us += hours * 3_600 * SECOND_US
        tree = TREES[tree_number]
        with witness_on(folder, clock=clock) as witness:
            body = tree.submission(0 if restart else min(kept_size(witness), size), size)
            with suppress(ClockBehindError):
                answer = witness.add_checkpoint(body)
                if isinstance(answer, Cosigned):
                    cosigned.append((tree, size, time_of(witness, answer, tree, size)))
    for (tree, size, at_s), (later_tree, later_size, later_s) in itertools.pairwise(cosigned):
        assert at_s <= later_s
        assert later_tree.contains(Checkpoint(ORIGIN, size, tree.root(size)))
        assert size <= later_size
