"""What the sequencer lets out: a tree of its own, no smaller than before, under a quorum; whatever the power does."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.log.errors import LogDamagedError, NotYetPublishedError
from broker.log.growth import edge_tiles
from broker.log.sequencer import Sequencer
from broker.log.storage.folder import FolderStorage
from broker.wire.encoding import WireError
from broker.wire.proofs import verify_proof
from tests.log.cosigner_support import PlayedCosigner, panel_of
from tests.log.mirror_support import Tree
from tests.log.support import OPERATOR, ORIGIN, CuttingStorage, PowerCutError


def opened(folder: Path, cosigners: Sequence[PlayedCosigner]) -> Sequencer:
    sequencer = Sequencer(FolderStorage(folder), key=OPERATOR, origin=ORIGIN, panel=panel_of(cosigners))
    sequencer.open()
    return sequencer


def cosigned(note: bytes, *cosigners: PlayedCosigner) -> bytes:
    return note + b"".join(one.lines(note) for one in cosigners)


@pytest.mark.parametrize("done", [False, True], ids=["lost", "done-but-reported-failed"])
def test_a_cut_at_the_publication_is_made_good_by_the_same_step(tmp_path: Path, done: bool) -> None:
    """Whether the checkpoint was replaced or not: after a restart the head is there, and is published again."""
    storage = CuttingStorage(FolderStorage(tmp_path), cut_at=6, done=done)  # 2 of the empty log, 2 tiles, the head
    sequencer = Sequencer(storage, key=OPERATOR, origin=ORIGIN)
    sequencer.open()
    sequencer.publish(sequencer.head_note)
    sequencer.append([b"entry"])
    with pytest.raises(PowerCutError):
        sequencer.publish(sequencer.head_note)
    assert sequencer.published_size == 0
    storage.release()
    again = Sequencer(FolderStorage(tmp_path), key=OPERATOR, origin=ORIGIN)
    again.open()
    assert (again.size, again.published_size) == (1, int(done))
    again.publish(again.head_note)
    assert again.published_size == 1
    again.close()


def test_the_sequencer_itself_refuses_what_must_not_get_out(tmp_path: Path) -> None:
    """Whoever calls it: no quorum, another log's tree, and a step back are refused, and change nothing."""
    witness = PlayedCosigner("w.example.org")
    sequencer = opened(tmp_path, [witness])
    empty = sequencer.head_note
    sequencer.append([b"one", b"two"])
    head = sequencer.head_note
    foreign = Tree().grow(1).note(key=OPERATOR, origin=ORIGIN)
    ahead = Tree().grow(9).note(key=OPERATOR, origin=ORIGIN)
    for refused, why in (
        (head, "no quorum"),
        (cosigned(head, PlayedCosigner("x.example.org")), "no quorum"),
        (cosigned(foreign, witness), "another root"),
        (cosigned(ahead, witness), "ahead of the head"),
        (cosigned(Tree().grow(2).note(), witness), "not signed by a log"),
    ):
        with pytest.raises(WireError, match=why):
            sequencer.publish(refused)
        assert sequencer.published_note is None
        assert not (tmp_path / "checkpoint").exists()
    with pytest.raises(NotYetPublishedError):
        sequencer.proof(0)
    sequencer.publish(cosigned(head, witness))
    with pytest.raises(WireError, match="can't be published after 2"):
        sequencer.publish(cosigned(empty, witness))
    assert (tmp_path / "checkpoint").read_bytes() == sequencer.published_note == cosigned(head, witness)


def test_proofs_are_made_under_what_is_published(tmp_path: Path) -> None:
    """While the head runs ahead, over tile borders, proofs lead to the published root, and tiles of it stay."""
    witness = PlayedCosigner("w.example.org")
    sequencer = opened(tmp_path, [witness])
    entries = [b"entry %d" % number for number in range(600)]
    sequencer.append(entries[:250])
    sequencer.publish(cosigned(sequencer.head_note, witness))
    for at in range(250, 600, 50):
        sequencer.append(entries[at : at + 50])
        for index in (0, 249):
            assert verify_proof(entries[index], sequencer.proof(index), sequencer.policy)[1].size == 250
        with pytest.raises(NotYetPublishedError):
            sequencer.proof(250)
    assert (tmp_path / "tile/0/000.p/250").exists()
    sequencer.close()
    sequencer = opened(tmp_path, [witness])
    assert (sequencer.size, sequencer.published_size) == (600, 250)
    assert verify_proof(entries[7], sequencer.proof(7), sequencer.policy)[1].size == 250
    sequencer.publish(cosigned(sequencer.head_note, witness))
    assert verify_proof(entries[599], sequencer.proof(599), sequencer.policy)[1].size == 600
    assert not (tmp_path / "tile/0/000.p").exists()


@settings(max_examples=20, deadline=None)
@given(steps=st.lists(st.one_of(st.integers(1, 300), st.sampled_from(["publish", "late", "reopen"])), max_size=12))
def test_head_and_publication_may_be_apart_as_they_like(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int | str]
) -> None:
    """However they interleave: what is published only grows, and all of it, and nothing else, is provable."""
    folder = tmp_path_factory.mktemp("log")
    witness = PlayedCosigner("w.example.org")
    sequencer = opened(folder, [witness])
    published, notes = 0, [sequencer.head_note]
    for step in steps:
        match step:
            case int():
                sequencer.append([b"entry %d" % number for number in range(sequencer.size, sequencer.size + step)])
                notes.append(sequencer.head_note)
            case "publish":
                sequencer.publish(cosigned(notes[-1], witness))
                published = sequencer.size
            case "late":  # cosigned while the head went on
                note = notes[len(notes) // 2]
                size = sequencer.policy.check(cosigned(note, witness)).size
                with contextlib.suppress(WireError) if size < published else contextlib.nullcontext():
                    sequencer.publish(cosigned(note, witness))
                published = max(published, size)
            case _:
                sequencer.close()
                sequencer = opened(folder, [witness])
        assert sequencer.published_size == published
        for index in {0, published // 2, published - 1} & set(range(published)):
            entry = b"entry %d" % index
            assert verify_proof(entry, sequencer.proof(index), sequencer.policy)[1].size == published
        assert all((folder / tile.path).is_file() for tile in edge_tiles(published))
        if sequencer.size > published:
            with pytest.raises(NotYetPublishedError):
                sequencer.proof(published)
    sequencer.close()


@pytest.mark.parametrize("damage", ["no head", "ahead", "another"])
def test_a_checkpoint_that_the_head_does_not_carry_stops_the_log(tmp_path: Path, damage: str) -> None:
    """What the public saw and the tiles do not have can't be mended by going on: that would be a fork."""
    witness = PlayedCosigner("w.example.org")
    sequencer = opened(tmp_path, [witness])
    sequencer.append([b"one", b"two"])
    sequencer.publish(cosigned(sequencer.head_note, witness))
    sequencer.close()
    if damage == "no head":
        (tmp_path / "head").unlink()
    else:
        size = {"ahead": 5, "another": 1}[damage]
        note = Tree(salt=b"other").grow(size).note(key=OPERATOR, origin=ORIGIN)
        (tmp_path / "checkpoint").write_bytes(cosigned(note, witness))
    with pytest.raises(LogDamagedError):
        opened(tmp_path, [witness])
