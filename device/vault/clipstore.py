"""Clip files and their index, kept in step: the durable steps that the clip ring is made of. No bounds, no policy.

Invariants, at any moment and after any crash:

1. What the index holds, the file holds: a record is on disk, synced, before its row is committed.
2. A record is acknowledged when it is on disk, with one write and one sync. The index of a clip that is being written
   may lag behind its file, by MAX_WAITING rows at most: they wait in `OpenClips`, and are committed together, with the
   clip's end at the latest. An ended clip is indexed whole.
3. What the file holds beyond the index, start-up indexes as far as it is whole; the torn tail, which was never
   acknowledged, it cuts.
4. What is indexed is never cut, however damaged it reads; a damaged record is skipped and reported.
5. The head of a chain (`Chains`) is the last segment that is on disk. The table's head is committed with the rows, and
   is never ahead of what is on disk.
6. A file without a row is a clip not yet indexed, or without a whole header: taken up, or removed. A row without a
   file is the clip that was being evicted, or lost: forgotten.
7. How far eviction took a chain is noted in the transaction that forgets the clip. What is lost is not noted there, so
   that `check` misses it.

Steps, each durable before the next:

- create:   file with header, folder entry -> row
- append:   (if too many rows wait: settle) record at the end of the file -> its row waits, the chain moves on
- settle:   waiting rows and the chain's head, in one transaction
- end:      end record at the end of the file -> settle. If that can't be kept, the end record is cut off again
- evict:    (row chosen) file removed, folder entry -> row deleted and its chain noted, in one transaction
- start-up: `recovery`, with the same steps
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import clipindex, seals
from .clipfile import CLIP_NAME, Header, Record, RecordType, encode_record
from .clipindex import ClipInfo, IndexedRecord
from .disk import Disk
from .errors import ClipError, VaultError
from .openclips import OpenClips
from .seals import Chains, Link
from .state import State, Transaction

SUFFIX = ".clip"
Step = Callable[[str], None]


def no_step(_name: str) -> None:
    """Stand where a crash test would cut the power."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A record that may be appended to an open clip: its bytes, and what is to be said of it."""

    clip: ClipInfo
    data: bytes
    row: IndexedRecord
    link: Link | None


class ClipStore:
    """The folder of clip files and the rows about them. One writer; the callers see to that.

    `used_bytes` and `count` are of all clip files; they hold once `recount` was called.
    """

    def __init__(self, folder: Path, state: State, *, disk: Disk, step: Step = no_step) -> None:
        state.migrate(seals.SCHEMA)
        state.migrate(clipindex.SCHEMA)
        self.folder = folder
        self.state = state
        self.disk = disk
        self.step = step
        self.open = OpenClips()
        self.used_bytes = self.count = 0
        self._chains = state.companion(Chains)

    def path(self, clip: str) -> Path:
        """Return where a clip's file is; raises ClipError for what can't be a clip's name."""
        if not CLIP_NAME.fullmatch(clip):
            raise ClipError(f"{clip[:80]!r} is no clip's name")
        return self.folder / f"{clip}{SUFFIX}"

    def recount(self) -> None:
        """Count anew what is here, and where the chains stand, by the tables: start-up has brought them in step."""
        self._chains.forget()
        self.used_bytes, self.count = clipindex.totals(self.state)
        for info in clipindex.open_clips(self.state):
            self.open.begin(info)

    def create(self, header: Header) -> None:
        """Begin a clip. Raises ClipError if it exists, OSError or StateFullError; then nothing is kept."""
        path, data = self.path(header.clip), header.encode()
        info = clipindex.new_clip(header, len(data))
        self.step("create: before the file")
        try:
            self.disk.create(path, data)
        except FileExistsError as error:
            raise ClipError(f"clip {header.clip} exists already") from error
        self.step("create: file made")
        try:
            with self.state.transaction() as tx:
                clipindex.add_clip(tx, info)
                self.step("create: row written")
        except VaultError:
            self.disk.remove(path)
            raise
        self.open.begin(info)
        self.used_bytes += info.bytes
        self.count += 1
        self.step("create: done")

    def draft(self, info: ClipInfo, kind: RecordType, meta: Mapping[str, Any], sealed: bytes = b"") -> Draft:
        """Make the next record of an open clip, and check that it may follow. Raises ClipError; changes nothing."""
        data = encode_record(kind, meta, sealed)
        record = Record(type=kind, meta=meta, offset=info.bytes, length=len(data), data_length=len(sealed))
        row, link = clipindex.describe(record, read=self._chains.read)
        if link is not None:
            if (link.statement.device, link.statement.camera) != (info.device, info.camera):
                raise ClipError(f"clip {info.clip} is of {info.device}/{info.camera}, the segment's statement is not")
            self._chains.check_next(self.state, link)
        return Draft(info, data, row, link)

    def append(self, draft: Draft) -> None:
        """Append a record to its clip. Raises OSError or StateFullError; then nothing of it is kept."""
        clip = draft.clip.clip
        path = self.path(clip)
        if self.open.full(clip):
            self._settle(draft.clip)
        self.step("append: before the record")
        self.disk.append(path, draft.row.offset, draft.data)
        self.step("append: record written")
        if draft.row.type is RecordType.END:
            try:
                self._settle(draft.clip, end=draft.row)
            except VaultError:
                self.disk.truncate(path, draft.row.offset)
                raise
            self.open.end(clip)
        else:
            self.open.add(clip, draft.row, draft.link)
        if draft.link is not None:
            self._chains.extend(draft.link)
        self.used_bytes += len(draft.data)
        self.step("append: done")

    def evict(self, choose: Callable[[Transaction], str | None]) -> str | None:
        """Remove the clip that `choose` names, if any: in the same transaction, so that no pin comes between."""
        with self.state.transaction() as tx:
            clip = choose(tx)
            if clip is None:
                return None
            self.step("evict: chosen")
            self.disk.remove(self.path(clip))
            self.step("evict: file removed")
            gone = self.forget_evicted(tx, clip)
            self.step("evict: row deleted")
        self.used_bytes -= gone
        self.count -= 1
        self.step("evict: done")
        return clip

    def forget_evicted(self, tx: Transaction, clip: str) -> int:
        """Forget a clip whose file is gone by design, and note how far that takes its chain; returns its bytes."""
        info = clipindex.find_clip(tx, clip)
        clipindex.drop_clip(tx, clip)
        if info is None:
            return 0
        seals.let_go(tx, device=info.device, camera=info.camera, seq=info.last_seq)
        return info.bytes

    def _settle(self, info: ClipInfo, *, end: IndexedRecord | None = None) -> None:
        """Commit the rows that wait, and the end's."""
        entries = self.open.waiting(info.clip)
        head = self._chains.head(self.state, device=info.device, camera=info.camera)
        with self.state.transaction() as tx:
            clipindex.add_records(tx, info.clip, entries if end is None else [*entries, (end, None)])
            if head.seq >= 0:
                seals.settle(tx, device=info.device, camera=info.camera, head=head)
            self.step("settle: rows written")
        self.step("settle: done")
        self.open.settled(info.clip)
