"""Readings made small enough to keep one for each picture of a long film. Values only."""

import struct
from dataclasses import dataclass
from typing import Final, get_args

from device.video.motion.detector import MotionBox, MotionReading, MotionTrack
from device.video.motion.tracks import Why

_WHYS: Final[tuple[Why | None, ...]] = (None, *get_args(Why))
# Box, net way, path and age of a track; whether confirmed and seen; why not.
_TRACK = struct.Struct("<7f2B")
# More boxes in one picture than this can't be told apart.
_MOST_TRACKS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """A reading, small enough to keep one for each picture of a long film; `packed` are its tracks."""

    active: bool
    score: int
    quiet: str | None
    ignored_share: float
    packed: bytes

    @property
    def tracks(self) -> tuple[MotionTrack, ...]:
        """Its tracks again, those that count first."""
        return tuple(_unpacked(fields) for fields in _TRACK.iter_unpack(self.packed))

    @property
    def holding(self) -> bool:
        """Whether something that counts is there, seen or not."""
        return bool(self.packed) and any(track.confirmed for track in self.tracks)


def glance_of(reading: MotionReading) -> Glance:
    """Return what is kept of a reading."""
    return Glance(
        active=reading.active,
        score=reading.score,
        quiet=reading.quiet,
        ignored_share=reading.ignored_share,
        packed=b"".join(_packed(track) for track in reading.tracks[:_MOST_TRACKS]),
    )


def _packed(track: MotionTrack) -> bytes:
    box = track.box
    return _TRACK.pack(
        box.left, box.top, box.width, box.height, track.net_way, track.path, track.age_s,
        track.confirmed + 2 * track.seen, _WHYS.index(track.why),
    )  # fmt: skip


def _unpacked(fields: tuple[float, ...]) -> MotionTrack:
    left, top, width, height, net_way, path, age_s, flags, why = fields
    return MotionTrack(
        box=MotionBox(left=left, top=top, width=width, height=height),
        confirmed=bool(int(flags) & 1),
        seen=bool(int(flags) & 2),
        net_way=net_way,
        path=path,
        age_s=age_s,
        why=_WHYS[int(why)],
    )
