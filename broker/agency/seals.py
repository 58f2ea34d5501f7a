"""Whether a clip is as the device filmed it: its pictures against the chain of statements signed at capture.

    segments.json    {"clips": [{"file": "clip-1.mp4", "segments": ["<base64 of a segment statement>", ...]}]}

A statement gives the digest of a segment's plaintext (broker.wire.segments), and all that goes into that digest stands
in the MP4. So the file is cut at keyframes, each piece is encoded as a segment again, and the digests are compared.

A derived clip, one with transformations, has other pictures: of it only the chain and the times can be checked.
"""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from broker.wire.encoding import WireError, from_base64, parse_json
from broker.wire.envelopes import open_envelope
from broker.wire.records import Release, SegmentStatement, SharedClip
from broker.wire.segments import (
    MAX_SEGMENT_BYTES,
    MAX_UNITS,
    TICKS_PER_SECOND,
    WireAccessUnit,
    encode_segment,
    segment_digest,
)

from .film import FilmError, Track, open_track
from .tarball import MAX_SEGMENTS_BYTES

TOLERANCE_US = 1_000
TOLERANCE_TICKS = 4  # each time is rounded to a tick once or twice
MAX_TRIES = 64  # keyframes at which a segment's end is tried, where the times don't tell
MAX_STATEMENTS = 4_000


class AlteredError(Exception):
    """The pictures in a file are not those that were signed."""


def parse_segments(data: bytes) -> dict[str, tuple[bytes, ...]]:
    """Return the statements' envelopes for each clip file; raises WireError."""
    body = parse_json(data, max_bytes=MAX_SEGMENTS_BYTES, what="segments.json")
    if not isinstance(body, dict) or set(body) != {"clips"} or not isinstance(body["clips"], list):
        raise WireError("segments.json must have exactly a list of clips")
    found: dict[str, tuple[bytes, ...]] = {}
    for clip in body["clips"]:
        name, envelopes = _parse_clip(clip)
        if name in found:
            raise WireError(f"segments.json has {name[:80]!r} twice")
        found[name] = envelopes
    return found


def _parse_clip(clip: Any) -> tuple[str, tuple[bytes, ...]]:
    match clip:
        case {"file": str(name), "segments": list(texts)} if len(clip) == len(("file", "segments")):
            if len(texts) > MAX_STATEMENTS or not all(isinstance(text, str) for text in texts):
                raise WireError(f"segments.json: the segments of {name[:80]!r} are no list of envelopes")
            return name, tuple(from_base64(text, what="segment statement") for text in texts)
    raise WireError("segments.json: a clip must have exactly a file and its segments")


def check_chain(envelopes: Sequence[bytes], clip: SharedClip, release: Release) -> tuple[SegmentStatement, ...]:
    """Return the statements of a clip if they are one unbroken piece of the device's chain; raises WireError."""
    if not envelopes:
        raise WireError("no statement of its capture came with it")
    statements: list[SegmentStatement] = []
    expected_prev: str | None = None
    for envelope in envelopes:
        kind = SegmentStatement.payload_type()
        payload = open_envelope(envelope, payload_type=kind, key=release.device_key)
        statement = SegmentStatement.from_payload(payload)
        if (statement.device, statement.camera) != (release.device, release.camera):
            raise WireError(f"segment {statement.seq} was filmed by {statement.device}/{statement.camera}")
        if statements:
            _check_link(statements[-1], statement, expected_prev)
        statements.append(statement)
        expected_prev = hashlib.sha256(payload).hexdigest()
    _check_range(statements, clip)
    return tuple(statements)


def _check_link(before: SegmentStatement, after: SegmentStatement, expected_prev: str | None) -> None:
    if after.seq != before.seq + 1:
        raise WireError(f"segment {before.seq} is followed by segment {after.seq}")
    if after.prev != expected_prev:
        raise WireError(f"segment {after.seq} does not name the one before it")
    if after.start < before.start + before.duration_us - TOLERANCE_US:
        raise WireError(f"the camera's clock runs backwards between segments {before.seq} and {after.seq}")


