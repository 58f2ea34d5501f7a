"""A camera over RTSP or V4L2: read by a thread of its own into a bounded queue.

When nobody takes what the queue holds, whole groups of pictures are dropped from its newest end and counted: the
camera is never made to wait, and what was filmed first stays.
"""

import threading
import time
from collections import deque
from collections.abc import Iterator

import av
from av.container import InputContainer

from device.video.capture import CaptureSettings, SourceSpec
from device.video.clock import Clock
from device.video.errors import SourceVanishedError
from device.video.faults import FAULTS, reason_of
from device.video.packets import Packet, Ring, us_from_ticks
from device.video.streams import StreamReader

_LOOK_ABOUT_S = 0.2
# The camera's clock may run differently from ours by so much before its pictures are dated anew.
_MAX_BEHIND_US = 1_000_000
_MAX_AHEAD_US = 5_000_000
# Below this a difference is jitter; above, it is worn off by so much a picture, which nobody sees.
_JITTER_US = 300_000
_SLEW_US = 500


class LiveSource:
    """Packets of a camera, dated by our clock: the camera's own timestamps, tied to the moment its first one came."""

    def __init__(self, spec: SourceSpec, *, settings: CaptureSettings, clock: Clock) -> None:
        self._spec = spec
        self._settings = settings
        self._clock = clock
        self._anchor_us: int | None = None
        self._queue = PacketQueue(max_bytes=settings.queue_bytes)
        self._reader: StreamReader | None = None

    @property
    def dropped(self) -> int:
        """Packets lost so far."""
        return self._queue.dropped + (self._reader.dropped if self._reader else 0)

    def close(self) -> None:
        """Let the reading thread end; it does so at the camera's next packet or at its time-out."""
        self._queue.close(None)

    def items(self) -> Iterator[Packet | Ring | None]:
        """Give the camera's packets; SourceVanishedError when it stops, stalls or can't be reached."""
        threading.Thread(target=self._read, name="video-live", daemon=True).start()
        quiet_since = time.monotonic()
        limit_s = self._settings.open_timeout_s + self._settings.stall_s
        while True:
            packet = self._queue.take(_LOOK_ABOUT_S)
            if packet is not None:
                quiet_since, limit_s = time.monotonic(), self._settings.stall_s
            elif self._queue.closed:
                if self._queue.reason is None:
                    return
                raise SourceVanishedError(source=self._spec.shown, reason=self._queue.reason)
            elif time.monotonic() - quiet_since > limit_s:
                self.close()
                raise SourceVanishedError(source=self._spec.shown, reason="nothing came for too long")
            yield packet

    def _read(self) -> None:
        try:
            with self._open() as container:
                reader = StreamReader(container, name=self._spec.shown, encoder=self._settings.encoder, wall=self._wall)
                self._reader = reader
                for packet in reader.packets():
                    if self._queue.closed:
                        return
                    if packet.at_us - self._clock.now_us() > _MAX_AHEAD_US:
                        self._queue.close("our clock was set back")
                        return
                    self._queue.put(packet)
            self._queue.close("the camera ended its stream")
        except FAULTS as fault:
            self._queue.close(reason_of(fault))

    def _open(self) -> InputContainer:
        timeout = (self._settings.open_timeout_s, self._settings.stall_s)
        if self._spec.kind == "v4l2":
            return av.open(self._spec.location, "r", format="v4l2", timeout=timeout)
        options = {"rtsp_transport": self._settings.rtsp_transport, "allowed_media_types": "video"}
        return av.open(self._spec.location, "r", format="rtsp", options=options, timeout=timeout)

    def _wall(self, ticks: int) -> int:
        """Date a picture by its place in the camera's film; the camera's clock and ours are kept together gently."""
        now_us, media_us = self._clock.now_us(), us_from_ticks(ticks)
        if self._anchor_us is None:
            self._anchor_us = now_us - media_us
        behind_us = now_us - (self._anchor_us + media_us)
        if behind_us > _MAX_BEHIND_US:
            # Ahead only: wall-clock times of a source never run backwards.
            self._anchor_us = now_us - media_us
        elif abs(behind_us) > _JITTER_US:
            self._anchor_us += _SLEW_US if behind_us > 0 else -_SLEW_US
        return self._anchor_us + media_us


class PacketQueue:
    """From one thread to another, bounded in bytes; a packet that finds it full takes the rest of its group with it."""

    def __init__(self, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._packets: deque[Packet] = deque()
        self._bytes = 0
        self._skipping = False
        self._ready = threading.Condition()
        self.closed = False
        self.reason: str | None = None
        self.dropped = 0

    def put(self, packet: Packet) -> None:
        """Add a packet, or drop it with all that follow until a keyframe finds room."""
        size = len(packet.unit.data) + (0 if packet.luma is None else packet.luma.nbytes)
        with self._ready:
            full = self._bytes + size > self._max_bytes
            self._skipping = full or (self._skipping and not packet.unit.keyframe)
            if self._skipping:
                self.dropped += 1
                return
            self._packets.append(packet)
            self._bytes += size
            self._ready.notify()

    def take(self, wait_s: float) -> Packet | None:
        """Take the oldest packet; None if there is none within that time, or the queue is closed and empty."""
        with self._ready:
            if not self._packets and not self.closed:
                self._ready.wait(wait_s)
            if not self._packets:
                return None
            packet = self._packets.popleft()
            self._bytes -= len(packet.unit.data) + (0 if packet.luma is None else packet.luma.nbytes)
            return packet

    def close(self, reason: str | None) -> None:
        """No more will come; the first reason given stands."""
        with self._ready:
            if not self.closed:
                self.closed, self.reason = True, reason
            self._ready.notify_all()
