"""Still pictures: thumbnails, and contact sheets of clips."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import av
import av.error
import cv2
import numpy as np
from numpy.typing import NDArray

from device.video.errors import MuxError, VideoError
from device.video.motion.detector import shrink

Image = NDArray[np.uint8]

_THUMBNAIL_WIDTH = 320
_JPEG_QUALITY = 80

_CELL_WIDTH = 304
_MARGIN = 28
_GAP = 12
_TITLE_HEIGHT = 50
_TIME_HEIGHT = 28
_HEADING_HEIGHT = 54
_PAPER = (243, 246, 247)
_INK = (40, 36, 32)
_FAINT = (126, 120, 114)
_RULE = (214, 216, 216)
_FONT = cv2.FONT_HERSHEY_DUPLEX


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetFrame:
    """A picture of a row: uint8 (height, width, 3), blue first, or (height, width) gray; seconds into its clip."""

    image: Image
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetRow:
    """A row of a contact sheet: a clip as MP4 bytes, or its frames. With `start_us` the times are the wall clock's."""

    title: str
    clip: bytes | Sequence[SheetFrame]
    note: str = ""
    start_us: int | None = None


def thumbnail_picture(luma: Image) -> Image:
    """Return a luma plane at most 320 pixels wide, as a copy of its own."""
    small = shrink(luma, width=_THUMBNAIL_WIDTH)
    height, width = small.shape
    if width > _THUMBNAIL_WIDTH:
        size = (_THUMBNAIL_WIDTH, max(1, round(height * _THUMBNAIL_WIDTH / width)))
        return np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return small.copy()


def jpeg(image: Image) -> bytes:
    """Return a picture as JPEG."""
    return _encoded(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])


def clip_frames(mp4: bytes, *, count: int) -> tuple[SheetFrame, ...]:
    """So many frames of a clip, spread evenly over it, in colour. MuxError if it can't be decoded."""
    try:
        with av.open(io.BytesIO(mp4), "r", metadata_errors="replace") as container:
            if not container.streams.video:
                raise MuxError("has no video in it")
            stream = container.streams.video[0]
            total = stream.frames or sum(1 for packet in container.demux(stream) if packet.size)
            wanted = {round((number + 0.5) * total / count - 0.5) for number in range(count)}
            container.seek(0)
            found: list[SheetFrame] = []
            for index, frame in enumerate(container.decode(stream)):
                if index in wanted:
                    image = frame.reformat(width=_CELL_WIDTH * 2, height=_even(_CELL_WIDTH * 2, frame), format="bgr24")
                    found.append(SheetFrame(image=np.asarray(image.to_ndarray(), np.uint8), at_s=frame.time or 0.0))
            return tuple(found)
    except av.error.FFmpegError as error:
        raise MuxError(f"can't be decoded ({error.strerror})") from error


def _even(width: int, frame: av.VideoFrame) -> int:
    return max(2, round(width * frame.height / frame.width / 2) * 2)


def contact_sheet(rows: Sequence[SheetRow], *, heading: str = "", columns: int = 5) -> bytes:
    """Return a PNG with a row of frames for each clip, their times beneath. MuxError if a clip can't be decoded."""
    width = 2 * _MARGIN + columns * _CELL_WIDTH + (columns - 1) * _GAP
    parts = [_heading(heading, width)] if heading else [_paper(_MARGIN, width)]
    for number, row in enumerate(rows):
        frames = clip_frames(row.clip, count=columns) if isinstance(row.clip, bytes) else tuple(row.clip)
        parts.append(_row(row, frames[:columns], width=width, ruled=number > 0))
    parts.append(_paper(_MARGIN // 2, width))
    return _encoded(".png", np.vstack(parts), [cv2.IMWRITE_PNG_COMPRESSION, 6])


def _row(row: SheetRow, frames: Sequence[SheetFrame], *, width: int, ruled: bool) -> Image:
    cells = [_cell(frame.image) for frame in frames]
    tall = max((cell.shape[0] for cell in cells), default=0)
    sheet = _paper(_TITLE_HEIGHT + tall + _TIME_HEIGHT + _GAP, width)
    if ruled:
        cv2.line(sheet, (_MARGIN, 4), (width - _MARGIN, 4), _RULE, 1)
    end = _write(sheet, row.title, at=(_MARGIN, 36), size=0.68, colour=_INK)
    if row.note:
        _write(sheet, row.note, at=(end + 18, 36), size=0.5, colour=_FAINT)
    for number, (frame, cell) in enumerate(zip(frames, cells, strict=True)):
        left = _MARGIN + number * (_CELL_WIDTH + _GAP)
        height = cell.shape[0]
        sheet[_TITLE_HEIGHT : _TITLE_HEIGHT + height, left : left + _CELL_WIDTH] = cell
        _write(sheet, _time(row, frame), at=(left + 2, _TITLE_HEIGHT + tall + 20), size=0.46, colour=_FAINT)
    return sheet


def _time(row: SheetRow, frame: SheetFrame) -> str:
    if row.start_us is None:
        return f"{frame.at_s:.1f} s"
    moment = datetime.fromtimestamp(row.start_us // 100_000 / 10 + frame.at_s, tz=UTC)
    return f"{moment:%Y-%m-%d  %H:%M:%S}.{moment.microsecond // 100_000} UTC"


def _cell(image: Image) -> Image:
    colour = image if image.ndim == 3 else np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), dtype=np.uint8)  # noqa: PLR2004 - rows, columns, channels
    size = (_CELL_WIDTH, max(1, round(colour.shape[0] * _CELL_WIDTH / colour.shape[1])))
    cell = np.asarray(cv2.resize(colour, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    cv2.rectangle(cell, (0, 0), (size[0] - 1, size[1] - 1), (150, 150, 150), 1)
    return cell


def _heading(text: str, width: int) -> Image:
    sheet = _paper(_HEADING_HEIGHT + _GAP, width)
    _write(sheet, text, at=(_MARGIN, 46), size=0.95, colour=_INK)
    return sheet


def _paper(height: int, width: int) -> Image:
    return np.full((height, width, 3), _PAPER, dtype=np.uint8)


def _write(sheet: Image, text: str, *, at: tuple[int, int], size: float, colour: tuple[int, int, int]) -> int:
    """Write a line of text; gives where it ends."""
    # The stroke font knows ASCII alone, in every OpenCV.
    plain = text.encode("ascii", "replace").decode()
    cv2.putText(sheet, plain, at, _FONT, size, colour, 1, cv2.LINE_AA)
    (wide, _), _ = cv2.getTextSize(plain, _FONT, size, 1)
    return at[0] + wide


def _encoded(kind: str, image: Image, options: list[int]) -> bytes:
    done, data = cv2.imencode(kind, image, options)
    if not done:
        raise VideoError(f"a picture of {image.shape} could not be encoded as {kind}")
    return data.tobytes()
