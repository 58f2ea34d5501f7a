"""Two streams of one camera: one is kept, the other looked at."""

import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from device.video.clock import SystemClock
from device.video.errors import SourceError, SourceVanishedError
from device.video.packets import Packet, Ring, Watched
from device.video.source.capture import CaptureSettings, SourceSpec, parse_source
from device.video.source.opening import open_source
from tests.video.rtsp import Server, need_gst, network, pattern, serving
from tests.video.rtsp_client import decoded
from tests.video.support import START_US, LeapingClock, write_film

FLASHING = "videotestsrc is-live=1 name=light pattern=black ! video/x-raw,format=I420,width={},height={},framerate={}/1"
# One thread: more would hold back pictures, in number alike for both streams, so in time not.
CODER = "x264enc tune=zerolatency threads=1 key-int-max={} ! rtph264pay name=pay0 pt=96 config-interval=-1"


@pytest.fixture(scope="module")
def gst() -> None:
    """Some tests need the server."""
    need_gst()


def file_spec(path: Path) -> SourceSpec:
    return SourceSpec(kind="file", location=str(path))


def test_recordings_are_merged_by_time(tmp_path: Path) -> None:
    """Each stream comes whole and in its own order, and each packet when its time has come."""
    main = write_film(tmp_path / "main.mp4", frames=60, fps=20, size=(320, 192), options={"bf": "2"})
    sub = write_film(tmp_path / "sub.mp4", frames=15, fps=5, options={"bf": "0"})
    settings = CaptureSettings(detect=file_spec(sub))
    items = list(open_source(file_spec(main), settings, LeapingClock(), START_US).items())
    kept = [item for item in items if isinstance(item, Packet)]
    watched = [item.packet for item in items if isinstance(item, Watched)]
    assert (len(kept), len(watched)) == (60, 15)
    assert all(packet.config.width == 320 and packet.luma is None for packet in kept)
    assert all(packet.config.width == 160 for packet in watched)
    assert min(packet.at_us for packet in kept) == watched[0].at_us == START_US
    due = [
        packet.at_us - (packet.unit.pts - packet.unit.dts) * 100 // 9
        for item in items
        if (packet := item.packet if isinstance(item, Watched) else item) and isinstance(packet, Packet)
    ]
    assert all(b - a >= -1 for a, b in pairwise(due))


def test_two_scenes_can_be_a_pair() -> None:
    """The bell of what is kept rings once, and what is kept carries no luma for anybody to look at."""
    scene = parse_source("scene:doorbell-visitor")
    settings = CaptureSettings(detect=scene)
    items = list(open_source(scene, settings, LeapingClock(), START_US).items())
    alone = list(open_source(scene, CaptureSettings(), LeapingClock(), START_US).items())
    assert [item for item in items if isinstance(item, Ring)] == [item for item in alone if isinstance(item, Ring)]
    assert all(item.luma is None for item in items if isinstance(item, Packet))
    assert all(item.packet.luma is not None for item in items if isinstance(item, Watched))


def test_what_is_kept_says_when_it_is_over(tmp_path: Path) -> None:
    """A detection film that is shorter, or longer, neither ends nor extends what is kept."""
    main = write_film(tmp_path / "main.mp4", frames=30, options={"bf": "0"})
    for frames, expected in ((10, 10), (50, 30)):
        sub = write_film(tmp_path / f"{frames}.mp4", frames=frames, options={"bf": "0"})
        settings = CaptureSettings(detect=file_spec(sub))
        items = list(open_source(file_spec(main), settings, LeapingClock(), START_US).items())
        assert sum(isinstance(item, Packet) for item in items) == 30
        assert sum(isinstance(item, Watched) for item in items) == expected


def test_a_detection_film_that_is_not_there_is_told(tmp_path: Path) -> None:
    """The error names the one of the two that can't be used."""
    main = write_film(tmp_path / "main.mp4", frames=30)
    settings = CaptureSettings(detect=file_spec(tmp_path / "none.mp4"))
    with pytest.raises(SourceError) as caught:
        list(open_source(file_spec(main), settings, LeapingClock(), START_US).items())
    # Whoever films hands on the reason alone, with the first one's name.
    assert caught.value.reason == f"its second stream, file:{tmp_path / 'none.mp4'}: doesn't exist"
    assert caught.value.source == f"file:{main}"


