"""Clip files and their index, kept in step: the durable steps that the clip ring is made of. No bounds, no policy.

Invariants, at any moment and after any crash:

1. What the index holds, the file holds: a record is on disk, synced, before its row is committed.
2. What the file holds beyond the index was never acknowledged. Start-up indexes what is whole, and cuts the rest.
3. What is indexed is never cut, however damaged it reads; a damaged record is skipped and reported.
4. Record and chain head are indexed in one transaction, so that the chain's head is that of the last indexed segment.
5. A file without a row is a clip not yet indexed, or without a whole header: taken up, or removed. A row without a
   file is the clip that was being evicted, or lost: forgotten.
6. How far eviction took a chain is noted in the transaction that forgets the clip. What is lost is not noted there, so
   that `check` misses it.

Steps, each durable before the next:

- create:   file with header, folder entry -> row
- append:   record at the end of the file -> row and chain head.  If the row can't be kept, the record is cut off again
- end:      an append, of an end record
- evict:    (row chosen) file removed, folder entry -> row deleted and its chain noted, in one transaction
- start-up: `recovery`, with the same steps
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from . import clipindex, seals
from .clipfile import CLIP_NAME, Header, Record, RecordType, encode_record
from .clipindex import ClipInfo
from .disk import Disk
from .errors import ClipError, VaultError
from .state import State, Transaction

SUFFIX = ".clip"
Step = Callable[[str], None]


def no_step(_name: str) -> None:
    """Stand where a crash test would cut the power."""


class ClipStore:
    """The folder of clip files and the rows about them. One writer; the callers see to that."""

    def __init__(self, folder: Path, state: State, *, disk: Disk, step: Step = no_step) -> None:
        state.migrate(seals.SCHEMA)
        state.migrate(clipindex.SCHEMA)
        self.folder = folder
        self.state = state
        self.disk = disk
        self.step = step

    def path(self, clip: str) -> Path:
        """Return where a clip's file is; raises ClipError for what can't be a clip's name."""
        if not CLIP_NAME.fullmatch(clip):
            raise ClipError(f"{clip[:80]!r} is no clip's name")
        return self.folder / f"{clip}{SUFFIX}"

    def create(self, header: Header) -> None:
        """Begin a clip. Raises ClipError if it exists, OSError or StateFullError; then nothing is kept."""
        path, data = self.path(header.clip), header.encode()
        self.step("create: before the file")
        try:
            self.disk.create(path, data)
        except FileExistsError as error:
            raise ClipError(f"clip {header.clip} exists already") from error
        self.step("create: file made")
        try:
            with self.state.transaction() as tx:
                clipindex.add_clip(tx, header, len(data))
                self.step("create: row written")
        except VaultError:
            self.disk.remove(path)
            raise
        self.step("create: done")

    def append(self, info: ClipInfo, kind: RecordType, meta: Mapping[str, Any], sealed: bytes = b"") -> None:
        """Append a record to an open clip. Raises ClipError, OSError or StateFullError; then nothing is kept."""
        data = encode_record(kind, meta, sealed)
        record = Record(type=kind, meta=meta, offset=info.bytes, length=len(data), data_length=len(sealed))
        row, link = clipindex.describe(record)
        if link is not None and (link.statement.device, link.statement.camera) != (info.device, info.camera):
            raise ClipError(f"clip {info.clip} is of {info.device}/{info.camera}, the segment's statement is not")
        path = self.path(info.clip)
        self.step("append: before the record")
        self.disk.append(path, info.bytes, data)
        self.step("append: record written")
        try:
            with self.state.transaction() as tx:
                clipindex.add_record(tx, info.clip, row, link)
                if link is not None:
                    seals.extend(tx, link)
                self.step("append: row written")
        except VaultError:
            self.disk.truncate(path, info.bytes)
            raise
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
            self.forget_evicted(tx, clip)
            self.step("evict: row deleted")
        self.step("evict: done")
        return clip

    def forget_evicted(self, tx: Transaction, clip: str) -> None:
        """Forget a clip whose file is gone by design, and note how far that takes its chain."""
        info = clipindex.find_clip(tx, clip)
        clipindex.drop_clip(tx, clip)
        if info is not None:
            seals.let_go(tx, device=info.device, camera=info.camera, seq=info.last_seq)
