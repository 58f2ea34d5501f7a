"""What can be read of the clips that are here: which there are, what is in them, and the sealed bytes. Changes nothing.

Nothing here waits for a clip's fsync, only for transactions: a disk that stalls holds up who writes, and nobody else.
"""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from . import clipindex
from .clipfile import RecordType, SegmentMeta, read_meta, read_record
from .clipindex import ClipInfo, IndexedRecord, SegmentInfo, ThumbnailInfo
from .clipstore import ClipStore
from .errors import ClipError
from .state import State


class ClipReader:
    """The reading side of the clip ring; thread-safe. Every method raises ClipError for a clip that is not here."""

    def __init__(self, state: State, store: ClipStore) -> None:
        self._state = state
        self._store = store

    def clip(self, clip: str) -> ClipInfo:
        """Return one clip; raises ClipError if it is not here (any more)."""
        info = self._store.open.info(clip) or clipindex.find_clip(self._state, clip)
        if info is None:
            raise ClipError(f"clip {clip[:80]} is not in the ring; it may have made room for newer ones")
        return info

    def clips(self, start_us: int, end_us: int, camera: str | None = None) -> list[ClipInfo]:
        """Return the clips that cover some of [start_us, end_us), oldest first; open ones as far as written."""
        ahead = self._store.open.infos()
        found = {info.clip: info for info in clipindex.clips_between(self._state, start_us, end_us, camera)}
        for info in ahead:
            if info.covers(start_us, end_us) and camera in {None, info.camera} and not _ended(found.get(info.clip)):
                found[info.clip] = info
        return sorted(found.values(), key=lambda info: (info.start_us, info.clip))

    def here(self, clips: Sequence[str]) -> set[str]:
        """Return those of the clips named that are in the ring."""
        return clipindex.known(self._state, clips)

    def segments(self, clip: str) -> list[SegmentInfo]:
        """Return a clip's segments in order."""
        found = []
        rows = self._records(clip, RecordType.SEGMENT)
        with self._reading(clip) as path, path.open("rb") as file:
            for row in rows:
                meta = SegmentMeta.parse(read_meta(file, row.offset))
                found.append(
                    SegmentInfo(
                        clip=clip,
                        offset=row.offset,
                        length=row.length,
                        start_us=row.start_us,
                        duration_us=row.duration_us,
                        sha256=meta.sha256,
                        statement=meta.statement,
                    )
                )
        return found

    def thumbnails(self, clip: str) -> list[ThumbnailInfo]:
        """Return a clip's thumbnails in order."""
        return [
            ThumbnailInfo(clip=clip, offset=row.offset, length=row.length, at_us=row.start_us)
            for row in self._records(clip, RecordType.THUMBNAIL)
        ]

    def thumbnail_times(self, clips: Sequence[str]) -> dict[str, list[int]]:
        """Return when the thumbnails of each clip were taken, in their order; what has none is left out."""
        found: dict[str, dict[int, int]] = {}
        for clip in clips:
            for row, _ in self._store.open.waiting(clip, RecordType.THUMBNAIL):
                found.setdefault(clip, {})[row.offset] = row.start_us
        for clip, offset, at_us in clipindex.times_of(self._state, clips, RecordType.THUMBNAIL):
            found.setdefault(clip, {})[offset] = at_us
        return {clip: [at_us for _, at_us in sorted(times.items())] for clip, times in found.items()}

    def read_sealed(self, item: SegmentInfo | ThumbnailInfo) -> bytes:
        """Return the sealed bytes, their CRC checked; raises ClipError if they are damaged or evicted."""
        with self._reading(item.clip) as path, path.open("rb") as file:
            return read_record(file, item.offset)[1]

    def read_run(self, clip: str, *, first: int, count: int, most_bytes: int) -> list[bytes]:
        """Return the sealed bytes of up to `count` segments from number `first` on: as many as fit, at least one.

        An empty list says that there is no such segment.
        """
        rows = self._records(clip, RecordType.SEGMENT)[first : first + count]
        sealed: list[bytes] = []
        with self._reading(clip) as path, path.open("rb") as file:
            for row in rows:
                most_bytes -= row.length
                if sealed and most_bytes < 0:
                    break
                sealed.append(read_record(file, row.offset)[1])
        return sealed

    def _records(self, clip: str, kind: RecordType) -> list[IndexedRecord]:
        self.clip(clip)
        ahead = {row.offset: row for row, _ in self._store.open.waiting(clip, kind)}
        indexed = {row.offset: row for row in clipindex.records_of(self._state, clip, kind)}
        return [row for _, row in sorted((indexed | ahead).items())]

    @contextlib.contextmanager
    def _reading(self, clip: str) -> Iterator[Path]:
        path = self._store.path(clip)
        try:
            yield path
        except FileNotFoundError as error:
            raise ClipError(f"clip {clip} is not in the ring any more; it made room for newer ones") from error
        except OSError as error:
            raise ClipError(f"{path} could not be read: {error.strerror}") from error


def _ended(info: ClipInfo | None) -> bool:
    return info is not None and info.end_us is not None
