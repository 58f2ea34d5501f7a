"""The truth about a drawn film: boxes in each picture, and the events that a good detector tells of.

All follows from scene and seed without drawing anything. An event is a span in which at least one actor counts; two
with less than `JOINED_S` between them are one. An actor counts while

- at least half of its box is in the picture,
- the box is at least 5 % of the picture high (a vehicle or person) or 3 % (an animal),
- it is a person or an animal, moving or not; a vehicle counts while it moves and for `PARKED_S` after that, since a
  car that stands is part of the scene.

As text (`lines`), JSON lines in UTF-8: the first is about the film, each further one about one picture in order.

    {"format": "latchstring-scene-truth", "version": 1, "title": …, "seed": …, "width": …, "height": …, "fps": …,
     "frames": …, "duration_s": …,
     "events": [{"start_s": …, "end_s": …, "label": "person", "labels": ["person"], "actors": [0]}, …],
     "rings_s": […], "disturbances": [{"kind": "shake", "start_s": …, "end_s": …}, …]}
    {"frame": 0, "at_s": 0.0, "boxes": [{"actor": 0, "kind": "person", "label": "person", "left": …, "top": …,
     "right": …, "bottom": …, "inside": 1.0, "moves": true, "counts": true}, …]}

Lengths are fractions of the picture's width and height, and may reach outside; `inside` is the share of the box that
is in the picture. Later versions may add keys, never change these.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from device.video.scene.file import Scene
from device.video.scene.jitter import realised
from device.video.scene.parts import Actor
from device.video.scene.paths import Box, actor_pose, pose_box
from device.video.scene.tremble import Tremble

Label = Literal["person", "vehicle", "animal"]

FORMAT, VERSION = "latchstring-scene-truth", 1
JOINED_S = 1.0
PARKED_S = 1.0

_LABELS: dict[str, Label] = {"person": "person", "car": "vehicle", "van": "vehicle", "cat": "animal", "dog": "animal"}
_VISIBLE = 0.5
_LEAST_HEIGHT: dict[Label, float] = {"person": 0.05, "vehicle": 0.05, "animal": 0.03}
_DIGITS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueBox:
    """Where an actor is in one picture; `counts` if that makes an event."""

    actor: int
    kind: str
    label: Label
    box: Box
    inside: float
    moves: bool
    counts: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueEvent:
    """From when to when something that matters is to be seen. `label` is what was largest in it, of all `labels`."""

    start_s: float
    end_s: float
    label: Label
    labels: tuple[Label, ...]
    actors: tuple[int, ...]


class SceneTruth:
    """The truth about the film of a scene and a seed."""

    def __init__(self, scene: Scene, *, seed: int) -> None:
        self.scene = realised(scene, seed=seed)
        self.seed = seed
        self._tremble = Tremble(self.scene, seed=seed)
        self._halts = tuple(_halts(actor) for actor in self.scene.actors)

    def boxes(self, index: int) -> tuple[TrueBox, ...]:
        """Return where each actor is in picture `index`, those partly or wholly outside of it too."""
        scene = self.scene
        at_s = index / scene.picture.fps
        x, y = self._tremble.at(at_s)
        found: list[TrueBox] = []
        for number, actor in enumerate(scene.actors):
            pose = actor_pose(actor, at_s)
            if pose is None:
                continue
            label = _LABELS[actor.kind]
            box = pose_box(actor, pose, aspect=scene.aspect)
            box = (box.mirrored() if scene.mirrored else box).moved(x, y)
            inside = box.inside()
            stirs = pose.moves or label != "vehicle" or any(a <= at_s < a + PARKED_S for a in self._halts[number])
            counts = stirs and inside >= _VISIBLE and pose.height >= _LEAST_HEIGHT[label]
            found.append(
                TrueBox(
                    actor=number, kind=actor.kind, label=label, box=box, inside=inside, moves=pose.moves, counts=counts
                )
            )
        return tuple(found)

    def events(self) -> tuple[TrueEvent, ...]:
        """Return the events of the film, in order: what a detector has to tell of."""
        return self._spans(lambda box: box.counts)

    def glimpses(self) -> tuple[TrueEvent, ...]:
        """Return the spans in which any bit of an actor is in the picture, parked cars too: what it may tell of."""
        return self._spans(lambda box: box.inside > 0)

    def _spans(self, wanted: Callable[[TrueBox], bool]) -> tuple[TrueEvent, ...]:
        step = 1 / self.scene.picture.fps
        events: list[TrueEvent] = []
        seen: list[TrueBox] = []
        start = last = 0
        for index in range(self.scene.frames):
            counted = [box for box in self.boxes(index) if wanted(box)]
            if not counted:
                continue
            if seen and (index - last) * step > JOINED_S:
                events.append(_event(seen, start * step, (last + 1) * step))
                seen = []
            if not seen:
                start = index
            seen += counted
            last = index
        if seen:
            events.append(_event(seen, start * step, (last + 1) * step))
        return tuple(events)

    def head(self) -> dict[str, Any]:
        """Return what the first line of the truth says."""
        scene = self.scene
        end_s = scene.duration_s
        return {
            "format": FORMAT,
            "version": VERSION,
            "title": scene.title,
            "seed": self.seed,
            "width": scene.picture.width,
            "height": scene.picture.height,
            "fps": scene.picture.fps,
            "frames": scene.frames,
            "duration_s": end_s,
            "events": [
                {
                    "start_s": _short(event.start_s),
                    "end_s": _short(event.end_s),
                    "label": event.label,
                    "labels": list(event.labels),
                    "actors": list(event.actors),
                }
                for event in self.events()
            ],
            "rings_s": [_short(at_s) for at_s in scene.rings_s],
            "disturbances": [
                {"kind": one.kind, "start_s": _short(one.at_s), "end_s": _short(min(one.until_s, end_s))}
                for one in scene.disturbances
                if one.at_s < end_s
            ],
        }

    def lines(self) -> Iterator[str]:
        """Give the truth as JSON lines, without line ends."""
        yield json.dumps(self.head(), ensure_ascii=False)
        for index in range(self.scene.frames):
            yield json.dumps(
                {
                    "frame": index,
                    "at_s": _short(index / self.scene.picture.fps),
                    "boxes": [_box(box) for box in self.boxes(index)],
                }
            )


def _halts(actor: Actor) -> tuple[float, ...]:
    """Return the moments at which an actor comes to rest."""
    times = [point.at_s for point in actor.path]
    middles = [actor_pose(actor, (a + b) / 2) for a, b in pairwise(times)]
    moves = [pose is not None and pose.moves for pose in middles] + [False]
    return tuple(times[n + 1] for n in range(len(middles)) if moves[n] and not moves[n + 1])


def _event(boxes: list[TrueBox], start_s: float, end_s: float) -> TrueEvent:
    def size(box: TrueBox) -> float:
        return (box.box.right - box.box.left) * (box.box.bottom - box.box.top)

    largest: dict[Label, float] = {}
    for box in boxes:
        largest[box.label] = max(largest.get(box.label, 0.0), size(box))
    labels = tuple(sorted(largest, key=lambda label: -largest[label]))
    return TrueEvent(
        start_s=start_s,
        end_s=end_s,
        label=labels[0],
        labels=labels,
        actors=tuple(sorted({box.actor for box in boxes})),
    )


def _box(box: TrueBox) -> dict[str, Any]:
    return {
        "actor": box.actor,
        "kind": box.kind,
        "label": box.label,
        "left": _short(box.box.left),
        "top": _short(box.box.top),
        "right": _short(box.box.right),
        "bottom": _short(box.box.bottom),
        "inside": _short(box.inside),
        "moves": box.moves,
        "counts": box.counts,
    }


def _short(value: float) -> float:
    return round(value, _DIGITS)
