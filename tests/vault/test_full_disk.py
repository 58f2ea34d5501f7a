"""The disk is full: the oldest clips go first, what is stored stays sound, and the owner is told in one line."""

import errno
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from device.vault.clipring import ClipRing
from device.vault.errors import RingFullError, StateFullError
from device.vault.sealing import seal
from device.vault.state import State, Transaction
from tests.conftest import need
from tests.vault.support import RECIPIENT, SECOND_US, START_US, Clock, SmallDisk, home


def test_oldest_clips_make_room_on_a_small_disk(tmp_path: Path) -> None:
    """With a disk smaller than the bound, recording goes on, and the newest clips are there."""
    (tmp_path / "clips").mkdir()
    with home(tmp_path, disk=SmallDisk(tmp_path / "clips", 25_000)) as vault:
        for number in range(10):
            vault.record(f"c{number}", at_s=number * 10)
        left = [info.clip for info in vault.ring.clips(0, 2 * START_US)]
        assert left == ["c7", "c8", "c9"]
        assert vault.chain.head.seq == 19
        assert vault.check().clean


def test_alone_on_a_full_disk_it_refuses_and_stays_sound(tmp_path: Path) -> None:
    """With nothing left to give up, the append is refused in a line; what is there can be read, and it resumes."""
    (tmp_path / "clips").mkdir()
    disk = SmallDisk(tmp_path / "clips", 10_000)
    with home(tmp_path, disk=disk) as vault:
        vault.begin("a", at_s=0)
        with pytest.raises(RingFullError, match="disk is full"):
            vault.segments("a", range(10))
        kept = len(vault.ring.segments("a"))
        assert vault.chain.head.seq == kept - 1
        disk.size = 50_000
        vault.segment("a", at_s=20)
        vault.ring.end("a", end_us=START_US + 21 * SECOND_US)
        assert len(vault.ring.segments("a")) == kept + 1
        assert vault.check().clean


def test_an_end_that_the_index_has_no_room_for_leaves_no_trace(tmp_path: Path) -> None:
    """A clip whose end was refused is as before in its file, goes on, and ends when somebody says so again."""
    full = False

    def step(name: str) -> None:
        if full and name == "settle: rows written":
            raise StateFullError("state.db: the disk is full; nothing of this step was kept")

    with home(tmp_path, step=step) as vault:
        vault.record("a", at_s=0, end=False)
        path = tmp_path / "clips" / "a.clip"
        before, used = path.read_bytes(), vault.ring.usage().bytes
        full = True
        with pytest.raises(RingFullError):
            vault.ring.end("a", end_us=START_US + 99 * SECOND_US)
        assert path.read_bytes() == before
        assert vault.ring.usage().bytes == used
        assert vault.ring.clip("a").end_us is None
        full = False
        vault.segment("a", at_s=2)
        vault.ring.end("a", end_us=START_US + 3 * SECOND_US)
        assert vault.ring.clip("a").end_us == START_US + 3 * SECOND_US
        assert len(vault.ring.segments("a")) == 3
        assert vault.check().findings == ()


class FullState(State):
    """A state that finds no room for the next `refused` transactions."""

    refused = 0

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        with super().transaction() as tx:
            yield tx
            if self.refused:
                self.refused -= 1
                raise StateFullError("state.db: the disk is full; nothing of this step was kept")


class StuckDisk(SmallDisk):
    """A small disk that can't even delete, for as long as `stuck`."""

    stuck = False

    def remove(self, path: Path) -> None:
        if self.stuck:
            raise OSError(errno.EDQUOT, "Disk quota exceeded")
        super().remove(path)


