"""Files on this machine: read within bounds, and written so that they outlast a power cut. Bytes and paths, no meaning.

Whatever is written here appears under its name whole or not at all: it is written beside its place, synced, and then
given its name; at last the folder is synced, since a name is the folder's. `fsync` is a parameter for tests that can't
wait for a disk. What fails raises OSError, except in the two readers, whose errors are for people.
"""

import contextlib
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700
PUBLIC_FILE = 0o644
PUBLIC_FOLDER = 0o755
MAX_TEXT_BYTES = 1 << 20
_FILES_AT_ONCE = 64  # open at a time: a large batch must not run out of descriptors

Fsync = Callable[[int], None]


def read_bytes(path: Path, *, max_bytes: int, error: Callable[[str], Exception]) -> bytes:
    """Return a file's bytes; raises `error` with one line for a file that can't be read, or has more than `max_bytes`.

    A file that may be missing, or may grow, is the caller's to handle.
    """
    try:
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as failed:
        raise error(f"{path} can't be read: {failed.strerror}") from failed
    if len(data) > max_bytes:
        raise error(f"{path} has more than the {max_bytes} bytes it may have")
    return data


def read_text(path: Path, *, max_bytes: int = MAX_TEXT_BYTES, error: Callable[[str], Exception]) -> str:
    """Return a file's text; raises `error` with one line, also where it is not UTF-8."""
    data = read_bytes(path, max_bytes=max_bytes, error=error)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as failed:
        raise error(f"{path} is not UTF-8 text (byte {failed.start})") from failed


def sync_folder(folder: Path, *, fsync: Fsync = os.fsync) -> None:
    """Make the names that were made in, moved within or removed from a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fsync(handle)
    finally:
        os.close(handle)


def make_folder(folder: Path, *, mode: int = PRIVATE_FOLDER, fsync: Fsync = os.fsync) -> None:
    """Make a folder and the parents it lacks, all with `mode`; one that exists is left as it is.

    Its name is synced then, too: a process that was killed may have made it, and not have come so far.
    """
    if folder.is_dir():
        with contextlib.suppress(PermissionError):  # whose parent can't be opened, we did not make
            sync_folder(folder.parent, fsync=fsync)
        return
    make_folder(folder.parent, mode=mode, fsync=fsync)
    folder.mkdir(mode=mode, exist_ok=True)
    sync_folder(folder.parent, fsync=fsync)


def write_new(path: Path, data: bytes, *, mode: int = PRIVATE_FILE, fsync: Fsync = os.fsync) -> None:
    """Make a file; raises FileExistsError if there is one, and leaves it as it is."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")  # of two at once, each has its own
    try:
        _write_drafts({draft: data}, mode, fsync)
        os.link(draft, path)  # fails where a rename would overwrite
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent, fsync=fsync)


def replace_durably(path: Path, data: bytes, *, mode: int = PRIVATE_FILE, fsync: Fsync = os.fsync) -> None:
    """Make a file, or replace the one there is at once."""
    replace_many({path: data}, mode=mode, fsync=fsync)


def replace_many(files: Mapping[Path, bytes], *, mode: int, fsync: Fsync = os.fsync) -> None:
    """Make or replace several files. Each is whole or as before; a cut may leave any part of them done."""
    paths = list(files)
    for at in range(0, len(paths), _FILES_AT_ONCE):
        some = paths[at : at + _FILES_AT_ONCE]
        _write_drafts({draft_of(path): files[path] for path in some}, mode, fsync)
        for path in some:
            draft_of(path).replace(path)
    for folder in {path.parent for path in paths}:
        sync_folder(folder, fsync=fsync)


def draft_of(path: Path) -> Path:
    """Return where a file is written before it has its name; what a killed process left there is overwritten."""
    return path.with_name(f"{path.name}.tmp")


def _write_drafts(drafts: Mapping[Path, bytes], mode: int, fsync: Fsync) -> None:
    """Write every draft before the first is synced: then one sync flushes most of them."""
    with contextlib.ExitStack() as opened:
        written = []
        for draft, data in drafts.items():
            draft.unlink(missing_ok=True)  # never into a file that was there, with its own mode and links
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
            file = opened.enter_context(os.fdopen(handle, "wb"))
            file.write(data)
            file.flush()
            written.append(file)
        for file in written:
            fsync(file.fileno())
