"""Privacy masks: what is behind one is in nothing that is kept or looked at."""

from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from device.video.errors import SourceError
from device.video.packets import Packet, Watched
from device.video.source.capture import CaptureSettings, SourceSpec, parse_source
from device.video.source.masks import BLACK, NEUTRAL, Masks
from device.video.source.opening import open_source
from device.video.zones import Polygon, zone_mask
from tests.video.rtsp import need_gst, pattern, serving
from tests.video.rtsp_client import camera, frames_of, some
from tests.video.support import START_US, LeapingClock, demuxed, write_film

DOOR: Polygon = ((0.21, 0.15), (0.63, 0.11), (0.55, 0.87), (0.18, 0.7))
CORNER: Polygon = ((0.0, 0.0), (0.07, 0.0), (0.0, 0.2))
MASKED = CaptureSettings(masks=(DOOR, CORNER))
# What an encoder of this quality makes of black, at the worst, beside something bright.
TOLERANCE = 24


def check_black(frame: av.VideoFrame) -> None:
    """Every masked pixel is black and without colour; the rest is not."""
    mask = zone_mask(MASKED.masks, width=frame.width, height=frame.height) > 0
    luma = frame.to_ndarray()[: frame.height].astype(int)
    assert np.abs(luma[mask] - BLACK).max() <= TOLERANCE
    assert np.abs(luma[mask] - BLACK).mean() < 2
    assert luma[~mask].mean() > 50
    colours = frame.to_ndarray()[frame.height :].reshape(2, frame.height // 2, frame.width // 2).astype(int)
    covered = mask[0::2, 0::2] | mask[1::2, 0::2] | mask[0::2, 1::2] | mask[1::2, 1::2]
    assert np.abs(colours[:, covered] - NEUTRAL).max() <= TOLERANCE


def check_luma(packet: Packet) -> None:
    """What is looked at is black, exactly."""
    assert packet.luma is not None
    height, width = packet.luma.shape
    assert (packet.luma[zone_mask(MASKED.masks, width=width, height=height) > 0] == BLACK).all()


def taken(spec: SourceSpec, settings: CaptureSettings) -> tuple[list[Packet], list[Packet]]:
    """What is kept of a source, and what is looked at."""
    items = list(open_source(spec, settings, LeapingClock(), START_US).items())
    return [i for i in items if isinstance(i, Packet)], [i.packet for i in items if isinstance(i, Watched)]


@given(
    st.integers(2, 60).map(lambda n: n * 2),
    st.integers(2, 60).map(lambda n: n * 2),
    st.lists(st.tuples(*(st.tuples(st.floats(0, 1), st.floats(0, 1)),) * 3), min_size=1, max_size=3),
    st.booleans(),
)
def test_masks_cover_whole_samples_of_colour(width: int, height: int, masks: list[Polygon], converted: bool) -> None:
    """Every pixel that a mask touches is black, and so is each that shares its colour; no other is changed."""
    drawn = Masks(masks, width=width, height=height, converted=converted)
    picture = np.full((height * 3 // 2, width), 200, np.uint8)
    drawn.i420(picture)
    luma = picture[:height]
    colours = picture[height:].reshape(2, height // 2, width // 2)
    inside = zone_mask(masks, width=width, height=height) > 0
    assert (luma[inside] == BLACK).all()
    dark = luma == BLACK
    assert ((luma == 200) | dark).all()
    by_colour = dark[0::2, 0::2]
    for part in (dark[1::2, 0::2], dark[0::2, 1::2], dark[1::2, 1::2]):
        assert (part == by_colour).all()
    assert (np.where(by_colour, NEUTRAL, 200) == colours).all()
    if not converted:
        touched = inside.reshape(height // 2, 2, width // 2, 2).any(axis=(1, 3))
        assert (touched == by_colour).all()


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "libx264", {"bf": "0"}),
        ("b.mp4", "libx264", {"bf": "2"}),
        ("c.ts", "libx264", {"bf": "2"}),
        ("d.mkv", "libx264", {"bf": "0"}),
        ("e.avi", "mpeg4", {}),
        ("f.avi", "mjpeg", {"color_range": "pc", "strict": "unofficial"}),
    ],
)
def test_what_is_kept_is_black_behind_a_mask(tmp_path: Path, name: str, codec: str, options: dict[str, str]) -> None:
    """A film with masks is decoded and encoded anew; nothing behind them is in what is kept or looked at."""
    path = write_film(tmp_path / name, codec=codec, frames=30, options=options, size=(320, 192))
    kept, _ = taken(SourceSpec(kind="file", location=str(path)), MASKED)
    assert len(kept) == 30
    for packet in kept:
        check_luma(packet)
    frames = frames_of(kept)
    assert len(frames) == 30
    for frame in frames:
        check_black(frame)
    theirs = {data for data, *_ in demuxed(path)}
    assert not any(packet.unit.data in theirs for packet in kept)


def test_a_scene_is_black_behind_a_mask() -> None:
    """A drawn camera is masked as a real one is."""
    source = open_source(parse_source("scene:driveway-walker"), MASKED, LeapingClock(), START_US)
    kept = [item for item in islice(source.items(), 20) if isinstance(item, Packet)]
    for packet in kept:
        check_luma(packet)
    for frame in frames_of(kept):
        check_black(frame)


def test_the_detection_stream_is_masked_too(tmp_path: Path) -> None:
    """With two streams, both are black behind a mask, whatever their size."""
    main = write_film(tmp_path / "main.mp4", frames=20, size=(320, 192), options={"bf": "0"})
    for sub in (
        write_film(tmp_path / "sub.mp4", frames=20, options={"bf": "2"}),
        write_film(tmp_path / "sub.avi", codec="mjpeg", frames=20, options={"strict": "unofficial"}),
    ):
        settings = CaptureSettings(masks=MASKED.masks, detect=SourceSpec(kind="file", location=str(sub)))
        kept, watched = taken(SourceSpec(kind="file", location=str(main)), settings)
        assert (len(kept), len(watched)) == (20, 20)
        for packet in watched:
            check_luma(packet)
            assert not packet.unit.data
        for frame in frames_of(kept):
            check_black(frame)


def test_a_mask_does_not_harm_the_pictures_that_follow(tmp_path: Path) -> None:
    """The decoder's own pictures stay whole: outside its mask a film looks as it does without one."""
    path = write_film(tmp_path / "a.mp4", frames=40, size=(320, 192), options={"bf": "2"})
    kept, _ = taken(SourceSpec(kind="file", location=str(path)), MASKED)
    with av.open(str(path)) as container:
        plain = [frame.to_ndarray()[:192].astype(int) for frame in container.decode(video=0)]
    outside = zone_mask(MASKED.masks, width=320, height=192) == 0
    for packet, luma in zip(kept, plain, strict=True):
        assert packet.luma is not None
        inner: NDArray[np.bool_] = outside & (packet.luma != BLACK)
        assert inner.sum() > outside.sum() * 0.95
        assert (packet.luma.astype(int)[inner] == luma[inner]).all()


def test_colour_does_not_leak_from_a_converted_picture(tmp_path: Path) -> None:
    """A picture whose colours are finer or coarser than ours leaves none of a masked pixel's in its neighbours."""
    path = tmp_path / "red.avi"
    masked = zone_mask(MASKED.masks, width=160, height=96) > 0
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv444p"
        for _ in range(3):
            planes = np.full((3, 96, 160), 128, np.uint8)
            planes[0] = 120
            planes[1:, masked] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(planes, format="yuv444p")))
        container.mux(stream.encode(None))
    kept, _ = taken(SourceSpec(kind="file", location=str(path)), MASKED)
    for frame in frames_of(kept):
        assert np.abs(frame.to_ndarray()[96:].astype(int) - NEUTRAL).max() <= 3


