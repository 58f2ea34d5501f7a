"""A disk that stalls: who writes waits, nobody else does, and nothing gathers in memory."""

import threading
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from device.vault.disk import LocalDisk
from device.vault.openclips import MAX_WAITING
from device.vault.seals import extents
from tests.vault.support import START_US, home

FOREVER = (0, 2 * START_US)


@dataclass
class StallingDisk(LocalDisk):
    """A disk whose appends, once `stalled` is set, hang until it is cleared."""

    stalled: threading.Event = field(default_factory=threading.Event)
    reached: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    def append(self, path: Path, offset: int, data: bytes) -> None:
        if self.stalled.is_set():
            self.reached.set()
            assert self.released.wait(20)
        super().append(path, offset, data)


def test_stalled_append_holds_up_nobody_else(tmp_path: Path) -> None:
    """While an append hangs, clips are listed, read, pinned and counted; what hangs counts once it is on disk."""
    disk = StallingDisk()
    with home(tmp_path, disk=disk) as vault, ThreadPoolExecutor(1) as pool:
        vault.record("old", at_s=0)
        vault.begin("a", at_s=10)
        vault.segment("a", at_s=10)
        before = vault.ring.usage()
        disk.stalled.set()
        stuck = pool.submit(vault.segment, "a", at_s=11)
        assert disk.reached.wait(10)
        ring = vault.ring
        looks: list[Callable[[], object]] = [
            lambda: [info.clip for info in ring.clips(*FOREVER)] == ["old", "a"],
            lambda: len(ring.segments("a")) == 1,
            lambda: len(ring.read_sealed(ring.segments("a")[0])) > 0,
            lambda: ring.pin("a", "r"),
            lambda: ring.usage().bytes == before.bytes,
            lambda: ring.expire() == 0,
            lambda: vault.check().clean,
        ]
        assert all(look() for look in looks)
        assert not stuck.done()
        disk.released.set()
        stuck.result(10)
        assert len(ring.segments("a")) == 2


def test_one_segment_costs_one_append_and_no_commit(tmp_path: Path) -> None:
    """Between a clip's begin and its end the database is left alone, until MAX_WAITING rows wait for it."""
    with home(tmp_path) as vault:
        vault.begin("a", at_s=0)
        state = tmp_path / "state.db"
        before = state.stat().st_mtime_ns
        vault.segments("a", range(MAX_WAITING), size=10)
        assert state.stat().st_mtime_ns == before
        assert len(vault.ring.segments("a")) == MAX_WAITING
        assert extents(vault.state) == []
        vault.segment("a", at_s=MAX_WAITING, size=10)
        assert state.stat().st_mtime_ns > before
        assert [extent.head.seq for extent in extents(vault.state)] == [MAX_WAITING - 1]
        assert len(vault.ring.segments("a")) == MAX_WAITING + 1
        vault.ring.end("a", end_us=START_US)
        assert vault.check().findings == ()


@pytest.mark.slow
def test_a_long_clip_takes_no_more_memory_than_a_short_one(tmp_path: Path) -> None:
    """However long a clip gets, what is held of it does not grow: its rows go to the tables."""
    with home(tmp_path, max_bytes=100_000_000) as vault:
        vault.begin("a", at_s=0)
        vault.segments("a", range(2 * MAX_WAITING), size=2_000)
        tracemalloc.start()
        try:
            held, _ = tracemalloc.get_traced_memory()
            vault.segments("a", range(2 * MAX_WAITING, 8 * MAX_WAITING), size=2_000)
            after, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert after - held < 300_000
        assert peak - held < 600_000
