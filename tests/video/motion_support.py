"""What the tests of motion share: scenes as motion sees them, and readings of them."""

from collections.abc import Iterable, Iterator
from functools import cache

import numpy as np
from numpy.typing import NDArray

from device.video.motion.detector import MotionReading, MotionSettings, MotionState, read_motion, shrink
from device.video.scene.draw import SceneFilm
from device.video.scene.file import Scene

FRAME_US = 66_667
Gray = NDArray[np.uint8]


@cache
def small_lumas(scene: Scene, seed: int) -> tuple[list[Gray], tuple[tuple[float, float], ...]]:
    """The pictures of a scene, and from when to when somebody is there."""
    film = SceneFilm(scene, seed=seed)
    lumas = [shrink(film.i420(index)[: scene.picture.height]).copy() for index in range(scene.frames)]
    return lumas, tuple((one.start_s, one.end_s) for one in film.scene.presences())


def readings(lumas: Iterable[Gray], settings: MotionSettings | None = None) -> list[MotionReading]:
    """What is read in a row of pictures, fifteen a second."""
    state, out = MotionState(settings=settings or MotionSettings()), []
    for index, luma in enumerate(lumas):
        state, reading = read_motion(state, luma, index * FRAME_US)
        out.append(reading)
    return out


def sparse_readings(lumas: list[Gray], *, group: int, burst: int = 3) -> Iterator[MotionReading]:
    """What is read as the watcher does it: keyframes while calm, all when something stirs, bursts while held.

    `group`: pictures from one keyframe to the next.
    """
    state = MotionState()
    for begin in range(0, len(lumas), group):
        done = 0
        for there in range(1, len(lumas[begin : begin + group]) + 1):
            while done < (there if state.stirring else min(there, burst) if state.holding else 1):
                state, reading = read_motion(state, lumas[begin + done], (begin + done) * FRAME_US)
                done += 1
                yield reading


def active_s(found: Iterable[MotionReading]) -> list[float]:
    """Times at which something was active, in seconds."""
    return [reading.at_us / 1_000_000 for reading in found if reading.active]
