"""The few file operations that the vault stands on, each durable when it returns. The only place that calls fsync.

`Disk` is small so that a test can put a disk in its place that is full, or that loses power half-way.
"""

import contextlib
import errno
import os
from pathlib import Path
from typing import Protocol

from .errors import KeyFileError

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700
MAX_SECRET_BYTES = 64 * 1024
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Disk(Protocol):
    """What the clip ring asks of a file system.

    The contract: when a method returns, its effect survives a power cut. When the power fails inside it, a file may
    hold any prefix of the bytes given, and nothing before `offset` has changed. When it raises OSError, the file is
    as it was before.
    """

    def create(self, path: Path, data: bytes) -> None:
        """Make a new file that holds `data`; FileExistsError if there is one."""

    def append(self, path: Path, offset: int, data: bytes) -> None:
        """Write `data` at `offset`, the end of the file, as one write."""

    def truncate(self, path: Path, length: int) -> None:
        """Cut the file to `length` bytes."""

    def remove(self, path: Path) -> None:
        """Delete the file for good; one that is gone already is fine."""


class LocalDisk:
    """The real file system."""

    def create(self, path: Path, data: bytes) -> None:
        """Make a new file that holds `data`; FileExistsError if there is one."""
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_FILE)
        try:
            try:
                _write_all(fd, data, 0)
                os.fsync(fd)
            finally:
                os.close(fd)
            sync_folder(path.parent)
        except OSError:
            path.unlink(missing_ok=True)
            raise

    def append(self, path: Path, offset: int, data: bytes) -> None:
        """Write `data` at `offset`, the end of the file, as one write."""
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            try:
                _write_all(fd, data, offset)
                os.fdatasync(fd)
            except OSError:
                os.ftruncate(fd, offset)
                raise
        finally:
            os.close(fd)

    def truncate(self, path: Path, length: int) -> None:
        """Cut the file to `length` bytes."""
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.ftruncate(fd, length)
            os.fsync(fd)
        finally:
            os.close(fd)

    def remove(self, path: Path) -> None:
        """Delete the file for good; one that is gone already is fine."""
        path.unlink(missing_ok=True)
        sync_folder(path.parent)


def is_full(error: OSError) -> bool:
    """Tell whether the disk, the quota or the file size limit is what stopped a write."""
    return error.errno in FULL


def sync_folder(folder: Path) -> None:
    """Make the creation, renaming or removal of files in `folder` survive a power cut."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def private_folder(folder: Path) -> None:
    """Make `folder` with its parents, for its owner's eyes alone."""
    if not folder.is_dir():
        folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        sync_folder(folder.parent)


def write_secret(path: Path, data: bytes) -> None:
    """Write a new file that only its owner can read, wholly or not at all; KeyFileError if there is one already."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
    disk = LocalDisk()
    try:
        disk.create(draft, data)
        # A link, unlike a rename, refuses to replace what is there.
        os.link(draft, path)
    except FileExistsError as error:
        raise KeyFileError(f"{path} exists already and is not overwritten; move it away first") from error
    except OSError as error:
        raise KeyFileError(f"{path} could not be written: {error.strerror}") from error
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)


def replace_secret(path: Path, data: bytes) -> None:
    """Write a secret over the one that is there, if there is one: after a power cut it is the old or the new."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        draft.unlink(missing_ok=True)  # a power cut left it
        LocalDisk().create(draft, data)
        draft.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise KeyFileError(f"{path} could not be written: {error.strerror}") from error


def read_secret(path: Path) -> bytes:
    """Read a file that must be readable by its owner alone; raises KeyFileError."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(MAX_SECRET_BYTES + 1)
    except OSError as error:
        raise KeyFileError(f"{path} could not be read: {error.strerror}") from error
    if mode & 0o077:
        raise KeyFileError(f"{path} can be read by others (mode {mode & 0o777:o}); run: chmod 600 {path}")
    if len(data) > MAX_SECRET_BYTES:
        raise KeyFileError(f"{path} has more than {MAX_SECRET_BYTES} bytes; it is no key file")
    return data


def _write_all(fd: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, offset)
        view, offset = view[written:], offset + written
