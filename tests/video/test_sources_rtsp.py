"""Cameras of all kinds, as a real RTSP server plays them, over a network that can be bent."""

import logging
import socket
import time
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from device.video.errors import SourceVanishedError
from device.video.film import Film
from device.video.film_settings import FilmSettings
from device.video.outputs import Output, SourceBack, SourceLost
from device.video.packets import TICKS_PER_S, Packet
from device.video.source.capture import CaptureSettings, parse_source
from tests.video.rtsp import H264, need_gst, network, pattern, serving
from tests.video.rtsp_client import camera, check_line, decoded, late_s, some, stream, wait_for
from tests.video.support import Ids, write_film

pytestmark = [pytest.mark.rtsp, pytest.mark.slow, pytest.mark.usefixtures("gst")]

IMPATIENT = CaptureSettings(open_timeout_s=4, stall_s=1.2)
SLICED = "x264enc tune=zerolatency key-int-max=15"
B_FRAMES = "x264enc bframes=2 key-int-max=15 rc-lookahead=5 speed-preset=superfast ! video/x-h264,profile=main"
HEVC = "x265enc tune=zerolatency key-int-max=15 speed-preset=ultrafast"
HEVC_PAY = "rtph265pay name=pay0 pt=96 config-interval=-1"
JPEG_PAY = "rtpjpegpay name=pay0 pt=26"


@pytest.fixture(scope="module")
def gst() -> None:
    """All of this module needs the server."""
    need_gst()


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("coder", ["x264enc tune=zerolatency sliced-threads=0 key-int-max=15", SLICED, B_FRAMES])
def test_h264_is_copied(transport: str, coder: str) -> None:
    """Each picture comes once and whole, in slices or not, reordered or not, at its own time and at once."""
    settings = CaptureSettings(rtsp_transport="udp" if transport == "udp" else "tcp", open_timeout_s=4, stall_s=4)
    with serving(pattern(coder=coder)) as server:
        packets = some(camera(server.url(), settings=settings), 40)
        late = late_s(packets[-1])
    assert packets[0].unit.keyframe
    assert all(packet.luma is None for packet in packets)
    check_line(packets)
    shown = sorted(packet.at_us for packet in packets)[:36]
    assert all(abs(b - a - 66_667) < 3_000 for a, b in pairwise(shown))
    assert -0.1 < late < 0.5
    assert len(decoded(packets)) == 40


@pytest.mark.parametrize(("coder", "pay"), [(HEVC, HEVC_PAY), ("jpegenc", JPEG_PAY)])
def test_other_codecs_are_encoded_once(coder: str, pay: str) -> None:
    """An HEVC or MJPEG camera gives H.264 with a keyframe each second, and luma."""
    with serving(pattern(coder=coder, pay=pay)) as server:
        packets = some(camera(server.url()), 35)
    assert all(packet.luma is not None and packet.luma.shape == (240, 320) for packet in packets)
    assert [i for i, packet in enumerate(packets) if packet.unit.keyframe] == [0, 15, 30]
    assert len(decoded(packets)) == 35


def test_parameter_sets_may_stand_in_the_sdp_alone() -> None:
    """A camera that never sends them in band is read all the same."""
    coder = "x264enc tune=zerolatency sliced-threads=0 key-int-max=15 ! video/x-h264,stream-format=avc"
    with serving(pattern(coder=coder, pay="rtph264pay name=pay0 pt=96")) as server:
        assert len(decoded(some(camera(server.url()), 20))) == 20


def test_parameter_sets_may_come_in_band_alone() -> None:
    """A camera whose SDP says nothing of them is read from its first keyframe."""

    def forget(said: bytes) -> bytes:
        return said.replace(b"sprop-parameter-sets=", b"sprop-parameter-none=")

    with serving(pattern()) as server, network(server, reword=forget) as between:
        assert len(decoded(some(camera(server.url(port=between.port)), 20))) == 20


