"""What the tests of explanations share: films made on the spot, and accounts of them."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from device.video.codec.encoder import Encoder, EncoderSettings
from device.video.codec.mux import mux_mp4
from device.video.explain.account import Account, Accountant
from device.video.motion.detector import MotionReading, MotionSettings, MotionState, read_motion
from device.video.outputs import EventPhase
from device.video.packets import TICKS_PER_S, AccessUnit, Packet, us_from_ticks
from device.video.recorder import Recorder, RecorderSettings
from tests.video.support import CONFIG, START_US, Ids, segments_of

Gray = NDArray[np.uint8]
FRAME_US = 66_667
WIDTH, HEIGHT = 160, 90
_GRAIN = np.random.default_rng(3).integers(60, 120, (HEIGHT, WIDTH)).astype(np.uint8)


def empty() -> Gray:
    """A textured picture with nothing in it."""
    return _GRAIN.copy()


def with_box(left: float, *, top: int = 30, size: tuple[int, int] = (14, 30)) -> Gray:
    """The same with something in it, light with dark stripes."""
    luma = empty()
    x = round(left)
    part = luma[top : top + size[1], max(0, x) : max(0, x + size[0])]
    part[:] = 225
    part[::6] = 30
    return luma


def walk_then(stays_s: float, *, after_s: float = 0.0) -> list[Gray]:
    """Two seconds of nothing, two of something that comes in, some in which it stands, some without it."""
    lumas = [empty() for _ in range(30)] + [with_box(2 * index - 10) for index in range(30)]
    lumas += [with_box(48) for _ in range(round(stays_s * 15))]
    return lumas + [empty() for _ in range(round(after_s * 15))]


def told(
    lumas: Iterable[Gray], *, motion: MotionSettings | None = None, recorder: RecorderSettings | None = None
) -> tuple[Account, list[MotionReading], list[EventPhase]]:
    """The account of these pictures, fifteen a second, and what it was told."""
    motion, recorder = motion or MotionSettings(), recorder or RecorderSettings(post_roll_s=2)
    state, keeper = MotionState(settings=motion), Recorder(recorder, new_id=Ids())
    accountant = Accountant(motion=motion, recorder=recorder, eco=True)
    readings: list[MotionReading] = []
    phases: list[EventPhase] = []
    at_us = START_US
    for index, luma in enumerate(lumas):
        at_us = START_US + index * FRAME_US
        unit = AccessUnit(dts=index * 6_000, pts=index * 6_000, keyframe=index % 15 == 0, data=b"\0" * 50)
        packet = Packet(config=CONFIG, unit=unit, at_us=at_us, duration_us=FRAME_US)
        accountant.packet(packet)
        state, reading = read_motion(state, luma, at_us)
        accountant.reading(reading)
        readings.append(reading)
        for output in [*keeper.packet(packet), *keeper.motion(reading)]:
            if isinstance(output, EventPhase):
                phases.append(output)
                accountant.phase(output)
    for output in keeper.lost(at_us):
        if isinstance(output, EventPhase):
            phases.append(output)
            accountant.phase(output)
    return accountant.account(), readings, phases


def write_lumas(path: Path, lumas: Iterable[Gray]) -> Path:
    """Write an H.264 film of these pictures, fifteen a second, a keyframe each second."""
    path.write_bytes(mux_mp4(segments_of(_packets(lumas))))
    return path


def _packets(lumas: Iterable[Gray]) -> Iterator[Packet]:
    encoder = Encoder(width=WIDTH, height=HEIGHT, fps=Fraction(15), settings=EncoderSettings(quality=8))
    for index, luma in enumerate(lumas):
        ticks = index * TICKS_PER_S // 15
        i420 = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
        i420[:HEIGHT] = luma
        unit = encoder.encode(i420, ticks=ticks)
        yield Packet(config=encoder.config, unit=unit, at_us=START_US + us_from_ticks(ticks), duration_us=FRAME_US)