@pytest.mark.parametrize("what", ["state", "disk"])
def test_disk_too_full_to_evict_is_that_error_and_no_other(tmp_path: Path, what: str) -> None:
    """When even giving up a clip needs room, each way to record says so, loses nothing, and goes on once there is."""
    (tmp_path / "clips").mkdir()
    disk, clock = StuckDisk(tmp_path / "clips", 17_000), Clock()
    with home(tmp_path, disk=disk, clock=clock) as vault:
        vault.record("a", at_s=0)
    with FullState.open(tmp_path / "state.db") as state:
        ring = ClipRing(
            tmp_path / "clips",
            state,
            device="porch",
            max_bytes=1_000_000,
            max_age_s=1_000,
            pinned_share=0.5,
            clock=clock,
            disk=disk,
        )
        ring.begin("b", camera="door", start_us=START_US + 10 * SECOND_US, event="e", kind="motion")
        ring.append_thumbnail("b", seal(bytes(9_000), [RECIPIENT]), at_us=START_US)

        def refuse() -> None:
            disk.stuck, state.refused = what == "disk", 9 * (what == "state")

        def no_room() -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        refuse()
        with pytest.raises(RingFullError, match="could not be given up"):
            ring.append_thumbnail("b", seal(bytes(5_000), [RECIPIENT]), at_us=START_US)
        refuse()
        with pytest.raises(RingFullError, match="could not be given up"):
            ring.making_room("an event", no_room)
        clock.now_us += 2_000 * SECOND_US
        refuse()
        with pytest.raises(RingFullError, match="could not be given up"):
            ring.expire()
        disk.stuck, state.refused = False, 0
        assert ring.expire() == 1
        ring.append_thumbnail("b", seal(bytes(5_000), [RECIPIENT]), at_us=START_US)
        ring.end("b", end_us=START_US + 20 * SECOND_US)
        assert ring.usage().clips == 1
        assert len(ring.thumbnails("b")) == 2
    with home(tmp_path) as vault:
        assert vault.check().clean


@contextmanager
def file_limit(count: int) -> Iterator[None]:
    """Let the kernel refuse to make any file longer than `count` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_write_that_the_kernel_cuts_short_leaves_no_trace(tmp_path: Path) -> None:
    """A real short write, at a limit in the middle of a record, is undone on disk and in the chain."""
    with home(tmp_path) as vault:
        vault.begin("a", at_s=0)
        vault.segment("a", at_s=0)
        path = tmp_path / "clips" / "a.clip"
        before, head = path.read_bytes(), vault.chain.head
        with file_limit(200_000), pytest.raises(RingFullError):
            vault.segment("a", at_s=1, size=400_000)
        assert path.read_bytes() == before
        assert vault.chain.head == head
        vault.segment("a", at_s=2)
        assert vault.check().clean


CHILD = """
import sys
from pathlib import Path
from device.vault.errors import RingFullError, StateFullError
from tests.vault.support import START_US, home
folder = Path(sys.argv[1])
refused = 0
with home(folder, max_bytes=50_000_000) as vault:
    for number in range(30):
        vault.record(f"c{number:02}", at_s=number * 10, size=60_000)
    left = [info.clip for info in vault.ring.clips(0, 2 * START_US)]
    assert left == [f"c{number:02}" for number in range(30 - len(left), 30)], left
    assert 2 < len(left) < 20, left
    vault.begin("long", at_s=1000)
    try:
        for second in range(1000, 1100):
            vault.segment("long", at_s=second, size=60_000)
    except RingFullError as error:
        refused += 1
        assert "disk is full" in str(error), error
    assert refused == 1
    report = vault.check()
    assert report.clean, report
with home(folder, max_bytes=50_000_000) as vault:
    assert vault.check().clean
    assert vault.ring.clip("long").end_us
"""


def own_mounts(folder: Path) -> list[str]:
    """Return what starts a command that may mount; where nothing may, skip the test, and in CI fail it."""
    unshare = need("unshare")
    ways = [[unshare, "-rm"]]
    if sudo := shutil.which("sudo"):  # where users may make no namespaces, as on Ubuntu, a CI's user may still do this
        ways.append([sudo, "--non-interactive", unshare, "-m"])
    for way in ways:
        probe = [*way, "mount", "-t", "tmpfs", "none", str(folder)]
        if subprocess.run(probe, capture_output=True, check=False).returncode == 0:
            return way
    why = "this machine allows no mounts in a namespace of our own"
    if os.environ.get("CI"):
        pytest.fail(f"{why}, and CI must run this test: allow user namespaces, or sudo without a password")
    pytest.skip(why)


def test_real_disk_without_room(tmp_path: Path) -> None:
    """On a file system of 1.5 MB, state and clips together: oldest first, one clear refusal, and a sound start."""
    script = 'mount -t tmpfs -o size=1500k none "$1" && exec "$2" -c "$3" "$1"'
    command = [*own_mounts(tmp_path), "sh", "-c", script, "sh", str(tmp_path), sys.executable, CHILD]
    run = subprocess.run(
        command, capture_output=True, text=True, cwd=Path(__file__).parents[2], env=dict(os.environ), check=False
    )
    assert run.returncode == 0, run.stderr[-2_000:]
