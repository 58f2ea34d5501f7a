"""What is made from settings: how to film, and when two brokers may be one."""

from pathlib import Path
from typing import Any

import pytest

from device.parts import film_settings, may_be_one_broker
from device.settings import MqttSection, SettingsError, check_settings
from device.video.errors import SourceError

ZONE = [[0.0, 0.0], [1.0, 0.0], [1.0, 0.2]]


def filming(**camera: Any) -> Any:
    """How a device with this camera films."""
    values = {"device": {"name": "porch", "lat": 1.0, "lon": 2.0}, "camera": {"source": "rtsp://cam/main", **camera}}
    return film_settings(check_settings(values, "device.toml"), home=Path("/home/porch"))


def test_the_camera_is_filmed_as_its_section_says() -> None:
    """Second stream, transport, encoder, zones, masks, eco and labels arrive where they are used."""
    settings = filming(
        detect_source="rtsp://cam/small", rtsp_transport="udp", codec="vp9", quality=7, gop_s=2, eco=False,
        labels="shape", ignore_zones=[ZONE], privacy_masks=[ZONE, ZONE],
    )  # fmt: skip
    capture = settings.capture
    assert capture.detect is not None
    assert (capture.detect.location, capture.rtsp_transport) == ("rtsp://cam/small", "udp")
    assert (capture.encoder.codec, capture.encoder.quality, capture.encoder.gop_s) == ("vp9", 7, 2)
    assert (len(settings.motion.ignore), len(capture.masks)) == (1, 2)
    assert (settings.attention.eco, settings.labels) == (False, "shape")


def test_a_sensitivity_is_finer_the_higher_it_is() -> None:
    """A higher level sees smaller things, and 5 is what one gets without saying."""
    areas = [filming(sensitivity=level).motion.blob_area_share for level in range(1, 11)]
    assert areas == sorted(areas, reverse=True)
    assert len(set(areas)) == 10
    assert filming().motion == filming(sensitivity=5).motion


def test_relative_sources_are_taken_from_the_device_s_folder() -> None:
    """A second stream in a file lies beside the settings, as the first does."""
    capture = filming(source="file:large.mp4", detect_source="file:small.mp4").capture
    assert capture.detect.location == "/home/porch/small.mp4"


@pytest.mark.parametrize(
    ("camera", "complaint"),
    [
        ({"ignore_zones": [ZONE[:2]]}, r"camera\.ignore_zones\.0.*at least 3"),
        ({"v4l2_size": [-5, 0]}, r"camera\.v4l2_size"),
        ({"privacy_masks": [ZONE, [[0, 0], [2, 0], [1, 1]]]}, r"camera\.privacy_masks\[1\].*outside"),
    ],
)
def test_a_zone_that_is_none_is_named(camera: dict[str, Any], complaint: str) -> None:
    """Which of the zones, and what is wrong with it."""
    with pytest.raises(SettingsError, match=complaint):
        filming(**camera)


def test_a_second_stream_that_is_none_is_named() -> None:
    """An address that can't be one is refused as the first stream's would be, and so is a film beside a camera."""
    with pytest.raises(SourceError, match="is no source"):
        filming(detect_source="toaster")
    with pytest.raises(SettingsError, match="two streams of one camera"):
        filming(detect_source="file:small.mp4")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (("127.0.0.1", 1883), ("127.0.0.1", 1883), True),
        (("localhost", 1883), ("127.0.0.1", 1883), True),
        (("127.0.0.1", 1883), ("::1", 8883), True),
        (("192.0.2.1", 1883), ("192.0.2.1", 8883), True),
        (("192.0.2.1", 1883), ("192.0.2.2", 1883), False),
        (("no-such-name.invalid", 1883), ("192.0.2.2", 1883), True),
    ],
)
def test_two_brokers_are_two_only_if_that_is_certain(one: tuple[str, int], other: tuple[str, int], same: bool) -> None:
    """By address and not by name or port; what can't be told apart counts as one, so that no match is told."""
    sections = [MqttSection(host=host, port=port) for host, port in (one, other)]
    assert may_be_one_broker(*sections) is same
