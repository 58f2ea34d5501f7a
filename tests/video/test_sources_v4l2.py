"""USB and other V4L2 cameras, as far as a machine without one can tell: what is asked of a device that isn't there.

No device is here, so no picture is read; that a V4L2 camera's pictures are taken as an RTSP camera's are, by the same
code, is in `source.live`.
"""

import threading
import time
from pathlib import Path

import av
import pytest

from device.video.clock import SystemClock
from device.video.errors import SourceVanishedError
from device.video.source.capture import CaptureSettings, V4l2Settings, parse_source
from device.video.source.live import LiveSource, v4l2_options


def lost(device: str, settings: CaptureSettings | None = None) -> SourceVanishedError:
    """Why a device can't be filmed."""
    source = LiveSource(parse_source(f"v4l2:{device}"), settings=settings or CaptureSettings(), clock=SystemClock())
    with pytest.raises(SourceVanishedError) as caught:
        assert not any(source.items())
    return caught.value


def test_the_library_knows_v4l2() -> None:
    """PyAV's wheel brings the V4L2 reader."""
    assert any("v4l2" in name.split(",") for name in av.formats_available)


def test_a_device_that_is_not_there_is_lost() -> None:
    """It may be plugged in later, so it is a camera that vanished: tried again, not given up."""
    error = lost("/dev/video987")
    assert error.reason == "No such file or directory"
    assert error.source == "v4l2:/dev/video987"


def test_what_is_no_device_is_lost(tmp_path: Path) -> None:
    """A file, a folder or another device in its place ends in one line, not in a crash."""
    path = tmp_path / "video0"
    path.write_bytes(b"no device")
    for place in (str(path), str(tmp_path), "/dev/null"):
        assert "\n" not in str(lost(place))


def test_what_is_asked_of_a_device() -> None:
    """Settings are told in libavdevice's words; what is not set is left to the driver."""
    assert v4l2_options(V4l2Settings()) == {}
    asked = V4l2Settings(input_format="mjpeg", size=(1280, 720), fps=15)
    assert v4l2_options(asked) == {"input_format": "mjpeg", "video_size": "1280x720", "framerate": "15"}


def test_settings_do_not_keep_a_device_from_being_missed() -> None:
    """With options, the reason is still the device's own."""
    settings = CaptureSettings(v4l2=V4l2Settings(input_format="mjpeg", size=(640, 480), fps=10))
    assert lost("/dev/video987", settings).reason == "No such file or directory"


def test_a_lost_camera_leaves_no_thread() -> None:
    """The reading thread ends with the camera."""
    lost("/dev/video987")
    until = time.monotonic() + 5
    while any(thread.name.startswith("video-live") for thread in threading.enumerate()):
        assert time.monotonic() < until
        time.sleep(0.01)
