"""Thumbnails and contact sheets."""

import cv2
import numpy as np
import pytest

from device.video.codec.mux import mux_mp4
from device.video.errors import MuxError
from device.video.packets import Codec
from device.video.pictures import SheetFrame, SheetRow, clip_frames, contact_sheet, thumbnail_picture
from tests.video.support import START_US, coded, segments_of


def clip(codec: Codec = "h264") -> bytes:
    """A clip of three seconds."""
    return mux_mp4(segments_of(coded(45, codec=codec)))


@pytest.mark.parametrize("codec", ["h264", "vp9"])
def test_frames_are_spread_over_the_clip(codec: Codec) -> None:
    """Frames stand in the middle of equal parts, in colour."""
    frames = clip_frames(clip(codec), count=3)
    assert [round(frame.at_s, 2) for frame in frames] == [0.47, 1.47, 2.47]
    assert frames[0].image.shape[2] == 3


def test_a_clip_shorter_than_the_row_gives_what_it_has() -> None:
    """A clip of two frames in a row of five shows both."""
    short = mux_mp4(segments_of(coded(45)[:2]))
    assert len(clip_frames(short, count=5)) == 2


def test_a_sheet_is_a_png_with_a_row_for_each_clip() -> None:
    """Clips as bytes and as frames stand beneath each other; the picture is as wide as its columns."""
    gray = SheetFrame(image=np.full((90, 160), 99, np.uint8), at_s=1.0)
    one = contact_sheet([SheetRow(title="Front door", clip=clip(), start_us=START_US)], heading="Received")
    two = contact_sheet([SheetRow(title="Front door", clip=clip()), SheetRow(title="é", note="n", clip=[gray])])
    assert one.startswith(b"\x89PNG")
    images = [cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) for data in (one, two)]
    assert images[0] is not None
    assert images[1] is not None
    assert images[0].shape[1] == images[1].shape[1] == 2 * 28 + 5 * 304 + 4 * 12
    assert images[1].shape[0] > images[0].shape[0]


def test_the_same_clip_gives_the_same_sheet() -> None:
    """No date and no chance in it."""
    row = SheetRow(title="Front door", clip=clip())
    assert contact_sheet([row]) == contact_sheet([row])


@pytest.mark.parametrize("data", [b"", b"rubbish"])
def test_what_is_no_clip_is_refused(data: bytes) -> None:
    """A sheet of something else is a clear error."""
    with pytest.raises(MuxError):
        contact_sheet([SheetRow(title="x", clip=data)])


@pytest.mark.parametrize("shape", [(720, 1280), (360, 640), (90, 160), (1080, 1920), (576, 768), (1000, 10)])
def test_thumbnails_are_small(shape: tuple[int, int]) -> None:
    """At most 320 pixels wide, in the picture's own shape, and a copy."""
    luma = np.zeros(shape, np.uint8)
    small = thumbnail_picture(luma)
    assert small.shape[1] <= 320
    assert small.shape[0] / small.shape[1] == pytest.approx(shape[0] / shape[1], rel=0.02)
    assert not np.shares_memory(small, luma)
