"""Runs one source through motion and recorder in a thread of its own, and hands what follows to a sink.

Bounds and rules when something is full:

- packets gather for up to 0.1 s while nothing is urgent, with eco 0.3 s, and decoding may leave pictures out
  (`attention`); neither is done once something stirs;
- the sink may block. A file or scene then waits, and catches up. A camera does not: its queue fills, and whole
  groups of pictures are dropped and counted;
- a camera that vanished is tried again, for ever, after a delay that grows to a bound.

What goes wrong with a source, found by it or by a library that reads its pictures (`faults`), ends a file or scene as
"failed", and means of a camera that it is lost. The thread stays after the end of a film, in pictures or in failure:
the bell still becomes an event, without a clip, and privacy is still obeyed, until `stop`.

`sink` is called from this thread alone, in order; if it raises, the film ends as "failed" and the thread with it.
`stop` ends within a second unless the sink holds the thread up.
"""

import random
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import TypeVar

import cv2
import structlog

from device.video.clock import Clock, SystemClock
from device.video.errors import SourceError, SourceVanishedError
from device.video.faults import FAULTS, blamed, guarded, reason_of
from device.video.film_settings import FilmHealth, FilmSettings, FilmState
from device.video.labels.labelling import Labelling
from device.video.motion.detector import MotionReading
from device.video.outputs import ClipEnded, Output, Recorded, SourceBack, SourceEnded, SourceLost, Thumbnail
from device.video.pace import Pace, Rate
from device.video.packets import Packet, Ring, Watched, us_from_ticks
from device.video.recorder import Kind, Recorder
from device.video.source.capture import Source, SourceSpec
from device.video.source.opening import OpenSource, open_source
from device.video.thumbs import Thumbs
from device.video.watcher import Seen, Watcher

log = structlog.get_logger()
T = TypeVar("T")

