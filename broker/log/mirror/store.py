"""The copy of one log that a mirror serves: a folder laid out as tlog-tiles names it. Files; nothing is judged here.

    checkpoint             the newest tree that is here whole: the log's signature, the mirror's, witnesses'
    withheld               the same, while some of what it covers is known to be missing or damaged: it is no URL
    tile/<L>/<N>[.p/<W>]   hash tiles
    tile/entries/<N>[…]    entry bundles

Any web server that gives out static files can serve the folder. Contract:

1. Tiles are `put` before the checkpoint that covers them is swapped in: every stored checkpoint has its tiles.
2. A tile is put only once it was shown to belong to a tree that the log signed and that has grown from the last. So its
   bytes never change, and one that no checkpoint covers yet (staged before a crash) is as good as any.
3. When `put` or `swap` returns, what it wrote is on stable storage, names included. When it raises, any part of
   a `put` may be there, and of a `swap` the old or the new note, whole.
4. A partial tile goes only after the checkpoint that covers the full one is swapped in, or some time after one that
   names another (`partials`).
5. What `withhold` hides from static servers is the same checkpoint for us, until the next is swapped in.

Steps of a pull, each of which may be the last before a power cut: `put` as often as need be, `swap`, `discard`.
Start-up reads the checkpoint and goes on from there; staged tiles that check out are not fetched again.
"""

import contextlib
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from broker.files import PUBLIC_FILE, PUBLIC_FOLDER, Fsync, make_folder, replace_durably, replace_many, sync_folder
from broker.log.storage.folder import CHECKPOINT_PATH, discard_below, partials_below
from broker.wire.notes import MAX_NOTE_BYTES
from broker.wire.tiles import Tile

_WITHHELD = "withheld"


class MirrorStore:
    """The folder of one log's copy; written by the process that holds the mirror's lock."""

    def __init__(self, folder: Path, *, fsync: Fsync = os.fsync) -> None:
        self.folder = folder
        self._fsync = fsync
        self._made: set[Path] = set()

    def checkpoint(self) -> bytes | None:
        """Return the stored note, withheld or not; None if nothing is here yet."""
        for name in (CHECKPOINT_PATH, _WITHHELD):
            with contextlib.suppress(FileNotFoundError), (self.folder / name).open("rb") as file:
                return file.read(MAX_NOTE_BYTES + 1)
        return None

    def tile(self, tile: Tile) -> bytes | None:
        """Return a tile's bytes, None if it is not here."""
        try:
            return self.path(tile).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def length(self, tile: Tile) -> int | None:
        """Return how many bytes a tile has, None if it is not here."""
        try:
            return self.path(tile).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return None

    def path(self, tile: Tile) -> Path:
        """Return where a tile is."""
        return self.folder / tile.path

    def put(self, tiles: Mapping[Tile, bytes]) -> None:
        """Store tiles durably."""
        files = {self.path(tile): data for tile, data in tiles.items()}
        for folder in {path.parent for path in files} - self._made:
            make_folder(folder, mode=PUBLIC_FOLDER, fsync=self._fsync)
            self._made.add(folder)
        replace_many(files, mode=PUBLIC_FILE, fsync=self._fsync)

    def swap(self, note: bytes) -> None:
        """Replace the checkpoint durably."""
        if not self._made:
            make_folder(self.folder, mode=PUBLIC_FOLDER, fsync=self._fsync)
        replace_durably(self.folder / CHECKPOINT_PATH, note, mode=PUBLIC_FILE, fsync=self._fsync)
        (self.folder / _WITHHELD).unlink(missing_ok=True)

    def withheld(self) -> bool:
        """Whether the stored checkpoint is not to be shown."""
        return not (self.folder / CHECKPOINT_PATH).exists() and (self.folder / _WITHHELD).exists()

    def withhold(self) -> None:
        """Let no static server show the checkpoint any more; that of before is withheld already."""
        with contextlib.suppress(FileNotFoundError):
            (self.folder / CHECKPOINT_PATH).replace(self.folder / _WITHHELD)
            sync_folder(self.folder, fsync=self._fsync)

    def partials(self) -> list[Tile]:
        """Return the partial tiles that are here."""
        return partials_below(self.folder)

    def discard(self, partials: Sequence[Tile]) -> None:
        """Drop partial tiles that no checkpoint names any more; best effort."""
        self._made -= discard_below(self.folder, partials)

    def discard_partials(self, tile: Tile) -> None:
        """Drop the partial forms of a tile whose full form is covered; best effort."""
        full = self.path(Tile(tile.level, tile.index))
        partials = full.with_name(full.name + ".p")
        shutil.rmtree(partials, ignore_errors=True)
        self._made.discard(partials)
