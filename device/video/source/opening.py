"""Opens a source by its address, with its second stream where the settings name one."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from device.video.clock import Clock
from device.video.errors import SourceError
from device.video.source.capture import CaptureSettings, Source, SourceSpec
from device.video.source.drawn import SceneSource
from device.video.source.encoded import Use
from device.video.source.file import FileSource
from device.video.source.live import LiveSource
from device.video.source.pair import PairSource

OpenSource = Callable[[SourceSpec, CaptureSettings, Clock, int], Source]


def open_source(spec: SourceSpec, settings: CaptureSettings, clock: Clock, start_us: int) -> Source:
    """Make the source at an address; it opens when its first item is asked for. `start_us` dates files and scenes.

    SourceError if the detection stream is a camera's and the source is none, or the other way round.
    """
    detect = settings.detect
    if detect is not None and detect.live != spec.live:
        raise SourceError(source=spec.shown, reason=f"and {detect.shown} can't be two streams of one camera")
    if spec.live:
        return LiveSource(spec, settings=settings, clock=clock)
    alone = replace(settings, detect=None)
    if detect is None:
        return _recorded(spec, alone, start_us, use="both")
    kept, watched = _recorded(spec, alone, start_us, use="keep"), _recorded(detect, alone, start_us, use="look")
    return PairSource(kept, watched, names=(spec.shown, detect.shown))


def _recorded(spec: SourceSpec, settings: CaptureSettings, start_us: int, *, use: Use) -> Source:
    if spec.kind == "file":
        return FileSource(Path(spec.location), settings=settings, start_us=start_us, use=use)
    return SceneSource(Path(spec.location), settings=settings, start_us=start_us)
