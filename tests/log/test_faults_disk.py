"""A log's folder on a disk that is full, or can't be written: told in one line, nothing lost, and it goes on."""

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from broker.log.errors import LogError, StorageError
from broker.log.sequencer import Sequencer
from broker.log.storage.folder import FolderStorage
from tests.conftest import need
from tests.log.story import Story
from tests.log.support import OPERATOR, ORIGIN

DISK = """
import os, shutil, sys
from pathlib import Path
import structlog
from broker.log.errors import StorageError
from broker.log.storage.folder import FolderStorage
from tests.log.story import Story
structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
disk = Path(sys.argv[1])
"""

FULL = """
def fill(pages):
    with (disk / "filler").open("wb") as file:
        free = os.statvfs(disk).f_bavail - pages
        file.write(bytes(4096 * max(0, free)))

for pages in range(20):
    log = disk / f"log{pages}"
    story = Story([3])
    story.live(FolderStorage(log))
    fill(pages)
    story.left = [252, 5]
    storage = FolderStorage(log)
    try:
        story.live(storage)
        print("enough", pages)
    except StorageError as error:
        print("full", error)
        storage.release()
        assert not list(log.rglob("*.tmp"))
        (disk / "filler").unlink()
        story.live(FolderStorage(log))
    story.check()
    (disk / "filler").unlink(missing_ok=True)
    shutil.rmtree(log)
"""

READ_ONLY = """
log = disk / "log"
Story([3]).live(FolderStorage(log))
assert os.system(f"mount -o remount,ro '{disk}'") == 0
for where in (log, disk / "new"):
    try:
        FolderStorage(where).claim()
    except StorageError as error:
        print("refused", error)
assert FolderStorage(log).get("checkpoint")
"""


def on_small_disk(folder: Path, script: str) -> list[str]:
    """Run a script beside a file system of 512 KB in a namespace of its own; returns the lines that it printed."""
    mount = f"mount -t tmpfs -o size=512k none '{folder}' && exec \"$0\" -c \"$1\" '{folder}'"
    command = [need("unshare"), "--user", "--map-root-user", "--mount", "sh", "-c"]
    if subprocess.run([*command, "true"], check=False, capture_output=True).returncode:
        if os.environ.get("CI"):
            pytest.fail("this machine makes no namespaces, and CI must run this test")
        pytest.skip("this machine makes no namespaces, in which a small disk could be mounted")
    done = subprocess.run(
        [*command, mount, sys.executable, DISK + script],
        cwd=Path(__file__).parents[2],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.slow
def test_a_disk_that_fills_up_at_any_step(tmp_path: Path) -> None:
    """However much room is left, the sequencer is told to make some; what was acknowledged is there, and it goes on."""
    told = on_small_disk(tmp_path, FULL)
    full = [line for line in told if line.startswith("full")]
    assert len(full) >= 8
    assert all(line.endswith("No space left on device; make room on the disk") for line in full)
    assert told[-1].startswith("enough")


def test_a_disk_that_can_not_be_written(tmp_path: Path) -> None:
    """A log on a read-only file system is not opened, but can be read; the message says what to change."""
    advice = "Read-only file system; give its user the right to write there"
    assert on_small_disk(tmp_path, READ_ONLY) == [
        f"refused {tmp_path}/log: {advice}",
        f"refused {tmp_path}/new: {advice}",
    ]


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let no file grow beyond `size` bytes, as a quota would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_an_entry_that_the_disk_refuses_leaves_no_trace(tmp_path: Path) -> None:
    """A batch that could not be written half-way is not in the log, nor in the way; the sequencer is opened again."""
    story = Story([3])
    story.live(FolderStorage(tmp_path / "log"))
    sequencer = Sequencer(FolderStorage(tmp_path / "log"), key=OPERATOR, origin=ORIGIN)
    sequencer.open()
    with largest_file(4_096), pytest.raises(StorageError, match="File too large; make room on the disk"):
        sequencer.append([b"large" * 2_000])
    with pytest.raises(LogError, match="not open"):
        sequencer.append([b"small"])
    assert not list(tmp_path.rglob("*.tmp"))
    sequencer.open()
    assert sequencer.size == 3
    sequencer.close()
    story.left = [2]
    story.live(FolderStorage(tmp_path / "log"))
    story.check()
