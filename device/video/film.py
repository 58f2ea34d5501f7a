"""Runs one source through motion and recorder in a thread of its own, and hands what follows to a sink.

Bounds and rules when something is full:

- decoding waits for at most `batch_frames` packets, and not at all when a packet is larger than its neighbours or
  something begins to move;
- the sink may block. A file or scene then waits, and catches up. A camera does not: its queue fills, and whole
  groups of pictures are dropped and counted;
- a camera that vanished is tried again, for ever, after a delay that grows to a bound.

`sink` is called from this thread alone, in order; if it raises, the film ends as "failed". `stop` ends within a second
unless the sink holds the thread up.
"""

import random
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

import cv2
import structlog

from device.video.capture import CaptureSettings, Source, SourceSpec
from device.video.clock import Clock, SystemClock
from device.video.errors import SourceError, SourceVanishedError
from device.video.motion import MotionSettings
from device.video.outputs import ClipEnded, Output, Recorded, SourceBack, SourceEnded, SourceLost
from device.video.pace import Pace, Rate
from device.video.packets import Packet, Ring, us_from_ticks
from device.video.recorder import Recorder, RecorderSettings
from device.video.sources import OpenSource, open_source
from device.video.thumbs import Thumbs
from device.video.watcher import Seen, Watcher

log = structlog.get_logger()

_US_PER_S = 1_000_000
_MAX_RINGS = 32
_STOP_WAIT_S = 0.9

