"""Our side of the detection benchmark: the real pipeline, from packets to events, as fast as it goes."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from device.video.attention import AttentionSettings
from device.video.film import Film
from device.video.film_settings import FilmSettings
from device.video.outputs import EventPhase, Output
from device.video.source.capture import parse_source
from tests.benchmarks.detection_films import Clip, Span
from tests.video.support import START_US, Ids, LeapingClock

US_PER_S = 1_000_000


@dataclass(frozen=True, slots=True)
class Filmed:
    """Events of one clip, and the CPU seconds of its thread and ours for 1,000 pictures."""

    events: list[Span]
    cpu_s: float


def our_events(clips: Sequence[Clip], *, eco: bool) -> list[Filmed]:
    """Events of each clip, as a film of it gives them."""
    return [_filmed(clip, FilmSettings(speed=0, attention=AttentionSettings(eco=eco))) for clip in clips]


def _filmed(clip: Clip, settings: FilmSettings) -> Filmed:
    phases: list[EventPhase] = []

    def sink(output: Output) -> None:
        if isinstance(output, EventPhase) and output.kind == "motion":
            phases.append(output)

    film = Film(
        parse_source(f"file:{clip.path}"), settings=settings, new_id=Ids(), sink=sink, clock=LeapingClock()
    )  # fmt: skip
    before_s = time.process_time()
    film.start()
    film.join()
    spent_s, health = time.process_time() - before_s, film.health()
    film.stop()
    if health.state != "ended":
        raise RuntimeError(f"{clip.path}: filming {health.state}")
    spans = [
        Span((phase.start_us - START_US) / US_PER_S, ((phase.end_us or phase.at_us) - START_US) / US_PER_S)
        for phase in phases
        if phase.phase == "end"
    ]
    return Filmed(spans, spent_s * 1_000 / max(1, health.frames))
