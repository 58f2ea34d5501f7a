"""Where a log's files are kept, behind one small interface. Bytes under paths; nothing here knows what they mean.

The paths are those of the static URLs: `checkpoint`, `tile/<L>/<N>[.p/<W>]`, `tile/entries/<N>[.p/<W>]`.
"""

import fcntl
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from broker.files import PUBLIC_FILE, PUBLIC_FOLDER, draft_of, make_folder, replace_many
from broker.wire.tiles import Tile, parse_tile_path

from .errors import CheckpointConflictError, LogInUseError

CHECKPOINT_PATH = "checkpoint"
_LOCK_NAME = ".lock"


class Storage(Protocol):
    """The durability contract between the sequencer and what keeps its files.

    1. Stage, sync, then checkpoint: tiles are `put` first, and only after `put` has returned is the checkpoint that
       covers them swapped in. So every stored checkpoint has its tiles.
    2. When `put` returns, all its objects are on stable storage, names included, and `get` returns them. When it
       raises, any subset may be there; the caller reopens and starts again from the stored checkpoint.
    3. An object that a stored checkpoint covers is immutable: it is put again with the same bytes at most. One that
       no checkpoint covers yet (staged before a crash) may be replaced. Hence nobody may be served what
       the current checkpoint does not cover.
    4. `swap_checkpoint` is a compare-and-swap, atomic and durable when it returns. When it raises
       CheckpointConflictError nothing changed; after any other exception the old or the new one is stored, whole.
    5. A reader sees each object whole or not at all.
    6. One writer: `claim` refuses a second one until `release`.
    """

    def claim(self) -> None:
        """Become the only writer; raises LogInUseError."""

    def release(self) -> None:
        """Let go of the claim; harmless without one."""

    def get(self, path: str) -> bytes | None:
        """Return an object, None if there is none."""

    def put(self, objects: Mapping[str, bytes]) -> None:
        """Store objects durably (contract 2 and 3)."""

    def swap_checkpoint(self, old: bytes | None, new: bytes) -> None:
        """Replace the checkpoint `old` (None: there is none yet) by `new` (contract 4)."""

    def discard_partials(self, tile: Tile) -> None:
        """Drop the partial forms of a tile whose full form a stored checkpoint covers; best effort."""


class FolderStorage:
    """A folder laid out as the static URLs are. Verifiers read it as it stands; `server` keeps contract 3 before it."""

    def __init__(self, path: Path) -> None:
        self._root = path
        self._lock: int | None = None

    def claim(self) -> None:
        """Take the folder's lock; left-over temporary files of a killed writer are removed."""
        if self._lock is not None:
            return
        make_folder(self._root, mode=PUBLIC_FOLDER)
        handle = os.open(self._root / _LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(handle)
            raise LogInUseError(str(self._root)) from error
        self._lock = handle
        # Only the checkpoint's: a staged tile's is overwritten when that tile is staged again.
        draft_of(self._root / CHECKPOINT_PATH).unlink(missing_ok=True)

    def release(self) -> None:
        """Give the lock back."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def get(self, path: str) -> bytes | None:
        """Read a file."""
        try:
            return self._target(path).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None

    def put(self, objects: Mapping[str, bytes]) -> None:
        """Write each file beside its place, sync them all, rename them; then sync the folders that changed."""
        self._check_claimed()
        targets = {self._target(path): data for path, data in objects.items()}
        for folder in {target.parent for target in targets}:
            make_folder(folder, mode=PUBLIC_FOLDER)
        replace_many(targets, mode=PUBLIC_FILE)

    def swap_checkpoint(self, old: bytes | None, new: bytes) -> None:
        """Compare under the lock, then rename over the old file."""
        self._check_claimed()
        if self.get(CHECKPOINT_PATH) != old:
            raise CheckpointConflictError(str(self._root))
        replace_many({self._root / CHECKPOINT_PATH: new}, mode=PUBLIC_FILE)

    def discard_partials(self, tile: Tile) -> None:
        """Remove `<N>.p` whole."""
        full = self._root / Tile(tile.level, tile.index).path
        shutil.rmtree(full.with_name(full.name + ".p"), ignore_errors=True)

    def _target(self, path: str) -> Path:
        if path != CHECKPOINT_PATH:
            parse_tile_path(path)  # no other file has a name here, and none is outside
        return self._root / path

    def _check_claimed(self) -> None:
        if self._lock is None:
            raise LogInUseError(f"{self._root} (not claimed)")
