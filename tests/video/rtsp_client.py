"""What tests do with cameras and their films: take some of it, decode it, see when it was filmed."""

import time
from collections.abc import Callable, Iterator
from itertools import pairwise

import av
import numpy as np
from numpy.typing import NDArray

from device.video.clock import SystemClock
from device.video.packets import Packet, Watched
from device.video.source.capture import CaptureSettings, parse_source
from device.video.source.live import LiveSource

QUICK = CaptureSettings(open_timeout_s=4, stall_s=4)


def camera(url: str, *, settings: CaptureSettings = QUICK) -> LiveSource:
    """The camera at an address."""
    return LiveSource(parse_source(url), settings=settings, clock=SystemClock())


def stream(source: LiveSource, *, within_s: float = 25) -> Iterator[Packet | Watched]:
    """What a camera gives, for so long."""
    until = time.monotonic() + within_s
    for item in source.items():
        if isinstance(item, Packet | Watched):
            yield item
        assert time.monotonic() < until, "nothing more came"


def some(source: LiveSource, count: int) -> list[Packet]:
    """The first packets of a camera, which is then let go."""
    found: list[Packet] = []
    for item in stream(source):
        assert isinstance(item, Packet)
        found.append(item)
        if len(found) == count:
            break
    source.close()
    return found


def decoded(packets: list[Packet]) -> list[NDArray[np.uint8]]:
    """The luma of all pictures, as a player would show them; raises where a packet can't be decoded."""
    return [np.asarray(frame.to_ndarray(), np.uint8)[: frame.height] for frame in frames_of(packets)]


def frames_of(packets: list[Packet]) -> list[av.VideoFrame]:
    """The same as frames."""
    shown: list[av.VideoFrame] = []
    context, config = None, None
    for packet in [*packets, None]:
        if packet is None or packet.config != config:
            if context is not None:
                shown += context.decode(None)
            if packet is None:
                break
            context, config = av.CodecContext.create("h264", "r"), packet.config
            context.extradata, context.thread_count = config.extradata, 1
            context.options = {"err_detect": "explode"}
        assert context is not None
        coded = av.Packet(packet.unit.data)
        coded.pts, coded.dts = packet.unit.pts, packet.unit.dts
        shown += context.decode(coded)
    return shown


def late_s(packet: Packet) -> float:
    """How long ago a packet says it was filmed."""
    return time.time() - packet.at_us / 1e6


def check_line(packets: list[Packet]) -> None:
    """Decoding times grow strictly; no picture is shown before it is decoded."""
    assert all(a.unit.dts < b.unit.dts for a, b in pairwise(packets))
    assert all(packet.unit.dts <= packet.unit.pts for packet in packets)


def wait_for(what: Callable[[], bool]) -> None:
    """Wait until something is so."""
    until = time.monotonic() + 20
    while not what():
        assert time.monotonic() < until
        time.sleep(0.02)
