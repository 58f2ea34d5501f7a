"""The tar inside a bundle, read strictly: plain files with the names below, and nothing else.

POSIX ustar headers (or GNU's, which differ in the magic) of 512 bytes, each followed by the file, padded with zeros to
512; two zero blocks end it. Python's tarfile would also take links, pax and GNU extensions; here they are refused.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from broker.wire.envelopes import MAX_ENVELOPE_BYTES
from broker.wire.inbox import MAX_BUNDLE_BYTES
from broker.wire.proofs import MAX_PROOF_BYTES

from .errors import BundleError

BLOCK = 512
REQUEST = "request.dsse.json"
PROOF = "request.tlog-proof"
SEGMENTS = "segments.json"
RELEASE = "release.dsse.json"
MAX_SEGMENTS_BYTES = 4 << 20
MAX_BYTES = {
    REQUEST: MAX_ENVELOPE_BYTES,
    PROOF: MAX_PROOF_BYTES,
    SEGMENTS: MAX_SEGMENTS_BYTES,
    RELEASE: MAX_ENVELOPE_BYTES,
}
MAX_MEMBERS = 20
CLIP_FORM = re.compile(r"clip-[1-9][0-9]?\.mp4", re.ASCII)
_MAGICS = (b"ustar\x0000", b"ustar  \x00")
_OCTAL_FORM = re.compile(rb"[0-7]{1,11}[ \x00]+", re.ASCII)
_NAME, _SIZE, _CHECKSUM = slice(0, 100), slice(124, 136), slice(148, 156)
_KIND, _LINK, _MAGIC, _DEVICES = slice(156, 157), slice(157, 257), slice(257, 265), slice(329, 345)
_PREFIX = slice(345, 512)


@dataclass(frozen=True, slots=True)
class Member:
    """One file: where its bytes stand in the tar."""

    name: str
    offset: int
    size: int


def read_members(tar: BinaryIO, size: int) -> list[Member]:
    """Return the files of a tar of `size` bytes; raises BundleError for anything that a bundle must not hold."""
    members: list[Member] = []
    at = 0
    while True:
        block = _read(tar, at, BLOCK)
        at += BLOCK
        if not any(block):
            _check_end(tar, at, size)
            return members
        member = _parse(block, at)
        if any(member.name == other.name for other in members):
            raise BundleError(f"the bundle holds {member.name} twice")
        if len(members) == MAX_MEMBERS:
            raise BundleError(f"the bundle holds more than {MAX_MEMBERS} files")
        padded = -(-member.size // BLOCK) * BLOCK
        if at + padded > size:
            raise BundleError(f"the bundle ends within {member.name}")
        if any(_read(tar, at + member.size, padded - member.size)):
            raise BundleError(f"the bundle has hidden bytes behind {member.name}")
        members.append(member)
        at += padded


def copy_member(tar: BinaryIO, member: Member) -> Iterator[bytes]:
    """Yield a file's bytes, a megabyte at a time."""
    tar.seek(member.offset)
    left = member.size
    while left:
        piece = tar.read(min(left, 1 << 20))
        if not piece:
            raise BundleError(f"the bundle ends within {member.name}")
        left -= len(piece)
        yield piece


def _parse(block: bytes, data_at: int) -> Member:
    summed = sum(block) - sum(block[_CHECKSUM]) + len(block[_CHECKSUM]) * ord(" ")
    # As every tar writes it: the field is no part of its own sum, so that any other spelling would go unnoticed.
    if block[_CHECKSUM] != b"%06o\0 " % summed:
        raise BundleError(f"the bundle's tar header at byte {data_at - BLOCK} is damaged")
    if block[_MAGIC] not in _MAGICS:
        raise BundleError("the bundle is no ustar archive")
    raw, _, rest = block[_NAME].partition(b"\x00")
    name = raw.decode("ascii", "backslashreplace")
    if block[_KIND] not in {b"0", b"\x00"}:
        raise BundleError(f"the bundle holds {name[:80]!r}, which is no plain file (type {block[_KIND]!r})")
    known = name in MAX_BYTES or CLIP_FORM.fullmatch(name)
    devices = block[_DEVICES].translate(None, b"0 \x00")
    if not known or any(rest) or any(block[_LINK]) or any(block[_PREFIX]) or devices:
        raise BundleError(f"the bundle holds {name[:80]!r}, which has no place in it")
    size = _octal(block[_SIZE], "size")
    most = MAX_BYTES.get(name, MAX_BUNDLE_BYTES)
    if size > most:
        raise BundleError(f"{name} in the bundle claims {size} bytes; it may have {most}")
    return Member(name, data_at, size)


def _octal(raw: bytes, what: str) -> int:
    if not _OCTAL_FORM.fullmatch(raw):
        raise BundleError(f"the bundle has a tar header whose {what} is no number")
    return int(raw.rstrip(b" \x00"), 8)


def _check_end(tar: BinaryIO, at: int, size: int) -> None:
    """Raise BundleError unless zeros follow the first zero block, another block of them at least."""
    if at + BLOCK > size:
        raise BundleError("the bundle's tar has no end")
    tar.seek(at)
    while piece := tar.read(1 << 16):
        if any(piece):
            raise BundleError("the bundle has bytes behind its end")


def _read(tar: BinaryIO, at: int, count: int) -> bytes:
    tar.seek(at)
    data = tar.read(count)
    if len(data) != count:
        raise BundleError("the bundle ends too early")
    return data
