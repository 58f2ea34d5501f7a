"""Segments: closed groups of pictures as they are sealed and signed, and the rule by which packets become them.

The rule. A segment starts at an IDR picture and ends before another. Consecutive short groups are joined until the
segment is at least `min_us` long; nothing is ever split inside a group. A group longer than that stays one segment
however long, up to `max_bytes` (sealed, it must stay under 5 MB) or `max_units`: there the segment ends, and what
follows within the same group is dropped and counted, since without its beginning it could not be decoded. Pictures
before the first IDR are dropped and counted too.
"""

from dataclasses import dataclass, replace

from device.video.packets import AccessUnit, CodecConfig, Packet

# What a unit costs in memory and in a sealed record beside its data.
_UNIT_OVERHEAD_BYTES = 64
# A silence longer than this between two groups is a gap, and no part of the first.
_GAP_US = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Access units that decode by themselves.

    `start_us` is the wall clock of its first picture, `duration_us` runs to the next segment's first where there is no
    gap. `units` begin with a keyframe at dts 0; ticks of 90 kHz.
    """

    config: CodecConfig
    start_us: int
    duration_us: int
    units: tuple[AccessUnit, ...]

    @property
    def end_us(self) -> int:
        """Wall clock at which its last picture ends."""
        return self.start_us + self.duration_us

    @property
    def size_bytes(self) -> int:
        """Bytes of its access units, with what they cost beside their data."""
        return sum(len(unit.data) + _UNIT_OVERHEAD_BYTES for unit in self.units)


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentSettings:
    """How packets are grouped; see the module's head."""

    min_us: int = 950_000
    max_bytes: int = 4_500_000
    max_units: int = 4_000


class Segmenter:
    """Takes packets in decoding order, gives segments. Holds at most one segment's packets."""

    def __init__(self, settings: SegmentSettings) -> None:
        self._settings = settings
        self._held: list[Packet] = []
        self._bytes = 0
        self._full = False
        self.dropped = 0

    def push(self, packet: Packet) -> list[Segment]:
        """Add a packet; gives the segment that it completes, if any."""
        done: list[Segment] = []
        if packet.unit.keyframe and self._ends_before(packet):
            done = self._close(next_us=packet.at_us)
        if (not self._held and not packet.unit.keyframe) or self._full:
            self.dropped += 1
            return done
        size = len(packet.unit.data) + _UNIT_OVERHEAD_BYTES
        if self._bytes + size > self._settings.max_bytes or len(self._held) >= self._settings.max_units:
            full = bool(self._held)
            done += self._close(next_us=packet.at_us)
            self._full = full
            self.dropped += 1
            return done
        self._held.append(replace(packet, luma=None) if packet.luma is not None else packet)
        self._bytes += size
        return done

    @property
    def full(self) -> bool:
        """Whether the group under way is larger than a segment may be, so that the rest of it is dropped."""
        return self._full

    def flush(self) -> list[Segment]:
        """End the open segment where it stands: what is held decodes by itself."""
        return self._close(next_us=None)

    def drop(self) -> None:
        """Forget the open segment."""
        self._held, self._bytes, self._full = [], 0, False

    def _ends_before(self, packet: Packet) -> bool:
        """Whether a keyframe ends the open segment rather than joining it."""
        if not self._held or self._full or self._held[0].config != packet.config:
            return True
        first, last = self._held[0], self._held[-1]
        span = packet.at_us - first.at_us
        # Half of the bound leaves room for a group as large as what is held already.
        crowded = self._bytes * 2 > self._settings.max_bytes
        return not 0 <= span < self._settings.min_us or packet.at_us - last.at_us > _GAP_US or crowded

    def _close(self, *, next_us: int | None) -> list[Segment]:
        held = self._held
        self.drop()
        if not held:
            return []
        start_us = held[0].at_us
        own_end_us = max(packet.at_us + packet.duration_us for packet in held)
        joins = next_us is not None and 0 < next_us - max(packet.at_us for packet in held) <= _GAP_US
        end_us = next_us if joins and next_us is not None else own_end_us
        base = held[0].unit.dts
        units = tuple(
            AccessUnit(dts=p.unit.dts - base, pts=p.unit.pts - base, keyframe=p.unit.keyframe, data=p.unit.data)
            for p in held
        )
        return [Segment(config=held[0].config, start_us=start_us, duration_us=end_us - start_us, units=units)]
