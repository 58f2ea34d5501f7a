"""The values that every part of this room passes around: access units, their codec configuration, timed packets.

Canonical form, whatever the source was. H.264: NAL units with a 4-byte big-endian length before each, parameter sets in
an avcC record (ISO/IEC 14496-15, 5.3.3.1). VP9: a frame as the encoder gave it, and a vpcC record. Timestamps in ticks
of 90 kHz. Nothing here does I/O.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

TICKS_PER_S = 90_000

Codec = Literal["h264", "vp9"]


@dataclass(frozen=True, slots=True)
class AccessUnit:
    """One coded picture. `keyframe` is true where a segment may start: an IDR picture of H.264, a keyframe of VP9."""

    dts: int
    pts: int
    keyframe: bool
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecConfig:
    """What a decoder needs before the first access unit; `extradata` is the codec's own record (avcC, vpcC)."""

    codec: Codec = "h264"
    width: int
    height: int
    extradata: bytes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Packet:
    """An access unit at its place in the film.

    `at_us` is the wall clock at which the picture is shown, `duration_us` how long at the source's nominal rate.
    `luma` is the uint8 luma plane (height, width) where the source has it anyway; None means decode to see it.
    """

    config: CodecConfig
    unit: AccessUnit
    at_us: int
    duration_us: int
    luma: NDArray[np.uint8] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Watched:
    """A packet of the detection stream: to be looked at, and never kept."""

    packet: Packet


@dataclass(frozen=True, slots=True, kw_only=True)
class Ring:
    """Somebody pressed the bell at this moment (a scene says so, or the button)."""

    at_us: int


def us_from_ticks(ticks: int) -> int:
    """Microseconds for a count of 90 kHz ticks, rounded down; `ticks_from_us` of it gives the same ticks again."""
    return ticks * 100 // 9


def ticks_from_us(us: int) -> int:
    """Ticks of 90 kHz for microseconds, to the nearest."""
    return (us * 9 + 50) // 100