FilmState = Literal["starting", "running", "private", "lost", "ended", "failed", "stopped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmSettings:
    """All that filming is told. `speed`: how fast files and scenes play; 0 is as fast as they can be read."""

    capture: CaptureSettings = field(default_factory=CaptureSettings)
    motion: MotionSettings = field(default_factory=MotionSettings)
    recorder: RecorderSettings = field(default_factory=RecorderSettings)
    speed: float = 1.0
    batch_frames: int = 5
    retry_first_s: float = 0.5
    retry_most_s: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmHealth:
    """Counters since the start.

    `decode_ms`: a picture's cost, decoding and motion together. `lag_ms`: how far filming is behind its source.
    """

    state: FilmState
    fps: float
    frames: int
    dropped: int
    decode_ms: float
    lag_ms: float
    recording: bool


class Film:
    """One camera being filmed. Make it, `start`, and `stop`; `ring`, `set_privacy` and `health` from any thread."""

    def __init__(
        self,
        spec: SourceSpec,
        *,
        settings: FilmSettings,
        new_id: Callable[[], str],
        sink: Callable[[Output], None],
        clock: Clock | None = None,
        open_source: OpenSource = open_source,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._spec = spec
        self._settings = settings
        self._sink = sink
        self._clock = clock or SystemClock()
        self._open = open_source
        self._jitter = jitter
        self._recorder = Recorder(settings.recorder, new_id=new_id)
        self._watcher = Watcher(settings.motion, batch_frames=settings.batch_frames)
        self._thread = threading.Thread(target=self._run, name="film", daemon=True)
        self._wake = threading.Event()
        self._stopping = False
        self._private = False
        self._rings: deque[None] = deque(maxlen=_MAX_RINGS)
        self._state: FilmState = "starting"
        self._thumbs = Thumbs()
        self._pace = Pace(self._clock, speed=0 if spec.live else settings.speed)
        self._rate = Rate()
        self._source: Source | None = None
        self._dropped_before = 0
        self._tries = 0

    def start(self) -> None:
        """Begin to film."""
        # On pictures this small OpenCV's own threads burn a third more than they save, for the whole process.
        cv2.setNumThreads(1)
        self._thread.start()

    def ring(self) -> None:
        """Press the bell, now."""
        self._rings.append(None)
        self._wake.set()

    def set_privacy(self, on: bool) -> None:
        """While on, nothing is filmed or kept; takes effect with the next packet at the latest."""
        self._private = on
        self._wake.set()

    def stop(self) -> None:
        """End filming and close what is under way; returns once done, or after a second if the sink won't let go."""
        self._stopping = True
        self._wake.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(_STOP_WAIT_S)

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait for a film that ends by itself; tells whether it has."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def health(self) -> FilmHealth:
        """How it goes."""
        source = self._source
        return FilmHealth(
            state="private" if self._private and self._state in ("running", "starting") else self._state,
            fps=0.0 if self._private else self._rate.fps,
            frames=self._rate.frames,
            dropped=self._dropped_before + (source.dropped if source else 0) + self._recorder.dropped,
            decode_ms=self._watcher.ms_per_frame,
            lag_ms=self._pace.lag_ms,
            recording=self._recorder.recording is not None,
        )

    def _run(self) -> None:
        reason: str | None = "stopped by a fault"
        self._state = "running"
        try:
            self._film_on()
            reason = None
        except SourceError as error:
            reason = error.reason
            log.error("source_unusable", source=self._spec.shown, reason=reason)  # noqa: TRY400 - the message says it all
        finally:
            self._state = "stopped" if self._stopping else "ended" if reason is None else "failed"
            self._rate.reset()
            now_us = self._pace.film_now_us(live=self._spec.live)
            self._emit(self._recorder.lost(now_us))
            self._sink(SourceEnded(at_us=now_us, reason=reason))

    def _film_on(self) -> None:
        """Film until there is no more, or until told to stop; a camera is tried again for ever."""
        while not self._stopping:
            if self._spec.live and self._private:
                self._clock.wait(self._wake, 1.0)
                self._wake.clear()
                self._obey()
                continue
            try:
                self._film_once()
                if not self._spec.live:
                    return
            except SourceVanishedError as error:
                self._retry_later(error)

    def _film_once(self) -> None:
        """Film one opening of the source, to its end."""
        start_us = self._clock.now_us()
        self._pace.start(start_us)
        source = self._open(self._spec, self._settings.capture, self._clock, start_us)
        self._source = source
        try:
            for item in source.items():
                self._obey()
                if self._stopping or (self._private and self._spec.live):
                    return
                if isinstance(item, Packet):
                    self._packet(item)
                elif isinstance(item, Ring):
                    self._emit(self._recorder.ring(item.at_us))
            self._look(self._watcher.catch_up())
        finally:
            source.close()
            self._dropped_before += source.dropped
            self._source = None

    def _packet(self, packet: Packet) -> None:
        due_us = packet.at_us - us_from_ticks(packet.unit.pts - packet.unit.dts)
        while (wait_s := self._pace.wait_s(due_us)) > 0 and not self._stopping:
            self._clock.wait(self._wake, wait_s)
            self._wake.clear()
            self._obey()
        if self._stopping:
            return
        self._pace.passed(packet.at_us)
        self._answered(packet)
        if self._private:
            return
        self._rate.count(self._clock.now_us())
        self._emit(self._recorder.packet(packet))
        self._look(self._watcher.look(packet))

    def _look(self, seen: Iterable[Seen]) -> None:
        for one in seen:
            self._emit(self._recorder.motion(one.reading))
            self._thumbs.consider(self._recorder.recording, one.reading, one.picture)

    def _obey(self) -> None:
        """Do what was asked from other threads since."""
        private = self._private
        now_us = self._pace.film_now_us(live=self._spec.live)
        while self._rings:
            self._rings.popleft()
            self._emit(self._recorder.ring(now_us))
        if private != self._recorder.private:
            self._watcher.reset()
            self._emit(self._recorder.privacy(private, now_us))

    def _answered(self, packet: Packet) -> None:
        if self._state == "lost":
            log.info("source_back", source=self._spec.shown)
            self._sink(SourceBack(at_us=packet.at_us))
        if self._state != "running" or self._tries:
            self._state, self._tries = "running", 0

    def _retry_later(self, error: SourceVanishedError) -> None:
        """Close what was under way, tell, and wait; the delay doubles up to its bound, with jitter."""
        most_s, first_s = self._settings.retry_most_s, self._settings.retry_first_s
        delay_s = min(most_s, first_s * 2 ** min(self._tries, 16)) * (0.5 + self._jitter() / 2)
        self._tries += 1
        now_us = self._pace.film_now_us(live=self._spec.live)
        self._watcher.reset()
        self._rate.reset()
        self._emit(self._recorder.lost(now_us))
        self._state = "lost"
        log.warning("source_lost", source=error.source, reason=error.reason, retry_s=round(delay_s, 2))
        self._sink(SourceLost(at_us=now_us, reason=error.reason, retry_s=delay_s))
        until_us = self._clock.now_us() + round(delay_s * _US_PER_S)
        while not self._stopping and (left_us := until_us - self._clock.now_us()) > 0:
            self._clock.wait(self._wake, left_us / _US_PER_S)
            self._wake.clear()
            self._obey()

    def _emit(self, outputs: Iterable[Recorded]) -> None:
        for output in outputs:
            if isinstance(output, ClipEnded) and (thumbnail := self._thumbs.take(output.clip)):
                self._sink(thumbnail)
            self._sink(output)
