"""The real disk: what returned has been handed to the platter, and in the order in which it matters."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from device.vault.disk import LocalDisk, replace_secret


@dataclass
class Synced:
    """Each call to the operating system that makes something durable: on what, and how it was at that moment."""

    seen: list[tuple[str, int | tuple[str, ...]]] = field(default_factory=list)

    def watch(self, real: Callable[[int], None]) -> Callable[[int], None]:
        def call(fd: int) -> None:
            path = Path(f"/proc/self/fd/{fd}").readlink()
            # Of a folder what is in it, of a file how long it is.
            there = tuple(sorted(one.name for one in path.iterdir())) if path.is_dir() else path.stat().st_size
            self.seen.append((path.name, there))
            real(fd)

        return call


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> Synced:
    """What is synced during the test; it is, really."""
    synced = Synced()
    for name in ("fsync", "fdatasync"):
        monkeypatch.setattr(os, name, synced.watch(getattr(os, name)))
    return synced


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A file of ten bytes."""
    path = tmp_path / "clips" / "a.clip"
    path.parent.mkdir()
    path.write_bytes(b"0123456789")
    return path


def test_an_append_is_one_sync_of_all_that_was_written(clip: Path, synced: Synced) -> None:
    """When an append returns, every byte of it has been synced, and nothing else had to be."""
    LocalDisk().append(clip, 10, bytes(300_000))
    assert synced.seen == [("a.clip", 300_010)]


def test_a_new_file_is_synced_and_then_its_name(clip: Path, synced: Synced) -> None:
    """First what is in it, then that it is there: a name never stands for nothing."""
    LocalDisk().create(clip.with_name("b.clip"), b"head")
    assert synced.seen == [("b.clip", 4), ("clips", ("a.clip", "b.clip"))]


def test_a_secret_takes_anothers_place_only_when_it_is_whole(tmp_path: Path, synced: Synced) -> None:
    """The new bytes are synced under another name, then the change of names is; a draft left over is no hindrance."""
    path = tmp_path / "key"
    path.write_bytes(b"old")
    draft = tmp_path / f".key.{os.getpid()}.new"
    draft.write_bytes(b"half")
    replace_secret(path, b"whole")
    assert synced.seen == [(draft.name, 5), (tmp_path.name, (draft.name, "key")), (tmp_path.name, ("key",))]
    assert path.read_bytes() == b"whole"


def test_a_cut_and_a_removal_survive_as_well(clip: Path, synced: Synced) -> None:
    """A tail that was cut off does not come back, nor does a clip that was given up."""
    LocalDisk().truncate(clip, 6)
    assert synced.seen == [("a.clip", 6)]
    synced.seen.clear()
    LocalDisk().remove(clip)
    assert synced.seen == [("clips", ())]
