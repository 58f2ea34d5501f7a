"""Opens a source by its address."""

from collections.abc import Callable
from pathlib import Path

from device.video.capture import CaptureSettings, Source, SourceSpec
from device.video.clock import Clock
from device.video.source_file import FileSource
from device.video.source_live import LiveSource
from device.video.source_scene import SceneSource

OpenSource = Callable[[SourceSpec, CaptureSettings, Clock, int], Source]


def open_source(spec: SourceSpec, settings: CaptureSettings, clock: Clock, start_us: int) -> Source:
    """Make the source at an address; it opens when its first item is asked for. `start_us` dates files and scenes."""
    if spec.kind == "file":
        return FileSource(Path(spec.location), settings=settings, start_us=start_us)
    if spec.kind == "scene":
        return SceneSource(Path(spec.location), settings=settings, start_us=start_us)
    return LiveSource(spec, settings=settings, clock=clock)
