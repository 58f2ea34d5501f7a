"""Two recordings of one view, or two scenes, as one source: the first is kept, the second looked at.

They are merged by wall time, in the order in which a camera would have sent them. The first says when it is over.
"""

from collections.abc import Iterator
from dataclasses import replace

from device.video.errors import SourceError
from device.video.faults import FAULTS, reason_of
from device.video.packets import Packet, Ring, Watched, us_from_ticks
from device.video.source.capture import Item, Source


class PairSource:
    """What is kept as `Packet` without luma, what is looked at as `Watched`. The bell is the first one's."""

    def __init__(self, kept: Source, watched: Source, *, names: tuple[str, str]) -> None:
        """`names`: what both are called in an error, in this order."""
        self._kept = kept
        self._watched = watched
        self._names = names

    @property
    def dropped(self) -> int:
        """Packets of both that were lost so far."""
        return self._kept.dropped + self._watched.dropped

    def close(self) -> None:
        """End both after the packet under way."""
        self._kept.close()
        self._watched.close()

    def items(self) -> Iterator[Item | None]:
        """Give what comes next of either; SourceError if one can't be used."""
        watched = self._looked_at()
        ahead = next(watched, None)
        for item in self._kept.items():
            while ahead is not None and item is not None and _due_us(ahead) <= _due_us(item):
                yield Watched(ahead)
                ahead = next(watched, None)
            yield replace(item, luma=None) if isinstance(item, Packet) and item.luma is not None else item

    def _looked_at(self) -> Iterator[Packet]:
        """Packets of the second; its errors say so themselves, as whoever films has only the first one's name."""
        try:
            yield from (item for item in self._watched.items() if isinstance(item, Packet))
        except FAULTS as fault:
            kept, watched = self._names
            raise SourceError(source=kept, reason=f"its second stream, {watched}: {reason_of(fault)}") from fault


def _due_us(item: Item) -> int:
    """When an item would have come: a picture at its turn to be decoded."""
    if isinstance(item, Ring):
        return item.at_us
    packet = item.packet if isinstance(item, Watched) else item
    return packet.at_us - us_from_ticks(packet.unit.pts - packet.unit.dts)
