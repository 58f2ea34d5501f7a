"""The one writer of an upload. Blocking: call it from a thread."""

from .disk import disk_full_refused
from .storage import Storage, Stored


class Writer:
    """The one writer of an upload; what it appends counts once `commit` returned."""

    def __init__(self, storage: Storage, stored: Stored) -> None:
        self._storage = storage
        self._stored = stored
        self._written = stored.offset

    @property
    def room(self) -> int:
        """How many bytes are missing still."""
        return self._stored.length - self._written

    def append(self, data: bytes) -> None:
        """Write behind what is there; raises Refused when the disk is full."""
        with disk_full_refused():
            if self._written == self._stored.offset:
                self._storage.roll_back(self._stored)  # what a writer left that was cut off before its commit
            self._written = self._storage.append(self._stored, self._written, data)

    def commit(self) -> int:
        """Make it durable; returns the offset."""
        with disk_full_refused():
            self._storage.commit(self._stored, self._written)
        return self._stored.offset

    def roll_back(self) -> None:
        """Forget what was appended since the last commit."""
        with disk_full_refused():
            self._storage.roll_back(self._stored)
        self._written = self._stored.offset
