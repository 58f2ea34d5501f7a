"""Takes H.264 packets over as they are: nothing is decoded, nothing encoded.

A damaged packet breaks the rest of its group of pictures, which is dropped and counted. Some servers repeat parameter
sets within a picture, and libavformat then gives it in two packets; these are put together again. To know of it a
keyframe waits for the packet after it, until one came whole; after that only where a picture came in parts before.
Parts that go on beyond what a segment may hold are damage, too: nobody could keep such a picture.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

from device.video.codec.canonical import Canonical, NoPictureError
from device.video.codec.h264 import continues_picture
from device.video.errors import BitstreamError
from device.video.packets import AccessUnit, Packet
from device.video.source.damage import Damage

MAX_PICTURE_BYTES = 4_500_000  # as `SegmentSettings.max_bytes`


class Demuxed(NamedTuple):
    """A packet as its container gave it: stamps and duration in ticks of 90 kHz, as far as it knew them.

    `extradata` comes where the container says that the parameter sets change.
    """

    data: bytes
    dts: int | None
    pts: int | None
    duration: int | None = None
    corrupt: bool = False
    extradata: bytes | None = None


class Place(NamedTuple):
    """Where a picture stands in its film: ticks of 90 kHz, and microseconds of our wall clock."""

    dts: int
    pts: int
    at_us: int
    duration_us: int


class Copier:
    """Packets of one H.264 stream. `place` is asked once for each picture in order, those that are dropped too."""

    def __init__(self, *, extradata: bytes | None, place: Callable[[Demuxed], Place], damage: Damage) -> None:
        self._canonical = Canonical(extradata=extradata)
        self._place = place
        self._damage = damage
        # Nothing fits before the first keyframe.
        self._broken = True
        self._held: Packet | None = None
        self._rest = bytearray()  # what came of the held picture after its first packet
        self._hold_keyframes, self._hold_all, self._parted = True, False, False
        self._last: AccessUnit | None = None
        self._last_stamp: int | None = None
        self.dropped = 0

    def packets(self, demuxed: Iterable[Demuxed]) -> Iterator[Packet]:
        """Give all pictures that can be used."""
        for one in demuxed:
            try:
                unit = self._unit(one)
            except NoPictureError:
                continue
            if unit is not None and continues_picture(unit.data):
                self._join(one, unit)
                continue
            if self._held is not None:
                yield self._release(self._held)
            packet = self._picture(one, unit)
            if packet is None:
                self.dropped += 1
            elif self._hold_all or (self._hold_keyframes and packet.unit.keyframe):
                self._held = packet
            else:
                yield packet
        if self._held is not None:
            yield self._release(self._held)

    def _unit(self, one: Demuxed) -> AccessUnit | None:
        try:
            if one.extradata:
                self._canonical.begin(one.extradata)
            if not one.corrupt:
                return self._canonical.unit(one.data, dts=0, pts=0)
            reason = "a packet came damaged"
        except NoPictureError:
            raise
        except BitstreamError as error:
            reason = error.reason
        self._damage.found(reason)
        return None

    def _picture(self, one: Demuxed, unit: AccessUnit | None) -> Packet | None:
        """Return the packet of a picture that begins; None if it can't be used."""
        place = self._place(one)
        self._last, self._last_stamp = unit, one.pts
        self._broken = unit is None or (self._broken and not unit.keyframe)
        config = self._canonical.config
        if self._broken or unit is None or config is None:
            return None
        placed = AccessUnit(dts=place.dts, pts=place.pts, keyframe=unit.keyframe, data=unit.data)
        return Packet(config=config, unit=placed, at_us=place.at_us, duration_us=place.duration_us)

    def _join(self, one: Demuxed, unit: AccessUnit) -> None:
        """Add what goes on in the middle of a picture to its beginning; without one, the picture is lost."""
        same = self._last is not None and (self._last_stamp is None or self._last_stamp == one.pts)
        reason = "a picture without its beginning"
        if same and self._held is not None:
            self._parted = True
            if len(self._held.unit.data) + len(self._rest) + len(unit.data) <= MAX_PICTURE_BYTES:
                self._rest += unit.data
                return
            reason = f"a picture of more than {MAX_PICTURE_BYTES:,} bytes"
            self._held = self._last = None
            self._rest.clear()
        elif same and self._last is not None:
            self._hold_keyframes = self._parted = True
            self._hold_all = self._hold_all or not self._last.keyframe
        self._damage.found(reason)
        self._broken = True
        self.dropped += 1

    def _release(self, held: Packet) -> Packet:
        if self._rest:
            held = replace(held, unit=replace(held.unit, data=held.unit.data + self._rest))
            self._rest.clear()
        self._held = None
        if held.unit.keyframe:
            self._hold_keyframes = self._parted
        return held
