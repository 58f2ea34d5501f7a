"""What the owner chose to show of a clip, and the clip that is made of it when that is not the film as it is sealed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from broker.wire.encoding import format_time
from device.video.errors import VideoError
from device.video.packets import Codec
from device.video.redact.derive import Faces, Hiding, Made, derive
from device.video.redact.faces import NAME
from device.video.redact.regions import Box, KeyBox, Region
from device.video.segments import Segment

from .errors import ConsentError

__all__ = ["Box", "Choice", "KeyBox", "Region", "derived_clip"]

_CODECS: Final[dict[Codec, str]] = {"h264": "H.264", "vp9": "VP9"}


@dataclass(frozen=True, slots=True)
class Choice:
    """What of a clip is shown: a range of time, with or without faces, and without what lies in regions."""

    start_us: int
    end_us: int
    hide_faces: bool = False
    regions: tuple[Region, ...] = ()

    def __post_init__(self) -> None:
        if not self.start_us < self.end_us:
            raise ConsentError("a clip must begin before it ends")

    @property
    def hides(self) -> bool:
        """Whether something is hidden, so that it can't be as it was sealed."""
        return self.hide_faces or bool(self.regions)


def derived_clip(
    segments: Sequence[Segment], choice: Choice, *, progress: Callable[[float], None]
) -> tuple[bytes, Made, tuple[str, ...]]:
    """Make the MP4 that was chosen out of opened segments; also a line on each thing that was done to it."""
    try:
        mp4, made = derive(
            segments,
            start_us=choice.start_us,
            end_us=choice.end_us,
            hiding=Hiding(faces=choice.hide_faces, regions=choice.regions),
            remark=lambda made: "derived: " + "; ".join(_lines(segments, choice, made)),
            progress=progress,
        )
    except VideoError as error:
        raise ConsentError(f"the clip can't be made like this: {error}") from error
    return mp4, made, _lines(segments, choice, made)


def _lines(segments: Sequence[Segment], choice: Choice, made: Made) -> tuple[str, ...]:
    done = [f"re-encoded as {_CODECS[segments[0].config.codec]}: these are not the pictures that were sealed"]
    if (made.start_us, made.end_us) != (segments[0].start_us, segments[-1].end_us):
        done.append(f"cut at {format_time(made.start_us)} and {format_time(made.end_us)}")
    if made.faces is not None:
        done.append(_faces_hidden(made.faces))
    if choice.regions:
        done.append(f"{_count(len(choice.regions), 'region')} hidden by the owner")
    return tuple(done)


def _faces_hidden(found: Faces) -> str:
    if not found.tracks:
        return f"faces looked for by {NAME}: none found"
    tracks, pictures = _count(found.tracks, "track"), _count(found.pictures, "picture")
    return f"faces hidden by {NAME}: {tracks}, in {pictures}"


def _count(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"
