r"""The clip file: one clip, sealed, complete in itself. Encoding and scanning; `disk` writes, `clipstore` orders.

    file    = "LSCLIP1\n" record*              the first record is `header`; `end`, when there, is the last
    record  = head meta data u32(CRC-32 of meta and data)
    head    = F5 4C 53 52 | u8 type | u32 length of meta | u32 length of data | u32(CRC-32 of the 13 bytes before)

All integers are big-endian. `meta` is canonical JSON, in the clear; `data` is an age file, or nothing:

    1 header     {"camera", "clip", "device", "event", "kind", "labels": [text…], "start_us", "version": 1}
    2 segment    {"duration_us", "sha256", "start_us", "statement"}        data: the sealed access units
    3 thumbnail  {"at_us"}                                                 data: the sealed JPEG
    4 end        {"end_us"}

Times are microseconds since the Unix epoch; `sha256` is that of the plaintext, in hex; `statement` is the base64 of the
DSSE envelope the device signed. A head has a CRC of its own so that its lengths can be trusted: one damaged record
costs that record and no other, and a record that runs past the end of the file is torn, not damaged.
"""

import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from typing import Any, BinaryIO, Self

from broker.wire.encoding import WireError, canonical, from_base64, from_hex, parse_json, to_base64

from .errors import ClipError

MAGIC = b"LSCLIP1\n"
VERSION = 1
MARK = b"\xf5LSR"
MAX_META_BYTES = 128 * 1024
MAX_DATA_BYTES = 32 * 1024 * 1024
FIRST_CHUNK, CHUNK = 4 * 1024, 1024 * 1024
CLIP_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)

_FIELDS = Struct(">4sBII")
_CRC = Struct(">I")
HEAD_BYTES = _FIELDS.size + _CRC.size


