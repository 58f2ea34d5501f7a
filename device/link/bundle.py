"""An approved bundle on disk: opened once, hashed whole, then read in pieces that are checked against that hash.

Between the hashing and the sending the file may be changed, by whoever. So each chunk's digest is kept from the one
pass whose whole digest the approval names, and a chunk leaves `read` only if it still has it. Blocking; no network.
"""

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from broker.wire.records import Approval

from .errors import NotApproved

CHUNK_BYTES = 1024 * 1024


class ApprovedBundle:
    """The open file and the digests of its chunks. Made by `open_bundle` only."""

    def __init__(self, fd: int, size: int, digests: tuple[bytes, ...], path: Path) -> None:
        self._fd = fd
        self._digests = digests
        self._path = path
        self.size = size

    def read(self, offset: int) -> bytes:
        """Return the bytes from `offset` to the end of its chunk; raises NotApproved if the file has changed since."""
        number, skip = divmod(offset, CHUNK_BYTES)
        chunk = _read_at(self._fd, number * CHUNK_BYTES)
        if hashlib.sha256(chunk).digest() != self._digests[number]:
            where = f"in the chunk at byte {number * CHUNK_BYTES}"
            raise NotApproved(f"{self._path} has changed since it was checked ({where}); nothing of that was sent")
        return chunk[skip:]


@contextlib.contextmanager
def open_bundle(path: Path, approval: Approval) -> Iterator[ApprovedBundle]:
    """Open the file that `approval` names by size and SHA-256; raises NotApproved for any other."""
    # NONBLOCK: a FIFO in the file's place must not hang us. It changes nothing for a regular file.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        fd = os.open(path, flags)
    except OSError as error:
        raise NotApproved(f"{path} can't be opened as a bundle: {error.strerror}") from error
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise NotApproved(f"{path} is no regular file")
        if found.st_size != approval.bundle_bytes:
            raise NotApproved(f"{path} has {found.st_size} bytes; the owner approved {approval.bundle_bytes}")
        digests = _hash(fd, path, approval)
        yield ApprovedBundle(fd, approval.bundle_bytes, digests, path)
    finally:
        os.close(fd)


def _hash(fd: int, path: Path, approval: Approval) -> tuple[bytes, ...]:
    whole = hashlib.sha256()
    digests = []
    for start in range(0, approval.bundle_bytes, CHUNK_BYTES):
        chunk = _read_at(fd, start)
        whole.update(chunk)
        digests.append(hashlib.sha256(chunk).digest())
    if whole.hexdigest() != approval.bundle_sha256:
        raise NotApproved(
            f"{path} has SHA-256 {whole.hexdigest()[:16]}…; the owner approved {approval.bundle_sha256[:16]}…"
        )
    return tuple(digests)


def _read_at(fd: int, start: int) -> bytes:
    parts = []
    wanted = CHUNK_BYTES
    while wanted and (part := os.pread(fd, wanted, start)):
        parts.append(part)
        start += len(part)
        wanted -= len(part)
    return b"".join(parts)
