"""Scene files: what is in a TOML file that describes a film to be drawn, parsed strictly, with its ground truth.

Lengths are fractions of the picture (x and `height` of its width and height; y from the top), times seconds from
the start. Drawing is in `scene_draw`. A scene is a value; nothing here knows of frames drawn or of time passing.
"""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from device.video.errors import SceneError

_MAX_FILE_BYTES = 65_536

_Seconds = Annotated[float, Field(ge=0, le=3600)]
_Place = Annotated[float, Field(ge=-2, le=3)]
_Colour = Annotated[str, Field(pattern=r"^#[0-9a-f]{6}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Picture(_Strict):
    """Size in pixels and pictures a second."""

    width: Annotated[int, Field(ge=64, le=1920, multiple_of=2)] = 640
    height: Annotated[int, Field(ge=64, le=1080, multiple_of=2)] = 360
    fps: Annotated[int, Field(ge=1, le=60)] = 15


class Light(_Strict):
    """Brightness: a level, and how far and how slowly it drifts about it (clouds)."""

    level: Annotated[float, Field(ge=0.05, le=1.5)] = 1.0
    drift: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    period_s: Annotated[float, Field(ge=0.5, le=3600)] = 20.0


class Waypoint(_Strict):
    """Where an actor's feet are at a moment, and how tall it is there; straight and even in between."""

    at_s: _Seconds
    x: _Place
    y: _Place
    height: Annotated[float, Field(gt=0, le=2)]


class Actor(_Strict):
    """A person on a path; there from its first waypoint to its last, walking where the path moves."""

    kind: Literal["person"]
    coat: _Colour = "#34506e"
    trousers: _Colour = "#2b2b33"
    hair: _Colour = "#3a2a1e"
    bag: bool = False
    path: Annotated[tuple[Waypoint, ...], Field(min_length=2, max_length=200, strict=False)]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if any(b.at_s <= a.at_s for a, b in pairwise(self.path)):
            raise ValueError("times along the path must grow")
        return self


class Tree(_Strict):
    """A tree that sways: foot of its trunk, height, how far its crown moves (of its height) and how fast."""

    x: _Place
    y: _Place
    height: Annotated[float, Field(gt=0, le=1.5)]
    sway: Annotated[float, Field(ge=0, le=0.3)] = 0.03
    period_s: Annotated[float, Field(ge=0.2, le=60)] = 2.6


class Scene(_Strict):
    """A film to be drawn."""

    title: Annotated[str, Field(min_length=1, max_length=120)]
    place: Literal["porch", "driveway"]
    duration_s: Annotated[float, Field(gt=0, le=3600)]
    noise: Annotated[float, Field(ge=0, le=40)] = 2.0
    picture: Picture = Picture()
    light: Light = Light()
    rings_s: Annotated[tuple[_Seconds, ...], Field(max_length=100, strict=False)] = ()
    actors: Annotated[tuple[Actor, ...], Field(max_length=32, strict=False)] = ()
    trees: Annotated[tuple[Tree, ...], Field(max_length=16, strict=False)] = ()

    @property
    def frames(self) -> int:
        """How many pictures the film has."""
        return max(1, round(self.duration_s * self.picture.fps))

    def boxes(self, at_s: float) -> tuple["Box", ...]:
        """Ground truth: where each actor that is there stands, even partly outside of the picture."""
        found = (actor_box(actor, at_s) for actor in self.actors)
        return tuple(box for box in found if box is not None)

    def presences(self, *, visible: float = 0.5) -> tuple["Presence", ...]:
        """Ground truth: for each actor, from when to when at least that share of it is in the picture."""
        step = 1 / self.picture.fps
        spans: list[Presence] = []
        for actor in self.actors:
            times = [
                i * step
                for i in range(self.frames)
                if (box := actor_box(actor, i * step)) is not None and box.inside() >= visible
            ]
            if times:
                spans.append(Presence(start_s=times[0], end_s=times[-1] + step))
        return tuple(spans)


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """From when to when somebody is there."""

    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A box in fractions of the picture; may reach outside."""

    left: float
    top: float
    right: float
    bottom: float

    def inside(self) -> float:
        """Share of the box that is within the picture."""
        width = min(self.right, 1.0) - max(self.left, 0.0)
        height = min(self.bottom, 1.0) - max(self.top, 0.0)
        area = (self.right - self.left) * (self.bottom - self.top)
        return max(width, 0.0) * max(height, 0.0) / area if area > 0 else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pose:
    """An actor at a moment: feet, height (fractions), and how fast it moves (fractions a second)."""

    x: float
    y: float
    height: float
    speed_x: float
    speed_y: float


# A person is this wide for its height, in a picture of 16 to 9.
_WIDTH_PER_HEIGHT = 0.19


def actor_pose(actor: Actor, at_s: float) -> Pose | None:
    """Where an actor is; None before its first waypoint and after its last."""
    for a, b in pairwise(actor.path):
        if a.at_s <= at_s <= b.at_s:
            part = (at_s - a.at_s) / (b.at_s - a.at_s)
            return Pose(
                x=a.x + (b.x - a.x) * part,
                y=a.y + (b.y - a.y) * part,
                height=a.height + (b.height - a.height) * part,
                speed_x=(b.x - a.x) / (b.at_s - a.at_s),
                speed_y=(b.y - a.y) / (b.at_s - a.at_s),
            )
    return None


def actor_box(actor: Actor, at_s: float) -> Box | None:
    """Return the box around an actor; None while it isn't there."""
    pose = actor_pose(actor, at_s)
    if pose is None:
        return None
    half = pose.height * _WIDTH_PER_HEIGHT / 2
    return Box(left=pose.x - half, top=pose.y - pose.height, right=pose.x + half, bottom=pose.y)


def load_scene(path: Path) -> Scene:
    """Read a scene file; SceneError with file and key if anything in it is not as it should be."""
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise SceneError(file=str(path), key="", reason=f"can't be read ({error.strerror})") from error
    if len(raw) > _MAX_FILE_BYTES:
        raise SceneError(file=str(path), key="", reason=f"is larger than {_MAX_FILE_BYTES} bytes")
    return parse_scene(raw, name=str(path))


def parse_scene(raw: bytes, *, name: str) -> Scene:
    """Return a scene from the bytes of its TOML file; `name` stands in errors."""
    try:
        table = tomllib.loads(raw.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise SceneError(file=name, key="", reason=f"is not TOML ({error})") from error
    try:
        return Scene.model_validate(table)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        reason = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            reason = "is not a key of scene files"
        raise SceneError(file=name, key=_dotted(first["loc"]), reason=reason) from error


def _dotted(loc: Sequence[int | str]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).removeprefix(".")


def builtin_scene(name: str) -> Path:
    """Path of a scene that comes with Latchstring, by its name without `.toml`; SceneError lists what there is."""
    names: set[str] = set()
    for folder in (Path(__file__).parent / "scenes", Path(__file__).parents[2] / "samples" / "scenes"):
        found = {path.stem: path for path in sorted(folder.glob("*.toml"))}
        if name in found:
            return found[name]
        names |= set(found)
    raise SceneError(file=name, key="", reason=f"no such scene; there are {', '.join(sorted(names)) or 'none'}")
