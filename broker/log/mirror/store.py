"""The copy of one log that a mirror serves: a folder laid out as tlog-tiles names it. Files; nothing is judged here.

    checkpoint             the newest tree that is here whole: the log's signature, the mirror's, witnesses'
    tile/<L>/<N>[.p/<W>]   hash tiles
    tile/entries/<N>[…]    entry bundles

Any web server that gives out static files can serve the folder. Contract:

1. Tiles are `put` before the checkpoint that covers them is swapped in: every stored checkpoint has its tiles.
2. A tile is put only once it was shown to belong to a tree that the log signed and that has grown from the last. So its
   bytes never change, and one that no checkpoint covers yet (staged before a crash) is as good as any.
3. When `put` or `swap` returns, what it wrote is on stable storage, names included. When it raises, any part of
   a `put` may be there, and of a `swap` the old or the new note, whole.
4. A partial tile goes only after the checkpoint that covers the full one is swapped in.

Steps of a pull, each of which may be the last before a power cut: `put` as often as need be, `swap`, `discard`.
Start-up reads the checkpoint and goes on from there; staged tiles that check out are not fetched again.
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from broker.files import PUBLIC_FILE, PUBLIC_FOLDER, Fsync, make_folder, replace_durably, replace_many
from broker.log.storage.folder import CHECKPOINT_PATH
from broker.wire.notes import MAX_NOTE_BYTES
from broker.wire.tiles import TILE_HEIGHT, TILE_WIDTH, Tile


class MirrorStore:
    """The folder of one log's copy; written by the process that holds the mirror's lock."""

    def __init__(self, folder: Path, *, fsync: Fsync = os.fsync) -> None:
        self.folder = folder
        self._fsync = fsync
        self._made: set[Path] = set()

    def checkpoint(self) -> bytes | None:
        """Return the stored note, None if nothing is here yet."""
        try:
            with (self.folder / CHECKPOINT_PATH).open("rb") as file:
                return file.read(MAX_NOTE_BYTES + 1)
        except FileNotFoundError:
            return None

    def tile(self, tile: Tile) -> bytes | None:
        """Return a tile's bytes, None if it is not here."""
        try:
            return self.path(tile).read_bytes()
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

    def discard(self, old_size: int, size: int) -> None:
        """Drop the partial tiles of `old_size` whose full form `size` covers; best effort."""
        level = 0
        while old_size >> (TILE_HEIGHT * level):
            index, width = divmod(old_size >> (TILE_HEIGHT * level), TILE_WIDTH)
            if width and (size >> (TILE_HEIGHT * level)) >= (index + 1) * TILE_WIDTH:
                kinds: list[Tile] = [Tile(level, index)] if level else [Tile(0, index), Tile("entries", index)]
                for full in kinds:
                    partials = self.path(full).with_name(self.path(full).name + ".p")
                    shutil.rmtree(partials, ignore_errors=True)
                    self._made.discard(partials)
            level += 1
