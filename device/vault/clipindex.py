"""The index of clips: rows that say where in which file a record stands. All of it can be made again from the files.

Functions take a Transaction when they write, so that a record and the chain's head are indexed together. No file is
touched here; that, and the order of things, is `clipstore`'s.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .clipfile import Header, Record, RecordType, SegmentMeta
from .errors import ClipError
from .seals import Link, Reader, read_link
from .state import Row, Schema, Transaction

SCHEMA = Schema(
    "clips",
    (
        (
            """CREATE TABLE clips (
                clip TEXT PRIMARY KEY, device TEXT NOT NULL, camera TEXT NOT NULL, event TEXT NOT NULL,
                kind TEXT NOT NULL, labels TEXT NOT NULL, start_us INTEGER NOT NULL,
                until_us INTEGER NOT NULL, end_us INTEGER, bytes INTEGER NOT NULL) STRICT""",
            "CREATE INDEX clips_by_time ON clips (start_us, until_us)",
            """CREATE TABLE records (
                clip TEXT NOT NULL REFERENCES clips ON DELETE CASCADE, offset INTEGER NOT NULL,
                length INTEGER NOT NULL, type INTEGER NOT NULL, start_us INTEGER NOT NULL,
                duration_us INTEGER NOT NULL, PRIMARY KEY (clip, offset)) STRICT, WITHOUT ROWID""",
            """CREATE TABLE pins (
                clip TEXT NOT NULL, reason TEXT NOT NULL, at_us INTEGER NOT NULL,
                PRIMARY KEY (clip, reason)) STRICT, WITHOUT ROWID""",
            "CREATE INDEX pins_by_reason ON pins (reason)",
        ),
        ("ALTER TABLE clips ADD COLUMN last_seq INTEGER NOT NULL DEFAULT -1",),
    ),
)


TIME_OF = {RecordType.THUMBNAIL: "at_us", RecordType.END: "end_us"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipInfo:
    """A clip as indexed. It covers [start_us, until_us); `end_us` is None while it is being written.

    `last_seq` is the highest number that a segment of it has, or had, in the chain; -1 if there is none.
    """

    clip: str
    device: str
    camera: str
    event: str
    kind: str
    labels: tuple[str, ...]
    start_us: int
    until_us: int
    end_us: int | None
    bytes: int
    last_seq: int = -1

    def covers(self, start_us: int, end_us: int) -> bool:
        """Tell whether some of [start_us, end_us) is in the clip."""
        return self.start_us < end_us and self.until_us > max(start_us, self.start_us)


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentInfo:
    """A segment in its file; `sha256` (hex) is of the plaintext, `statement` the exact signed envelope."""

    clip: str
    offset: int
    length: int
    start_us: int
    duration_us: int
    sha256: str
    statement: bytes

    @property
    def end_us(self) -> int:
        """The moment after its last frame."""
        return self.start_us + self.duration_us


@dataclass(frozen=True, slots=True, kw_only=True)
class ThumbnailInfo:
    """A thumbnail in its file."""

    clip: str
    offset: int
    length: int
    at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedRecord:
    """A record's row; for a thumbnail `start_us` is its moment, for an end the clip's."""

    type: RecordType
    offset: int
    length: int
    start_us: int
    duration_us: int

    @property
    def end(self) -> int:
        """The first byte after the record."""
        return self.offset + self.length

    @property
    def until_us(self) -> int:
        """The moment up to which the clip goes by this record."""
        return self.start_us + self.duration_us


Entry = tuple[IndexedRecord, Link | None]  # a record, and a segment's link of the chain

_CLIP = "clip, device, camera, event, kind, labels, start_us, until_us, end_us, bytes, last_seq"


def new_clip(header: Header, length: int) -> ClipInfo:
    """Return what is to be said of a clip whose file holds its header alone: `length` bytes."""
    return ClipInfo(
        clip=header.clip,
        device=header.device,
        camera=header.camera,
        event=header.event,
        kind=header.kind,
        labels=header.labels,
        start_us=header.start_us,
        until_us=header.start_us,
        end_us=None,
        bytes=length,
    )


def add_clip(tx: Transaction, info: ClipInfo) -> None:
    """Index a clip that `new_clip` describes."""
    tx.execute(
        f"INSERT INTO clips ({_CLIP}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - a constant list of columns
        (
            info.clip, info.device, info.camera, info.event, info.kind, json.dumps(info.labels), info.start_us,
            info.until_us, info.end_us, info.bytes, info.last_seq,
        ),
    )  # fmt: skip


def add_records(tx: Transaction, clip: str, entries: Sequence[Entry]) -> None:
    """Index records that stand at the end of the clip's file, in its order."""
    if not entries:
        return
    rows = [row for row, _ in entries]
    tx.execute_many(
        "INSERT INTO records (clip, offset, length, type, start_us, duration_us) VALUES (?, ?, ?, ?, ?, ?)",
        [(clip, row.offset, row.length, row.type, row.start_us, row.duration_us) for row in rows],
    )
    until_us = max(row.until_us for row in rows)
    end_us = next((row.start_us for row in rows if row.type is RecordType.END), None)
    last_seq = max((link.statement.seq for _, link in entries if link is not None), default=-1)
    changed = tx.execute(
        "UPDATE clips SET bytes = ?, until_us = max(until_us, ?), end_us = coalesce(end_us, ?), "
        "last_seq = max(last_seq, ?) WHERE clip = ?",
        (rows[-1].end, until_us, end_us, last_seq, clip),
    )
    if not changed:
        raise ClipError(f"clip {clip} is not in the ring")


