"""Boxes of ISO/IEC 14496-12 (4.2): written, and found again. Pure; knows nothing of what is in them."""

from collections.abc import Iterator

from device.video.errors import MuxError

_HEAD_BYTES = 8


def box(kind: bytes, *parts: bytes) -> bytes:
    """Return a box: its size, its kind of four characters, its parts."""
    size = _HEAD_BYTES + sum(len(part) for part in parts)
    return b"".join((size.to_bytes(4), kind, *parts))


def full_box(kind: bytes, *parts: bytes, version: int = 0, flags: int = 0) -> bytes:
    """Return a box that says its version and flags first."""
    return box(kind, (version << 24 | flags).to_bytes(4), *parts)


def u32(*values: int) -> bytes:
    """Return numbers as 4 bytes each."""
    return b"".join(value.to_bytes(4) for value in values)


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Give kind and body of all boxes in these bytes. MuxError if one is cut, or of a size that we don't write."""
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4])
        if len(data) - at < _HEAD_BYTES or not _HEAD_BYTES <= size <= len(data) - at:
            raise MuxError("it is cut short or damaged")
        yield data[at + 4 : at + _HEAD_BYTES], data[at + _HEAD_BYTES : at + size]
        at += size


def only_box(data: bytes, *path: bytes) -> bytes:
    """Return the body of the box at the end of a path. MuxError unless there is exactly one of each on the way."""
    for kind in path:
        found = [body for one, body in boxes(data) if one == kind]
        if len(found) != 1:
            raise MuxError(f"one {kind.decode()} box was expected and {len(found)} found")
        data = found[0]
    return data
