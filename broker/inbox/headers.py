"""The inbox's request headers, parsed strictly: tus 1.0 core, creation, checksum; byte ranges; authorization. Pure."""

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any

from broker.wire.encoding import WireError, from_base64, parse_decimal
from broker.wire.inbox import AUTH_SCHEME, ENVELOPE_KEY, OFFSET_TYPE, TUS_VERSION

from .errors import Refused

MAX_HEADER_CHARS = 16_384
CHECKSUMS: Mapping[str, tuple[int, Callable[[], Any]]] = {
    "sha1": (20, lambda: hashlib.sha1(usedforsecurity=False)),
    "sha256": (32, hashlib.sha256),
}
_RANGE_FORM = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


class Checksum:
    """A running checksum over the body of one PATCH, and what it must come to."""

    def __init__(self, algorithm: str, expected: bytes) -> None:
        self._running = CHECKSUMS[algorithm][1]()
        self._expected = expected

    def update(self, data: bytes) -> None:
        """Take more of the body."""
        self._running.update(data)

    def matches(self) -> bool:
        """Tell whether the body was as announced."""
        return bool(self._running.digest() == self._expected)


def check_version(value: str | None) -> None:
    """Raise Refused (412) unless the client speaks our tus."""
    if value != TUS_VERSION:
        raise Refused(412, "wrong-version", f"this inbox speaks tus {TUS_VERSION}; send Tus-Resumable: {TUS_VERSION}")


def parse_count(value: str | None, *, name: str) -> int:
    """Parse `Upload-Length` or `Upload-Offset`; raises Refused (400)."""
    if value is None:
        raise Refused(400, "missing-header", f"{name} is missing")
    try:
        return parse_decimal(value, what=name)
    except WireError as error:
        raise Refused(400, "bad-header", str(error)) from error


def parse_metadata(value: str | None) -> bytes:
    """Return the envelope in `Upload-Metadata`, which must hold nothing else; raises Refused (400 or 431)."""
    if value is None:
        raise Refused(400, "missing-header", f"Upload-Metadata is missing; it carries {ENVELOPE_KEY!r}")
    _cap(value, "Upload-Metadata")
    key, _, encoded = value.partition(" ")
    if key != ENVELOPE_KEY:
        raise Refused(400, "bad-header", f"Upload-Metadata must hold {ENVELOPE_KEY!r} and nothing else")
    return _decode(encoded, "Upload-Metadata")


def check_offset_type(value: str | None) -> None:
    """Raise Refused (415) unless a PATCH carries bytes for an offset."""
    if value != OFFSET_TYPE:
        raise Refused(415, "wrong-type", f"Content-Type must be {OFFSET_TYPE}")


def parse_checksum(value: str | None) -> Checksum | None:
    """Parse `Upload-Checksum`; None where there is none; raises Refused (400)."""
    if value is None:
        return None
    _cap(value, "Upload-Checksum")
    algorithm, _, encoded = value.partition(" ")
    if algorithm not in CHECKSUMS:
        raise Refused(400, "bad-header", f"Upload-Checksum may use {', '.join(CHECKSUMS)}")
    expected = _decode(encoded, "Upload-Checksum")
    if len(expected) != CHECKSUMS[algorithm][0]:
        raise Refused(400, "bad-header", f"Upload-Checksum is no {algorithm}")
    return Checksum(algorithm, expected)


def parse_authorization(value: str | None) -> bytes:
    """Return the envelope in `Authorization: DSSE <base64>`; raises Refused (401 or 431)."""
    if value is None:
        raise Refused(401, "no-claim", f"Authorization: {AUTH_SCHEME} <base64 of a fetch envelope> is missing")
    _cap(value, "Authorization")
    scheme, _, encoded = value.partition(" ")
    if scheme != AUTH_SCHEME:
        raise Refused(401, "no-claim", f"the Authorization scheme must be {AUTH_SCHEME}")
    try:
        return from_base64(encoded, what="claim")
    except WireError as error:
        raise Refused(401, "bad-claim", str(error)) from error


def parse_range(value: str | None, *, size: int) -> tuple[int, int] | None:
    """Return [start, end) of one byte range (RFC 9110, 14.1.2); None means the whole; raises Refused (416).

    A header that is no single byte range is ignored, as the RFC lets a server do.
    """
    match = _RANGE_FORM.fullmatch(value) if value is not None else None
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if first == "":
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return None
    if start >= end:
        raise Refused(416, "no-such-range", f"the bundle has {size} bytes")
    return start, end


def _cap(value: str, name: str) -> None:
    if len(value) > MAX_HEADER_CHARS:
        raise Refused(431, "header-too-large", f"{name} has {len(value)} characters; {MAX_HEADER_CHARS} at the most")


def _decode(encoded: str, name: str) -> bytes:
    try:
        return from_base64(encoded, what=name)
    except WireError as error:
        raise Refused(400, "bad-header", str(error)) from error
