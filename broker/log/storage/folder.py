"""Where a log's files are kept, behind one small interface. Bytes under paths; nothing here knows what they mean.

The paths are those of the static URLs, `checkpoint`, `tile/<L>/<N>[.p/<W>]` and `tile/entries/<N>[.p/<W>]`; and `head`,
which is the writer's own and not for the public.
"""

import contextlib
import errno
import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from broker.files import (
    PRIVATE_FILE,
    PUBLIC_FILE,
    PUBLIC_FOLDER,
    Fsync,
    draft_of,
    make_folder,
    replace_many,
    sync_folder,
)
from broker.log.errors import CheckpointConflictError, LogInUseError, StorageError
from broker.wire.encoding import WireError
from broker.wire.tiles import Tile, parse_tile_path

HEAD_PATH = "head"
CHECKPOINT_PATH = "checkpoint"
_LOCK_NAME = ".lock"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Storage(Protocol):
    """The durability contract between the sequencer and what keeps its files.

    Two objects change, all others are added. `head` is the newest checkpoint, signed by the log alone: the truth that
    a writer starts from. `checkpoint` is what the public reads: a head, with the cosignatures that it needed.

    1. Stage, sync, head, publish. Tiles are `put` first; the head that covers them is swapped in once `put` has
       returned; `checkpoint` follows when its cosignatures are there. So every stored head has its tiles, and
       every published checkpoint was a head before.
    2. When `swap_head` returns, the head and all that was `put` before it are on stable storage, names included, and
       `get` returns them. When `put` raises, any part of it may be there; the caller claims again, and starts again
       from the stored head.
    3. An object that a stored head covers is immutable: it is put again with the same bytes at most. One that no head
       covers yet (staged before a crash) may be replaced. Hence nobody may be served what the head does not cover.
    4. `swap_head` is a compare-and-swap, atomic and durable when it returns. When it raises CheckpointConflictError
       nothing changed. After any other exception the old or the new one is stored, whole; which one is settled when
       the next `claim` returns.
    5. `publish` replaces the public checkpoint, atomically, and durably when it returns; after an exception the old or
       the new one stands, whole. It is never the older of two that were published one after the other.
    6. A reader sees each object whole or not at all.
    7. One writer: `claim` refuses a second one until `release`, and whoever lost a claim can't move the head.
    8. Partial tiles are dropped once the published checkpoint covers the full one, and, unlike C2SP tlog-tiles has it,
       also before: some minutes after neither the head nor the published checkpoint names them any more, or at once
       where many are newer (`partials`). A reader that holds such an old checkpoint takes the present one.

    Recovery is the usual start: `claim`, read `head`, check it against the tiles, publish what is not published yet. A
    `checkpoint` without a `head` is damage: whoever signed a new head there would fork the log.
    """

    def claim(self) -> None:
        """Become the only writer, or make sure that one still is; raises LogInUseError."""

    def release(self) -> None:
        """Let go of the claim; harmless without one."""

    def get(self, path: str) -> bytes | None:
        """Return an object, None if there is none."""

    def put(self, objects: Mapping[str, bytes]) -> None:
        """Stage tiles for the next head (contract 2 and 3)."""

    def swap_head(self, old: bytes | None, new: bytes) -> None:
        """Replace the head `old` (None: there is none yet) by `new` (contract 4)."""

    def publish(self, note: bytes) -> None:
        """Replace the public checkpoint (contract 5)."""

    def discard_partials(self, tile: Tile) -> None:
        """Drop the partial forms of a tile whose full form the published checkpoint covers; best effort."""

    def partials(self) -> list[Tile]:
        """Return the partial tiles that are there, of any age, as far as that can be told."""

    def discard(self, partials: Sequence[Tile]) -> None:
        """Drop partial tiles that no checkpoint names any more (contract 8); best effort."""


