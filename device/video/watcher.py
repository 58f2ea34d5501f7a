"""From packets to motion readings: decodes what is worth it, shrinks, looks. One for each source.

The packets of the group of pictures under way, and of those since the last picture that was looked at, are kept: what
`attention` left out is gone back for when a packet turns out suspicious, or when the next picture that is looked at
shows that something began or ended in between. So events begin where they would if every picture were looked at, and
end close to it.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import structlog
from numpy.typing import NDArray

from device.video.attention import Attention, AttentionSettings
from device.video.codec.decoder import Luma, LumaDecoder
from device.video.errors import BitstreamError
from device.video.motion.detector import MotionReading, MotionSettings, MotionState, read_motion, shrink
from device.video.packets import CodecConfig, Packet

log = structlog.get_logger()

_PICTURE_WIDTH = 320
# Pictures closer than this to the one looked at last are decoded and not looked at: motion is made for 15 a second.
_LOOK_EVERY_US = 45_000
_COST_OF = 256
_ENDLESS = 1 << 30
# Groups left out for longer are let go of: pictures that can't be decoded are never looked at.
_GO_BACK_US = 10_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A reading, and the luma it was made from at some 320 to 640 pixels wide: a view, gone with the next one."""

    reading: MotionReading
    picture: NDArray[np.uint8]


