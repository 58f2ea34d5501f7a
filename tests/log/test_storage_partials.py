"""Partial tiles: what a checkpoint names is there, and a log's disk does not grow by all that it ever named."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.log.growth import edge_tiles
from broker.log.partials import KEPT_S, MOST, Partials
from broker.log.sequencer import Sequencer
from broker.log.storage.folder import FolderStorage, Storage
from broker.wire.tiles import Tile, parse_tile_path
from tests.log.buckets import DONE, LOST, FaultyBucket, MemoryBucket, Timer, make_storage
from tests.log.support import OPERATOR, ORIGIN

OLD = KEPT_S + 1


def opened(storage: Storage, timer: Timer) -> Sequencer:
    sequencer = Sequencer(storage, key=OPERATOR, origin=ORIGIN, monotonic=timer)
    sequencer.open()
    return sequencer


def bundles(folder: Path, index: int = 0) -> list[int]:
    """The widths of the partial bundles in a log's folder."""
    return sorted(int(path.name) for path in folder.glob(f"tile/entries/{index:03d}.p/*"))


@given(steps=st.lists(st.tuples(st.integers(1, 300), st.floats(0, 200), st.booleans()), max_size=30))
def test_what_stands_is_never_dropped(steps: list[tuple[int, float, bool]]) -> None:
    """Whatever the head and the published checkpoint name stays, as does what one of them named a moment ago."""
    partials, now_s, head, published = Partials(), 0.0, 0, 0
    there: set[Tile] = set()
    stood: list[tuple[float, int]] = []
    for added, passed_s, publish in steps:
        now_s += passed_s
        stood += [(now_s, head), (now_s, published)]
        head += added
        published = head if publish else published
        there |= set(edge_tiles(head))
        stood = [(at_s, size) for at_s, size in stood if at_s > now_s - KEPT_S]
        partials.stand({head, published}, now_s=now_s)
        there -= set(partials.expired(now_s=now_s))
        assert there >= {*edge_tiles(head), *edge_tiles(published)}
        for _, size in stood:
            assert there >= set(edge_tiles(size))


def test_a_log_keeps_few_partial_bundles(tmp_path: Path) -> None:
    """However many entries come within a moment, the newest partial forms are kept and no more."""
    sequencer = opened(FolderStorage(tmp_path), Timer())
    for _ in range(200):
        sequencer.append([b"x"])
        sequencer.publish(sequencer.head_note)
    assert bundles(tmp_path) == list(range(200 - MOST, 201))
    assert not (tmp_path / "tile/0/000.p/100").exists()


def test_a_log_that_awaits_its_witnesses_keeps_few_as_well(tmp_path: Path) -> None:
    """While nothing can be published, what is published stays whole, and of the heads after it only the newest."""
    sequencer = opened(FolderStorage(tmp_path), Timer())
    sequencer.append([b"x"] * 3)
    sequencer.publish(sequencer.head_note)
    for _ in range(600):
        sequencer.append([b"x"])
    assert bundles(tmp_path, 0) == [3]
    assert len(bundles(tmp_path, 1)) + len(bundles(tmp_path, 2)) <= 2 * MOST + 1
    assert (tmp_path / "tile/0/000.p/3").exists()


def test_what_nobody_names_goes_after_some_minutes(tmp_path: Path) -> None:
    """A checkpoint that was replaced is served for some minutes on."""
    timer = Timer()
    sequencer = opened(FolderStorage(tmp_path), timer)
    for size in (1, 2, 3):
        sequencer.append([b"x"])
        sequencer.publish(sequencer.head_note)
        assert bundles(tmp_path) == list(range(1, size + 1))
    timer.now_s += OLD
    sequencer.append([b"x"])
    sequencer.publish(sequencer.head_note)
    assert bundles(tmp_path) == [3, 4]


def test_a_start_drops_what_a_kill_left(tmp_path: Path) -> None:
    """Partial tiles whose full ones are published go when the log is opened, drafts among them; others stay."""
    sequencer = opened(FolderStorage(tmp_path), Timer())
    sequencer.append([b"x"] * 300)
    sequencer.publish(sequencer.head_note)
    sequencer.close()
    for path in ("tile/entries/000.p/7", "tile/0/000.p/7", "tile/entries/000.p/8.tmp", "tile/entries/001.p/9"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(b"left")
    sequencer = opened(FolderStorage(tmp_path), Timer())
    assert not (tmp_path / "tile/entries/000.p").exists()
    assert not (tmp_path / "tile/0/000.p").exists()
    assert bundles(tmp_path, 1) == [9, 44]
    for _ in range(MOST):
        sequencer.append([b"x"])
        sequencer.publish(sequencer.head_note)
    assert bundles(tmp_path, 1) == list(range(44, 109))


def test_a_folder_that_went_empty_is_made_again(tmp_path: Path) -> None:
    """Dropping the last partial tile of a folder does not make the next one fail."""
    storage = FolderStorage(tmp_path)
    storage.claim()
    storage.put({"tile/0/000.p/1": b"a"})
    assert storage.partials() == [Tile(0, 0, 1)]
    storage.discard([Tile(0, 0, 1), Tile(0, 0, 2), Tile(0, 5, 2)])
    assert not (tmp_path / "tile/0/000.p").exists()
    storage.put({"tile/0/000.p/2": b"b"})
    assert storage.get("tile/0/000.p/2") == b"b"


def test_a_bucket_keeps_few_partial_bundles() -> None:
    """The same in a bucket, whose leftovers a start drops too."""
    bucket, timer = MemoryBucket(), Timer()
    sequencer = opened(make_storage(bucket, timer), timer)
    for _ in range(100):
        sequencer.append([b"x"])
        sequencer.publish(sequencer.head_note)
    left = [parse_tile_path(key) for key in bucket.objects if key.startswith("tile/entries")]
    assert sorted(tile.width for tile in left) == list(range(100 - MOST, 101))
    sequencer.append([b"x"] * 200)
    sequencer.publish(sequencer.head_note)
    sequencer.close()
    bucket.objects["tile/entries/000.p/7"] = b"left"
    opened(make_storage(bucket, timer), timer)
    assert not [key for key in bucket.objects if key.startswith("tile/entries/000.p/")]


@pytest.mark.parametrize("fate", [LOST, DONE])
def test_a_bucket_that_can_not_drop_them_is_no_hindrance(fate: object) -> None:
    """Neither listing nor deleting has to succeed."""
    line = FaultyBucket(MemoryBucket(), dict.fromkeys(range(1, 9), fate))  # type: ignore[arg-type]
    storage = make_storage(line, Timer())
    assert storage.partials() == []
    storage.discard([Tile(0, 0, 1)])
    assert line.failed == ["list tile/", "delete tile/0/000.p/1"]
