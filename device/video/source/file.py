"""A video file as a camera, once or over and over."""

from collections.abc import Iterator
from pathlib import Path

import av
import av.error
import structlog
from av.container import InputContainer

from device.video.errors import SourceError
from device.video.faults import reason_of
from device.video.packets import Packet
from device.video.source.capture import CaptureSettings, Item
from device.video.source.damage import Damage
from device.video.source.dating import FilmDating
from device.video.source.encoded import Use
from device.video.source.streams import OPEN_OPTIONS, StreamReader
from device.video.source.timeline import Timeline

log = structlog.get_logger()

# Playlists, and other formats that send the reader to further files and addresses, are not among them.
_FORMATS = "mov,mp4,matroska,webm,mpegts,mpeg,avi,flv,ogg,asf,ivf,h264,hevc,mjpeg,mpegvideo,m4v,yuv4mpegpipe"
_OPTIONS = OPEN_OPTIONS | {"format_whitelist": _FORMATS}


class FileSource:
    """Packets of a file; wall clock is `start_us` plus the time into the film, going on through its repetitions."""

    def __init__(self, path: Path, *, settings: CaptureSettings, start_us: int, use: Use = "both") -> None:
        self._path = path
        self._use: Use = use
        self._name = f"file:{path}"
        self._settings = settings
        self._start_us = start_us
        self._closed = False
        self._dropped_before = 0
        self._reader: StreamReader | None = None

    @property
    def dropped(self) -> int:
        """Packets lost so far."""
        return self._dropped_before + (self._reader.dropped if self._reader else 0)

    def close(self) -> None:
        """End after the packet under way."""
        self._closed = True

    def items(self) -> Iterator[Item | None]:
        """Give the file's packets; SourceError if it can't be opened or gives no picture at all."""
        timeline: Timeline | None = None
        while not self._closed:
            given = 0
            damage = Damage(source=self._name, told=False)
            with self._open() as container:
                reader = StreamReader(
                    container,
                    name=self._name,
                    settings=self._settings,
                    dating=FilmDating(start_us=self._start_us),
                    damage=damage,
                    use=self._use,
                    timeline=timeline,
                )
                self._reader, timeline = reader, reader.timeline
                timeline.restart()
                for packet in self._packets(reader, damage):
                    given += 1
                    yield packet
                    if self._closed:
                        return
                self._dropped_before += reader.dropped
                self._reader = None
            if not given:
                why = f" ({damage.reason})" if damage.reason else ""
                raise SourceError(
                    source=self._name, reason=f"no picture in it can be read; it is damaged or cut short{why}"
                )
            if not self._settings.loop:
                return

    def _packets(self, reader: StreamReader, damage: Damage) -> Iterator[Packet]:
        """Packets as far as the file is sound; what stops it early is logged, not raised."""
        try:
            yield from reader.packets()
        except av.error.FFmpegError as error:
            damage.found(reason_of(error))
        if damage.count or reader.dropped:
            log.warning("file_damaged", source=self._name, reason=damage.reason, dropped=reader.dropped)

    def _open(self) -> InputContainer:
        try:
            if not self._path.is_file():
                reason = "is no file" if self._path.exists() else "doesn't exist"
                raise SourceError(source=self._name, reason=reason)
            if not self._path.stat().st_size:
                raise SourceError(source=self._name, reason="is empty")
            return av.open(str(self._path.absolute()), "r", metadata_errors="replace", options=_OPTIONS)
        except av.error.FFmpegError as error:
            reason = f"is no video that can be read ({error.strerror})"
            raise SourceError(source=self._name, reason=reason) from error
        except OSError as error:
            raise SourceError(source=self._name, reason=f"can't be read ({error.strerror})") from error
