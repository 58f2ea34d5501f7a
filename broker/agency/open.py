"""Opening a bundle: decrypted whole before any of it is used, unpacked strictly, and every file checked.

What can't be opened raises, and leaves nothing. What opens is reported file by file: "verified", or why not.
The device's key is one that the bundle names itself: a seal shows that one device filmed, signed and released, and
not whose it is.
"""

import hashlib
import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pyrage

from broker.files import PRIVATE_FILE, PRIVATE_FOLDER, sync_folder
from broker.wire.inbox import MAX_BUNDLE_BYTES
from broker.wire.proofs import Policy
from broker.wire.records import Release

from .check import BundleCheck, ClipReport, FileReport
from .errors import AgencyError, BundleError
from .files import make_folder
from .keys import recipient_of
from .tarball import Member, copy_member, read_members

AGE_START = b"age-encryption.org/v1\n"


@dataclass(frozen=True, slots=True)
class OpenedBundle:
    """A bundle's files in `folder`, and what was found. `release` is None where it could not be verified."""

    folder: Path
    sha256: str
    release: Release | None
    files: tuple[FileReport, ...]
    clips: tuple[ClipReport, ...]

    @property
    def verified(self) -> bool:
        """Whether every file is there and verified."""
        return self.release is not None and all(file.verified for file in self.files)

    @property
    def rings(self) -> tuple[int, ...]:
        """When somebody rang, by the device's clock and word; none where the owner did not tell."""
        return () if self.release is None else self.release.rings


def open_bundle(
    sealed: bytes | Path,
    identity: str,
    out_dir: Path,
    *,
    request_leaf: str,
    policy: Policy,
    sha256: str | None = None,
) -> OpenedBundle:
    """Open a bundle into `out_dir`, which must not exist; raises BundleError or AgencyError, and then leaves nothing.

    `identity` is the age identity, `request_leaf` the leaf hash of our request in hex, `policy` the pinned log,
    `sha256` the digest that the bundle must have, where it is known.
    """
    recipient = recipient_of(identity)
    if out_dir.exists():
        raise BundleError(f"{out_dir} exists already; a bundle is opened into a new folder")
    make_folder(out_dir.parent)
    # Without a name: the plaintext is gone when the process is.
    with _open_sealed(sealed) as source, tempfile.TemporaryFile(dir=out_dir.parent) as tar:
        digest = _digest(source)
        if sha256 is not None and digest != sha256:
            raise BundleError(f"the bundle has digest {digest[:16]} where {sha256[:16]} is expected; fetch it again")
        _decrypt(source, tar, identity)
        size = tar.tell()
        members = read_members(tar, size)
        with _staging(out_dir) as folder:
            digests = {member.name: _unpack(tar, member, folder) for member in members}
            check = BundleCheck(
                folder=folder,
                members=members,
                digests=digests,
                request_leaf=request_leaf,
                recipient=recipient,
                policy=policy,
            )
            files = check.files()
            sync_folder(folder)
            folder.rename(out_dir)
    sync_folder(out_dir.parent)
    return OpenedBundle(out_dir, digest, check.release, files, tuple(check.clips))


@contextmanager
def _open_sealed(sealed: bytes | Path) -> Iterator[BinaryIO]:
    if isinstance(sealed, bytes):
        yield io.BytesIO(sealed)
        return
    try:
        file = sealed.open("rb")
    except OSError as error:
        raise BundleError(f"{sealed} cannot be read: {error.strerror}") from error
    with file:
        yield file


def _digest(source: BinaryIO) -> str:
    digest = hashlib.sha256()
    while piece := source.read(1 << 20):
        digest.update(piece)
    source.seek(0)
    return digest.hexdigest()


def _decrypt(source: BinaryIO, tar: BinaryIO, identity: str) -> None:
    start = source.read(len(AGE_START))
    size = source.seek(0, io.SEEK_END)
    source.seek(0)
    if start != AGE_START:
        raise BundleError("the bundle is no age file")
    if size > MAX_BUNDLE_BYTES:
        raise BundleError(f"the bundle has {size} bytes; {MAX_BUNDLE_BYTES} at the most")
    try:
        pyrage.decrypt_io(source, tar, [pyrage.x25519.Identity.from_str(identity)])
    except pyrage.DecryptError as error:
        raise BundleError(f"the bundle does not open: cut, damaged, or sealed to another key ({error})") from error
    except OSError as error:  # pyrage passes on what a damaged chunk, or a full disk, raised
        raise BundleError(f"the bundle does not open: cut, damaged, or the disk is full ({error})") from error


@contextmanager
def _staging(out_dir: Path) -> Iterator[Path]:
    """Give a private folder beside `out_dir` that is gone after any failure, and cleared of an earlier crash."""
    folder = out_dir.with_name(f".{out_dir.name}.opening")
    try:
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(mode=PRIVATE_FOLDER)
        yield folder
    except OSError as error:
        raise AgencyError(f"{folder} cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unpack(tar: BinaryIO, member: Member, folder: Path) -> str:
    """Write one file and return its SHA-256 in hex."""
    digest = hashlib.sha256()
    handle = os.open(folder / member.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_FILE)
    with os.fdopen(handle, "wb") as file:
        for piece in copy_member(tar, member):
            digest.update(piece)
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()
