"""Runs a film through the daemon's own parts, source, watcher and recorder, unpaced, and gives the account of it."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from typing import Final, TypeVar

import cv2

from device.video.clock import SystemClock
from device.video.errors import SourceError
from device.video.explain.account import Account, Accountant
from device.video.faults import guarded
from device.video.film_settings import FilmSettings
from device.video.labels.best import BestFrames, Label, Labeller, shape_label
from device.video.outputs import EventPhase, Recorded
from device.video.packets import CodecConfig, Packet, Ring
from device.video.recorder import Recorder
from device.video.source.capture import Source, SourceSpec
from device.video.source.opening import open_source
from device.video.watcher import Seen, Watcher

# Dates nothing that anybody sees; any moment long after the epoch will do.
_START_US: Final = 1_000_000_000_000_000

Progress = Callable[[float], None]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """The account of a film, and what it took: pictures decoded, seconds of CPU for decoding and looking."""

    account: Account
    config: CodecConfig
    decoded: int
    looking_cpu_s: float


def as_recorded(settings: FilmSettings, *, every_picture: bool = False) -> FilmSettings:
    """Return a camera's settings for a film of it: seen once, from one stream; with nothing left out if asked."""
    settings = replace(settings, capture=replace(settings.capture, loop=False, detect=None))
    if every_picture:
        settings = replace(settings, attention=replace(settings.attention, eco=False, longest_group_s=0.0))
    return settings


def film_packets(spec: SourceSpec, settings: FilmSettings) -> Iterator[Packet | Ring]:
    """Give a film's packets and rings, the same ones each time. SourceError if it can't be used."""
    source: Source | None = None
    try:
        source = open_source(spec, settings.capture, SystemClock(), _START_US)
        for item in guarded(source.items(), spec.shown, live=False):
            if isinstance(item, Packet | Ring):
                yield item
    finally:
        if source is not None:
            source.close()


def run_film(spec: SourceSpec, settings: FilmSettings, *, labeller: Labeller | None, progress: Progress) -> Explained:
    """Film a file or scene as the daemon does, and account for it. SourceError if it can't be used.

    `labeller` is asked at the end of each event; None: the settings' `labels` say whether the shape rule is.
    `progress` is told the seconds of film that are done.
    """
    # As filming does it.
    cv2.setNumThreads(1)
    return _Run(spec, settings, labeller).run(progress)


class _Run:
    def __init__(self, spec: SourceSpec, settings: FilmSettings, labeller: Labeller | None) -> None:
        ids = count(1)
        self._spec = spec
        self._settings = settings
        self._watcher = Watcher(settings.motion, settings.attention)
        self._recorder = Recorder(settings.recorder, new_id=lambda: str(next(ids)))
        self._accountant = Accountant(motion=settings.motion, recorder=settings.recorder, eco=settings.attention.eco)
        self._labeller = labeller
        self._frames = BestFrames()
        self._labelled: str | None = None
        self._cpu_s = 0.0

    def run(self, progress: Progress) -> Explained:
        config: CodecConfig | None = None
        last_us = _START_US
        for item in film_packets(self._spec, self._settings):
            if isinstance(item, Ring):
                self._happened(self._recorder.ring(item.at_us))
                continue
            config = config or item.config
            last_us = max(last_us, item.at_us)
            self._accountant.packet(item)
            self._happened(self._recorder.packet(item))
            self._look(self._watcher.look(item))
            progress((item.at_us - _START_US) / 1_000_000)
        self._look(self._watcher.catch_up())
        self._happened(self._recorder.lost(last_us))
        if config is None:
            raise SourceError(source=self._spec.shown, reason="has no picture in it")
        return Explained(
            account=self._accountant.account(),
            config=config,
            decoded=self._watcher.decoded,
            looking_cpu_s=self._cpu_s,
        )

    def _look(self, seen: Iterator[Seen]) -> None:
        for one in self._clocked(guarded(seen, self._spec.shown, live=False)):
            self._accountant.reading(one.reading)
            self._happened(self._recorder.motion(one.reading))
            event = self._recorder.motion_event
            if event != self._labelled:
                self._frames.reset()
                self._labelled = event
            if event is not None:
                self._frames.consider(one.reading, one.picture)

    def _happened(self, outputs: Iterable[Recorded]) -> None:
        for phase in (output for output in outputs if isinstance(output, EventPhase)):
            ends = phase.phase == "end" and phase.event == self._labelled
            if ends and (label := self._label()) is not None:
                self._accountant.label(phase.event, label)
            self._accountant.phase(phase)

    def _label(self) -> Label | None:
        """Ask and wait: a film that isn't paced would be over before an answer that comes by the way."""
        if self._settings.labels == "off":
            return None
        best = self._frames.best()
        return self._labeller.label(best) if self._labeller is not None else shape_label(best)

    def _clocked(self, seen: Iterator[T]) -> Iterator[T]:
        """Give the same, and count what making them takes."""
        while True:
            begun = time.process_time()
            one = next(seen, None)
            self._cpu_s += time.process_time() - begun
            if one is None:
                return
            yield one
