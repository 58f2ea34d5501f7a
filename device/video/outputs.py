"""What filming hands out, in order, to whoever seals and publishes. Values only.

Order within a clip: ClipStarted, then SegmentReady in time order, then at most one Thumbnail, then ClipEnded. An
EventPhase may name its clip before ClipStarted comes, since a clip starts with its first finished segment and an
event is told at once; if the source is lost before any segment is finished, that clip never comes.
"""

from dataclasses import dataclass
from typing import Literal

from device.video.segments import Segment


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPhase:
    """A phase of an event; all phases of one carry one id.

    `start_us` is when it was first seen, `end_us` (at the end alone) when it was last seen, `at_us` the moment this
    phase speaks of. A ring event's start and each update is one press of the bell. `clip` is the one being recorded.
    `label` says what moved, and `labelled_by` who says so; both None as long as nobody looked.
    """

    event: str
    kind: Literal["motion", "ring"]
    phase: Literal["start", "update", "end"]
    start_us: int
    end_us: int | None
    at_us: int
    score: int
    clip: str | None
    label: str | None = None
    labelled_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipStarted:
    """A clip begins with the segment that follows; `event` is what it was started for, None in continuous mode."""

    clip: str
    start_us: int
    event: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentReady:
    """The next segment of a clip."""

    clip: str
    segment: Segment


@dataclass(frozen=True, slots=True, kw_only=True)
class Thumbnail:
    """A JPEG of a clip's best picture, at most some 320 pixels wide, gray."""

    clip: str
    at_us: int
    jpeg: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipEnded:
    """No more of this clip; `end_us` is where its last segment ends."""

    clip: str
    end_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceLost:
    """The camera stopped answering; another try comes after `retry_s`."""

    at_us: int
    reason: str
    retry_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceBack:
    """The camera answers again."""

    at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceEnded:
    """No more pictures will come: the film is over, or, with a `reason`, can't be used.

    Presses of the bell still become events, without a clip.
    """

    at_us: int
    reason: str | None


Recorded = EventPhase | ClipStarted | SegmentReady | ClipEnded
Output = Recorded | Thumbnail | SourceLost | SourceBack | SourceEnded