def test_the_resolution_may_change() -> None:
    """When a camera changes its picture, what follows has a configuration of its own, beginning with a keyframe."""
    scaled = "videoscale ! capsfilter name=size caps=video/x-raw,width=320,height=240 ! "
    coder = scaled + "x264enc tune=zerolatency sliced-threads=0 key-int-max=15"
    with serving(pattern(coder=coder)) as server:
        packets: list[Packet] = []
        source = camera(server.url())
        for item in stream(source):
            assert isinstance(item, Packet)
            packets.append(item)
            if len(packets) == 20:
                server.change("size", "caps", "video/x-raw,width=480,height=272")
            if item.config.width == 480 and late_s(item) < 0.5 and len(packets) > 45:
                break
        source.close()
    sizes = [(packet.config.width, packet.config.height) for packet in packets]
    assert sizes == sorted(sizes)
    assert set(sizes) == {(320, 240), (480, 272)}
    assert packets[sizes.index((480, 272))].unit.keyframe
    assert len(decoded(packets)) == len(packets)


def test_sound_is_not_even_asked_for() -> None:
    """A camera with a microphone sends no sound: its track is never set up."""
    sound = "audiotestsrc is-live=1 ! alawenc ! rtppcmapay name=pay1 pt=8 )"
    launch = pattern().removesuffix(")") + sound
    with serving(launch) as server, network(server) as between:
        packets = some(camera(server.url(port=between.port)), 20)
        assert between.channels <= {0, 1}
    assert len(decoded(packets)) == 20


