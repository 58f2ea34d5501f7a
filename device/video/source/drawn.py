"""A drawn scene as a camera: drawn, encoded once, and rung where the scene says so."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from device.video.codec.encoder import Encoder
from device.video.errors import SceneError, SourceError
from device.video.packets import TICKS_PER_S, Packet, Ring, us_from_ticks
from device.video.scene.draw import SceneFilm
from device.video.scene.file import load_scene
from device.video.source.capture import CaptureSettings
from device.video.source.masks import Masks


class SceneSource:
    """Packets of a scene; the same scene, seed and settings give the same bytes."""

    dropped = 0

    def __init__(self, path: Path, *, settings: CaptureSettings, start_us: int) -> None:
        self._path = path
        self._settings = settings
        self._start_us = start_us
        self._closed = False

    def close(self) -> None:
        """End after the packet under way."""
        self._closed = True

    def items(self) -> Iterator[Packet | Ring | None]:
        """Give the scene's packets and rings; SourceError if its file is wrong."""
        try:
            scene = load_scene(self._path)
        except SceneError as error:
            where = f"scene:{error.file}"
            raise SourceError(
                source=where, reason=f"{error.key}: {error.reason}" if error.key else error.reason
            ) from error
        film = SceneFilm(scene, seed=self._settings.seed)
        picture = scene.picture
        encoder = Encoder(
            width=picture.width, height=picture.height, fps=Fraction(picture.fps), settings=self._settings.encoder
        )
        masks = Masks(self._settings.masks, width=picture.width, height=picture.height)
        rings = {round(at_s * picture.fps) for at_s in film.scene.rings_s}
        frame_us = us_from_ticks(TICKS_PER_S // picture.fps)
        number = 0
        while not self._closed and (self._settings.loop or number < scene.frames):
            index = number % scene.frames
            ticks = number * TICKS_PER_S // picture.fps
            at_us = self._start_us + us_from_ticks(ticks)
            i420 = film.i420(index)
            masks.i420(i420)
            unit = encoder.encode(i420, ticks=ticks)
            yield Packet(
                config=encoder.config, unit=unit, at_us=at_us, duration_us=frame_us, luma=i420[: picture.height]
            )
            if index in rings:
                yield Ring(at_us=at_us)
            number += 1
