"""What motion says of a picture: whether something is there, where, how sure, and why what changed did not count."""

from dataclasses import dataclass, field
from typing import Literal

from device.video.motion.settings import MotionSettings
from device.video.motion.tracks import Blob, Track, Why

Quiet = Literal["picture too small", "first picture", "light changed everywhere", "settling", "everything leapt"]

_US_PER_S = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class MotionBox:
    """Where something moves, in fractions of the picture."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MotionTrack:
    """Something that changes, and why it counts or not. Ways are in picture widths.

    `why` is None if it counts. If not: "new", seen too seldom or too shortly; "flickers", is there in too few pictures;
    "has come no way"; "wanders" to and fro; "too fast" for its size; "is light", without edges of its own; "too small".
    `seen`: in this picture, not only a moment ago.
    """

    box: MotionBox
    confirmed: bool
    seen: bool
    net_way: float
    path: float
    age_s: float
    why: Why | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounds:
    """What a reading was made from, to be told if somebody asks."""

    tracks: tuple[Track, ...] = ()
    small: tuple[Blob, ...] = ()
    shape: tuple[int, int] = (1, 1)
    settings: MotionSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class MotionReading:
    """What was seen in one picture.

    `score`, 0 to 100, says how much of the picture moved and how far it came; 0 when nothing is active. `quiet` says
    why all that changed was passed over. `ignored_share`: of the picture, what changed within zones to ignore.
    """

    at_us: int
    active: bool
    score: int
    boxes: tuple[MotionBox, ...] = ()
    quiet: Quiet | None = None
    ignored_share: float = 0.0
    grounds: Grounds | None = field(default=None, repr=False)

    @property
    def tracks(self) -> tuple[MotionTrack, ...]:
        """All that changed, those that count first. Worked out when asked for."""
        grounds = self.grounds
        if grounds is None:
            return ()
        found = [_told(track, self.at_us, grounds) for track in grounds.tracks]
        return tuple(sorted(found, key=lambda track: not track.confirmed)) + tuple(
            MotionTrack(
                box=_box(blob, grounds.shape), confirmed=False, seen=True, net_way=0.0, path=0.0, age_s=0.0,
                why="too small",
            )
            for blob in grounds.small
        )  # fmt: skip


def _box(blob: Blob, shape: tuple[int, int]) -> MotionBox:
    rows, columns = shape
    return MotionBox(
        left=blob.left / columns, top=blob.top / rows, width=blob.width / columns, height=blob.height / rows
    )


def _told(track: Track, at_us: int, grounds: Grounds) -> MotionTrack:
    width = grounds.shape[1]
    return MotionTrack(
        box=_box(track.blob, grounds.shape),
        confirmed=track.confirmed,
        seen=track.missed == 0,
        net_way=track.net / width,
        path=track.path / width,
        age_s=(at_us - track.start_us) / _US_PER_S,
        why=track.why(width=width, settings=grounds.settings),
    )


def reading_of(at_us: int, quiet: Quiet | None, ignored_share: float, grounds: Grounds) -> MotionReading:
    """Return the reading that follows from these tracks."""
    rows, columns = grounds.shape
    hold_us = grounds.settings.hold_s * _US_PER_S
    shown = [track for track in grounds.tracks if track.confirmed and at_us - track.seen_us <= hold_us]
    score = 0
    if shown:
        area = sum(track.blob.area for track in shown) / (rows * columns)
        way = max(track.net for track in shown) / columns
        score = round(100 * min(1.0, 0.25 + 0.4 * min(1.0, area / 0.06) + 0.35 * min(1.0, way / 0.25)))
    return MotionReading(
        at_us=at_us,
        active=bool(shown),
        score=score,
        boxes=tuple(_box(track.blob, grounds.shape) for track in shown),
        quiet=quiet,
        ignored_share=ignored_share,
        grounds=grounds,
    )


def quiet_reading(at_us: int, quiet: Quiet) -> MotionReading:
    """Return the reading of a picture in which nothing was looked for."""
    return MotionReading(at_us=at_us, active=False, score=0, quiet=quiet)
