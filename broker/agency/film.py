"""The only module here that knows PyAV: the coded pictures of a clip, as they stand in its file."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
import av.error
from av.container import InputContainer
from av.video.stream import VideoStream

from broker.wire.segments import TICKS_PER_SECOND, Codec, WireAccessUnit

from .boxes import BoxError, read_vp9_entry
from .errors import AgencyError

_AVCC_VERSION = 1
_LENGTH_BYTES = 4
_NAL_TYPE = 0x1F
_NAL_SLICE = 1
_NAL_IDR = 5
_VP9_KEYFRAME = 0b10_00_0_0  # frame marker, profile 0, not shown from before, a keyframe


class FilmError(AgencyError):
    """A file is no clip that can be read; the message says why."""


@dataclass(frozen=True, slots=True)
class Track:
    """A clip's one video track; `units` yields access units in decode order, times as in the file (90 kHz ticks)."""

    codec: Codec
    width: int
    height: int
    extradata: bytes
    units: Iterator[WireAccessUnit]


@contextmanager
def open_track(path: Path) -> Iterator[Track]:
    """Open an MP4 that holds one H.264 or VP9 track with a time scale of 90,000, nothing else; raises FilmError."""
    with _film_errors(path), path.open("rb") as file, _open(file) as container:
        stream = _only_stream(container, path)
        if stream.time_base != Fraction(1, TICKS_PER_SECOND):
            raise FilmError(f"{path.name} is not written the way a device writes clips")
        if stream.codec_context.name == "vp9":
            # Apart from the library's reading: it would move its place in the file, and drops the record.
            with path.open("rb") as bare:
                entry = read_vp9_entry(bare)
            yield Track("vp9", entry.width, entry.height, entry.record, _units(container, stream, is_vp9_keyframe))
            return
        context = stream.codec_context
        extradata = context.extradata
        if not extradata or extradata[0] != _AVCC_VERSION:
            raise FilmError(f"{path.name} is not written the way a device writes clips")
        yield Track("h264", context.width, context.height, extradata, _units(container, stream, is_idr))


def is_idr(data: bytes) -> bool:
    """Tell whether an access unit (NAL units behind 4-byte lengths) is an IDR picture, by its first slice."""
    at = 0
    while at + _LENGTH_BYTES < len(data):
        kind = data[at + _LENGTH_BYTES] & _NAL_TYPE
        if kind in {_NAL_SLICE, _NAL_IDR}:
            return kind == _NAL_IDR
        at += _LENGTH_BYTES + int.from_bytes(data[at : at + _LENGTH_BYTES])
    return False


def is_vp9_keyframe(data: bytes) -> bool:
    """Tell whether a VP9 frame of profile 0 is a keyframe, by its first bits (VP9 bitstream specification, 6.2)."""
    return bool(data) and data[0] >> 2 == _VP9_KEYFRAME


def _open(file: BinaryIO) -> InputContainer:
    # A file object, and the format named: a hostile file can name no other file, protocol or playlist.
    return av.open(file, "r", format="mov", metadata_errors="replace")


def _only_stream(container: InputContainer, path: Path) -> VideoStream:
    if len(container.streams) != 1 or len(container.streams.video) != 1:
        raise FilmError(f"{path.name} holds something else than one video track")
    stream = container.streams.video[0]
    if stream.codec_context.name not in {"h264", "vp9"}:
        raise FilmError(f"{path.name} is {stream.codec_context.name}, not H.264 or VP9")
    return stream


def _units(
    container: InputContainer, stream: VideoStream, is_keyframe: Callable[[bytes], bool]
) -> Iterator[WireAccessUnit]:
    for packet in container.demux(stream):
        if packet.dts is None or packet.pts is None:
            continue  # PyAV's flushing packet
        # FFmpeg's own flag is set at recovery points too; a device calls IDR pictures alone keyframes.
        data = bytes(packet)
        yield WireAccessUnit(packet.dts, packet.pts, is_keyframe(data), data)


@contextmanager
def _film_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (av.error.FFmpegError, OSError) as error:  # a damaged index asks for a seek before the file's beginning
        raise FilmError(f"{path.name} does not read as an MP4: {error.strerror or error}") from error
    except BoxError as error:
        raise FilmError(f"{path.name}: {error}") from error
