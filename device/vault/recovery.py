"""Start-up: bringing files and index in step after a crash, with the steps that create, append and evict are made of.

- a file longer than its row says: each whole record beyond is indexed, as append's second half; then the tail is cut
- a file without a row: its header is indexed, as create's second half, then the same
- a file without a row and without a whole header: it was being created; removed
- a file shorter than its row says: somebody cut it. The index is cut too, and it is reported
- a row without a file: if it is the one that eviction takes next, it was being evicted; any other was lost. Forgotten,
  and what was lost is reported, now and by `check`

Each step leaves what the next start-up would mend again, so that a crash in here is a crash like any other.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from . import clipindex, seals
from .clipfile import CLIP_NAME, Header, RecordType, Scan, scan
from .clipindex import ClipInfo
from .clipstore import SUFFIX, ClipStore
from .errors import ClipError
from .state import Transaction

TORN_HEADER_BYTES = 16 * 1024  # a file larger than that was more than a header once, and is kept

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What start-up mended, in numbers, and in lines what it could not mend."""

    indexed: int = 0  # records that were on disk and not in the index
    cut_bytes: int = 0  # torn tails
    removed: int = 0  # files without a whole header
    forgotten: int = 0  # clips whose file is gone, records that were cut out of their file
    findings: tuple[str, ...] = ()

    def __add__(self, other: "Recovery") -> "Recovery":
        return Recovery(
            indexed=self.indexed + other.indexed,
            cut_bytes=self.cut_bytes + other.cut_bytes,
            removed=self.removed + other.removed,
            forgotten=self.forgotten + other.forgotten,
            findings=self.findings + other.findings,
        )


def recover(store: ClipStore, *, next_out: Callable[[Transaction], str | None]) -> Recovery:
    """Bring files and index in step; the clips that were being written are left open. Raises OSError, StateError.

    `next_out` names the clip that eviction takes next.
    """
    total = Recovery()
    missing = clipindex.sizes(store.state)
    for name in clip_names(store.folder):
        total += _take_up(store, store.path(name), missing.pop(name, None))
    if missing:
        total += _forget(store, sorted(missing), next_out)
    store.recount()
    if total != Recovery():
        log.warning(
            "clips_recovered",
            indexed=total.indexed,
            cut_bytes=total.cut_bytes,
            removed=total.removed,
            forgotten=total.forgotten,
            findings=list(total.findings),
        )
    return total


def clip_names(folder: Path) -> list[str]:
    """Return the names of the clips that have a file in a folder, in order."""
    names = (path.stem for path in folder.iterdir() if path.suffix == SUFFIX)
    return sorted(name for name in names if CLIP_NAME.fullmatch(name))


def _forget(store: ClipStore, missing: list[str], next_out: Callable[[Transaction], str | None]) -> Recovery:
    with store.state.transaction() as tx:
        evicting = next_out(tx)
        for clip in missing:
            if clip == evicting:
                store.forget_evicted(tx, clip)
            else:
                clipindex.drop_clip(tx, clip)
        store.step("recover: rows dropped")
    findings = tuple(f"{store.path(clip)} is gone, and was not evicted" for clip in missing if clip != evicting)
    return Recovery(forgotten=len(missing), findings=findings)


def _take_up(store: ClipStore, path: Path, indexed: int | None) -> Recovery:
    """Bring one file in step with its row, which says `indexed` bytes."""
    size = path.stat().st_size
    if size == indexed:
        return Recovery()
    info = None if indexed is None else clipindex.find_clip(store.state, path.stem)
    if info is None:
        return _take_up_new(store, path, size)
    if size < info.bytes:
        with store.state.transaction() as tx:
            gone = clipindex.cut_clip(tx, info.clip, size)
            store.step("recover: index cut")
        return Recovery(forgotten=gone, findings=(f"{path} was cut from {info.bytes} to {size} bytes by somebody",))
    with path.open("rb") as file:
        found = scan(file, start=info.bytes)
    return _index(store, path, found, info=info) + _cut_tail(store, path, size, max(found.whole_end, info.bytes))


def _take_up_new(store: ClipStore, path: Path, size: int) -> Recovery:
    with path.open("rb") as file:
        found = scan(file)
    try:
        header = found.header
    except ClipError:
        header = None
    if header is not None and header.clip == path.stem:
        return _index(store, path, found, header=header) + _cut_tail(store, path, size, found.whole_end)
    if found.records or size > TORN_HEADER_BYTES:
        return Recovery(
            findings=(f"{path} has no header of its own that can be read; it is kept, and not in the index",)
        )
    store.disk.remove(path)
    store.step("recover: file removed")
    return Recovery(removed=1)


def _index(
    store: ClipStore, path: Path, found: Scan, *, header: Header | None = None, info: ClipInfo | None = None
) -> Recovery:
    """Index a file's whole records in one transaction; `header` for a clip that has no row yet."""
    clip = path.stem
    camera = info or header
    findings = [
        f"{path}: byte {damage.offset}: {damage.reason}" for damage in found.damage if damage.offset < found.whole_end
    ]
    entries = []
    for record in found.records:
        if record.type is RecordType.HEADER:
            continue
        try:
            row, link = clipindex.describe(record)
            if link is not None and camera is not None and link.statement.camera != camera.camera:
                raise ClipError("it is of another camera")  # noqa: TRY301 - one place reports what a record lacks
        except ClipError as error:
            findings.append(f"{path}: byte {record.offset}: {error}")
        else:
            entries.append((row, link))
    with store.state.transaction() as tx:
        if header is not None:
            clipindex.add_clip(tx, clipindex.new_clip(header, found.records[0].end))
        clipindex.add_records(tx, clip, entries)
        for _, link in entries:
            if link is not None:
                seals.learn(tx, link)
        store.step("recover: records indexed")
    return Recovery(indexed=len(entries) + (header is not None), findings=tuple(findings))


def _cut_tail(store: ClipStore, path: Path, size: int, end: int) -> Recovery:
    if end == size:
        return Recovery()
    store.disk.truncate(path, end)
    store.step("recover: tail cut")
    return Recovery(cut_bytes=size - end)