def cut_clip(tx: Transaction, clip: str, length: int) -> int:
    """Forget what the index says of a file beyond `length`; returns the number of records forgotten."""
    gone = tx.execute("DELETE FROM records WHERE clip = ? AND offset + length > ?", (clip, length))
    ended = tx.query("SELECT 1 FROM records WHERE clip = ? AND type = ?", (clip, RecordType.END))
    tx.execute(
        "UPDATE clips SET bytes = ?, end_us = CASE WHEN ? THEN end_us END, until_us = max(start_us, coalesce("
        "(SELECT max(start_us + duration_us) FROM records WHERE records.clip = clips.clip), 0)) WHERE clip = ?",
        (length, bool(ended), clip),
    )
    return gone


def drop_clip(tx: Transaction, clip: str) -> None:
    """Forget a clip, its records and its pins."""
    tx.execute("DELETE FROM clips WHERE clip = ?", (clip,))
    tx.execute("DELETE FROM pins WHERE clip = ?", (clip,))


def forget_all(tx: Transaction) -> None:
    """Empty the index of clips and records. Pins stay: they are in no file."""
    tx.execute("DELETE FROM clips")


def find_clip(reader: Reader, clip: str) -> ClipInfo | None:
    """Return one clip."""
    rows = reader.query(f"SELECT {_CLIP} FROM clips WHERE clip = ?", (clip,))  # noqa: S608 - a constant list of columns
    return _clip(rows[0]) if rows else None


def all_clips(reader: Reader) -> list[ClipInfo]:
    """Return every clip, oldest first."""
    sql = f"SELECT {_CLIP} FROM clips ORDER BY start_us, clip"  # noqa: S608 - a constant list of columns
    return [_clip(row) for row in reader.query(sql)]


def open_clips(reader: Reader) -> list[ClipInfo]:
    """Return the clips that have not ended, as far as they are indexed, oldest first."""
    sql = f"SELECT {_CLIP} FROM clips WHERE end_us IS NULL ORDER BY start_us, clip"  # noqa: S608 - a constant list of columns
    return [_clip(row) for row in reader.query(sql)]


