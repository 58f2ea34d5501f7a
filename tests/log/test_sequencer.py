"""The one writer of a log: it only ever adds, and no crash at any step makes it sign what is not there."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tlog_scales.backend import LocalBackend
from tlog_scales.reader import TilesReader
from tlog_scales.signing import Vkey
from tlog_scales.tlog import Checkpoint as PeerCheckpoint

from broker.log.errors import LogDamagedError, LogError, LogInUseError
from broker.log.sequencer import Sequencer
from broker.log.storage.folder import FolderStorage
from broker.wire.encoding import WireError
from broker.wire.merkle import leaf_hash, verify_consistency
from broker.wire.notes import Checkpoint
from broker.wire.proofs import parse_proof, verify_proof
from tests.log.support import LOG_VERIFIER, OPERATOR, ORIGIN, POLICY, CuttingStorage, PowerCutError, key_of


def numbered(count: int, start: int = 0) -> list[bytes]:
    return [b"entry %d" % number for number in range(start, start + count)]


def opened(folder: Path) -> Sequencer:
    sequencer = Sequencer(FolderStorage(folder), key=OPERATOR, origin=ORIGIN)
    sequencer.open()
    return sequencer


def add(sequencer: Sequencer, entries: Sequence[bytes]) -> list[int]:
    """Append entries, and publish the head that covers them."""
    indices = sequencer.append(entries)
    sequencer.publish(sequencer.head_note)
    return indices


def check_consistent(sequencer: Sequencer, old: Checkpoint, new: Checkpoint) -> None:
    verify_consistency(old.size, old.root, new.size, new.root, sequencer.consistency(old.size))


def test_a_new_log_signs_the_empty_tree(tmp_path: Path) -> None:
    """An empty folder becomes a log that anybody can already check."""
    sequencer = opened(tmp_path)
    assert sequencer.size == 0
    assert POLICY.check(sequencer.head_note).size == 0
    assert list(sequencer.entries()) == []
    assert sequencer.append([]) == []


def test_entries_come_back_with_their_proofs(tmp_path: Path) -> None:
    """Every entry can be read and proved under the current checkpoint, across tile borders and restarts."""
    sequencer = opened(tmp_path)
    assert add(sequencer, numbered(3)) == [0, 1, 2]
    assert add(sequencer, numbered(600, 3))[-1] == 602
    sequencer.close()
    sequencer = opened(tmp_path)
    assert [entry for _, entry in sequencer.entries(254)] == numbered(349, 254)
    for index in (0, 2, 255, 256, 511, 512, 602):
        assert sequencer.entry(index) == b"entry %d" % index
        assert verify_proof(b"entry %d" % index, sequencer.proof(index), POLICY)[0] == index
    with pytest.raises(WireError):
        sequencer.entry(603)
    with pytest.raises(WireError):
        sequencer.proof(603)


def test_a_peer_accepts_files_checkpoint_and_proofs(tmp_path: Path) -> None:
    """tlog-scales reads our folder, verifies our signature, finds the same root and makes the same proofs."""
    sequencer = opened(tmp_path)
    add(sequencer, numbered(70))
    old = POLICY.check(sequencer.head_note)
    add(sequencer, numbered(700, 70))
    peer = TilesReader(LocalBackend(tmp_path))
    checkpoint = peer.get_checkpoint()
    checkpoint.verify(Vkey.from_string(str(LOG_VERIFIER)))
    assert (checkpoint.origin, checkpoint.size) == (ORIGIN, 770)
    assert peer.calculate_root_hash() == checkpoint.root_hash
    for index in (0, 69, 255, 256, 600, 769):
        assert peer.get_entry(index) == b"entry %d" % index
        ours = parse_proof(sequencer.proof(index))
        theirs = peer.get_inclusion_proof(index, 770)
        assert list(ours.path) == theirs.node_hashes
        theirs.check(leaf_hash(b"entry %d" % index), PeerCheckpoint.from_text(ours.checkpoint.decode()).root_hash)
    growth = peer.get_consistency_proof(70, 770)
    assert growth.node_hashes == sequencer.consistency(70)
    growth.check(old.root, checkpoint.root_hash)


def test_a_second_sequencer_is_refused(tmp_path: Path) -> None:
    """Two writers of one log would fork it: the second one is told so."""
    first = opened(tmp_path)
    with pytest.raises(LogInUseError, match="exactly one writer"):
        opened(tmp_path)
    first.close()
    with pytest.raises(LogError, match="not open"):
        first.append(numbered(1))
    opened(tmp_path)


def test_after_a_failed_append_the_sequencer_knows_nothing(tmp_path: Path) -> None:
    """Whether the entries went in is learnt by opening again; until then nothing is appended, proved or published."""
    sequencer = Sequencer(CuttingStorage(FolderStorage(tmp_path), cut_at=4, done=True), key=OPERATOR, origin=ORIGIN)
    sequencer.open()
    note = sequencer.head_note
    with pytest.raises(PowerCutError):
        sequencer.append(numbered(2))
    for attempt in (
        lambda: sequencer.append(numbered(1)),
        lambda: sequencer.publish(note),
        lambda: sequencer.proof(0),
        lambda: sequencer.consistency(0),
    ):
        with pytest.raises(LogError, match="not open"):
            attempt()
    sequencer.open()
    assert sequencer.size == 2


def test_an_entry_that_is_too_large_changes_nothing(tmp_path: Path) -> None:
    """A batch with an entry over 64 KiB is refused whole, and the log goes on."""
    sequencer = opened(tmp_path)
    with pytest.raises(WireError):
        sequencer.append([b"fits", b"x" * 65_536])
    assert sequencer.append([b"x" * 65_535]) == [0]


def test_another_key_can_not_continue_a_log(tmp_path: Path) -> None:
    """A sequencer with the wrong key or origin refuses to open what it did not sign."""
    opened(tmp_path).close()
    for wrong in (
        Sequencer(FolderStorage(tmp_path), key=key_of("somebody"), origin=ORIGIN),
        Sequencer(FolderStorage(tmp_path), key=OPERATOR, origin="another.example.org"),
    ):
        with pytest.raises(LogDamagedError, match="can't be continued"):
            wrong.open()
        wrong.close()


@pytest.mark.parametrize("path", ["tile/0/001.p/44", "tile/entries/001.p/44", "tile/1/000.p/1", "head"])
def test_a_damaged_edge_stops_the_log(tmp_path: Path, path: str) -> None:
    """Nothing is ever signed on top of tiles that do not carry the stored checkpoint."""
    sequencer = opened(tmp_path)
    sequencer.append(numbered(300))
    sequencer.close()
    whole = (tmp_path / path).read_bytes()
    (tmp_path / path).write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
    with pytest.raises(LogDamagedError):
        opened(tmp_path)


def test_a_missing_edge_is_named(tmp_path: Path) -> None:
    """The message says which file is gone."""
    sequencer = opened(tmp_path)
    sequencer.append(numbered(3))
    sequencer.close()
    (tmp_path / "tile/0/000.p/3").unlink()
    with pytest.raises(LogDamagedError, match=r"tile/0/000\.p/3"):
        opened(tmp_path)


def test_partial_tiles_do_not_pile_up(tmp_path: Path) -> None:
    """When a tile is full its partial forms go, so that a log's size on disk follows its entries."""
    sequencer = opened(tmp_path)
    for number in range(0, 300, 5):
        add(sequencer, numbered(5, number))
    assert not (tmp_path / "tile/entries/000.p").exists()
    assert not (tmp_path / "tile/0/000.p").exists()
    assert (tmp_path / "tile/0/000").exists()


