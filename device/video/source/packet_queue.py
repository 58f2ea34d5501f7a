"""Packets on their way from reading threads to the one that films, bounded in bytes for each stream.

When nobody takes what it holds, whole groups of pictures are dropped from its newest end and counted: a camera is never
made to wait, what was filmed first stays, and neither of two streams crowds out the other.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from device.video.packets import Packet, Watched

# What a packet costs beside its data.
_OVERHEAD_BYTES = 512


@dataclass(slots=True)
class _Lane:
    fed_s: float
    bytes: int = 0
    skipping: bool = False


class PacketQueue:
    """Takes the packets of some streams in the order in which they come; a full one takes the rest of its group away.

    Stream 0 is what is kept; its packets come out as they are, those of others as `Watched`.
    """

    def __init__(self, *, max_bytes: int, streams: int = 1, steady_s: Callable[[], float] = time.monotonic) -> None:
        self._max_bytes = max_bytes
        self._steady_s = steady_s
        self._packets: deque[tuple[int, Packet]] = deque()
        self._lanes = [_Lane(fed_s=steady_s()) for _ in range(streams)]
        self._ready = threading.Condition()
        self.closed = False
        self.reason: str | None = None
        self.dropped = 0

    @property
    def held_bytes(self) -> int:
        """What is held for all streams."""
        return sum(lane.bytes for lane in self._lanes)

    def silent_s(self, stream: int) -> float:
        """How long ago the last packet of a stream came, taken or dropped; or, before the first, the beginning."""
        return self._steady_s() - self._lanes[stream].fed_s

    def put(self, packet: Packet, *, stream: int = 0) -> None:
        """Add a packet, or drop it with all that follow of its stream until a keyframe finds room."""
        size = _size(packet)
        lane = self._lanes[stream]
        with self._ready:
            lane.fed_s = self._steady_s()
            full = lane.bytes + size > self._max_bytes
            lane.skipping = full or (lane.skipping and not packet.unit.keyframe)
            if lane.skipping or self.closed:
                self.dropped += lane.skipping
                return
            self._packets.append((stream, packet))
            lane.bytes += size
            self._ready.notify()

    def take(self, wait_s: float) -> Packet | Watched | None:
        """Take the oldest packet; None if there is none within that time, or the queue is closed and empty."""
        with self._ready:
            if not self._packets and not self.closed:
                self._ready.wait(wait_s)
            if not self._packets:
                return None
            stream, packet = self._packets.popleft()
            self._lanes[stream].bytes -= _size(packet)
            return Watched(packet) if stream else packet

    def close(self, reason: str | None) -> None:
        """No more will come; the first reason given stands."""
        with self._ready:
            if not self.closed:
                self.closed, self.reason = True, reason
            self._ready.notify_all()


def _size(packet: Packet) -> int:
    # A luma plane may be a view of a whole picture, colours and all, which it keeps in memory.
    luma = packet.luma
    return len(packet.unit.data) + _OVERHEAD_BYTES + (0 if luma is None else luma.nbytes * 3 // 2)