class FolderStorage:
    """A folder laid out as the static URLs are. Verifiers read it as it stands; `server` keeps contract 3 before it.

    What the file system refuses is a StorageError. `fsync` is for tests that lose power.
    """

    def __init__(self, path: Path, *, fsync: Fsync = os.fsync) -> None:
        self._root = path
        self._fsync = fsync
        self._lock: int | None = None
        self._folders: set[Path] = set()  # whose names are synced; partial ones leave it, so it stays small

    def claim(self) -> None:
        """Take the folder's lock, and settle what a killed or failed writer left."""
        if self._lock is None:
            self._lock = self._take_lock()
        # Only these two's: a staged tile's is overwritten when that tile is staged again.
        self._drop_drafts([self._root / HEAD_PATH, self._root / CHECKPOINT_PATH])
        with self._told():  # a head may have its name and not yet have it for good; nobody may build on such a one
            sync_folder(self._root, fsync=self._fsync)

    def release(self) -> None:
        """Give the lock back."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def get(self, path: str) -> bytes | None:
        """Read a file."""
        target = self._target(path)
        with self._told():
            try:
                return target.read_bytes()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                return None

    def put(self, objects: Mapping[str, bytes]) -> None:
        """Write each file beside its place, sync them all, rename them; then sync the folders that changed."""
        self._check_claimed()
        targets = {self._target(path): data for path, data in objects.items()}
        with self._told():
            for folder in {target.parent for target in targets}:
                self._make_folder(folder)
        self._replace(targets, mode=PUBLIC_FILE)

    def swap_head(self, old: bytes | None, new: bytes) -> None:
        """Compare under the lock, then rename over the old file."""
        self._check_claimed()
        if self.get(HEAD_PATH) != old:
            raise CheckpointConflictError(str(self._root))
        self._replace({self._root / HEAD_PATH: new}, mode=PRIVATE_FILE)

    def publish(self, note: bytes) -> None:
        """Rename over the old checkpoint."""
        self._check_claimed()
        self._replace({self._root / CHECKPOINT_PATH: note}, mode=PUBLIC_FILE)

    def discard_partials(self, tile: Tile) -> None:
        """Remove `<N>.p` whole."""
        full = self._root / Tile(tile.level, tile.index).path
        partials = full.with_name(full.name + ".p")
        self._folders.discard(partials)
        shutil.rmtree(partials, ignore_errors=True)

    def partials(self) -> list[Tile]:
        """Look through all folders."""
        return partials_below(self._root)

    def discard(self, partials: Sequence[Tile]) -> None:
        """Remove the files, and folders that are empty then."""
        self._folders -= discard_below(self._root, partials)

    def _take_lock(self) -> int:
        with self._told():
            make_folder(self._root.parent, mode=PUBLIC_FOLDER, fsync=self._fsync)
            self._make_folder(self._root)
            handle = os.open(self._root / _LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(handle)
            raise LogInUseError(str(self._root)) from error
        return handle

    def _make_folder(self, folder: Path) -> None:
        """Make a folder; one that is there may be of a writer that was killed before its name was synced."""
        if folder in self._folders:
            return
        if folder != self._root:
            self._make_folder(folder.parent)
        folder.mkdir(mode=PUBLIC_FOLDER, exist_ok=True)
        sync_folder(folder.parent, fsync=self._fsync)
        self._folders.add(folder)

    def _replace(self, targets: Mapping[Path, bytes], *, mode: int) -> None:
        with self._told():
            try:
                replace_many(targets, mode=mode, fsync=self._fsync)
            except OSError:
                self._drop_drafts(targets)  # on a full disk they are in the way
                raise

    def _drop_drafts(self, targets: Iterable[Path]) -> None:
        with self._told():
            for target in targets:
                draft_of(target).unlink(missing_ok=True)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Say in one line what the file system refused."""
        try:
            yield
        except OSError as error:
            advice = "make room on the disk" if error.errno in _FULL else "give its user the right to write there"
            raise StorageError(str(self._root), error.strerror or str(error), advice) from error

    def _target(self, path: str) -> Path:
        if path not in {HEAD_PATH, CHECKPOINT_PATH}:
            parse_tile_path(path)  # no other file has a name here, and none is outside
        return self._root / path

    def _check_claimed(self) -> None:
        if self._lock is None:
            raise LogInUseError(f"{self._root} (not claimed)")


def partials_below(root: Path) -> list[Tile]:
    """Return the partial tiles in a folder that is laid out as the static URLs are."""
    found = []
    for folder, _, names in os.walk(root / "tile"):
        if folder.endswith(".p"):
            found += [_tile_at(f"{Path(folder).relative_to(root).as_posix()}/{name}") for name in names]
    return [tile for tile in found if tile is not None]


def discard_below(root: Path, partials: Iterable[Tile]) -> set[Path]:
    """Remove partial tiles as far as that goes; returns the folders that went with them."""
    folders = set()
    for tile in partials:
        path = root / tile.path
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        folders.add(path.parent)
    return {folder for folder in folders if _removed(folder)}


def _removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except OSError:
        return not folder.exists()
    return True


def _tile_at(path: str) -> Tile | None:
    try:
        return parse_tile_path(path)
    except WireError:
        return None  # a draft that a killed process left, which goes with its folder