class RecordType(IntEnum):
    """What a record is."""

    HEADER = 1
    SEGMENT = 2
    THUMBNAIL = 3
    END = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a clip says of itself in the clear."""

    clip: str
    device: str
    camera: str
    event: str
    kind: str
    start_us: int
    labels: tuple[str, ...] = ()

    def encode(self) -> bytes:
        """Return the beginning of a clip file: magic and header record."""
        if not CLIP_NAME.fullmatch(self.clip):
            raise ClipError(f"clip name {self.clip[:80]!r} may have letters, digits, - and _ only, at most 64")
        meta = {name: getattr(self, name) for name in ("clip", "device", "camera", "event", "kind", "start_us")}
        return MAGIC + encode_record(RecordType.HEADER, meta | {"labels": list(self.labels), "version": VERSION})

    @classmethod
    def parse(cls, meta: Mapping[str, Any]) -> Self:
        """Read a header record's meta; raises ClipError."""
        _check(
            meta,
            dict.fromkeys(("clip", "device", "camera", "event", "kind"), str)
            | dict.fromkeys(("start_us", "version"), int)
            | {"labels": list},
        )
        if meta["version"] != VERSION or not CLIP_NAME.fullmatch(meta["clip"]):
            raise ClipError("the header has a version or a clip name that this program can't read")
        if not all(isinstance(label, str) for label in meta["labels"]):
            raise ClipError("the header's labels are not texts")
        known = {name: value for name, value in meta.items() if name not in {"labels", "version"}}
        return cls(**known, labels=tuple(meta["labels"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentMeta:
    """What a segment's record says in the clear; `sha256` is of the plaintext, `statement` the signed envelope."""

    start_us: int
    duration_us: int
    sha256: str
    statement: bytes

    def to_meta(self) -> dict[str, Any]:
        """Return the record's meta."""
        return {
            "start_us": self.start_us,
            "duration_us": self.duration_us,
            "sha256": self.sha256,
            "statement": to_base64(self.statement),
        }

    @classmethod
    def parse(cls, meta: Mapping[str, Any]) -> Self:
        """Read a segment record's meta; raises ClipError."""
        _check(meta, {"start_us": int, "duration_us": int, "sha256": str, "statement": str})
        try:
            return cls(
                start_us=meta["start_us"],
                duration_us=meta["duration_us"],
                sha256=from_hex(meta["sha256"], size=32, what="sha256").hex(),
                statement=from_base64(meta["statement"], what="statement"),
            )
        except WireError as error:
            raise ClipError(f"a segment's record can't be read: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A whole record, its CRCs checked. `offset` and `length` cover all of it, `data_…` the sealed bytes in it."""

    type: RecordType
    meta: Mapping[str, Any]
    offset: int
    length: int
    data_length: int

    @property
    def end(self) -> int:
        """The first byte after the record."""
        return self.offset + self.length

    @property
    def data_offset(self) -> int:
        """Where the sealed bytes begin."""
        return self.end - _CRC.size - self.data_length


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """A stretch of a file that holds no whole record."""

    offset: int
    length: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What a file holds: its whole records in order, and whatever lies between and after them."""

    records: tuple[Record, ...]
    damage: tuple[Damage, ...]

    @property
    def whole_end(self) -> int:
        """The end of the last whole record: what lies beyond was never acknowledged, or is lost. 0 if there is none."""
        return self.records[-1].end if self.records else 0

    @property
    def header(self) -> Header | None:
        """The clip's header, if its record is whole and the first."""
        if not self.records or self.records[0].type is not RecordType.HEADER or self.records[0].offset != len(MAGIC):
            return None
        return Header.parse(self.records[0].meta)


def encode_record(kind: RecordType, meta: Mapping[str, Any], data: bytes = b"") -> bytes:
    """Return a record's bytes; raises ClipError if it would be too large to read back."""
    text = canonical(dict(meta))
    if len(text) > MAX_META_BYTES or len(data) > MAX_DATA_BYTES:
        raise ClipError(f"a {kind.name.lower()} of {len(text)} + {len(data)} bytes is too large for a clip file")
    fields = _FIELDS.pack(MARK, kind, len(text), len(data))
    body_crc = zlib.crc32(data, zlib.crc32(text))
    return b"".join((fields, _CRC.pack(zlib.crc32(fields)), text, data, _CRC.pack(body_crc)))


def encode_end(end_us: int) -> bytes:
    """Return the record that closes a clip."""
    return encode_record(RecordType.END, {"end_us": end_us})


def scan(file: BinaryIO, *, start: int = 0) -> Scan:
    """Read all whole records from `start` (0, or the end of a record). No content makes it raise; OSError may pass."""
    records: list[Record] = []
    damage: list[Damage] = []
    size = file.seek(0, 2)
    offset = start
    if start == 0:
        offset = len(MAGIC)
        file.seek(0)
        if (found := file.read(offset)) != MAGIC:
            damage.append(Damage(offset=0, length=len(found), reason="the file does not begin as a clip file"))
    while offset < size:
        found_record = _read_at(file, offset, size)
        if isinstance(found_record, Record):
            records.append(found_record)
            offset = found_record.end
        else:
            damage.append(found_record)
            offset += found_record.length
    return Scan(records=tuple(records), damage=tuple(damage))


def read_record(file: BinaryIO, offset: int) -> tuple[Record, bytes]:
    """Return the record at `offset` and its sealed bytes; raises ClipError if it is not whole."""
    size = file.seek(0, 2)
    found = _read_at(file, offset, size)
    if isinstance(found, Damage):
        raise ClipError(f"the record at byte {offset} can't be read: {found.reason}")
    file.seek(found.data_offset)
    return found, file.read(found.data_length)


def read_meta(file: BinaryIO, offset: int) -> Mapping[str, Any]:
    """Return a record's meta alone, without reading its data or checking the CRC over both; raises ClipError."""
    head = _read_head(file, offset)
    if head is None:
        raise ClipError(f"there is no record at byte {offset}")
    return _meta(file.read(head[1]))


def _read_at(file: BinaryIO, offset: int, size: int) -> Record | Damage:
    head = _read_head(file, offset)
    if head is None:
        length = _next_head(file, offset + 1, size) - offset
        return Damage(offset=offset, length=length, reason="its head is damaged or cut off")
    kind, meta_length, data_length = head
    length = HEAD_BYTES + meta_length + data_length + _CRC.size
    if offset + length > size:
        return Damage(offset=offset, length=size - offset, reason="it is cut off")
    text = file.read(meta_length)
    data = file.read(data_length)
    (crc,) = _CRC.unpack(file.read(_CRC.size))
    if crc != zlib.crc32(data, zlib.crc32(text)):
        return Damage(offset=offset, length=length, reason="its CRC does not match")
    try:
        return Record(type=RecordType(kind), meta=_meta(text), offset=offset, length=length, data_length=data_length)
    except (ClipError, ValueError) as error:
        return Damage(offset=offset, length=length, reason=str(error))


def _read_head(file: BinaryIO, offset: int) -> tuple[int, int, int] | None:
    file.seek(offset)
    head = file.read(HEAD_BYTES)
    if len(head) < HEAD_BYTES or _CRC.unpack_from(head, _FIELDS.size)[0] != zlib.crc32(head[: _FIELDS.size]):
        return None
    mark, kind, meta_length, data_length = _FIELDS.unpack_from(head)
    if mark != MARK or meta_length > MAX_META_BYTES or data_length > MAX_DATA_BYTES:
        return None
    return kind, meta_length, data_length


def _next_head(file: BinaryIO, offset: int, size: int) -> int:
    """Find the next place from `offset` on where a sound head stands, else the end of the file."""
    for place in _marks(file, offset):
        if _read_head(file, place) is not None:
            return place
    return size


def _marks(file: BinaryIO, offset: int) -> Iterator[int]:
    # The next head is most often near: a file with damage all over must not be read through again for each of it.
    size = FIRST_CHUNK
    while True:
        file.seek(offset)
        chunk = file.read(size)
        place = chunk.find(MARK)
        while place >= 0:
            yield offset + place
            place = chunk.find(MARK, place + 1)
        if len(chunk) < size:
            return
        offset += size - len(MARK) + 1  # a mark may lie across two chunks
        size = min(2 * size, CHUNK)


def _meta(text: bytes) -> Mapping[str, Any]:
    try:
        meta = parse_json(text, max_bytes=MAX_META_BYTES, what="a record's meta")
    except WireError as error:
        raise ClipError(str(error)) from error
    if not isinstance(meta, dict):
        raise ClipError("a record's meta is not an object")
    return meta


def _check(meta: Mapping[str, Any], types: Mapping[str, type]) -> None:
    if set(meta) != set(types) or any(type(meta[name]) is not kind for name, kind in types.items()):
        raise ClipError(f"a record must have exactly {', '.join(sorted(types))}")
