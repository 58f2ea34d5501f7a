"""A camera over RTSP or V4L2, or two streams of one: each read by a thread of its own into one bounded queue.

With a second stream for detection both are one source: when either is lost, so is the other, and both are opened
again. Each is dated by our clock, so that what is seen in the one is where it is in the other.
"""

import threading
import time
from collections.abc import Iterator

import av
from av.container import InputContainer

from device.video.clock import Clock
from device.video.errors import SourceVanishedError
from device.video.faults import FAULTS, reason_of
from device.video.source.capture import CaptureSettings, Item, SourceSpec, V4l2Settings
from device.video.source.damage import Damage
from device.video.source.dating import LiveDating
from device.video.source.encoded import Use
from device.video.source.packet_queue import PacketQueue
from device.video.source.streams import OPEN_OPTIONS, StreamReader

_LOOK_ABOUT_S = 0.2
# How long libavformat may watch a camera to learn what it sends, in microseconds; what comes meanwhile is not lost.
_LEARN_US = 1_000_000
# Some cameras send a keyframe every half minute, and none when somebody joins.
_USELESS_S = 60.0
# How much longer than the watchdog bears a silence a picture may be on its way.
_SPARE_S = 5.0


class LiveSource:
    """Packets of a camera, and of its second stream where the settings name one."""

    def __init__(self, spec: SourceSpec, *, settings: CaptureSettings, clock: Clock) -> None:
        self._settings = settings
        specs = [spec, settings.detect] if settings.detect is not None else [spec]
        self._queue = PacketQueue(max_bytes=settings.queue_bytes, streams=len(specs))
        uses: list[Use] = ["keep", "look"] if settings.detect is not None else ["both"]
        self._cameras = [
            _Camera(one, number, use=use, settings=settings, clock=clock, queue=self._queue)
            for number, (one, use) in enumerate(zip(specs, uses, strict=True))
        ]

    @property
    def dropped(self) -> int:
        """Packets lost so far."""
        return self._queue.dropped + sum(camera.dropped for camera in self._cameras)

    def close(self) -> None:
        """Let the reading threads end; they do so at the camera's next packet or at its time-out."""
        self._queue.close(None)

    def items(self) -> Iterator[Item | None]:
        """Give the camera's packets; SourceVanishedError when it stops, stalls or can't be reached."""
        for camera in self._cameras:
            camera.start()
        while True:
            item = self._queue.take(_LOOK_ABOUT_S)
            if item is None and self._queue.closed:
                if self._queue.reason is None:
                    return
                lost = next((camera for camera in self._cameras if camera.lost), self._cameras[0])
                raise SourceVanishedError(source=lost.shown, reason=self._queue.reason)
            self._watch()
            yield item

    def _watch(self) -> None:
        """Give up on a camera that is silent, or of no use, for too long."""
        for camera in self._cameras:
            camera.watch()


class _Camera:
    """One stream, read by one thread."""

    def __init__(
        self, spec: SourceSpec, number: int, *, use: Use, settings: CaptureSettings, clock: Clock, queue: PacketQueue
    ) -> None:
        self.shown = spec.shown
        self._number = number
        self.damage = Damage(source=spec.shown, told=True)
        self.lost = False
        self._heard = 0
        self._heard_s = time.monotonic()
        self._spec = spec
        self._use: Use = use
        self._settings = settings
        self._clock = clock
        self._queue = queue
        self._reader: StreamReader | None = None

    @property
    def dropped(self) -> int:
        """Packets lost so far, by the camera or on their way."""
        return self._reader.dropped if self._reader else 0

    def start(self) -> None:
        """Begin to read."""
        threading.Thread(target=self._read, name=f"video-live-{self._number}", daemon=True).start()

    def watch(self) -> None:
        """Give the camera up if nothing came for too long, or nothing that can be used for much longer."""
        now_s, heard = time.monotonic(), self._reader.heard if self._reader else 0
        if heard != self._heard:
            self._heard, self._heard_s = heard, now_s
        patience_s = self._settings.stall_s + (0 if heard else self._settings.open_timeout_s)
        if now_s - self._heard_s > patience_s:
            self.lose("nothing came for too long")
        elif self._queue.silent_s(self._number) > max(_USELESS_S, patience_s):
            self.lose(f"nothing that can be used came for too long: {self.damage.reason or 'no keyframe'}")

    def lose(self, reason: str) -> None:
        """Say that there is no more of this camera."""
        self.lost = self.lost or not self._queue.closed
        self._queue.close(reason)

    def _read(self) -> None:
        dating = LiveDating(self._clock, most_wait_us=round((self._settings.stall_s + _SPARE_S) * 1e6))
        try:
            with self._open() as container:
                reader = self._reader = StreamReader(
                    container,
                    name=self.shown,
                    settings=self._settings,
                    dating=dating,
                    damage=self.damage,
                    use=self._use,
                )
                for packet in reader.packets():
                    if self._queue.closed:
                        return
                    if dating.set_back:
                        self.lose("our clock was set back")
                        return
                    self._queue.put(packet, stream=self._number)
            self.lose("the camera ended its stream")
        except FAULTS as fault:
            self.lose(reason_of(fault))

    def _open(self) -> InputContainer:
        timeout = (self._settings.open_timeout_s, self._settings.stall_s)
        if self._spec.kind == "v4l2":
            options = OPEN_OPTIONS | v4l2_options(self._settings.v4l2)
            return av.open(self._spec.location, "r", format="v4l2", options=options, timeout=timeout)
        options = OPEN_OPTIONS | {
            "rtsp_transport": self._settings.rtsp_transport,
            "allowed_media_types": "video",
            "analyzeduration": str(_LEARN_US),
            # Rates are not believed anyway.
            "fpsprobesize": "0",
        }
        return av.open(self._spec.location, "r", format="rtsp", options=options, timeout=timeout)


def v4l2_options(settings: V4l2Settings) -> dict[str, str]:
    """Return settings as libavdevice names them."""
    asked = {
        "input_format": settings.input_format,
        "video_size": "x".join(map(str, settings.size)) if settings.size is not None else None,
        "framerate": str(settings.fps) if settings.fps is not None else None,
    }
    return {key: value for key, value in asked.items() if value is not None}
