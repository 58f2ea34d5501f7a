"""Scene files: what is in a TOML file that describes a film to be drawn, parsed strictly, with its ground truth.

A scene is a value; nothing here knows of pictures drawn or of time passing. Its parts stand in `parts`, how a
seed varies it in `jitter`, drawing in `draw`, the whole truth about a film in `truth`.
"""

import difflib
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from device.video.errors import SceneError
from device.video.scene.parts import (
    MAX_SECONDS,
    Actor,
    AnyDisturbance,
    Cloth,
    Lamp,
    Light,
    Picture,
    Seconds,
    Strict,
    Tree,
    Weather,
)
from device.video.scene.paths import Box, actor_box

_MAX_FILE_BYTES = 65_536
_MAX_DEPTH = 64
_FLOAT = re.compile(r"(?<![\w.])-?\d+\.\d+(?![\w.])")
# What a scene may ask of whoever draws it, or works out the truth about it.
_MAX_FRAMES = 60_000
_MAX_OF_A_KIND = {"web": 4, "insect": 8, "noise_burst": 8}


class Scene(Strict):
    """A film to be drawn.

    `jitter`: how much a seed varies what is in it; 0 is what the file says, 1 a good deal. `mirrored`: left is right,
    as a seed may have it, too.
    """

    title: Annotated[str, Field(min_length=1, max_length=120)]
    place: Literal["porch", "driveway", "garden", "street", "hall"]
    duration_s: Annotated[float, Field(gt=0, le=MAX_SECONDS)]
    noise: Annotated[float, Field(ge=0, le=40)] = 2.0
    jitter: Annotated[float, Field(ge=0, le=1)] = 0.0
    mirrored: bool = False
    picture: Picture = Picture()
    light: Light = Light()
    weather: Weather = Weather()
    rings_s: Annotated[tuple[Seconds, ...], Field(max_length=100, strict=False)] = ()
    actors: Annotated[tuple[Actor, ...], Field(max_length=16, strict=False)] = ()
    trees: Annotated[tuple[Tree, ...], Field(max_length=8, strict=False)] = ()
    cloths: Annotated[tuple[Cloth, ...], Field(max_length=8, strict=False)] = ()
    lamps: Annotated[tuple[Lamp, ...], Field(max_length=8, strict=False)] = ()
    disturbances: Annotated[tuple[AnyDisturbance, ...], Field(max_length=64, strict=False)] = ()

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.frames > _MAX_FRAMES:
            raise ValueError(f"duration_s and picture.fps make {self.frames} pictures; {_MAX_FRAMES} are allowed")
        for kind, most in _MAX_OF_A_KIND.items():
            if sum(one.kind == kind for one in self.disturbances) > most:
                raise ValueError(f"of disturbances of the kind {kind}, {most} are allowed")
        return self

    @property
    def frames(self) -> int:
        """How many pictures the film has."""
        return max(1, round(self.duration_s * self.picture.fps))

    @property
    def aspect(self) -> float:
        """Width of a picture for its height."""
        return self.picture.width / self.picture.height

    def boxes(self, at_s: float) -> tuple[Box, ...]:
        """Ground truth: where each actor that is there stands, even partly outside of the picture."""
        found = (actor_box(actor, at_s, aspect=self.aspect) for actor in self.actors)
        return tuple(box.mirrored() if self.mirrored else box for box in found if box is not None)

    def presences(self, *, visible: float = 0.5) -> tuple["Presence", ...]:
        """Ground truth: for each actor, from when to when at least that share of it is in the picture."""
        step = 1 / self.picture.fps
        spans: list[Presence] = []
        for actor in self.actors:
            times = [
                i * step
                for i in range(self.frames)
                if (box := actor_box(actor, i * step, aspect=self.aspect)) is not None and box.inside() >= visible
            ]
            if times:
                spans.append(Presence(start_s=times[0], end_s=times[-1] + step))
        return tuple(spans)


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """From when to when somebody is there."""

    start_s: float
    end_s: float


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
        text = raw.decode()
        if _too_deep(text):
            raise SceneError(file=name, key="", reason=f"has a key of more than {_MAX_DEPTH} parts")
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise SceneError(file=name, key="", reason=f"is not TOML ({error})") from error
    try:
        return Scene.model_validate(table)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        reason = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            reason = "is not a key of scene files"
        raise SceneError(file=name, key=_dotted(first["loc"]), reason=reason) from error


def _too_deep(text: str) -> bool:
    """Whether a line may hold a key of very many parts, on which the TOML reader spends the square of their number."""
    return any(line.count(".") - len(_FLOAT.findall(line)) > _MAX_DEPTH for line in text.splitlines())


def _dotted(loc: Sequence[int | str]) -> str:
    """Name a key as TOML would; one that would break the line of an error is quoted."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part if part.isprintable() else repr(part)}" for part in loc)
    return "".join(parts).removeprefix(".")


def library() -> dict[str, Path]:
    """Return the scenes that come with Latchstring: their files by name, without `.toml`."""
    found: dict[str, Path] = {}
    for folder in (Path(__file__).parents[3] / "samples" / "scenes", Path(__file__).parents[1] / "scenes"):
        found |= {path.stem: path for path in folder.glob("*.toml")}
    return dict(sorted(found.items()))


def builtin_scene(name: str) -> Path:
    """Path of a scene that comes with Latchstring, by its name without `.toml`; SceneError lists what there is."""
    known = library()
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=3) or known
    raise SceneError(
        file=name, key="", reason=f"no such scene; 'latchstring scene list' shows all, {', '.join(near)} among them"
    )
