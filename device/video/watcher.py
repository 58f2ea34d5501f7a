"""From packets to motion readings: decodes in batches, shrinks, looks. One for each source; knows nothing of clips.

Packets wait until `batch_frames` have come, since decoding some in a row costs less than one a wake-up. They don't
wait when one is larger than those before it (something came into the picture) or while something has begun to move
but is not sure yet.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import structlog
from numpy.typing import NDArray

from device.video.decoder import LumaDecoder
from device.video.errors import BitstreamError
from device.video.motion import MotionReading, MotionSettings, MotionState, read_motion, shrink
from device.video.packets import CodecConfig, Packet

log = structlog.get_logger()

_PICTURE_WIDTH = 320
_SUSPICIOUS_RATIO = 1.3
_SUSPICIOUS_BYTES = 60
_MEAN_OF = 16


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A reading, and the luma it was made from at some 320 to 640 pixels wide: a view, gone with the next one."""

    reading: MotionReading
    picture: NDArray[np.uint8]


class Watcher:
    """Holds at most `batch_frames` packets, a decoder and the motion state."""

    def __init__(self, settings: MotionSettings, *, batch_frames: int) -> None:
        self._settings = settings
        self._batch_frames = batch_frames
        self._waiting: list[Packet] = []
        self._decoder: LumaDecoder | None = None
        self._config: CodecConfig | None = None
        self._state = MotionState(settings=settings)
        self._mean_bytes = 0.0
        self._seconds = 0.0
        self._frames = 0
        self.undecodable = 0

    @property
    def ms_per_frame(self) -> float:
        """Mean cost of a picture so far, decoding and motion together."""
        return self._seconds * 1000 / self._frames if self._frames else 0.0

    def reset(self) -> None:
        """Forget what was seen; begins again at the next keyframe."""
        self._waiting.clear()
        self._decoder = self._config = None
        self._state = MotionState(settings=self._settings)

    def look(self, packet: Packet) -> Iterator[Seen]:
        """Take a packet; gives what was seen in it and in those that waited, or nothing yet."""
        self._waiting.append(packet)
        suspicious = self._weigh(packet)
        unsure = any(not track.confirmed for track in self._state.tracks)
        if packet.luma is not None or suspicious or unsure or len(self._waiting) >= self._batch_frames:
            yield from self.catch_up()

    def catch_up(self) -> Iterator[Seen]:
        """Give what is to be seen in the packets that wait."""
        waiting, self._waiting = self._waiting, []
        for packet in waiting:
            begun = time.perf_counter()
            for plane, at_us in self._planes(packet):
                picture = shrink(plane, width=_PICTURE_WIDTH)
                self._state, reading = read_motion(self._state, shrink(picture), at_us)
                self._frames += 1
                self._seconds += time.perf_counter() - begun
                yield Seen(reading, picture)
                begun = time.perf_counter()
            self._seconds += time.perf_counter() - begun

    def _planes(self, packet: Packet) -> Iterator[tuple[NDArray[np.uint8], int]]:
        if packet.luma is not None:
            yield packet.luma, packet.at_us
            return
        if self._decoder is None or packet.config != self._config:
            if not packet.unit.keyframe:
                return
            self._decoder, self._config = LumaDecoder(packet.config), packet.config
        try:
            for luma in self._decoder.decode(packet):
                yield luma.plane, luma.at_us
        except BitstreamError as error:
            self.undecodable += 1
            # Told at 1, 2, 4, 8: a camera whose pictures can't be seen must not go unnoticed, nor fill the log.
            if self.undecodable & (self.undecodable - 1) == 0:
                log.warning("picture_undecodable", reason=error.reason, count=self.undecodable)

    def _weigh(self, packet: Packet) -> bool:
        """Whether a packet is larger than those of its kind just before; keyframes say nothing."""
        size = len(packet.unit.data)
        if packet.unit.keyframe:
            return False
        usual, self._mean_bytes = self._mean_bytes, self._mean_bytes + (size - self._mean_bytes) / _MEAN_OF
        return size > usual * _SUSPICIOUS_RATIO + _SUSPICIOUS_BYTES