def sizes(reader: Reader) -> dict[str, int]:
    """Return every clip's bytes, as far as indexed."""
    return dict(reader.query("SELECT clip, bytes FROM clips"))


def clips_between(reader: Reader, start_us: int, end_us: int, camera: str | None) -> list[ClipInfo]:
    """Return the clips that cover some of [start_us, end_us), oldest first."""
    sql = (
        f"SELECT {_CLIP} FROM clips WHERE start_us < ?2 AND until_us > max(?1, start_us) "  # noqa: S608 - a constant list of columns
        "AND (?3 IS NULL OR camera = ?3) ORDER BY start_us, clip"
    )
    return [_clip(row) for row in reader.query(sql, (start_us, end_us, camera))]


def records_of(reader: Reader, clip: str, kind: RecordType | None = None) -> list[IndexedRecord]:
    """Return a clip's records in the order of the file."""
    rows = reader.query(
        "SELECT type, offset, length, start_us, duration_us FROM records "
        "WHERE clip = ?1 AND (?2 IS NULL OR type = ?2) ORDER BY offset",
        (clip, kind),
    )
    return [
        IndexedRecord(type=RecordType(row[0]), offset=row[1], length=row[2], start_us=row[3], duration_us=row[4])
        for row in rows
    ]


def known(reader: Reader, clips: Sequence[str]) -> set[str]:
    """Return those of the clips named that are indexed."""
    rows = reader.query("SELECT clip FROM clips WHERE clip IN (SELECT value FROM json_each(?))", (json.dumps(clips),))
    return {str(clip) for (clip,) in rows}


def times_of(reader: Reader, clips: Sequence[str], kind: RecordType) -> list[tuple[str, int, int]]:
    """Return (clip, offset, time) of the records of one kind in the clips named."""
    rows = reader.query(
        "SELECT clip, offset, start_us FROM json_each(?) AS named"
        " JOIN records ON records.clip = named.value AND records.type = ?",
        (json.dumps(clips), kind),
    )
    return [(str(clip), int(offset), int(at_us)) for clip, offset, at_us in rows]


def totals(reader: Reader) -> tuple[int, int]:
    """Return the bytes and the number of all clips, as far as they are indexed. Reads them all."""
    ((used, clips),) = reader.query("SELECT coalesce(sum(bytes), 0), count(*) FROM clips")
    return used, clips


def oldest_start_us(reader: Reader) -> int | None:
    """Return the start of the oldest clip."""
    ((oldest_us,),) = reader.query("SELECT min(start_us) FROM clips")
    return None if oldest_us is None else int(oldest_us)


def describe(record: Record, *, read: Callable[[bytes], Link] = read_link) -> Entry:
    """Return a record's row, and a segment's link of the chain; raises ClipError if meta and statement don't agree."""
    link = None
    try:
        if record.type is RecordType.SEGMENT:
            meta = SegmentMeta.parse(record.meta)
            link = read(meta.statement)
            said = link.statement
            if (said.start, said.duration_us, said.sha256) != (meta.start_us, meta.duration_us, meta.sha256):
                raise ClipError("a segment's record and its signed statement do not say the same")
            start_us, duration_us = meta.start_us, meta.duration_us
        else:
            start_us, duration_us = int(record.meta[TIME_OF[record.type]]), 0
    except (KeyError, TypeError, ValueError) as error:
        raise ClipError(f"a {record.type.name.lower()} lacks its time") from error
    row = IndexedRecord(
        type=record.type, offset=record.offset, length=record.length, start_us=start_us, duration_us=duration_us
    )
    return row, link


def _clip(row: Row) -> ClipInfo:
    return ClipInfo(
        clip=row[0],
        device=row[1],
        camera=row[2],
        event=row[3],
        kind=row[4],
        labels=tuple(json.loads(row[5])),
        start_us=row[6],
        until_us=row[7],
        end_us=row[8],
        bytes=row[9],
        last_seq=row[10],
    )
