"""The index of clips: rows that say where in which file a record stands. All of it can be made again from the files.

Functions take a Transaction when they write, so that a record and the chain's head are indexed together. No file is
touched here; that, and the order of things, is `clipstore`'s.
"""

import json
from collections.abc import Container
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


_CLIP = "clip, device, camera, event, kind, labels, start_us, until_us, end_us, bytes, last_seq"


def add_clip(tx: Transaction, header: Header, length: int) -> None:
    """Index a clip whose file holds its header alone: `length` bytes."""
    labels = json.dumps(header.labels)
    start = header.start_us
    tx.execute(
        f"INSERT INTO clips ({_CLIP}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL, ?, -1)",  # noqa: S608 - a constant list of columns
        (header.clip, header.device, header.camera, header.event, header.kind, labels, start, start, length),
    )


def add_record(tx: Transaction, clip: str, record: IndexedRecord, link: Link | None) -> None:
    """Index a record that stands at the end of the clip's file; `link` is a segment's."""
    tx.execute(
        "INSERT INTO records (clip, offset, length, type, start_us, duration_us) VALUES (?, ?, ?, ?, ?, ?)",
        (clip, record.offset, record.length, record.type, record.start_us, record.duration_us),
    )
    until_us = record.start_us + record.duration_us
    end_us = record.start_us if record.type is RecordType.END else None
    seq = -1 if link is None else link.statement.seq
    changed = tx.execute(
        "UPDATE clips SET bytes = ?, until_us = max(until_us, ?), end_us = coalesce(end_us, ?), "
        "last_seq = max(last_seq, ?) WHERE clip = ?",
        (record.end, until_us, end_us, seq, clip),
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


def totals(reader: Reader) -> tuple[int, int, int | None]:
    """Return bytes, number of clips, and the start of the oldest."""
    ((used, clips, oldest_us),) = reader.query("SELECT coalesce(sum(bytes), 0), count(*), min(start_us) FROM clips")
    return used, clips, oldest_us


def open_and_used_bytes(reader: Reader, end_bytes: int) -> tuple[int, int]:
    """Return the bytes of open clips and of all clips, with `end_bytes` for each end record still to come."""
    ((opened, used),) = reader.query(
        "SELECT coalesce(sum(CASE WHEN end_us IS NULL THEN bytes + ?1 END), 0), "
        "coalesce(sum(bytes + CASE WHEN end_us IS NULL THEN ?1 ELSE 0 END), 0) FROM clips",
        (end_bytes,),
    )
    return opened, used


def add_pin(tx: Transaction, clip: str, reason: str, at_us: int) -> None:
    """Pin a clip; doing so again for the same reason does not make the pin newer."""
    tx.execute("INSERT INTO pins VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (clip, reason, at_us))


def drop_pins(tx: Transaction, reason: str) -> None:
    """Take back every pin of a reason."""
    tx.execute("DELETE FROM pins WHERE reason = ?", (reason,))


def protected(reader: Reader, max_bytes: int) -> dict[str, int]:
    """Return the clips that pins protect, with their bytes: the newest pins, as far as they fit into `max_bytes`."""
    rows = reader.query(
        "SELECT clip, bytes FROM pins JOIN clips USING (clip) GROUP BY clip "
        "ORDER BY max(at_us) DESC, start_us DESC, clip"
    )
    found: dict[str, int] = {}
    for clip, size in rows:
        max_bytes -= size
        if max_bytes < 0:
            break
        found[clip] = size
    return found


def oldest_ended(reader: Reader, spared: Container[str]) -> str | None:
    """Return the oldest clip that is not being written and not spared."""
    rows = reader.query("SELECT clip FROM clips WHERE end_us IS NOT NULL ORDER BY start_us, clip")
    return next((clip for (clip,) in rows if clip not in spared), None)


def oldest_before(reader: Reader, before_us: int, spared: Container[str]) -> str | None:
    """Return the oldest clip that is not spared, and ended before `before_us`."""
    rows = reader.query("SELECT clip FROM clips WHERE end_us < ? ORDER BY start_us, clip", (before_us,))
    return next((clip for (clip,) in rows if clip not in spared), None)


def describe(record: Record) -> tuple[IndexedRecord, Link | None]:
    """Return a record's row, and a segment's link of the chain; raises ClipError if meta and statement don't agree."""
    link = None
    try:
        if record.type is RecordType.SEGMENT:
            meta = SegmentMeta.parse(record.meta)
            link = read_link(meta.statement)
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