class Watcher:
    """Holds packets of some seconds, a decoder and the motion state."""

    def __init__(self, settings: MotionSettings, attention: AttentionSettings) -> None:
        self._settings = settings
        self._attention_settings = attention
        self._cost = _Cost()
        self.undecodable = 0
        self.watched = 0
        self.decoded = 0
        self.reset()

    @property
    def ms_per_frame(self) -> float:
        """Mean cost of one of the last packets: decoding and motion together, 0 for those that were left out."""
        return self._cost.ms

    @property
    def relaxed(self) -> bool:
        """Whether nothing is lost if the next packets come some at a time."""
        state = self._state
        return self._attention.relaxed(stirring=state.stirring, holding=state.holding)

    def reset(self) -> None:
        """Forget what was seen; begins again at the next keyframe."""
        self._group: list[Packet] = []
        self._fed = 0
        self._drained = False
        self._left_out: list[list[Packet]] = []
        self._decoder: LumaDecoder | None = None
        self._config: CodecConfig | None = None
        self._attention = Attention(self._attention_settings)
        self._state = MotionState(settings=self._settings)
        self._looked_us: int | None = None
        self._active = False

    def look(self, packet: Packet) -> Iterator[Seen]:
        """Take a packet; gives what was seen in it and in those that waited, or nothing yet."""
        self._cost.begin()
        self.watched += 1
        if packet.luma is not None:
            self.decoded += 1
            yield from self._read(Luma(packet.luma, packet.at_us))
        elif packet.unit.keyframe or self._decoder is not None:
            if packet.unit.keyframe:
                # In batches some of the last group may still wait; they come before, as does what a decoder holds back.
                yield from self._go_on(ended=True)
                if self._decoder is not None and self._config != packet.config:
                    yield from self._drain(self._decoder)
                self._begin_group(packet)
            self._group.append(packet)
            self._attention.arrived(packet)
            yield from self._go_on(ended=False)
            if not self._attention.short_groups:
                # A camera that never gives a keyframe again: what was decoded won't be gone back for.
                del self._group[: self._fed]
                self._fed = 0
        self._cost.end()

    def catch_up(self) -> Iterator[Seen]:
        """Give what is to be seen in the packets that wait, at the end of a film."""
        yield from self._go_on(ended=True)
        if self._decoder is not None:
            yield from self._drain(self._decoder)
        if self._fed < len(self._group) and self._group[0].unit.keyframe:
            yield from self._go_back(self._group)
        self._group, self._fed, self._decoder = [], 0, None

    def _begin_group(self, keyframe: Packet) -> None:
        if self._decoder is None or self._config != keyframe.config:
            self._decoder, self._config = LumaDecoder(keyframe.config), keyframe.config
        if self._fed < len(self._group):
            self._left_out.append(self._group)
        while self._left_out and keyframe.at_us - self._left_out[0][0].at_us > _GO_BACK_US:
            del self._left_out[0]
        self._group, self._fed, self._drained = [], 0, False

    def _go_on(self, *, ended: bool) -> Iterator[Seen]:
        """Decode as far as attention reaches; what it sees may make it reach further, or less far."""
        decoder = self._decoder
        if decoder is None:
            return
        while self._fed < self._reach(ended=ended):
            if self._drained:
                self._fed, self._drained = 0, False
            packet = self._group[self._fed]
            self._fed += 1
            self.decoded += 1
            for luma in self._decoded(decoder.decode(packet)):
                yield from self._read(luma)
        if (
            decoder.reorders
            and self._fed
            and not self._drained
            and self._fed >= self._reach(count=_ENDLESS, ended=False)
        ):
            # Pictures held back would come with the next group, too late. To go on from here takes the whole group.
            self._drained = True
            yield from self._drain(decoder)

    def _reach(self, *, count: int | None = None, ended: bool) -> int:
        state, count = self._state, len(self._group) if count is None else count
        return self._attention.reach(count, stirring=state.stirring, holding=state.holding, ended=ended)

    def _drain(self, decoder: LumaDecoder) -> Iterator[Seen]:
        for luma in self._decoded(decoder.drain()):
            yield from self._read(luma)

    def _decoded(self, pictures: Iterator[Luma]) -> Iterator[Luma]:
        try:
            yield from pictures
        except BitstreamError as error:
            self.undecodable += 1
            # Told at 1, 2, 4, 8: a camera whose pictures can't be seen must not go unnoticed, nor fill the log.
            if self.undecodable & (self.undecodable - 1) == 0:
                log.warning("picture_undecodable", reason=error.reason, count=self.undecodable)

    def _read(self, luma: Luma) -> Iterator[Seen]:
        """Look at a picture, unless it was looked at before or comes too soon after another."""
        if self._looked_us is not None and luma.at_us < self._looked_us + _LOOK_EVERY_US:
            return
        picture = shrink(luma.plane, width=_PICTURE_WIDTH)
        small = shrink(picture)
        left_out, self._left_out = self._left_out, []
        if left_out and self._turned(small, luma.at_us):
            for group in left_out:
                yield from self._go_back(group)
        self._looked_us = luma.at_us
        self._state, reading = read_motion(self._state, small, luma.at_us)
        self._active = reading.active
        self._cost.pause()
        yield Seen(reading, picture)
        self._cost.resume()

    def _turned(self, small: NDArray[np.uint8], at_us: int) -> bool:
        """Whether with this picture something begins or ends, so that it matters what was left out before it."""
        before = self._state
        after, reading = read_motion(before, small, at_us)
        begins = after.stirring and not (before.stirring or before.holding)
        return begins or reading.active != self._active

    def _go_back(self, group: list[Packet]) -> Iterator[Seen]:
        """Look at what was left out of a group that is over; it takes a decoder of its own, from the keyframe on."""
        decoder = LumaDecoder(group[0].config)
        self.decoded += len(group)
        for packet in group:
            for luma in self._decoded(decoder.decode(packet)):
                yield from self._read(luma)
        yield from self._drain(decoder)


class _Cost:
    """Mean milliseconds for each of the last few hundred packets, without what others do in between."""

    def __init__(self) -> None:
        self._begun = 0.0
        self._spent = 0.0
        self._count = 0
        self.ms = 0.0

    def begin(self) -> None:
        self._spent = 0.0
        self.resume()

    def resume(self) -> None:
        self._begun = time.perf_counter()

    def pause(self) -> None:
        self._spent += time.perf_counter() - self._begun

    def end(self) -> None:
        self.pause()
        self._count = min(self._count + 1, _COST_OF)
        self.ms += (self._spent * 1_000 - self.ms) / self._count
