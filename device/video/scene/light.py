"""The light on a scene at a moment: how bright all is, and a field where that differs from place to place.

Fields are worked out on a coarse grid, since light is soft, and enlarged; where none of them changes, once.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from device.video.scene.file import Scene
from device.video.scene.parts import GainPumping, Headlights, InfraredCut, LightSwitch, Shadow
from device.video.scene.paths import Pose, actor_pose
from device.video.scene.sheet import GREY, Real, Sheet

Kind = TypeVar("Kind")

_CELL = 4
_CLOUD_CELL = 10
_CLOUD_WIDTHS = 3
_WHITE = 219
# How a camera meets a sudden change: it takes back this power of it, within about so long.
_ADAPTS, _ADAPT_S = 0.5, 0.8
_FLASH, _FLASH_S, _BLIND_S = 1.3, 0.45, 0.12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lit:
    """The light at a moment: a factor, a field of factors (height, width) or None, and whether there are no colours."""

    gain: float
    field: Real | None
    grey: bool

    def fall(self, sheet: Sheet) -> None:
        """Light what is drawn."""
        luma = sheet.planes[0]
        if self.field is None:
            cv2.convertScaleAbs(luma, dst=luma, alpha=self.gain)
        else:
            cv2.multiply(luma, self.field, dst=luma, scale=self.gain, dtype=cv2.CV_8U)
        cv2.threshold(luma, _WHITE, _WHITE, cv2.THRESH_TRUNC, dst=luma)
        for plane in sheet.planes[1:]:
            if self.grey:
                plane[...] = GREY
            elif self.field is None:
                self._tint(plane, min(self.gain, 1.3))
            else:
                half = cv2.resize(self.field, (plane.shape[1], plane.shape[0]), interpolation=cv2.INTER_AREA)
                np.minimum(half * np.float32(self.gain), 1.3, out=half)
                plane[...] = ((plane.astype(np.float32) - GREY) * half + GREY).round().astype(np.uint8)

    @staticmethod
    def _tint(plane: NDArray[np.uint8], gain: float) -> None:
        cv2.convertScaleAbs(plane, dst=plane, alpha=gain, beta=GREY * (1 - gain))


class Lighting:
    """The light of a scene, moment by moment."""

    def __init__(self, scene: Scene, *, rng: np.random.Generator) -> None:
        self._scene = scene
        picture = scene.picture
        self._size = (picture.width, picture.height)
        columns, rows = max(8, picture.width // _CELL), max(8, picture.height // _CELL)
        self._x = ((np.arange(columns, dtype=np.float32) + 0.5) / columns)[None, :]
        self._y = ((np.arange(rows, dtype=np.float32) + 0.5) / rows)[:, None]
        self._phase = float(rng.uniform(0, math.tau))
        self._steps = rng.uniform(-1, 1, 64)
        self._clouds = _cloud_field(columns, rows, rng) if scene.weather.clouds else None
        self._cuts = sorted(_of(scene, InfraredCut), key=lambda cut: cut.at_s)
        self._moving = bool(
            scene.weather.clouds
            or any(actor.lights for actor in scene.actors)
            or _of(scene, Headlights)
            or _of(scene, Shadow)
            or any(switch.radius for switch in _of(scene, LightSwitch))
        )
        self._still = lru_cache(maxsize=2)(self._still_field)

    def at(self, at_s: float) -> Lit:
        """Return the light at a moment."""
        infrared, level = self._sight(at_s)
        gain = level * self._drift(at_s) * self._pumped(at_s) * self._flash(at_s)
        for switch in _of(self._scene, LightSwitch):
            if switch.radius is None:
                gain *= _switched(switch, at_s)
        field = self._still(infrared)
        moved = self._moved(at_s) if self._moving else None
        if moved is not None:
            coarse = moved if field is None else moved * field[1]
            return Lit(gain=gain, field=self._enlarged(coarse), grey=infrared)
        return Lit(gain=gain, field=None if field is None else field[0], grey=infrared)

    def _sight(self, at_s: float) -> tuple[bool, float]:
        """Whether it sees infrared, and how bright it is, by its infrared filter's last move."""
        for cut in reversed(self._cuts):
            if at_s >= cut.at_s:
                return cut.to == "infrared", cut.level
        return self._scene.light.infrared, self._scene.light.level

    def _drift(self, at_s: float) -> float:
        light = self._scene.light
        return 1 + light.drift * math.sin(math.tau * at_s / light.period_s + self._phase)

    def _pumped(self, at_s: float) -> float:
        gain = 1.0
        for pump in _of(self._scene, GainPumping):
            since = at_s - pump.at_s
            if 0 <= since < pump.seconds:
                step = self._steps[int(since / pump.period_s) % len(self._steps)]
                gain *= 1 + pump.amount * float(step if pump.steps else math.sin(math.tau * since / pump.period_s))
        return gain

    def _flash(self, at_s: float) -> float:
        for cut in self._cuts:
            since = at_s - cut.at_s
            if 0 <= since < _BLIND_S:
                return 0.15
            if _BLIND_S <= since < 6 * _FLASH_S:
                return 1 + _FLASH * math.exp(-(since - _BLIND_S) / _FLASH_S)
        return 1.0

    def _still_field(self, infrared: bool) -> tuple[Real, Real] | None:
        """Return the field of what never changes, large and coarse."""
        if infrared:
            # The lamps around a lens light its middle; the sides stay dim, and the sky and what is far stay dark.
            near = np.clip((self._y - np.float32(0.02)) / np.float32(0.45), 0.12, 1)
            coarse = np.asarray((0.22 + 1.15 * self._spot(0.5, 0.66, 0.44, power=2)) * near, dtype=np.float32)
        elif self._scene.lamps:
            coarse = np.ones((self._y.shape[0], self._x.shape[1]), dtype=np.float32)
            for lamp in self._scene.lamps:
                coarse += np.float32(lamp.strength) * self._spot(lamp.x, lamp.y, lamp.radius, power=2)
        else:
            return None
        field = np.asarray(coarse, dtype=np.float32)
        return self._enlarged(field), field

    def _moved(self, at_s: float) -> Real | None:
        """Return the coarse field of what changes, None while nothing does."""
        factors: list[Real] = []
        if self._clouds is not None:
            factors.append(1 - np.float32(self._scene.weather.clouds) * self._drifted(self._clouds, at_s))
        for one in self._scene.disturbances:
            since = at_s - one.at_s
            if isinstance(one, LightSwitch) and one.radius is not None and since >= 0:
                rise = _switched(one, at_s, adapts=False) - 1
                if rise:
                    factors.append(1 + np.float32(rise) * self._spot(one.x, one.y, one.radius, power=2))
            elif not 0 <= since < one.seconds:
                continue
            elif isinstance(one, Headlights):
                factors.append(self._beams(one, since / one.seconds))
            elif isinstance(one, Shadow):
                factors.append(self._shadow(one, since / one.seconds))
        for actor in self._scene.actors:
            pose = actor_pose(actor, at_s) if actor.lights else None
            if pose is not None:
                factors.append(self._lamps_of(pose))
        return np.asarray(math.prod(factors), dtype=np.float32) if factors else None

    def _spot(self, x: float, y: float, radius: float, *, power: int, flat: float = 1.0) -> Real:
        far = ((self._x - np.float32(x)) / radius) ** 2 + (
            (self._y - np.float32(y)) / (radius * flat * self._scene.aspect)
        ) ** 2
        return np.asarray(np.exp(-(far ** (power // 2))), dtype=np.float32)

    def _beams(self, one: Headlights, part: float) -> Real:
        x = one.from_x + (one.to_x - one.from_x) * part
        strength = np.float32(one.strength * math.sin(math.pi * min(0.98, max(0.02, part))) ** 0.5)
        pair = self._spot(x - one.radius * 0.55, one.y, one.radius, power=4)
        pair = pair + self._spot(x + one.radius * 0.55, one.y - 0.02, one.radius, power=4)
        return np.asarray(1 + strength * pair, dtype=np.float32)

    def _shadow(self, one: Shadow, part: float) -> Real:
        x, y = one.from_x + (one.to_x - one.from_x) * part, one.from_y + (one.to_y - one.from_y) * part
        far = np.sqrt(
            ((self._x - np.float32(x)) / (one.width / 2)) ** 2 + ((self._y - np.float32(y)) / (one.height / 2)) ** 2
        )
        cover = np.clip((1 - far) / np.float32(one.soft) + 0.5, 0, 1)
        return np.asarray(1 - np.float32(one.dark) * cover, dtype=np.float32)

    def _lamps_of(self, pose: Pose) -> Real:
        """Light the ground before a vehicle, where it is seen to shine upon something."""
        ahead = pose.height * 2.4 / self._scene.aspect
        x = pose.x + math.copysign(ahead, pose.heading_x) if pose.sideways else pose.x
        y = pose.y + (0.02 if pose.sideways else math.copysign(pose.height * 0.5, pose.heading_y))
        return np.asarray(1 + 1.6 * self._spot(x, y, pose.height * 0.9, power=4, flat=0.45), dtype=np.float32)

    def _drifted(self, field: Real, at_s: float) -> Real:
        rows, columns = self._y.shape[0], self._x.shape[1]
        shift = self._scene.weather.cloud_speed * at_s * columns
        matrix = np.array([[1.0, 0.0, shift % field.shape[1]], [0.0, 1.0, 0.0]])
        moved = cv2.warpAffine(
            field, matrix, (columns, rows), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_WRAP
        )
        return np.asarray(moved, dtype=np.float32)

    def _enlarged(self, coarse: Real) -> Real:
        return np.asarray(cv2.resize(coarse, self._size, interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def _of(scene: Scene, kind: type[Kind]) -> list[Kind]:
    return [one for one in scene.disturbances if isinstance(one, kind)]


def _switched(switch: LightSwitch, at_s: float, *, adapts: bool = True) -> float:
    """Return how bright a switch makes it: it ramps on, and back when its time is over; the camera adapts to each."""
    gain = 1.0
    for edge_s, factor in ((switch.at_s, switch.factor), (switch.until_s, 1 / switch.factor)):
        since = at_s - edge_s
        if since >= 0:
            gain *= factor ** min(1.0, since / switch.ramp_s if switch.ramp_s else 1.0)
            gain *= factor ** (-_ADAPTS * (1 - math.exp(-since / _ADAPT_S))) if adapts else 1.0
    return gain


def _cloud_field(columns: int, rows: int, rng: np.random.Generator) -> Real:
    """Return cover 0 to 1 by clouds, which joins at its sides: shadows a good part of the picture wide."""
    wide = columns * _CLOUD_WIDTHS
    coarse = rng.random((max(3, rows // (_CLOUD_CELL * 2)), max(6, wide // (_CLOUD_CELL * 4))), dtype=np.float32)
    joined = np.concatenate([coarse, coarse, coarse], axis=1)
    field = cv2.resize(joined, (wide * 3, rows), interpolation=cv2.INTER_CUBIC)[:, wide : 2 * wide]
    return np.asarray(np.clip((field - 0.35) * 1.7, 0, 1), dtype=np.float32)