def test_a_camera_and_a_film_are_no_pair(tmp_path: Path) -> None:
    """Two streams must be of one camera, or of none."""
    film, live = file_spec(tmp_path / "a.mp4"), parse_source("rtsp://me:secret@camera/s")
    for main, sub in ((film, live), (live, film)):
        with pytest.raises(SourceError) as caught:
            open_source(main, CaptureSettings(detect=sub), LeapingClock(), START_US)
        assert "secret" not in str(caught.value)


def test_what_is_looked_at_alone_is_not_encoded(tmp_path: Path) -> None:
    """A detection film of another codec gives luma, and access units with nothing in them."""
    main = write_film(tmp_path / "main.mp4", frames=30, options={"bf": "0"})
    sub = write_film(tmp_path / "sub.avi", codec="mpeg4", frames=30)
    settings = CaptureSettings(detect=file_spec(sub))
    items = list(open_source(file_spec(main), settings, LeapingClock(), START_US).items())
    watched = [item.packet for item in items if isinstance(item, Watched)]
    assert [packet.unit.data for packet in watched] == [b""] * 30
    assert all(packet.luma is not None and packet.luma.shape == (96, 160) for packet in watched)
    assert [number for number, packet in enumerate(watched) if packet.unit.keyframe] == [0, 15]


def lamp(size: tuple[int, int], fps: int, gop: int) -> str:
    """A dark room whose light can be switched."""
    return f"( {FLASHING.format(*size, fps)} ! {CODER.format(gop)} )"


def pair(server: Server, *, sub_port: int | None = None, **changes: float) -> CaptureSettings:
    sub = parse_source(server.url("/sub", port=sub_port))
    return CaptureSettings(detect=sub, open_timeout_s=4, stall_s=changes.get("stall_s", 4))


@pytest.mark.rtsp
@pytest.mark.slow
@pytest.mark.usefixtures("gst")
def test_events_of_two_live_streams_line_up() -> None:
    """A light that is switched on is dated alike in both streams, to within 200 ms, though one came up later."""
    # The test source draws each picture an interval ahead: at rates like these that is far below what is asked for.
    mounts = {"/main": lamp((640, 352), 30, 60), "/sub": lamp((160, 96), 20, 20)}
    with serving(mounts) as server:
        source = open_source(parse_source(server.url("/main")), pair(server), SystemClock(), 0)
        kept: list[Packet] = []
        watched: list[Packet] = []
        until = time.monotonic() + 6
        lit = False
        for item in source.items():
            if isinstance(item, Packet):
                kept.append(item)
            elif isinstance(item, Watched):
                watched.append(item.packet)
            if not lit and kept and watched and time.time() - watched[-1].at_us / 1e6 < 0.5 and len(watched) > 10:
                server.change("light", "pattern", "white")
                lit = True
                until = time.monotonic() + 1
            if time.monotonic() > until:
                break
        source.close()
    assert lit
    moments = []
    for packets in (kept, watched):
        bright = [bool(np.mean(luma) > 128) for luma in decoded(packets)]
        moments.append(packets[bright.index(True)].at_us)
    assert abs(moments[0] - moments[1]) < 200_000


@pytest.mark.rtsp
@pytest.mark.slow
@pytest.mark.usefixtures("gst")
@pytest.mark.parametrize("how", ["cut", "stalled"])
def test_one_stream_lost_is_the_pair_lost(how: str) -> None:
    """When the detection stream dies or falls silent while the main one goes on, the camera is lost."""
    mounts = {"/main": pattern(size=(640, 352)), "/sub": pattern(size=(160, 96))}
    with serving(mounts) as server, network(server) as between:
        settings = pair(server, sub_port=between.port, stall_s=1.2)
        items = open_source(parse_source(server.url("/main")), settings, SystemClock(), 0).items()
        seen = 0
        while seen < 20:
            seen += isinstance(next(items), Watched)
        begun = time.monotonic()
        if how == "cut":
            between.cut()
        else:
            between.stalled = True
        with pytest.raises(SourceVanishedError) as caught:
            list(items)
        assert time.monotonic() - begun < 2.5
    assert str(between.port) in caught.value.source
