"""What of the log's files is being sent: large bundles once for all their readers, and no more than so many bytes."""

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from broker.caching import compressed, tag_of

SHELF_BYTES = 32 << 20
WORTH_BYTES = 64 * 1024  # what is smaller is sent at once, and not kept


@dataclass(frozen=True, slots=True)
class Packed:
    """A file as it is sent, and its tag."""

    body: bytes
    tag: str


class Shelf:
    """Files that a head covers, and hence never change (storage/folder.py, 3), by path and packing.

    `read` may block. The one that was asked for longest ago goes when there are more than `most_bytes`; who still
    wants it fetches it again.
    """

    def __init__(self, read: Callable[[str], bytes | None], *, most_bytes: int = SHELF_BYTES) -> None:
        self._read = read
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, bool], Packed] = OrderedDict()
        self._bytes = 0

    async def get(self, path: str, *, gzip: bool) -> Packed | None:
        """Return a file, None if there is none; raises what `read` does."""
        return self._find((path, gzip)) or await asyncio.to_thread(self._fetch, path, gzip=gzip)

    def _fetch(self, path: str, *, gzip: bool) -> Packed | None:
        kept = self._find((path, gzip))  # another reader's thread may have been quicker
        if kept is not None:
            return kept
        data = self._read(path)
        if data is None:
            return None
        packed = Packed(compressed(data) if gzip else data, tag_of(data, encoding="gzip" if gzip else ""))
        return self._keep((path, gzip), packed) if len(packed.body) > WORTH_BYTES else packed

    def _find(self, key: tuple[str, bool]) -> Packed | None:
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                self._kept.move_to_end(key)
            return kept

    def _keep(self, key: tuple[str, bool], packed: Packed) -> Packed:
        with self._lock:
            if key in self._kept:
                return self._kept[key]
            self._kept[key] = packed
            self._bytes += len(packed.body)
            while self._bytes > self._most_bytes and len(self._kept) > 1:
                _, gone = self._kept.popitem(last=False)
                self._bytes -= len(gone.body)
            return packed
