"""Another film from segments: cut at exact pictures, faces and regions hidden, encoded anew. Picture by picture.

Two passes where faces are to be hidden. The first looks for them in several pictures a second; a track is known from
its beginning to its end before the second pass hides anything. So nothing has to be held but what was found.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, cast

import av
import numpy as np

from device.video.codec.encoder import Encoder, EncoderSettings
from device.video.codec.mux import mux_mp4
from device.video.errors import VideoError
from device.video.packets import AccessUnit, ticks_from_us
from device.video.redact.faces import FaceFinder, YuNet
from device.video.redact.hiding import Plane, hide
from device.video.redact.looking import find_tracks, looks
from device.video.redact.pictures import Picture, pictures, times
from device.video.redact.regions import Box, KeyBox, Region
from device.video.redact.tracks import Track
from device.video.segments import Segment

_QUALITY: Final = 7
# What the passes cost, for a progress that moves evenly.
_LOOKING_SHARE: Final = 0.6
_NOMINAL_FPS: Final = range(1, 121)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hiding:
    """What is to be hidden: faces, where the finder finds them, and the owner's own regions."""

    faces: bool = False
    regions: tuple[Region, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Faces:
    """What was hidden of faces: how many tracks, in how many pictures, and the boxes where they were looked for."""

    tracks: int
    pictures: int
    boxes: tuple[KeyBox, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What is known of a film that was made: its first picture's time, how large it is, and what was hidden of faces.

    `faces` is None if none were looked for.
    """

    start_us: int
    end_us: int
    pictures: int
    width: int
    height: int
    faces: Faces | None


def derive(
    segments: Sequence[Segment],
    *,
    start_us: int,
    end_us: int,
    hiding: Hiding,
    remark: Callable[[Made], str] = lambda _: "",
    finder: FaceFinder | None = None,
    progress: Callable[[float], None] = lambda _: None,
) -> tuple[bytes, Made]:
    """Make an MP4 of the pictures shown from `start_us` on and before `end_us`.

    `remark` is what the file says of itself. VideoError if no picture lies in that range, or one can't be decoded.
    """
    needed = [segment for segment in segments if segment.start_us < end_us and segment.end_us > start_us]
    end_us = min(end_us, needed[-1].end_us) if needed else end_us
    chosen = [at_us for at_us in times(needed) if start_us <= at_us < end_us]
    if not chosen:
        raise VideoError("no picture lies in that range")
    film = _Film(needed, chosen, end_us)
    share = _LOOKING_SHARE if hiding.faces else 0.0
    tracks: tuple[Track, ...] = ()
    if hiding.faces:
        # All of the segments are looked at: what is found just beyond a cut is hidden on this side of it, too.
        found = find_tracks(
            needed, times(needed), finder=finder or YuNet(), progress=lambda done: progress(done * share)
        )
        tracks = tuple(track for track in found if any(track.hidden(at_us) for at_us in chosen))
    units, hidden = film.encode(hiding.regions, tracks, lambda done: progress(share + done * (1 - share)))
    config = film.encoder.config
    made = Made(
        start_us=chosen[0],
        end_us=end_us,
        pictures=len(chosen),
        width=config.width,
        height=config.height,
        faces=film.report(tracks, hidden) if hiding.faces else None,
    )
    segment = Segment(config=config, start_us=chosen[0], duration_us=end_us - chosen[0], units=tuple(units))
    return mux_mp4([segment], remark=remark(made)), made


class _Film:
    """The pictures that were chosen of some segments, gone through as often as needed."""

    def __init__(self, segments: Sequence[Segment], chosen: list[int], end_us: int) -> None:
        self._segments = segments
        self._chosen = chosen
        self._end_us = end_us
        config = segments[0].config
        # 4:2:0 has no half pixels: an odd last row or column goes.
        self._width, self._height = config.width & ~1, config.height & ~1
        settings = EncoderSettings(codec=config.codec, quality=_QUALITY)
        self.encoder = Encoder(width=self._width, height=self._height, fps=_fps(chosen), settings=settings)

    def encode(
        self, regions: Sequence[Region], tracks: Sequence[Track], progress: Callable[[float], None]
    ) -> tuple[list[AccessUnit], int]:
        """Return the units of the film, and in how many pictures a face was hidden."""
        units: list[AccessUnit] = []
        with_faces = 0
        untils = iter([*self._chosen[1:], self._end_us])
        for picture, until_us in zip(self._pictures(progress), untils, strict=False):
            i420 = self._i420(picture.frame)
            planes = _planes(i420, self._height, self._width)
            boxes = [box for track in tracks for box in track.hidden(picture.at_us)]
            with_faces += hide(planes, boxes) > 0
            hide(planes, [box for region in regions if (box := region.during(picture.at_us, until_us)) is not None])
            ticks = ticks_from_us(picture.at_us - self._chosen[0])
            units.append(self.encoder.encode(i420, ticks=ticks))
        return units, with_faces

    def report(self, tracks: Sequence[Track], hidden: int) -> Faces:
        """Tell what was hidden, with the boxes as they are at each look."""
        boxes = [
            KeyBox(at_us, _inside(box))
            for at_us in looks(self._chosen)
            for track in tracks
            for box in track.hidden(at_us)
        ]
        return Faces(tracks=len(tracks), pictures=hidden, boxes=tuple(boxes))

    def _pictures(self, progress: Callable[[float], None]) -> Iterator[Picture]:
        first, last = self._chosen[0], self._chosen[-1]
        done = 0
        for picture in pictures(self._segments):
            if picture.at_us > last:
                break
            if picture.at_us >= first:
                yield picture
                done += 1
                progress(done / len(self._chosen))

    def _i420(self, frame: av.VideoFrame) -> Plane:
        """Return a copy of a picture's planes, one below the other, whatever format the camera has."""
        if frame.format.name != "yuv420p":
            frame = frame.reformat(format="yuv420p")
        height, width = self._height, self._width
        i420 = np.empty((height * 3 // 2, width), np.uint8)
        for plane, target in zip(frame.planes, _planes(i420, height, width), strict=True):
            rows = np.frombuffer(cast("memoryview", plane), np.uint8).reshape(-1, plane.line_size)
            target[:] = rows[: target.shape[0], : target.shape[1]]
        return i420


def _planes(i420: Plane, height: int, width: int) -> tuple[Plane, Plane, Plane]:
    chroma = i420[height:].reshape(2, height // 2, width // 2)
    return i420[:height], chroma[0], chroma[1]


def _inside(box: Box) -> Box:
    x, y = min(max(box.x, 0.0), 1.0), min(max(box.y, 0.0), 1.0)
    right, bottom = min(max(box.x + box.width, 0.0), 1.0), min(max(box.y + box.height, 0.0), 1.0)
    return Box(x, y, right - x, bottom - y)


def _fps(chosen: list[int]) -> Fraction:
    """Return the nominal rate of pictures at these times, a whole number: an encoder wants one, and goes by times."""
    span_us = chosen[-1] - chosen[0]
    rate = round((len(chosen) - 1) * 1_000_000 / span_us) if span_us else 1
    return Fraction(min(max(rate, _NOMINAL_FPS[0]), _NOMINAL_FPS[-1]))
