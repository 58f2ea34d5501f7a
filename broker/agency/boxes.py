"""How a clip's file describes its pictures, read from its own bytes: a library shows not all of it, and may change.

ISO/IEC 14496-12: boxes of a size and a kind. Strict, since the file comes from outside: of each box on the way there is
exactly one, all sizes are 32 bits and fit, and nothing large is read.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from .errors import AgencyError

MAX_INDEX_BYTES = 32_000_000
_HEAD_BYTES = 8
_FULL_HEAD_BYTES = 4
# A sample description table of version 0 with one entry.
_ONE_ENTRY = bytes((0, 0, 0, 0, 0, 0, 0, 1))
# Of a visual sample entry: where its size in pixels stands, and where the boxes in it begin (12.1.3).
_WIDTH_AT = 24
_INNER_AT = 78
# VP Codec ISO Media File Format Binding 1.0: version 1, no flags, a record of 8 bytes that ends with a length of 0.
_VPCC_HEAD = bytes((1, 0, 0, 0))
_VPCC_BYTES = 8


class BoxError(AgencyError):
    """A file's boxes are damaged, or not as a device writes them."""


@dataclass(frozen=True, slots=True)
class Vp9Entry:
    """What a file says of its VP9 pictures: their size in pixels, and the vpcC record."""

    width: int
    height: int
    record: bytes


def read_vp9_entry(file: BinaryIO) -> Vp9Entry:
    """Return the one sample entry of a file, which must be VP9; raises BoxError. The file's position is moved."""
    table = _descend(_index(file), b"trak", b"mdia", b"minf", b"stbl", b"stsd")
    if not table.startswith(_ONE_ENTRY):
        raise BoxError("it has not one kind of pictures")
    entry = _only(table[len(_ONE_ENTRY) :], b"vp09")
    configuration = _only(entry[_INNER_AT:], b"vpcC")
    head, record = configuration[:_FULL_HEAD_BYTES], configuration[_FULL_HEAD_BYTES:]
    if head != _VPCC_HEAD or len(record) != _VPCC_BYTES or record[-2:] != b"\0\0":
        raise BoxError("its vpcC box is not one of VP9")
    width, height = (int.from_bytes(entry[at : at + 2]) for at in (_WIDTH_AT, _WIDTH_AT + 2))
    return Vp9Entry(width, height, record)


def _index(file: BinaryIO) -> bytes:
    """Return the body of the one moov box."""
    end = file.seek(0, 2)
    at, found = 0, []
    while at < end:
        file.seek(at)
        head = file.read(_HEAD_BYTES)
        size = int.from_bytes(head[:4])
        if not _HEAD_BYTES <= size <= end - at:
            raise BoxError("its boxes don't fit")
        if head[4:] == b"moov":
            if size > MAX_INDEX_BYTES:
                raise BoxError("its index is too large")
            found.append(file.read(size - _HEAD_BYTES))
        at += size
    if len(found) != 1:
        raise BoxError(f"it has {len(found)} indexes")
    return found[0]


def _descend(data: bytes, *path: bytes) -> bytes:
    for kind in path:
        data = _only(data, kind, among_others=True)
    return data


def _only(data: bytes, kind: bytes, *, among_others: bool = False) -> bytes:
    """Return the body of the one box of a kind; the only box of all unless told otherwise."""
    every = list(_boxes(data))
    found = [body for one, body in every if one == kind]
    if len(found) != 1 or (len(every) != 1 and not among_others):
        raise BoxError(f"it has not exactly one {kind.decode()} box where one belongs")
    return found[0]


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4])
        if not _HEAD_BYTES <= size <= len(data) - at:
            raise BoxError("its boxes don't fit")
        yield data[at + 4 : at + _HEAD_BYTES], data[at + _HEAD_BYTES : at + size]
        at += size