def test_damage_does_not_lift_a_mask(tmp_path: Path) -> None:
    """A film with holes in it is masked in what can still be shown."""
    path = write_film(tmp_path / "a.ts", frames=60, size=(320, 192), options={"bf": "0"})
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(3)
    for at in rng.integers(len(data) // 10, len(data), 40):
        data[at] ^= 0x5A
    path.write_bytes(data)
    try:
        kept, _ = taken(SourceSpec(kind="file", location=str(path)), MASKED)
    except SourceError:
        kept = []
    for packet in kept:
        check_luma(packet)


@pytest.mark.rtsp
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["h264", "mjpeg"])
def test_a_camera_is_black_behind_a_mask(kind: str) -> None:
    """What a real server's camera sends is masked in what is kept, H.264 too."""
    need_gst()
    launch = (
        pattern(shape="smpte75")
        if kind == "h264"
        else pattern(shape="smpte75", coder="jpegenc", pay="rtpjpegpay name=pay0 pt=26")
    )
    with serving(launch) as server:
        settings = CaptureSettings(masks=MASKED.masks, open_timeout_s=4, stall_s=4)
        kept = some(camera(server.url(), settings=settings), 25)
    for packet in kept:
        check_luma(packet)
    for frame in frames_of(kept):
        check_black(frame)
