"""A film of a camera: what is lost with it, what comes back, and what ends."""

import socket
from dataclasses import replace

import av
import av.error
import cv2
import pytest
from structlog.testing import capture_logs

from device.video.clock import SystemClock
from device.video.errors import BitstreamError
from device.video.film import Film
from device.video.film_settings import FilmSettings
from device.video.outputs import (
    ClipEnded,
    ClipStarted,
    Output,
    SourceBack,
    SourceEnded,
    SourceLost,
)
from device.video.packets import Packet, Ring
from device.video.source.capture import CaptureSettings, SourceSpec, parse_source
from tests.video.film_support import CAMERA, CONTINUOUS, filmed, until
from tests.video.support import BentCamera, Ids, LeapingClock, coded, segments_in


def test_a_vanished_camera_is_tried_again() -> None:
    """Its clip is closed soundly, the loss is told, delays grow within their bound, and it goes on when it is back."""
    later = [replace(packet, at_us=packet.at_us + 60_000_000) for packet in coded(45)]
    camera = BentCamera(openings=[list(coded(40)), [], [], list(later)])
    out: list[Output] = []
    film = Film(
        CAMERA,
        settings=CONTINUOUS,
        new_id=Ids(),
        sink=out.append,
        clock=LeapingClock(),
        open_source=camera.open,
        jitter=lambda: 1.0,
    )
    with capture_logs() as logs:
        film.start()
        until(lambda: camera.opened >= 6)
        film.stop()
    first, second = list(segments_in(out).values())[:2]
    assert sum(len(segment.units) for segment in first) == 40
    assert sum(len(segment.units) for segment in second) == 45
    ends = [o for o in out if isinstance(o, ClipStarted | ClipEnded | SourceLost | SourceBack)]
    kinds = [ClipStarted, ClipEnded, SourceLost, SourceLost, SourceLost, SourceBack, ClipStarted, ClipEnded, SourceLost]
    assert [type(o) for o in ends[:9]] == kinds
    assert [o.retry_s for o in out if isinstance(o, SourceLost)][:5] == [1, 2, 4, 1, 2]
    assert "source_lost" in [entry["event"] for entry in logs]
    assert camera.closed == camera.opened


FAULTS = [
    av.error.InvalidDataError(1, "invalid data", "rtsp://user:secret@camera/"),
    cv2.error("OpenCV(4): assertion failed\n in function"),
    OSError(5, "Input/output error"),
    ValueError("Conversion from rtsp://user:secret@camera/ is not possible"),
    BitstreamError("damaged"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
def test_what_a_library_raises_loses_a_camera_and_ends_a_file(fault: Exception) -> None:
    """A camera is tried again, a file is over; each in one line, which shows no password, and never in a traceback."""
    out: list[Output] = []
    camera = BentCamera(openings=[list(coded(20))] * 3, fault=fault)
    film = Film(
        CAMERA, settings=CONTINUOUS, new_id=Ids(), sink=out.append, clock=LeapingClock(), open_source=camera.open
    )
    with capture_logs() as logs:
        film.start()
        until(lambda: sum(isinstance(o, SourceLost) for o in out) >= 3)
        film.stop()
        assert film.health().state == "stopped"
        file: list[Output] = []
        bent = BentCamera(openings=[list(coded(20))], fault=fault)
        spec = SourceSpec(kind="file", location="/a.mp4")
        film = Film(
            spec, settings=CONTINUOUS, new_id=Ids(), sink=file.append, clock=LeapingClock(), open_source=bent.open
        )
        filmed(film)
    assert film.health().state == "failed"
    (ended,) = [o for o in file if isinstance(o, SourceEnded)]
    assert ended.reason
    assert "\n" not in ended.reason
    assert [type(o) for o in file if isinstance(o, ClipStarted | ClipEnded)] == [ClipStarted, ClipEnded]
    assert [entry["event"] for entry in logs].count("source_unusable") == 1
    assert "secret" not in str(logs) + str([o for o in out + file if isinstance(o, SourceLost | SourceEnded)])


class SinkError(OSError):
    """What a sink may raise, of a kind that libraries raise too."""


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_sink_that_fails_is_no_fault_of_the_camera() -> None:
    """Even an OSError of the sink ends the film: it is not taken for a camera that went away."""
    lost: list[Output] = []

    def sink(output: Output) -> None:
        if isinstance(output, SourceLost):
            lost.append(output)
        raise SinkError(28, "No space left on device")

    camera = BentCamera(openings=[list(coded(45))] * 3)
    film = Film(CAMERA, settings=CONTINUOUS, new_id=Ids(), sink=sink, clock=LeapingClock(), open_source=camera.open)
    film.start()
    assert film.join(10)
    until(lambda: film.health().state == "failed")
    film.stop()
    assert film.join(10)
    assert lost == []


def test_privacy_lets_go_of_a_camera() -> None:
    """While privacy is on a camera is not even open; off opens it again."""
    looped: list[Packet | Ring | None] = list(coded(45))
    camera = BentCamera(openings=[looped, looped, looped], vanish=False)
    opened_under_privacy = []

    def sink(output: Output) -> None:
        if isinstance(output, ClipStarted) and camera.opened == 1:
            film.set_privacy(on=True)

    film = Film(CAMERA, settings=CONTINUOUS, new_id=Ids(), sink=sink, clock=SystemClock(), open_source=camera.open)
    film.start()
    until(lambda: camera.closed >= 1)
    until(lambda: film.health().state == "private")
    opened_under_privacy.append(camera.opened)
    film.set_privacy(on=False)
    until(lambda: camera.opened >= 2)
    film.stop()
    assert opened_under_privacy == [1]


@pytest.mark.parametrize("answers", [True, False])
def test_an_unreachable_camera_is_lost_not_fatal(answers: bool) -> None:
    """A camera that refuses, or accepts and then says nothing, is lost in due time and tried again."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        if not answers:
            server.close()
        out: list[Output] = []
        capture = CaptureSettings(open_timeout_s=0.3, stall_s=0.3)
        film = Film(
            parse_source(f"rtsp://user:secret@127.0.0.1:{port}/stream"),
            settings=FilmSettings(capture=capture, retry_first_s=0.05, retry_most_s=0.1),
            new_id=Ids(),
            sink=out.append,
        )
        with capture_logs() as logs:
            film.start()
            until(lambda: len([o for o in out if isinstance(o, SourceLost)]) >= 2)
            assert film.health().state == "lost"
            film.stop()
    assert film.health().state == "stopped"
    assert "secret" not in str(logs) + str(out)
