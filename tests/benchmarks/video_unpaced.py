"""Filming as fast as it can be read, in this process: what detection and recording cost, and what stays in memory."""

import gc
import itertools
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from device.video.attention import AttentionSettings
from device.video.film import Film
from device.video.film_settings import FilmSettings
from device.video.outputs import Output
from device.video.source.capture import CaptureSettings, parse_source
from tests.benchmarks.processes import own_cpu_s
from tests.home.support import Kept

_SETTINGS = FilmSettings(speed=0)
# Every picture decoded and looked at, as if nothing could be left out.
_EVERY = replace(_SETTINGS, attention=AttentionSettings(eco=False, longest_group_s=0))


@dataclass(frozen=True, slots=True)
class Split:
    """CPU seconds for 1,000 frames: filming as it is, filming with every picture looked at, and keeping on top.

    Filming reads, groups and detects; keeping hashes, signs, seals and writes what filming hands out.
    """

    detect_s: float
    every_s: float
    record_s: float


def split(film: Path) -> Split:
    """Film once with nothing kept, once more with every picture looked at, then keep what the first had to keep."""
    outputs: list[Output] = []
    frames, detect_s = _film(film, _SETTINGS, outputs.append)
    _, every_s = _film(film, _EVERY, lambda _: None)
    with tempfile.TemporaryDirectory() as folder:
        kept = Kept(Path(folder))
        before = own_cpu_s()
        for output in outputs:
            kept.keeper.sink(output)
        kept.keeper.close()
        record_s = own_cpu_s() - before
        kept.close()
    return Split(*(seconds * 1_000 / frames for seconds in (detect_s, every_s, record_s)))


def growth_mb(film: Path, *, frames: int, resident: Callable[[], float]) -> float:
    """By how much memory grew between a sixth and the whole of so many frames, filmed, sealed and kept in a ring."""
    with tempfile.TemporaryDirectory() as folder:
        kept = Kept(Path(folder))
        at_sixth = 0.0
        settings = replace(_SETTINGS, capture=CaptureSettings(loop=True))
        running = Film(parse_source(f"file:{film}"), settings=settings, new_id=_ids(), sink=kept.keeper.sink)
        running.start()
        while (health := running.health()).frames < frames:
            assert health.state in {"starting", "running"}, health
            if not at_sixth and health.frames >= frames // 6:
                at_sixth = resident()
            time.sleep(0.2)
        grown = resident() - at_sixth
        running.stop()
        kept.keeper.close()
        kept.close()
    return grown


def _film(film: Path, settings: FilmSettings, sink: Callable[[Output], None]) -> tuple[int, float]:
    running = Film(parse_source(f"file:{film}"), settings=settings, new_id=_ids(), sink=sink)
    gc.collect()
    before = own_cpu_s()
    running.start()
    running.join()
    spent = own_cpu_s() - before
    running.stop()
    return running.health().frames, spent


def _ids() -> Callable[[], str]:
    numbers = itertools.count(1)
    return lambda: f"id-{next(numbers)}"
