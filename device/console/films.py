"""Clips as the unlocked console sees them: read sealed from the daemons, opened in memory, shown as MP4. Never on disk.

Blocking; a clip is opened once and kept while there is room, so that seeking costs nothing. All of it is gone with the
process that unlocked.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from broker.wire.records import SegmentStatement
from device.consent import review
from device.consent.errors import ConsentError
from device.consent.review import SealedSegment
from device.reviewing import device_facts, sealed_segments
from device.vault.sealing import unseal
from device.video.codec.mux import mux_mp4
from device.video.redact.strip import filmstrip
from device.video.segments import Segment

from .household import Device

MOST_BYTES = 384 << 20
MOST_SHOWN_BYTES = 192 << 20  # of one clip in one film
STRIP_PICTURES = 60
STRIP_HEIGHT = 72
FOREVER_US = 1 << 62
T = TypeVar("T")
Part = tuple[SegmentStatement, SealedSegment]


@dataclass(frozen=True, slots=True)
class Opened:
    """A clip, or the beginning of one: what the device signed of each segment, and its pictures."""

    parts: tuple[Part, ...]
    segments: tuple[Segment, ...]

    @property
    def start_us(self) -> int:
        """Wall clock of the first picture."""
        return self.segments[0].start_us

    @property
    def end_us(self) -> int:
        """Wall clock at which the last picture ends."""
        return self.segments[-1].end_us

    @property
    def bytes(self) -> int:
        """How large the pictures are."""
        return sum(segment.size_bytes for segment in self.segments)

    def between(self, from_us: int, until_us: int) -> tuple[Segment, ...]:
        """Return the segments that show some of a range, as many as one film may hold; all of them if none does."""
        found = [one for one in self.segments if one.start_us < until_us and one.end_us > from_us]
        return _fitting(found or self.segments)


@dataclass(frozen=True, slots=True)
class Film:
    """An MP4 and what it shows."""

    mp4: bytes
    start_us: int
    end_us: int
    width: int
    height: int


class Films:
    """Everything that was opened, the least used going first."""

    def __init__(self, identity: str) -> None:
        self.identity = identity
        self._opened: _Kept[Opened] = _Kept(MOST_BYTES)
        self._films: _Kept[Film] = _Kept(MOST_BYTES)
        self._strips: _Kept[tuple[tuple[int, bytes], ...]] = _Kept(MOST_BYTES // 8)

    def clip(self, device: Device, clip: str) -> Opened:
        """Return a clip as far as it is filmed; raises ControlError, ConsentError."""
        sealed = sealed_segments(device, clip)
        key = (device.name, clip, len(sealed))

        def read() -> tuple[Opened, int]:
            key = device_facts(device).key
            parts = review.cut(sealed, device_key=key, start_us=0, end_us=FOREVER_US, limit_us=FOREVER_US)
            if not parts:
                raise ConsentError("nothing of this clip is kept (yet)")
            opened = Opened(tuple(parts), tuple(review.open_segments(parts, self.identity)))
            return opened, opened.bytes

        return self._opened.get(key, read)

    def film(self, device: Device, clip: str, from_us: int, until_us: int) -> Film:
        """Return what a clip shows of a range, to whole segments, packets as they were filmed."""
        opened = self.clip(device, clip)
        segments = opened.between(from_us, until_us)
        key = (device.name, clip, segments[0].start_us, segments[-1].end_us)

        def mux() -> tuple[Film, int]:
            config = segments[0].config
            mp4 = mux_mp4(segments)
            film = Film(mp4, segments[0].start_us, segments[-1].end_us, config.width, config.height)
            return film, len(mp4)

        return self._films.get(key, mux)

    def strip(self, device: Device, clip: str) -> tuple[tuple[int, bytes], ...]:
        """Return a clip's filmstrip: (time, JPEG) of pictures spread over it."""
        opened = self.clip(device, clip)

        def draw() -> tuple[tuple[tuple[int, bytes], ...], int]:
            pictures = tuple(filmstrip(opened.segments, height=STRIP_HEIGHT, most=STRIP_PICTURES))
            return pictures, sum(len(jpeg) for _, jpeg in pictures)

        return self._strips.get((device.name, clip, len(opened.segments)), draw)

    def thumbnail(self, device: Device, clip: str, number: int) -> bytes:
        """Return one thumbnail of a clip, a JPEG."""
        return unseal(device.exchange("thumbnail", clip=clip, number=number)[1], self.identity)


class _Kept(Generic[T]):
    """A bounded number of bytes of what was made, by key. What two ask for at once is made once."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._lock = threading.Lock()
        self._held: OrderedDict[tuple[object, ...], tuple[T, int]] = OrderedDict()
        self._making: dict[tuple[object, ...], threading.Lock] = {}

    def get(self, key: tuple[object, ...], make: Callable[[], tuple[T, int]]) -> T:
        """Return what is kept, or make it; `make` returns it with its size in bytes."""
        with self._lock:
            making = self._making.setdefault(key, threading.Lock())
        try:
            with making:
                found = self._find(key)
                if found is not None:
                    return found
                made, size = make()
                self._keep(key, made, size)
                return made
        finally:
            with self._lock:
                self._making.pop(key, None)

    def _find(self, key: tuple[object, ...]) -> T | None:
        with self._lock:
            if key not in self._held:
                return None
            self._held.move_to_end(key)
            return self._held[key][0]

    def _keep(self, key: tuple[object, ...], made: T, size: int) -> None:
        with self._lock:
            self._held[key] = (made, size)
            while sum(held for _, held in self._held.values()) > self._most and len(self._held) > 1:
                self._held.popitem(last=False)


def _fitting(segments: Sequence[Segment]) -> tuple[Segment, ...]:
    """Return as many segments, from the first on, as a film may hold, of one configuration."""
    total = 0
    found: list[Segment] = []
    for segment in segments:
        total += segment.size_bytes
        if found and (total > MOST_SHOWN_BYTES or segment.config != found[0].config):
            break
        found.append(segment)
    return tuple(found)
