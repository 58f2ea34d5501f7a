"""Operations that show what was filmed, sealed as it lies there: a day's events and clips, thumbnails, segments."""

import asyncio
from collections.abc import Mapping
from typing import Any

from broker.wire.encoding import WireError, to_base64
from device.consent.errors import ConsentError
from device.control import Answer
from device.eventlog import EventLog
from device.vault.clipring import ClipRing

from .arguments import take, take_range

MOST_EVENTS = MOST_CLIPS = 2_000
MOST_RUN_BYTES = 32 << 20


class FootageOperations:
    """What was filmed. Nothing here opens a seal."""

    NAMES = ("day", "thumbnail", "segments", "read_segment", "read_segments")

    def __init__(self, ring: ClipRing, events: EventLog) -> None:
        self._ring = ring
        self._events = events

    async def day(self, arguments: Mapping[str, Any], body: bytes) -> Answer:
        """Return the events and clips of a range of time, in order; where there are more, the newest of them."""
        from_us, until_us = take_range(arguments, body)
        return await asyncio.to_thread(self._day, from_us, until_us), b""

    async def thumbnail(self, arguments: Mapping[str, Any], body: bytes) -> Answer:
        """Return one of a clip's sealed thumbnails."""
        clip, number = take(arguments, body, clip=str, number=int)

        def read() -> bytes:
            found = self._ring.thumbnails(clip)
            if not 0 <= number < len(found):
                raise ConsentError(f"clip {clip[:40]} has no thumbnail {number}")
            return self._ring.read_sealed(found[number])

        return {}, await asyncio.to_thread(read)

    async def segments(self, arguments: Mapping[str, Any], body: bytes) -> Answer:
        """Return the device's signed statements on a clip's segments."""
        (clip,) = take(arguments, body, clip=str)
        found = await asyncio.to_thread(self._ring.segments, clip)
        return [to_base64(segment.statement) for segment in found], b""

    async def read_segment(self, arguments: Mapping[str, Any], body: bytes) -> Answer:
        """Return one sealed segment."""
        clip, number = take(arguments, body, clip=str, number=int)
        (sealed,) = await asyncio.to_thread(self._run, clip, number, 1)
        return {}, sealed

    async def read_segments(self, arguments: Mapping[str, Any], body: bytes) -> Answer:
        """Return the sizes of sealed segments and the segments, one after the other: as many as fit, at least one."""
        clip, first, count = take(arguments, body, clip=str, first=int, count=int)
        if count < 1:
            raise WireError("count must be 1 or more")
        sealed = await asyncio.to_thread(self._run, clip, first, count)
        return [len(one) for one in sealed], await asyncio.to_thread(b"".join, sealed)

    def _run(self, clip: str, first: int, count: int) -> list[bytes]:
        sealed = self._ring.read_run(clip, first=first, count=count, most_bytes=MOST_RUN_BYTES) if first >= 0 else []
        if not sealed:
            raise ConsentError(f"clip {clip[:40]} has no segment {first}")
        return sealed

    def _day(self, from_us: int, until_us: int) -> dict[str, Any]:
        events = self._events.between(from_us, until_us, most=MOST_EVENTS + 1)
        clips = self._ring.clips(from_us, until_us)
        more = len(events) > MOST_EVENTS or len(clips) > MOST_CLIPS
        events, clips = events[-MOST_EVENTS:], clips[-MOST_CLIPS:]
        here = self._ring.here([event["clip"] for event in events if event["clip"] is not None])
        times = self._ring.thumbnail_times([info.clip for info in clips])
        return {
            "events": [{**event, "clip": event["clip"] if event["clip"] in here else None} for event in events],
            "clips": [
                {
                    "clip": info.clip,
                    "start_us": info.start_us,
                    "end_us": info.until_us,
                    "open": info.end_us is None,
                    "bytes": info.bytes,
                    "thumbnails": times.get(info.clip, []),
                }
                for info in clips
            ],
            "more": more,
        }
