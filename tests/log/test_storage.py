"""The folder that holds a log's files, against the contract of `Storage`."""

import os
from pathlib import Path

import pytest

from broker.log.errors import CheckpointConflictError, LogInUseError
from broker.log.storage.folder import FolderStorage
from broker.wire.encoding import WireError
from broker.wire.tiles import Tile


@pytest.fixture
def storage(tmp_path: Path) -> FolderStorage:
    storage = FolderStorage(tmp_path / "log")
    storage.claim()
    return storage


def test_files_lie_where_the_urls_say(storage: FolderStorage, tmp_path: Path) -> None:
    """A static web server over the folder serves the log; nothing else but the lock lies in it."""
    storage.put({Tile("entries", 1234067, 7).path: b"a", Tile(0, 0).path: b"b"})
    storage.swap_head(None, b"note")
    storage.publish(b"note, cosigned")
    found = sorted(path.relative_to(tmp_path / "log").as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert found == [".lock", "checkpoint", "head", "tile/0/000", "tile/entries/x001/x234/067.p/7"]
    assert storage.get("tile/entries/x001/x234/067.p/7") == b"a"
    assert storage.get("tile/0/001") is None
    assert storage.get("tile/0/000.p/3") is None


def test_put_again_replaces(storage: FolderStorage) -> None:
    """An object that was staged before a crash can be staged again."""
    storage.put({"tile/0/000.p/1": b"x" * 32})
    storage.put({"tile/0/000.p/1": b"y" * 32})
    assert storage.get("tile/0/000.p/1") == b"y" * 32


def test_the_head_is_compared_before_it_is_swapped(storage: FolderStorage) -> None:
    """A head that is not the expected one stays as it is."""
    storage.swap_head(None, b"one")
    with pytest.raises(CheckpointConflictError):
        storage.swap_head(None, b"two")
    with pytest.raises(CheckpointConflictError):
        storage.swap_head(b"zero", b"two")
    assert storage.get("head") == b"one"
    storage.swap_head(b"one", b"two")
    assert storage.get("head") == b"two"


def test_the_head_is_the_writers_and_the_checkpoint_everybodys(storage: FolderStorage, tmp_path: Path) -> None:
    """A head moves no checkpoint, and no web server of another user may read it before it is published."""
    storage.swap_head(None, b"one")
    assert storage.get("checkpoint") is None
    storage.publish(b"one, cosigned")
    storage.publish(b"one, cosigned again")
    assert storage.get("checkpoint") == b"one, cosigned again"
    assert (tmp_path / "log/head").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "log/checkpoint").stat().st_mode & 0o777 == 0o644


def test_a_second_writer_is_refused_until_the_first_lets_go(storage: FolderStorage, tmp_path: Path) -> None:
    """One log has one writer; the message names the folder."""
    second = FolderStorage(tmp_path / "log")
    with pytest.raises(LogInUseError, match="another 'latchstring broker run'"):
        second.claim()
    with pytest.raises(LogInUseError):
        second.put({"tile/0/000": b""})
    storage.claim()  # to claim what one holds is harmless
    storage.release()
    second.claim()
    second.release()
    second.release()


@pytest.mark.parametrize("path", ["../secret", "tile/0/../../x", "/etc/passwd", "tile/0/1", ".lock", ""])
def test_no_other_path_has_a_meaning(storage: FolderStorage, path: str) -> None:
    """Nothing outside the log's own names can be read or written."""
    with pytest.raises(WireError):
        storage.get(path)
    with pytest.raises(WireError):
        storage.put({path: b""})


def test_partial_tiles_are_dropped(storage: FolderStorage) -> None:
    """Once a full tile is there, its partial forms go, and only they."""
    storage.put({"tile/0/000.p/1": b"a", "tile/0/000": b"b", "tile/0/001.p/1": b"c"})
    storage.discard_partials(Tile(0, 0))
    storage.discard_partials(Tile(0, 5))
    assert storage.get("tile/0/000.p/1") is None
    assert storage.get("tile/0/000") == b"b"
    assert storage.get("tile/0/001.p/1") == b"c"


@pytest.mark.parametrize("name", ["head", "checkpoint"])
def test_what_a_killed_writer_left_half_written_is_removed(tmp_path: Path, name: str) -> None:
    """What a killed writer left beside the head or the checkpoint is never read."""
    (tmp_path / f"{name}.tmp").write_bytes(b"torn")
    storage = FolderStorage(tmp_path)
    storage.claim()
    assert storage.get(name) is None
    assert not (tmp_path / f"{name}.tmp").exists()
    storage.release()


def test_the_lock_is_not_inherited(storage: FolderStorage) -> None:
    """A child process does not keep the log locked after its parent is gone."""
    assert storage._lock is not None
    assert not os.get_inheritable(storage._lock)
