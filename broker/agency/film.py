"""The only module here that knows PyAV: the coded pictures of a clip, and a few of them to look at."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
import av.error
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from broker.wire.segments import TICKS_PER_SECOND, WireAccessUnit

from .errors import AgencyError

MAX_FRAMES = 1_000
_AVCC_VERSION = 1
_LENGTH_BYTES = 4
_NAL_TYPE = 0x1F
_NAL_SLICE = 1
_NAL_IDR = 5


class FilmError(AgencyError):
    """A file is no clip that can be read; the message says why."""


@dataclass(frozen=True, slots=True)
class Track:
    """A clip's one video track; `units` yields access units in decode order, times as in the file (90 kHz ticks)."""

    width: int
    height: int
    extradata: bytes
    units: Iterator[WireAccessUnit]


@contextmanager
def open_track(path: Path) -> Iterator[Track]:
    """Open an MP4 that holds one H.264 track with a time scale of 90,000 and nothing else; raises FilmError."""
    with _film_errors(path), path.open("rb") as file, _open(file) as container:
        stream = _only_stream(container, path)
        context = stream.codec_context
        extradata = context.extradata
        if not extradata or extradata[0] != _AVCC_VERSION or stream.time_base != Fraction(1, TICKS_PER_SECOND):
            raise FilmError(f"{path.name} is not written the way a device writes clips")
        yield Track(context.width, context.height, extradata, _units(container, stream))


def is_idr(data: bytes) -> bool:
    """Tell whether an access unit (NAL units behind 4-byte lengths) is an IDR picture, by its first slice."""
    at = 0
    while at + _LENGTH_BYTES < len(data):
        kind = data[at + _LENGTH_BYTES] & _NAL_TYPE
        if kind in {_NAL_SLICE, _NAL_IDR}:
            return kind == _NAL_IDR
        at += _LENGTH_BYTES + int.from_bytes(data[at : at + _LENGTH_BYTES])
    return False


def frames(path: Path, *, count: int) -> list[tuple[float, NDArray[np.uint8]]]:
    """Return up to `count` pictures, evenly spread: (seconds from the start, BGR array of height x width x 3).

    Raises FilmError for a file that does not decode.
    """
    if not 1 <= count <= MAX_FRAMES:
        raise ValueError(f"count must be 1 to {MAX_FRAMES}")
    found: list[tuple[float, NDArray[np.uint8]]] = []
    with _film_errors(path), path.open("rb") as file, _open(file) as container:
        stream = _only_stream(container, path)
        duration_s = _duration_s(container, stream)
        wanted = [duration_s * (2 * at + 1) / (2 * count) for at in range(count)]
        last: tuple[float, NDArray[np.uint8]] | None = None
        for frame in container.decode(stream):
            at_s = float(frame.time or 0.0)
            while wanted and at_s >= wanted[0]:
                last = last if last is not None and last[0] == at_s else (at_s, _bgr(frame))
                found.append(last)
                wanted.pop(0)
            if not wanted:
                break
    return found


def _bgr(frame: av.VideoFrame) -> NDArray[np.uint8]:
    return np.asarray(frame.to_ndarray(format="bgr24"), dtype=np.uint8)


def _duration_s(container: InputContainer, stream: VideoStream) -> float:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / av.time_base


def _open(file: BinaryIO) -> InputContainer:
    # A file object, and the format named: a hostile file can name no other file, protocol or playlist.
    return av.open(file, "r", format="mov", metadata_errors="replace")


def _only_stream(container: InputContainer, path: Path) -> VideoStream:
    if len(container.streams) != 1 or len(container.streams.video) != 1:
        raise FilmError(f"{path.name} holds something else than one video track")
    stream = container.streams.video[0]
    if stream.codec_context.name != "h264":
        raise FilmError(f"{path.name} is {stream.codec_context.name}, not H.264")
    return stream


def _units(container: InputContainer, stream: VideoStream) -> Iterator[WireAccessUnit]:
    for packet in container.demux(stream):
        if packet.dts is None or packet.pts is None:
            continue  # PyAV's flushing packet
        # FFmpeg's own flag is set at recovery points too; a device calls IDR pictures alone keyframes.
        data = bytes(packet)
        yield WireAccessUnit(packet.dts, packet.pts, is_idr(data), data)


@contextmanager
def _film_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (av.error.FFmpegError, OSError) as error:  # a damaged index asks for a seek before the file's beginning
        raise FilmError(f"{path.name} does not read as an MP4: {error.strerror or error}") from error
