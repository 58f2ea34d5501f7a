"""What filming is told, and what it tells of itself. Values only."""

from dataclasses import dataclass, field
from typing import Literal

from device.video.attention import AttentionSettings
from device.video.labels.labelling import Labels
from device.video.motion.settings import MotionSettings
from device.video.recorder import RecorderSettings
from device.video.source.capture import CaptureSettings

FilmState = Literal["starting", "running", "private", "lost", "ended", "failed", "stopped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmSettings:
    """All that filming is told. `speed`: how fast files and scenes play; 0 is as fast as they can be read."""

    capture: CaptureSettings = field(default_factory=CaptureSettings)
    motion: MotionSettings = field(default_factory=MotionSettings)
    attention: AttentionSettings = field(default_factory=AttentionSettings)
    recorder: RecorderSettings = field(default_factory=RecorderSettings)
    labels: Labels = "off"
    speed: float = 1.0
    retry_first_s: float = 0.5
    retry_most_s: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmHealth:
    """Counters since the start.

    `state`: "ended" and "failed" stay, though bell and privacy are still obeyed; "stopped" is a film that was cut off.
    `frames` came to be kept. Of `watched` packets, those of the second stream where there is one, `decoded` were
    decoded, some of them twice. `decode_ms`: what a packet costs, decoding and motion together. `lag_ms`: how far
    filming is behind its source. `overfull`: nothing can be kept now, since no keyframe came for too long.
    """

    state: FilmState
    fps: float
    frames: int
    watched: int
    decoded: int
    dropped: int
    decode_ms: float
    lag_ms: float
    recording: bool
    overfull: bool = False
