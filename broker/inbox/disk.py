"""The file operations that the inbox stands on, over broker.files. The only place in this room that calls fsync.

`Disk` is small so that a test can put in its place one that loses power between, or inside, any two steps.
"""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import structlog

from broker import files

from .errors import InboxError, Refused

log = structlog.get_logger()

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Disk(Protocol):
    """What the storage asks of a file system.

    All but `append` are durable when they return. What `append` wrote is durable after the next `sync` of the file;
    when power fails before, the file may have kept any prefix of it.
    """

    def make_folder(self, path: Path) -> None:
        """Make one folder, with its parents, for its owner's eyes alone; one that exists is fine."""

    def create(self, path: Path, data: bytes) -> None:
        """Make a new file that holds `data`; FileExistsError if there is one."""

    def append(self, path: Path, offset: int, data: bytes) -> None:
        """Write `data` at `offset`, the end of the file."""

    def sync(self, path: Path) -> None:
        """Make what was appended durable."""

    def truncate(self, path: Path, length: int) -> None:
        """Cut the file to `length` bytes."""

    def rename(self, old: Path, new: Path) -> None:
        """Move a file or a folder within its parent, replacing a file that has the new name."""

    def remove(self, path: Path) -> None:
        """Delete a file or a whole folder; one that is gone already is fine."""


class LocalDisk:
    """The real file system; `fsync` takes a file descriptor."""

    def __init__(self, *, fsync: files.Fsync = os.fsync) -> None:
        self._fsync = fsync

    def make_folder(self, path: Path) -> None:
        """Make one folder, with its parents, for its owner's eyes alone; one that exists is fine."""
        files.make_folder(path, fsync=self._fsync)

    def create(self, path: Path, data: bytes) -> None:
        """Make a new file that holds `data`; FileExistsError if there is one."""
        files.write_new(path, data, fsync=self._fsync)

    def append(self, path: Path, offset: int, data: bytes) -> None:
        """Write `data` at `offset`, the end of the file."""
        handle = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            _write_all(handle, data, offset)
        finally:
            os.close(handle)

    def sync(self, path: Path) -> None:
        """Make what was appended durable."""
        handle = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            self._fsync(handle)
        finally:
            os.close(handle)

    def truncate(self, path: Path, length: int) -> None:
        """Cut the file to `length` bytes."""
        handle = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.ftruncate(handle, length)
            self._fsync(handle)
        finally:
            os.close(handle)

    def rename(self, old: Path, new: Path) -> None:
        """Move a file or a folder within its parent, replacing a file that has the new name."""
        old.replace(new)
        files.sync_folder(new.parent, fsync=self._fsync)

    def remove(self, path: Path) -> None:
        """Delete a file or a whole folder; one that is gone already is fine."""
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        files.sync_folder(path.parent, fsync=self._fsync)


def is_full(error: OSError) -> bool:
    """Tell whether the disk, the quota or the file size limit is what stopped a write."""
    return error.errno in FULL


@contextmanager
def disk_full_refused() -> Iterator[None]:
    """Turn what the disk raises into Refused (507) where it is full, into InboxError else."""
    try:
        yield
    except OSError as error:
        if is_full(error):
            log.warning("disk_full")
            raise Refused(507, "inbox-full", "the inbox's disk is full; try again later") from error
        raise InboxError(f"the inbox's disk failed: {error.strerror}") from error


def _write_all(handle: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(handle, view, offset)
        view, offset = view[written:], offset + written
