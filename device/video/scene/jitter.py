"""What a seed makes of a scene: times, places, sizes, colours and strengths vary, and which side is left.

The result is a scene again, and the only one that is drawn and told the truth about.
"""

import math
from collections.abc import Iterable
from typing import Any, TypeVar

import numpy as np
from pydantic import BaseModel

from device.video.scene.file import Scene
from device.video.scene.parts import MAX_SECONDS, Actor, AnyDisturbance, Cloth, Lamp, Tree, Waypoint

_Part = TypeVar("_Part", bound=BaseModel)

# By how much at the most, at a jitter of 1.
_SHIFT_S, _PACE = 0.9, 0.12
_ACROSS, _DOWN, _SIZE = 0.025, 0.012, 0.08
_TONE, _COLOUR = 0.25, 7
_STRENGTH = 0.2
_LEVEL = 0.08

_STRENGTHS = frozenset(
    (
        "strength",
        "amount",
        "hz",
        "noise",
        "dark",
        "size",
        "speed",
        "period_s",
        "sway",
        "gop_s",
        "bright",
        "radius",
        "soft",
    )
)
_ACROSSES = frozenset(("x", "from_x", "to_x"))
_DOWNS = frozenset(("y", "from_y", "to_y"))


def realised(scene: Scene, *, seed: int) -> Scene:
    """Return the scene as this seed has it, its jitter spent; the same if it allows none."""
    if not scene.jitter:
        return scene
    rng = np.random.default_rng([seed, 0x717E])
    dice = _Dice(rng, scene.jitter)
    end_s = scene.duration_s
    times = [_fitting(actor, dice, end_s=end_s) for actor in scene.actors] or [(0.0, 1.0)]
    actors = tuple(_actor(actor, dice, *times[n], end_s=end_s) for n, actor in enumerate(scene.actors))
    start_s = scene.actors[0].path[0].at_s if scene.actors else 0.0
    # Whoever rings is the first on the list: the bell keeps that person's time.
    rings = tuple(min(end_s, _when(at_s, start_s, *times[0])) for at_s in scene.rings_s)
    light = {"level": dice.times(scene.light.level, _LEVEL), "drift": dice.times(scene.light.drift, _STRENGTH)}
    light["period_s"] = dice.times(scene.light.period_s, _STRENGTH)
    weather = {key: dice.times(value, _STRENGTH) for key, value in scene.weather if value}
    return scene.model_copy(
        update={
            "jitter": 0.0,
            "mirrored": scene.mirrored != dice.coin(),
            "noise": dice.times(scene.noise, _STRENGTH),
            "light": _with(scene.light, light),
            "weather": _with(scene.weather, weather),
            "actors": actors,
            "rings_s": rings,
            "trees": tuple(_varied(tree, dice) for tree in scene.trees),
            "cloths": tuple(_varied(cloth, dice) for cloth in scene.cloths),
            "lamps": tuple(_varied(lamp, dice) for lamp in scene.lamps),
            "disturbances": tuple(_disturbed(one, dice, end_s=end_s) for one in scene.disturbances),
        }
    )


class _Dice:
    """Chance, as strong as the scene allows."""

    def __init__(self, rng: np.random.Generator, jitter: float) -> None:
        self._rng, self._jitter = rng, jitter

    def around(self, value: float, reach: float) -> float:
        return value + float(self._rng.uniform(-1, 1)) * reach * self._jitter

    def factor(self, reach: float) -> float:
        return math.exp(self.around(0.0, reach))

    def times(self, value: float, reach: float) -> float:
        return value * self.factor(reach)

    def coin(self) -> bool:
        return bool(self._rng.integers(0, 2))

    def colour(self, text: str) -> str:
        tone = self.factor(_TONE)
        values = (self.around(int(text[i : i + 2], 16) * tone, _COLOUR) for i in (1, 3, 5))
        return "#" + "".join(f"{min(255, max(0, round(value))):02x}" for value in values)


