"""How a camera trembles: a pure function of the scene, the seed and the moment, since the truth follows it too."""

import math

import numpy as np

from device.video.scene.file import Scene
from device.video.scene.parts import Shake

_EASE_S = 0.25


class Tremble:
    """Where shakes have moved the picture to."""

    def __init__(self, scene: Scene, *, seed: int) -> None:
        self._aspect = scene.aspect
        self._shakes = tuple(one for one in scene.disturbances if isinstance(one, Shake))
        self._phases = [
            np.random.default_rng([seed, 0x54AC, n]).uniform(0, math.tau, 6) for n in range(len(self._shakes))
        ]

    def at(self, at_s: float) -> tuple[float, float]:
        """Return how far the picture is moved to the right and down, in fractions of its width and height."""
        x = y = 0.0
        for shake, phases in zip(self._shakes, self._phases, strict=True):
            since, left = at_s - shake.at_s, shake.until_s - at_s
            if since < 0 or left <= 0:
                continue
            reach = shake.amount * min(1.0, since / _EASE_S, left / _EASE_S)
            turn = math.tau * shake.hz * at_s
            x += reach * _wobble(turn, phases[:3])
            y += reach * 0.7 * _wobble(turn * 1.13, phases[3:]) * self._aspect
        return x, y


def _wobble(turn: float, phases: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> float:
    """Return -1 to 1, never quite repeating."""
    a, b, c = (float(phase) for phase in phases)
    return 0.55 * math.sin(turn + a) + 0.3 * math.sin(turn * 1.83 + b) + 0.15 * math.sin(turn * 0.37 + c)
