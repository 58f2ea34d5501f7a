"""What the libraries raise for a picture, a file or a camera that is not as it should be, and how that is told.

Films meet whatever the world sends, so where bytes from outside are read each of these says something about the source,
never about our code: PyAV has errors of its own, and like numpy it says ValueError of a picture of an odd form.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import av.error
import cv2

from device.video.errors import BitstreamError, SourceError, SourceVanishedError, VideoError

FAULTS = (VideoError, av.error.FFmpegError, cv2.error, OSError, ValueError)
_MAX_CHARS = 200
T = TypeVar("T")


@contextmanager
def blamed(source: str, *, live: bool) -> Iterator[None]:
    """Make of what goes wrong in here what it means: a camera is lost, anything else can't be used."""
    try:
        yield
    except FAULTS as fault:
        if isinstance(fault, SourceVanishedError) or (isinstance(fault, SourceError) and not live):
            raise
        kind = SourceVanishedError if live else SourceError
        raise kind(source=source, reason=reason_of(fault)) from fault


def guarded(given: Iterable[T], source: str, *, live: bool) -> Iterator[T]:
    """Give the same. Only the giver's faults are the source's: what the taker raises, the sink say, is not."""
    with blamed(source, live=live):
        yield from given


def reason_of(fault: BaseException) -> str:
    """Return one of FAULTS as a line, without the address of the source: a library may put it in, password and all."""
    if isinstance(fault, SourceError | SourceVanishedError | BitstreamError):
        return fault.reason
    if isinstance(fault, av.error.ExitError):
        # What libavformat says when it was told to stop waiting.
        return "no answer came in time"
    text = fault.strerror if isinstance(fault, av.error.FFmpegError | OSError) else str(fault)
    line = " ".join((text or type(fault).__name__).split())
    return line.rpartition("@")[2][:_MAX_CHARS]