def _when(at_s: float, start_s: float, shift_s: float, pace: float) -> float:
    return max(0.0, start_s + shift_s + (at_s - start_s) * pace)


def _fitting(actor: Actor, dice: _Dice, *, end_s: float) -> tuple[float, float]:
    """Return how much later an actor comes, and how much slower it is.

    Who is there from the beginning still is, and nobody comes before it; who has gone by the end has.
    """
    shift_s, pace = dice.around(0.0, _SHIFT_S), dice.factor(_PACE)
    start_s, last_s = actor.path[0].at_s, actor.path[-1].at_s
    shift_s = max(shift_s, -start_s) if start_s > 0 else 0.0
    if last_s < end_s:
        pace = min(pace, max(0.6, (end_s - start_s - shift_s) / (last_s - start_s)))
    return shift_s, pace


def _actor(actor: Actor, dice: _Dice, shift_s: float, pace: float, *, end_s: float) -> Actor:
    start_s = actor.path[0].at_s
    across, down, size = dice.around(0, _ACROSS), dice.around(0, _DOWN), dice.factor(_SIZE)
    path = tuple(
        Waypoint(
            at_s=_when(point.at_s, start_s, shift_s, pace) if point.at_s < end_s else point.at_s,
            x=_within(point.x + across, -2, 3),
            y=_within(point.y + down, -2, 3),
            height=_within(point.height * size, 1e-3, 2),
        )
        for point in actor.path
    )
    ordered = tuple(point for n, point in enumerate(path) if n == 0 or point.at_s > path[n - 1].at_s)
    colours = {key: dice.colour(getattr(actor, key)) for key in ("coat", "trousers", "hair")}
    return _with(actor, {"path": ordered if len(ordered) > 1 else actor.path, **colours})


def _disturbed(one: AnyDisturbance, dice: _Dice, *, end_s: float) -> AnyDisturbance:
    varied = _varied(one, dice)
    update: dict[str, Any] = {}
    if 0 < one.at_s < end_s:
        update["at_s"] = max(0.0, dice.around(one.at_s, _SHIFT_S))
    if one.seconds < MAX_SECONDS:
        update["seconds"] = dice.times(one.seconds, _PACE)
    return _with(varied, update)


def _varied(part: _Part, dice: _Dice) -> _Part:
    """Return a part whose places and strengths are a little different."""
    update: dict[str, Any] = {}
    for key, value in part:
        if key in _STRENGTHS and value and not isinstance(value, bool):
            update[key] = dice.times(value, _STRENGTH / 2)
        elif key in _ACROSSES:
            update[key] = dice.around(value, _ACROSS)
        elif key in _DOWNS:
            update[key] = dice.around(value, _DOWN)
        elif key == "factor":
            # Lighter stays lighter, and darker darker.
            update[key] = float(value ** dice.factor(_STRENGTH))
        elif key in ("width", "height") and isinstance(part, Cloth | Tree | Lamp):
            update[key] = dice.times(value, _SIZE)
    return _with(part, update)


def _within(value: float, least: float, most: float) -> float:
    return min(most, max(least, value))


def _with(part: _Part, update: dict[str, Any]) -> _Part:
    """Return a part with other values, each kept within what the file format allows."""
    return part.model_copy(update={key: _allowed(part, key, value) for key, value in update.items()})


def _allowed(part: BaseModel, key: str, value: Any) -> Any:
    if not isinstance(value, float):
        return value
    for rule in _rules(type(part).model_fields[key].metadata):
        value = max(value, getattr(rule, "ge", value), getattr(rule, "gt", value))
        value = min(value, getattr(rule, "le", value))
    return value


def _rules(metadata: Iterable[Any]) -> Iterable[Any]:
    for rule in metadata:
        yield from _rules(rule.metadata) if hasattr(rule, "metadata") else (rule,)
