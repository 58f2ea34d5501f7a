"""The fsck of the store: everything that can be verified without a key that opens footage. It changes nothing.

It reads the state (a snapshot), every clip file, and the device's public key. `ERROR` means that something
acknowledged is lost, damaged or forged; `WARNING`, something the next start of the device mends or that wastes room;
`INFO`, something to know.

`check` looks once: right for a store that nobody writes. Beside a running device the state is read first and the
files after it, so that clips come, grow and are evicted in between. `check_store` is for that: what looks wrong is
looked at again, with a new snapshot and a new listing, and counts if it is still there. For that a finding must name
the place it speaks of: a byte, a number, a clip, which have moved on where the device did.
"""

import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from broker.wire.encoding import WireError
from broker.wire.records import SegmentStatement

from . import clipindex, seals
from .chaincheck import Place, check_chain, lag
from .clipfile import CLIP_NAME, Record, RecordType, Scan, SegmentMeta, scan
from .clipindex import ClipInfo
from .clipstore import SUFFIX
from .errors import ClipError
from .findings import Finding, Severity
from .ledger import Ledger
from .sealing import is_sealed
from .seals import Extent, Head
from .state import State

START_BYTES = 64
SETTLE_S = 1.0  # longer than any one step of the device takes, which is under way at both looks otherwise
SEALED_TYPES = frozenset({RecordType.SEGMENT, RecordType.THUMBNAIL})


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """What was looked at, and what was found."""

    clips: int
    segments: int
    bytes: int
    ledger_entries: int
    findings: tuple[Finding, ...]

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong: at most things to know."""
        return all(finding.severity is Severity.INFO for finding in self.findings)

    @property
    def sound(self) -> bool:
        """Whether nothing acknowledged is lost, damaged or forged."""
        return all(finding.severity is not Severity.ERROR for finding in self.findings)


def check_store(
    clips: Path, state: Path, public_key: bytes, *, sleep: Callable[[float], None] = time.sleep
) -> CheckReport:
    """Check the clip files in `clips` against the database at `state`, while their device runs or while it does not.

    What is found is looked for once more; the report tells what both looks found, and counts what the second saw.
    Raises StateBusyError, and StateError if the state can't be read at all.
    """
    first = _look(clips, state, public_key)
    if first.clean:
        return first
    sleep(SETTLE_S)
    second = _look(clips, state, public_key)
    before = set(first.findings)
    return replace(second, findings=tuple(finding for finding in second.findings if finding in before))


def check(folder: Path, state: State, public_key: bytes) -> CheckReport:
    """Verify files, index, capture chains and ledger once. Raises StateError only if the state can't be read at all.

    `state` is a snapshot, or open in a device that stands still.
    """
    work = _Check(folder, state, public_key)
    findings = [Finding(Severity.ERROR, str(state.path), line) for line in state.check()]
    ledger = Ledger(state)
    findings += [Finding(Severity.ERROR, "ledger", line) for line in ledger.verify(public_key)]
    findings += work.files()
    findings += work.chains()
    ((entries,),) = state.query("SELECT count(*) FROM ledger")
    return CheckReport(
        clips=work.clip_count,
        segments=work.segment_count,
        bytes=work.byte_count,
        ledger_entries=entries,
        findings=tuple(findings),
    )


def _look(clips: Path, state: Path, public_key: bytes) -> CheckReport:
    with State.snapshot(state) as copy:
        return check(clips, copy, public_key)


class _Check:
    """One pass over a folder; counts and links gather as it goes."""

    def __init__(self, folder: Path, state: State, public_key: bytes) -> None:
        for schema in (clipindex.SCHEMA, seals.SCHEMA):
            state.migrate(schema)
        self._folder = folder
        self._state = state
        self._key = public_key
        self._links: defaultdict[tuple[str, str], list[Place]] = defaultdict(list)
        self.clip_count = self.segment_count = self.byte_count = 0

    def files(self) -> Iterator[Finding]:
        """Check each file, and each row against its file; name what is no clip."""
        rows = {info.clip: info for info in clipindex.all_clips(self._state)}
        try:
            # One listing: what comes between two would be in one of them alone.
            found = sorted(self._folder.iterdir()) if self._folder.exists() else []
        except OSError as error:
            yield Finding(Severity.ERROR, str(self._folder), f"the folder can't be read: {error.strerror}")
            return
        files = {path.stem: path for path in found if path.suffix == SUFFIX and CLIP_NAME.fullmatch(path.stem)}
        for clip in sorted(rows.keys() - files.keys()):
            yield Finding(Severity.ERROR, clip, "the clip is in the index and its file is gone")
        for clip, path in files.items():
            yield from self._clip(path, rows.get(clip))
        for path in found:
            if files.get(path.stem) != path:
                yield Finding(Severity.WARNING, str(path), "this is no clip; the ring does not look after it")

    def chains(self) -> Iterator[Finding]:
        """Check each camera's statements by the rule of `chaincheck`."""
        known = {(extent.device, extent.camera): extent for extent in seals.extents(self._state)}
        for device, camera in sorted(known.keys() | self._links.keys()):
            extent = known.get((device, camera)) or Extent(device, camera, Head(), -1)
            links = sorted(self._links[device, camera], key=lambda place: place.link.statement.seq)
            where = f"capture chain {device}/{camera}"
            yield from check_chain(where, links, extent)

    def _clip(self, path: Path, info: ClipInfo | None) -> Iterator[Finding]:
        try:
            with path.open("rb") as file:
                found = scan(file)
                sealed = [_holds_sealed(file, record) for record in found.records]
                size = os.fstat(file.fileno()).st_size
        except OSError as error:
            yield Finding(Severity.ERROR, str(path), f"the file can't be read: {error.strerror}")
            return
        self.clip_count += 1
        self.byte_count += size
        yield from self._file(path, found, size, info)
        for record, good in zip(found.records, sealed, strict=True):
            if not good:
                yield Finding(Severity.ERROR, f"{path} byte {record.offset}", "the record is not a sealed one")

    def _file(self, path: Path, found: Scan, size: int, info: ClipInfo | None) -> Iterator[Finding]:
        indexed = 0 if info is None else info.bytes
        for damage in found.damage:
            # What has a whole record behind it was on disk before that, and so was acknowledged.
            inside = damage.offset < max(indexed, found.whole_end)
            text = f"{damage.length} bytes can't be read: {damage.reason}"
            if not inside:
                text += "; never acknowledged, the next start cuts it"
            severity = Severity.ERROR if inside else Severity.WARNING
            yield Finding(severity, f"{path} byte {damage.offset}", text)
        yield from _header(path, found)
        if info is None:
            yield Finding(Severity.WARNING, str(path), "the clip is not in the index; the next start takes it up")
        else:
            yield from self._rows(path, found, size, info)
        for record in found.records:
            yield from self._record(path, record, info)

    def _rows(self, path: Path, found: Scan, size: int, info: ClipInfo) -> Iterator[Finding]:
        if size < info.bytes:
            yield Finding(Severity.ERROR, str(path), f"the file has {size} bytes, {info.bytes} were acknowledged")
        in_file = {(record.offset, record.length, record.type) for record in found.records[1:]}
        in_index = {(row.offset, row.length, row.type) for row in clipindex.records_of(self._state, info.clip)}
        lost = len(in_index - in_file)
        ahead = [place for place in in_file - in_index if place[0] >= info.bytes]
        unknown = len(in_file - in_index) - len(ahead)
        if lost:
            yield Finding(Severity.ERROR, str(path), f"{lost} indexed records are not in the file as they were")
        if ahead:
            where, being_written = f"{path} byte {info.bytes}", info.end_us is None
            severity, when = lag(being_written)
            yield Finding(severity, where, f"records from here on are ahead of the index; {when}")
        if unknown:
            text = f"{unknown} records are not in the index; rebuild it: latchstring device check --rebuild"
            yield Finding(Severity.WARNING, str(path), text)

    def _record(self, path: Path, record: Record, info: ClipInfo | None) -> Iterator[Finding]:
        if record.type is RecordType.HEADER:
            return
        where = f"{path} byte {record.offset}"
        try:
            _, link = clipindex.describe(record)
        except ClipError as error:
            yield Finding(Severity.ERROR, where, str(error))
            return
        if link is None:
            return
        self.segment_count += 1
        said = link.statement
        try:
            SegmentStatement.open(SegmentMeta.parse(record.meta).statement, key=self._key)
        except WireError as error:
            yield Finding(Severity.ERROR, where, f"the statement was not signed by this device: {error}")
            return
        if info is not None and (said.device, said.camera) != (info.device, info.camera):
            yield Finding(Severity.ERROR, where, f"the segment is of {said.device}/{said.camera}, the clip is not")
        being_written = info is not None and info.end_us is None
        self._links[said.device, said.camera].append(Place(where, link, being_written=being_written))


def _header(path: Path, found: Scan) -> Iterator[Finding]:
    try:
        header = found.header
    except ClipError as error:
        yield Finding(Severity.ERROR, str(path), str(error))
        return
    if header is None:
        yield Finding(Severity.ERROR, str(path), "its header can't be read")
    elif header.clip != path.stem:
        yield Finding(Severity.ERROR, str(path), f"it is the file of clip {header.clip}")


def _holds_sealed(file: BinaryIO, record: Record) -> bool:
    if record.type not in SEALED_TYPES:
        return record.data_length == 0
    file.seek(record.data_offset)
    return is_sealed(file.read(min(START_BYTES, record.data_length)))
