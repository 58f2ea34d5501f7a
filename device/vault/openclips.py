"""The clips being written, as their files stand: what the index will say once it has caught up. In memory, bounded.

A record counts from the moment it is on disk. Its row waits here, MAX_WAITING of them for a clip at the most, until
`clipstore` commits them together; what a crash takes from here, start-up reads from the file again.

Readers ask here first and the tables after, so that a row that moves in between is seen twice and never missed.
Thread-safe: one writes, many read.
"""

import threading
from dataclasses import dataclass, field, replace

from .clipfile import RecordType
from .clipindex import ClipInfo, Entry, IndexedRecord
from .seals import Link

MAX_WAITING = 64


@dataclass(slots=True)
class _OpenClip:
    info: ClipInfo
    waiting: list[Entry] = field(default_factory=list)


class OpenClips:
    """Each clip that is being written, with the rows that its index lacks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clips: dict[str, _OpenClip] = {}

    def begin(self, info: ClipInfo) -> None:
        """Take up a clip whose rows are all in the tables; nothing happens if it is here already."""
        with self._lock:
            self._clips.setdefault(info.clip, _OpenClip(info))

    def add(self, clip: str, row: IndexedRecord, link: Link | None) -> None:
        """Count a record that is on disk at the end of the clip's file."""
        with self._lock:
            held = self._clips[clip]
            held.waiting.append((row, link))
            held.info = replace(
                held.info,
                bytes=row.end,
                until_us=max(held.info.until_us, row.until_us),
                last_seq=held.info.last_seq if link is None else max(held.info.last_seq, link.statement.seq),
            )

    def settled(self, clip: str) -> None:
        """Forget the rows that wait: the tables have them."""
        with self._lock:
            self._clips[clip].waiting.clear()

    def end(self, clip: str) -> None:
        """Forget a clip: it has ended, and the tables have all of it."""
        with self._lock:
            self._clips.pop(clip, None)

    def info(self, clip: str) -> ClipInfo | None:
        """Return an open clip as far as written."""
        with self._lock:
            held = self._clips.get(clip)
            return None if held is None else held.info

    def infos(self) -> list[ClipInfo]:
        """Return all open clips as far as written."""
        with self._lock:
            return [held.info for held in self._clips.values()]

    def waiting(self, clip: str, kind: RecordType | None = None) -> list[Entry]:
        """Return the rows, of one kind if asked, that the tables may lack, in the order of the file."""
        with self._lock:
            held = self._clips.get(clip)
            rows = [] if held is None else held.waiting
            return [entry for entry in rows if kind in {None, entry[0].type}]

    def full(self, clip: str) -> bool:
        """Tell whether no more rows may wait."""
        with self._lock:
            held = self._clips.get(clip)
            return held is not None and len(held.waiting) >= MAX_WAITING