BATCHES: list[Sequence[bytes]] = [numbered(2), numbered(252, 2), numbered(4, 254), numbered(1, 258)]
WRITES = 2 + 4 + 4 + 9 + 4  # of the empty head, then of each batch, each with its publication; the third fills a tile


def survive(folder: Path, *, cut_at: int, done: bool) -> None:
    """Append the batches on a storage that is cut once; recover as a restart does, and try the cut batch again."""
    storage = CuttingStorage(FolderStorage(folder), cut_at=cut_at, done=done)
    acknowledged: list[bytes] = []
    seen: list[Checkpoint] = []
    sequencer = Sequencer(storage, key=OPERATOR, origin=ORIGIN)
    pending = list(BATCHES)
    was_cut = finished = False
    while not finished:
        try:
            sequencer.open()
            while not finished:
                if sequencer.size > len(acknowledged):  # it went in, whatever the append said
                    acknowledged.extend(pending.pop(0))
                sequencer.publish(sequencer.head_note)
                seen.append(POLICY.check(sequencer.head_note))
                finished = not pending
                if pending:
                    sequencer.append(pending[0])
        except PowerCutError:
            assert not was_cut
            was_cut = True
            storage.release()
            sequencer = Sequencer(storage, key=OPERATOR, origin=ORIGIN)
    assert was_cut
    assert [entry for _, entry in sequencer.entries()] == acknowledged == numbered(259)
    final = POLICY.check(sequencer.published_note or b"")
    for old in seen:
        check_consistent(sequencer, old, final)
    peer = TilesReader(LocalBackend(folder))
    assert peer.get_checkpoint().root_hash == final.root == peer.calculate_root_hash()
    assert [peer.get_entry(index) for index in range(259)] == acknowledged


@pytest.mark.parametrize("done", [False, True], ids=["lost", "done-but-reported-failed"])
@pytest.mark.parametrize("cut_at", range(1, WRITES + 1))
def test_a_cut_at_any_write_leaves_the_old_or_the_new_log(tmp_path: Path, cut_at: int, done: bool) -> None:
    """Whichever write the power takes, what was acknowledged is there, the log only grew, and it goes on."""
    survive(tmp_path, cut_at=cut_at, done=done)


def test_the_cuts_cover_every_write(tmp_path: Path) -> None:
    """One more write than the test above cuts does not happen, so that no step is left out."""
    with pytest.raises(AssertionError):
        survive(tmp_path, cut_at=WRITES + 1, done=False)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15, deadline=None)
@given(steps=st.lists(st.integers(1, 300), min_size=1, max_size=5), data=st.data())
def test_any_history_of_batches_is_provable(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int], data: st.DataObject
) -> None:
    """However a log grew and was reopened, every checkpoint it ever signed is a prefix of the last."""
    folder = tmp_path_factory.mktemp("log")
    sequencer = opened(folder)
    seen = [POLICY.check(sequencer.head_note)]
    for count in steps:
        add(sequencer, numbered(count, sequencer.size))
        seen.append(POLICY.check(sequencer.head_note))
        if data.draw(st.booleans()):
            sequencer.close()
            sequencer = opened(folder)
    for old in seen:
        check_consistent(sequencer, old, seen[-1])
    index = data.draw(st.integers(0, sequencer.size - 1))
    assert verify_proof(sequencer.entry(index), sequencer.proof(index), POLICY)[0] == index
    sequencer.close()
