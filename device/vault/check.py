"""The fsck of the store: everything that can be verified without a key that opens footage. It changes nothing.

It reads the state (read-only will do), every clip file, and the device's public key. `ERROR` means that something
acknowledged is lost, damaged or forged; `WARNING`, something the next start of the device mends or that wastes room;
`INFO`, something to know.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

from broker.wire.encoding import WireError
from broker.wire.records import SegmentStatement

from . import clipindex, seals
from .clipfile import Record, RecordType, Scan, SegmentMeta, scan
from .clipindex import ClipInfo
from .errors import ClipError
from .ledger import Ledger
from .recovery import clip_files
from .sealing import is_sealed
from .seals import Link
from .state import State

START_BYTES = 64
SEALED_TYPES = frozenset({RecordType.SEGMENT, RecordType.THUMBNAIL})


class Severity(StrEnum):
    """How bad a finding is."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found, and where."""

    severity: Severity
    where: str
    text: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.where}: {self.text}"


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


def check(folder: Path, state: State, public_key: bytes) -> CheckReport:
    """Verify files, index, capture chains and ledger. Raises StateError only if the state can't be read at all."""
    work = _Check(folder, state, public_key)
    findings = [Finding(Severity.ERROR, str(state.path), line) for line in state.check()]
    ledger = Ledger(state)
    findings += [Finding(Severity.ERROR, "ledger", line) for line in ledger.verify(public_key)]
    findings += work.clips()
    findings += work.chains()
    findings += work.strangers()
    ((entries,),) = state.query("SELECT count(*) FROM ledger")
    return CheckReport(
        clips=work.clip_count,
        segments=work.segment_count,
        bytes=work.byte_count,
        ledger_entries=entries,
        findings=tuple(findings),
    )


class _Check:
    """One pass over a folder; counts and links gather as it goes."""

    def __init__(self, folder: Path, state: State, public_key: bytes) -> None:
        for schema in (clipindex.SCHEMA, seals.SCHEMA):
            state.migrate(schema)
        self._folder = folder
        self._state = state
        self._key = public_key
        self._links: defaultdict[tuple[str, str], list[tuple[str, Link]]] = defaultdict(list)
        self.clip_count = self.segment_count = self.byte_count = 0

    def clips(self) -> Iterator[Finding]:
        """Check each file, and each row against its file."""
        files = {path.stem: path for path in clip_files(self._folder)}
        rows = {info.clip: info for info in clipindex.all_clips(self._state)}
        for clip in sorted(rows.keys() - files.keys()):
            yield Finding(Severity.ERROR, clip, "the clip is in the index and its file is gone")
        for clip, path in files.items():
            try:
                with path.open("rb") as file:
                    found = scan(file)
                    sealed = [_holds_sealed(file, record) for record in found.records]
            except OSError as error:
                yield Finding(Severity.ERROR, str(path), f"the file can't be read: {error.strerror}")
                continue
            self.clip_count += 1
            self.byte_count += path.stat().st_size
            yield from self._file(path, found, rows.get(clip))
            for record, good in zip(found.records, sealed, strict=True):
                if not good:
                    yield Finding(Severity.ERROR, f"{path} byte {record.offset}", "the record is not a sealed one")

    def chains(self) -> Iterator[Finding]:
        """Check that each camera's statements form one chain, as far as clips are still here, up to the head."""
        for (device, camera), links in sorted(self._links.items()):
            where = f"capture chain {device}/{camera}"
            links.sort(key=lambda item: item[1].statement.seq)
            for (_, before), (place, link) in pairwise(links):
                missing = link.statement.seq - before.statement.seq - 1
                if missing < 0:
                    yield Finding(Severity.ERROR, where, f"two segments are number {link.statement.seq} ({place})")
                elif missing:
                    text = f"{missing} segments before number {link.statement.seq} are not here (evicted or lost)"
                    yield Finding(Severity.INFO, where, text)
                elif link.statement.prev != before.hash:
                    text = f"segment {link.statement.seq} does not follow the one before ({place})"
                    yield Finding(Severity.ERROR, where, text)
            head = seals.read_head(self._state, device=device, camera=camera)
            last = links[-1][1].head
            if last.seq > head.seq:
                yield Finding(Severity.WARNING, where, "segments are ahead of the index; the next start takes them up")
            elif last.seq == head.seq and last.hash != head.hash:
                yield Finding(Severity.ERROR, where, "its last segment is not the one that the index knows")

    def strangers(self) -> Iterator[Finding]:
        """Name the files in the folder that are no clips."""
        known = set(clip_files(self._folder))
        for path in sorted(self._folder.iterdir()) if self._folder.is_dir() else ():
            if path not in known:
                yield Finding(Severity.WARNING, str(path), "this is no clip; the ring does not look after it")

    def _file(self, path: Path, found: Scan, info: ClipInfo | None) -> Iterator[Finding]:
        indexed = 0 if info is None else info.bytes
        for damage in found.damage:
            inside = damage.offset < indexed
            text = f"{damage.length} bytes can't be read: {damage.reason}"
            if not inside:
                text += "; never acknowledged, the next start cuts it"
            severity = Severity.ERROR if inside else Severity.WARNING
            yield Finding(severity, f"{path} byte {damage.offset}", text)
        yield from _header(path, found)
        if info is None:
            yield Finding(Severity.WARNING, str(path), "the clip is not in the index; the next start takes it up")
        else:
            yield from self._rows(path, found, info)
        for record in found.records:
            yield from self._record(path, record, info)

    def _rows(self, path: Path, found: Scan, info: ClipInfo) -> Iterator[Finding]:
        size = path.stat().st_size
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
            yield Finding(Severity.WARNING, str(path), f"{len(ahead)} records are ahead of the index")
        if unknown:
            yield Finding(Severity.WARNING, str(path), f"{unknown} records are not in the index; rebuild it")

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
        self._links[said.device, said.camera].append((where, link))


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
