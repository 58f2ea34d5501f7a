"""A disk that loses power: it keeps what was synced, and of all else any part."""

import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

Choose = Callable[[Sequence[int]], int]


class PowerGoneError(BaseException):
    """The process ends here; nothing of ours may catch it and go on."""


class LossyDisk:
    """Watches the files below `root` through the `fsync` that is handed to what writes them.

    A synced file keeps its bytes; one that was not may be empty, half or whole. A name in a folder may be, each
    for itself, as it was at any moment since the folder was synced: absent, of the old file, of the new one.
    The process ends just before sync number `ends_at`.
    """

    def __init__(self, root: Path, *, ends_at: int = 0) -> None:
        self.root = root
        self.syncs = 0
        self.ends_at = ends_at
        self._synced: dict[int, bytes] = {}  # inode -> bytes
        self._names: dict[int, dict[str, list[int]]] = {}  # folder's inode -> name -> what it may be; 0 is nothing
        self._held: dict[int, int] = {}  # inode -> a descriptor, so that its number is not used again
        self._look()
        for folder in self._names:  # what is there at first is there for good
            self._settle(folder)
        self._synced = {path.stat().st_ino: path.read_bytes() for path in root.rglob("*") if path.is_file()}

    def close(self) -> None:
        for handle in self._held.values():
            os.close(handle)
        self._held = {}

    def fsync(self, handle: int) -> None:
        self.syncs += 1
        self._look()
        if self.syncs == self.ends_at:
            raise PowerGoneError
        found = os.fstat(handle)
        if not stat.S_ISDIR(found.st_mode):
            self._synced[found.st_ino] = Path(f"/proc/self/fd/{handle}").read_bytes()
        elif found.st_ino in self._names:  # else it is above this disk
            self._settle(found.st_ino)

    def power_cut(self, target: Path, choose: Choose) -> None:
        """Lay down in `target` what the disk holds after a cut; `choose` picks one of several numbers."""
        self._look()
        here = {path.stat().st_ino: path for path in [self.root, *self.root.rglob("*")]}
        self._lay(self.root.stat().st_ino, target, here, choose)

    def _lay(self, folder: int, target: Path, here: dict[int, Path], choose: Choose) -> None:
        target.mkdir()
        for name, may_be in sorted(self._names.get(folder, {}).items()):
            inode = may_be[0] if len(may_be) == 1 else choose(may_be)
            if inode in self._names:
                self._lay(inode, target / name, here, choose)
            elif inode:
                (target / name).write_bytes(self._bytes(inode, here, choose))

    def _bytes(self, inode: int, here: dict[int, Path], choose: Choose) -> bytes:
        if inode in self._synced:
            return self._synced[inode]
        data = here[inode].read_bytes() if inode in here else b""
        return data[: choose([0, len(data) // 2, len(data)])]

    def _look(self) -> None:
        """Note every name as it is at this moment."""
        folders = [(self.root, self._hold(self.root, self.root.stat().st_ino))]
        for folder, number in folders:
            with os.scandir(folder) as found:
                entries = list(found)
            now = {entry.name: self._hold(Path(entry.path), entry.inode()) for entry in entries}
            folders += [(Path(entry.path), entry.inode()) for entry in entries if entry.is_dir()]
            known = self._names.setdefault(number, {})
            for name in now.keys() | known.keys():
                may_be, inode = known.setdefault(name, [0]), now.get(name, 0)
                if may_be[-1] != inode:
                    may_be.append(inode)

    def _settle(self, folder: int) -> None:
        self._names[folder] = {name: [may_be[-1]] for name, may_be in self._names[folder].items()}

    def _hold(self, path: Path, inode: int) -> int:
        if inode not in self._held:
            self._held[inode] = os.open(path, os.O_PATH)
        return inode