_US_PER_S = 1_000_000
_MAX_WANTED = 32
_STIRRED = 100  # the score of a motion that nobody saw
_STOP_WAIT_S = 0.9
_MOST_REST_S = 0.1
_MOST_ECO_REST_S = 0.3  # an event is told later than that anyway: at the next keyframe


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
        self._watcher = Watcher(settings.motion, settings.attention)
        self._labelling = Labelling(settings.labels, post_roll_s=settings.recorder.post_roll_s)
        self._thread = threading.Thread(target=self._run, name="film", daemon=True)
        self._wake = threading.Event()
        self._over = threading.Event()
        self._ahead_us: int | None = None  # once the film is over: its end, ahead of the clock then
        self._stopping = False
        self._private = False
        self._wanted: deque[Kind] = deque(maxlen=_MAX_WANTED)
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
        """Press the bell, now. After the end of the film that is an event without a clip."""
        self._want("ring")

    def stir(self) -> None:
        """Act as if something moved, now: an event like any other, to try what follows from one."""
        self._want("motion")

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
        """Wait for a film that ends by itself, or, after `stop`, for its thread; tells whether it has."""
        if not self._stopping:
            return self._over.wait(timeout_s)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def health(self) -> FilmHealth:
        """How it goes."""
        source = self._source
        return FilmHealth(
            state="private" if self._private and self._state in ("running", "starting") else self._state,
            fps=0.0 if self._private else self._rate.fps,
            frames=self._rate.frames,
            watched=self._watcher.watched,
            decoded=self._watcher.decoded,
            dropped=self._dropped_before + (source.dropped if source else 0) + self._recorder.dropped,
            decode_ms=self._watcher.ms_per_frame,
            lag_ms=self._pace.lag_ms,
            recording=self._recorder.recording is not None,
            overfull=self._recorder.overfull,
        )

    def _want(self, kind: Kind) -> None:
        self._wanted.append(kind)
        self._wake.set()

    def _run(self) -> None:
        reason: str | None = "stopped by a fault"
        self._state = "running"
        try:
            try:
                self._film_on()
                reason = None
            except SourceError as error:
                reason = error.reason
                log.error("source_unusable", source=self._spec.shown, reason=reason)  # noqa: TRY400 - the message says it all
            finally:
                self._end(reason)
            self._stand_by()
        except BaseException:
            self._state = "failed"
            raise
        finally:
            self._over.set()
            self._labelling.close()

    def _end(self, reason: str | None) -> None:
        now_us = self._now_us()
        self._state = "stopped" if self._stopping else "ended" if reason is None else "failed"
        self._rate.reset()
        self._emit(self._recorder.lost(now_us))
        self._recorder.over()
        self._ahead_us = now_us - self._clock.now_us()
        self._sink(SourceEnded(at_us=now_us, reason=reason))
        self._over.set()

    def _stand_by(self) -> None:
        """Obey, as long as nobody says stop; without an event under way there is nothing to wake up for."""
        while not self._stopping:
            quiet_at_us = self._recorder.quiet_at_us
            if quiet_at_us is None:
                self._wake.wait()
            else:
                self._clock.wait(self._wake, max(0, quiet_at_us - self._now_us()) / _US_PER_S)
            self._wake.clear()
            self._obey()
            self._emit(self._recorder.quiet(self._now_us()))

    def _now_us(self) -> int:
        """Tell what time it is in the film; after its end, time goes on with the clock."""
        if self._ahead_us is not None:
            return self._clock.now_us() + self._ahead_us
        return self._pace.film_now_us(live=self._spec.live)

    def _film_on(self) -> None:
        """Film until there is no more, or until told to stop; a camera is tried again for ever."""
        while not self._stopping:
            if self._spec.live and self._private:
                self._wait(1.0)
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
        with self._faults():
            source = self._open(self._spec, self._settings.capture, self._clock, start_us)
        self._source = source
        try:
            for item in self._guarded(source.items()):
                self._obey()
                if self._stopping or (self._private and self._spec.live):
                    return
                if isinstance(item, Packet):
                    self._packet(item)
                elif isinstance(item, Watched):
                    self._watch(item.packet)
                elif isinstance(item, Ring):
                    self._emit(self._recorder.ring(item.at_us))
            self._look(self._watcher.catch_up())
        finally:
            source.close()
            self._dropped_before += source.dropped
            self._source = None

    def _faults(self) -> AbstractContextManager[None]:
        return blamed(self._spec.shown, live=self._spec.live)

    def _guarded(self, given: Iterable[T]) -> Iterator[T]:
        return guarded(given, self._spec.shown, live=self._spec.live)

    def _packet(self, packet: Packet) -> None:
        """Keep a packet, and look at it unless a second stream is there for that."""
        if not self._due(packet):
            return
        self._answered(packet)
        if self._private:
            return
        self._rate.count(self._clock.now_us())
        overfull = self._recorder.overfull
        self._emit(self._recorder.packet(packet))
        if self._recorder.overfull and not overfull:
            log.warning("group_too_long", source=self._spec.shown, problem="no keyframe for too long: the rest is lost")
        if self._settings.capture.detect is None:
            self._look(self._watcher.look(packet))

    def _watch(self, packet: Packet) -> None:
        """Look at a packet of the second stream; it is never kept."""
        if self._due(packet) and not self._private:
            self._look(self._watcher.look(packet))

    def _due(self, packet: Packet) -> bool:
        """Wait until it is a packet's time; False if the film is to stop."""
        due_us = packet.at_us - us_from_ticks(packet.unit.pts - packet.unit.dts)
        live, rest_s = self._spec.live, self._rest_s(packet)
        if live and rest_s and self._pace.late_us(due_us, live=True) < packet.duration_us:
            self._wait(rest_s)
        while (wait_s := self._pace.wait_s(due_us)) > 0 and not self._stopping:
            self._wait(wait_s + rest_s)
        if self._stopping:
            return False
        self._pace.passed(packet.at_us, self._pace.late_us(due_us, live=live))
        return True

    def _rest_s(self, packet: Packet) -> float:
        """How long to let packets gather: some at a time cost less than each by itself, while none is urgent.

        A scene is left alone: it has bells that ring on time.
        """
        if self._spec.kind == "scene" or not self._watcher.relaxed:
            return 0.0
        batch_us = (self._settings.attention.batch_frames - 1) * packet.duration_us
        most_s = _MOST_ECO_REST_S if self._settings.attention.eco else _MOST_REST_S
        return min(most_s, batch_us / _US_PER_S / (self._settings.speed or 1.0))

    def _wait(self, seconds: float) -> None:
        self._clock.wait(self._wake, seconds)
        self._wake.clear()
        self._obey()

    def _look(self, seen: Iterable[Seen]) -> None:
        for one in self._guarded(seen):
            for event, label in self._labelling.answers(one.reading.at_us):
                self._emit(self._recorder.label(event, label.kind, by=label.by, at_us=one.reading.at_us))
            self._emit(self._recorder.motion(one.reading))
            with self._faults():
                self._thumbs.consider(self._recorder.recording, one.reading, one.picture)
                self._labelling.consider(self._recorder.motion_event, one.reading, one.picture)

    def _obey(self) -> None:
        """Do what was asked from other threads since."""
        private = self._private
        now_us = self._now_us()
        while self._wanted:
            self._emit(self._happen(self._wanted.popleft(), now_us))
        if private != self._recorder.private:
            self._watcher.reset()
            self._labelling.forget()
            self._emit(self._recorder.privacy(private, now_us))

    def _happen(self, kind: Kind, at_us: int) -> list[Recorded]:
        if kind == "ring":
            return self._recorder.ring(at_us)
        return self._recorder.motion(MotionReading(at_us=at_us, active=True, score=_STIRRED))

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
        now_us = self._now_us()
        self._watcher.reset()
        self._rate.reset()
        self._emit(self._recorder.lost(now_us))
        self._state = "lost"
        log.warning("source_lost", source=error.source, reason=error.reason, retry_s=round(delay_s, 2))
        self._sink(SourceLost(at_us=now_us, reason=error.reason, retry_s=delay_s))
        until_us = self._clock.now_us() + round(delay_s * _US_PER_S)
        while not self._stopping and (left_us := until_us - self._clock.now_us()) > 0:
            self._wait(left_us / _US_PER_S)

    def _emit(self, outputs: Iterable[Recorded]) -> None:
        for output in outputs:
            if isinstance(output, ClipEnded) and (thumbnail := self._thumbnail(output.clip)):
                self._sink(thumbnail)
            self._sink(output)

    def _thumbnail(self, clip: str) -> Thumbnail | None:
        try:
            return self._thumbs.take(clip)
        except FAULTS as fault:  # a clip without a thumbnail is a clip
            log.warning("thumbnail_lost", clip=clip, reason=reason_of(fault))
            return None