def test_a_camera_may_want_a_login(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    """The right password opens (digest); with the wrong one the camera is lost; no log shows either."""
    caplog.set_level(logging.DEBUG)
    with capture_logs() as logs, serving(pattern(), login="viewer:pass-word-1") as server:
        assert some(camera(server.url(login="viewer:pass-word-1")), 3)
        with pytest.raises(SourceVanishedError) as caught:
            some(camera(server.url(login="viewer:pass-word-2")), 3)
        with pytest.raises(SourceVanishedError):
            some(camera(server.url("/nothing-here", login="viewer:pass-word-1")), 3)
    assert "401" in caught.value.reason
    said = [str(caught.value), *map(str, logs), caplog.text, *capfd.readouterr()]
    assert not any("pass-word" in text for text in said)


def test_a_keyframe_may_be_long_in_coming() -> None:
    """Who joins a camera between keyframes waits for the next one, longer than a silence is borne."""
    lost = 0

    def bend(packet: bytearray) -> bytes | None:
        nonlocal lost
        kind = packet[12] & 31
        if lost < 4 and (kind == 5 or (kind == 28 and packet[13] & 31 == 5)):
            # The last piece of a picture is marked.
            lost += packet[1] >> 7
            return None
        return bytes(packet)

    with serving(pattern()) as server, network(server, bend=bend) as between:
        source = camera(server.url(port=between.port), settings=IMPATIENT)
        begun = time.monotonic()
        packets = some(source, 10)
        assert time.monotonic() - begun > 3
    assert packets[0].unit.keyframe
    assert source.dropped > 20
    assert len(decoded(packets)) == 10


def test_a_dead_camera_is_lost_at_once() -> None:
    """When the server's process ends, the source says so within a second."""
    with serving(pattern()) as server:
        packets = stream(camera(server.url()))
        assert len(list(islice(packets, 10))) == 10
        server.kill()
        died = time.monotonic()
        with pytest.raises(SourceVanishedError):
            list(packets)
        assert time.monotonic() - died < 1


@pytest.mark.parametrize("how", ["frozen", "stalled"])
def test_a_silent_camera_is_lost_in_time(how: str) -> None:
    """A server that is stopped, or a network that carries nothing, is noticed by the watchdog."""
    with serving(pattern()) as server, network(server) as between:
        packets = stream(camera(server.url(port=between.port), settings=IMPATIENT))
        assert len(list(islice(packets, 20))) == 20
        silent = time.monotonic()
        if how == "frozen":
            server.freeze()
        else:
            between.stalled = True
        with pytest.raises(SourceVanishedError) as caught:
            list(packets)
        assert 1 < time.monotonic() - silent < 2.5
        server.thaw()
    assert "time" in caught.value.reason or "long" in caught.value.reason


def test_a_camera_that_comes_back_is_filmed_again() -> None:
    """A film tells of the loss, tries with growing patience, and tells when the camera is back."""
    told: list[Output] = []
    with serving(pattern()) as first:
        settings = FilmSettings(capture=IMPATIENT, retry_first_s=0.2, retry_most_s=1)
        film = Film(parse_source(first.url()), settings=settings, new_id=Ids(), sink=told.append)
        film.start()
        try:
            wait_for(lambda: film.health().frames > 20)
            first.kill()
            wait_for(lambda: len([one for one in told if isinstance(one, SourceLost)]) >= 3)
            with serving(pattern(), port=first.port):
                before = film.health().frames
                wait_for(lambda: film.health().frames > before + 20)
                assert film.health().state == "running"
        finally:
            film.stop()
    assert any(isinstance(one, SourceBack) for one in told)
    waits = [one.retry_s for one in told if isinstance(one, SourceLost)]
    assert waits[0] <= 0.2 < waits[2] <= 0.8


def test_a_cut_connection_is_lost_at_once() -> None:
    """A broken connection is an end, not a silence."""
    with serving(pattern()) as server, network(server) as between:
        packets = stream(camera(server.url(port=between.port)))
        assert len(list(islice(packets, 10))) == 10
        between.cut()
        cut = time.monotonic()
        with pytest.raises(SourceVanishedError):
            list(packets)
        assert time.monotonic() - cut < 1


def test_a_noisy_line_loses_pictures_and_no_more() -> None:
    """Bytes that arrive wrong, and packets that don't, cost groups of pictures; then all is as before, in few lines."""
    noise = np.random.default_rng(5)
    noisy = {"for": 60}

    def bend(packet: bytearray) -> bytes | None:
        if noisy["for"] > 0:
            noisy["for"] -= 1
            if noise.random() < 0.2:
                return None
            for _ in range(3):
                packet[int(noise.integers(2, len(packet)))] ^= 1 << int(noise.integers(8))
        return bytes(packet)

    with capture_logs() as logs, serving(pattern()) as server, network(server, bend=bend) as between:
        source = camera(server.url(port=between.port))
        packets: list[Packet] = []
        for item in stream(source):
            assert isinstance(item, Packet)
            packets.append(item)
            if noisy["for"] == 0 and late_s(item) < 0.5:
                noisy["for"] = -30  # how many more
            if noisy["for"] < 0:
                noisy["for"] += 1
                if noisy["for"] == -1:
                    break
        source.close()
    check_line(packets)
    keyframes = [number for number, packet in enumerate(packets[-29:]) if packet.unit.keyframe]
    assert len(decoded(packets[-29:][keyframes[0] :])) == 29 - keyframes[0]
    assert len(logs) < 6


@pytest.mark.parametrize(
    ("coder", "pay"),
    [
        ("capssetter caps=video/x-raw,framerate=30/1 ! x264enc tune=zerolatency sliced-threads=0 key-int-max=5", H264),
        ("jpegenc ! capssetter caps=image/jpeg,framerate=30/1", JPEG_PAY),
        ("jpegenc ! capssetter caps=image/jpeg,framerate=10000/1", JPEG_PAY),
        ("jpegenc ! capssetter caps=image/jpeg,framerate=1/100", JPEG_PAY),
    ],
)
def test_a_camera_may_lie_about_its_rate(coder: str, pay: str) -> None:
    """Five pictures a second are five, with a keyframe each second, whatever the camera says."""
    with serving(pattern(fps=5, coder=coder, pay=pay)) as server:
        packets = some(camera(server.url()), 16)
        assert late_s(packets[-1]) < 0.5
    steps = [b.at_us - a.at_us for a, b in pairwise(packets)]
    assert all(abs(step - 200_000) < 12_000 for step in steps)
    assert [number for number, packet in enumerate(packets) if packet.unit.keyframe] == [0, 5, 10, 15]


@pytest.mark.parametrize("leap_s", [3_600, 7, 2.5, -0.4, -3, -3_600])
def test_the_cameras_clock_may_leap(leap_s: float) -> None:
    """Timestamps that leap forth or back neither lose a picture nor move those that follow from their time."""
    seen: set[int] = set()

    def bend(packet: bytearray) -> bytes:
        stamp = int.from_bytes(packet[4:8])
        seen.add(stamp)
        if len(seen) > 25:
            packet[4:8] = ((stamp + round(leap_s * TICKS_PER_S)) % (1 << 32)).to_bytes(4)
        return bytes(packet)

    with serving(pattern()) as server, network(server, bend=bend) as between:
        packets: list[Packet] = []
        source = camera(server.url(port=between.port))
        for item in stream(source):
            assert isinstance(item, Packet)
            if len(packets) > 20:
                assert -0.4 < late_s(item) < 0.7
            packets.append(item)
            if len(packets) == 50:
                break
        source.close()
    check_line(packets)
    assert len(decoded(packets)) == 50
    assert packets[-1].at_us - packets[0].at_us == pytest.approx(49 / 15 * 1e6, abs=500_000)


def test_counters_of_rtp_may_wrap() -> None:
    """Sequence numbers and timestamps that begin anew at zero go unnoticed."""
    pay = f"{H264} seqnum-offset=65510 timestamp-offset={2**32 - 120_000}"
    with serving(pattern(pay=pay)) as server:
        packets = some(camera(server.url()), 45)
    assert len(decoded(packets)) == 45
    assert all(abs(b.at_us - a.at_us - 66_667) < 3_000 for a, b in pairwise(packets))


def test_a_silent_door_is_given_up() -> None:
    """What accepts a connection and says nothing, and what refuses one, is lost in time."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
        begun = time.monotonic()
        settings = CaptureSettings(open_timeout_s=0.5, stall_s=0.5)
        with pytest.raises(SourceVanishedError):
            some(camera(f"rtsp://127.0.0.1:{port}/s", settings=settings), 1)
        assert time.monotonic() - begun < 3
    with pytest.raises(SourceVanishedError):
        some(camera(f"rtsp://127.0.0.1:{port}/s"), 1)


def test_a_film_can_be_a_camera(tmp_path: Path) -> None:
    """A server that plays a recorded film in real time, B-frames and all, is a camera like others."""
    path = write_film(tmp_path / "a.mp4", frames=60, options={"bf": "2"})
    with serving(f"( filesrc location={path} ! qtdemux ! h264parse ! {H264} )") as server:
        packets = some(camera(server.url()), 30)
    assert (packets[0].config.width, packets[0].config.height) == (160, 96)
    check_line(packets)


def test_nobody_takes_what_comes() -> None:
    """A camera whose packets nobody takes is held within the bound, and goes on with a keyframe."""
    with serving(pattern(shape="snow", fps=30)) as server:
        source = camera(server.url(), settings=CaptureSettings(queue_bytes=150_000, open_timeout_s=4, stall_s=4))
        packets: list[Packet] = []
        for item in stream(source):
            assert isinstance(item, Packet)
            packets.append(item)
            if len(packets) == 3:
                time.sleep(2)
                assert source._queue.held_bytes <= 150_000
            if source.dropped and late_s(item) < 0.3:
                break
        source.close()
    assert source.dropped > 10
    gaps = [b for a, b in pairwise(packets) if b.unit.dts - a.unit.dts > TICKS_PER_S // 10]
    assert gaps
    assert all(packet.unit.keyframe for packet in gaps)
