"""Does this device have what a request asks for: by place, kind of device and time. Pure, and done at home alone."""

from collections.abc import Iterable
from dataclasses import dataclass

from broker.wire.geo import Point, distance_m
from broker.wire.records import Request


@dataclass(frozen=True, slots=True)
class ClipSpan:
    """A recorded clip and when it was filmed."""

    clip: str
    start_us: int
    end_us: int


def concerns(request: Request, *, where: Point, kind: str) -> bool:
    """Tell whether a device of this kind, standing here, is meant by a request."""
    return kind in request.devices and distance_m(where, request.area.centre) <= request.area.radius_m


def matching_clips(request: Request, clips: Iterable[ClipSpan]) -> list[ClipSpan]:
    """Return the clips that show something of the window, oldest first; a clip that only touches its edge does not."""
    found = [clip for clip in clips if max(clip.start_us, request.start) < min(clip.end_us, request.end)]
    return sorted(found, key=lambda clip: (clip.start_us, clip.clip))