def _check_range(statements: Sequence[SegmentStatement], clip: SharedClip) -> None:
    first, last = statements[0], statements[-1]
    if (first.seq, last.seq) != (clip.first_seq, clip.last_seq):
        raise WireError(
            f"the release names segments {clip.first_seq} to {clip.last_seq}; "
            f"the statements are {first.seq} to {last.seq}"
        )
    start, end = first.start, last.start + last.duration_us
    if clip.transformations:
        if not start - TOLERANCE_US <= clip.start < clip.end <= end + TOLERANCE_US:
            raise WireError("it claims a time that its segments don't show")
    elif abs(start - clip.start) > TOLERANCE_US or abs(end - clip.end) > TOLERANCE_US:
        raise WireError("its statements cover another time than the release says")


def check_length(path: Path, clip: SharedClip) -> None:
    """Raise AlteredError unless a derived clip is a film, and no longer than the time that it claims."""
    try:
        with open_track(path) as track:
            shown = [unit.pts for unit in track.units]
    except FilmError as error:
        raise AlteredError(str(error)) from error
    if not shown:
        raise AlteredError("it holds no pictures")
    if max(shown) - min(shown) > _ticks(clip.end - clip.start) + TOLERANCE_TICKS:
        raise AlteredError("it is longer than the time it claims")


def check_pictures(path: Path, statements: Sequence[SegmentStatement]) -> None:
    """Raise AlteredError unless a clip's pictures are those of the statements, all of them and in their places."""
    try:
        with open_track(path) as track:
            _compare(track, statements)
    except (FilmError, WireError) as error:
        raise AlteredError(str(error)) from error


def _compare(track: Track, statements: Sequence[SegmentStatement]) -> None:
    units = _Lookahead(track.units)
    if units.next is None:
        raise AlteredError("it holds no pictures")
    shown_from = units.next.pts
    for at, statement in enumerate(statements):
        if units.next is None:
            raise AlteredError(f"it ends before segment {statement.seq}")
        place = units.next.pts - shown_from
        if abs(place - _ticks(statement.start - statements[0].start)) > TOLERANCE_TICKS:
            raise AlteredError(f"segment {statement.seq} is not shown when it was filmed")
        end_us = statements[at + 1].start if at + 1 < len(statements) else None
        end = None if end_us is None else shown_from + _ticks(end_us - statements[0].start)
        _take_segment(track, units, statement, end)
    if units.next is not None:
        raise AlteredError("it holds pictures behind its last segment")


def _take_segment(track: Track, units: "_Lookahead", statement: SegmentStatement, end: int | None) -> None:
    """Consume the units of one segment: up to the keyframe where the digest of all before it is the statement's.

    A segment may hold several keyframes, and a clock that was set may have moved the next one from where the times
    expect it; so the digest decides, at the expected place and at the first keyframes before it.
    """
    taken: list[WireAccessUnit] = []
    size = tries = 0
    for unit in units.consume():
        taken.append(unit)
        size += len(unit.data)
        if size > MAX_SEGMENT_BYTES or len(taken) > MAX_UNITS:
            break
        after = units.next
        if after is not None and not after.keyframe:
            continue
        expected = after is None or (end is not None and abs(after.pts - end) <= TOLERANCE_TICKS)
        tries += 1
        if (expected or tries <= MAX_TRIES) and _digest(track, taken) == statement.sha256:
            return
    raise AlteredError(f"the pictures of segment {statement.seq}, or some after it, are not as they were signed")


def _digest(track: Track, units: Sequence[WireAccessUnit]) -> str:
    return segment_digest(
        encode_segment(
            codec=track.codec, width=track.width, height=track.height, extradata=track.extradata, units=units
        )
    )


def _ticks(us: int) -> int:
    return round(us * TICKS_PER_SECOND / 1_000_000)


class _Lookahead:
    """An iterator of units of which the next can be seen."""

    def __init__(self, units: Iterator[WireAccessUnit]) -> None:
        self._units = units
        self.next: WireAccessUnit | None = next(units, None)

    def consume(self) -> Iterator[WireAccessUnit]:
        """Yield units; each is gone from `next` when it is yielded."""
        while self.next is not None:
            unit, self.next = self.next, next(self._units, None)
            yield unit
