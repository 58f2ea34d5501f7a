"""What a scene is made of: picture, light, weather, actors, what sways, and what disturbs. Values parsed strictly.

Lengths are fractions of the picture (x and widths of its width, y and heights of its height; y from the top), times
seconds from the start. How each is drawn stands in the `scene_*` module that draws it.
"""

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

MAX_SECONDS = 3600.0

Seconds = Annotated[float, Field(ge=0, le=MAX_SECONDS)]
Span = Annotated[float, Field(gt=0, le=MAX_SECONDS)]
Where = Annotated[float, Field(ge=-2, le=3)]
Length = Annotated[float, Field(gt=0, le=2)]
Share = Annotated[float, Field(ge=0, le=1)]
Colour = Annotated[str, Field(pattern=r"^#[0-9a-f]{6}$")]


class Strict(BaseModel):
    """Frozen, of known keys alone, without conversion of types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Picture(Strict):
    """Size in pixels and pictures a second."""

    width: Annotated[int, Field(ge=64, le=1920, multiple_of=2)] = 640
    height: Annotated[int, Field(ge=64, le=1080, multiple_of=2)] = 360
    fps: Annotated[int, Field(ge=1, le=60)] = 15


class Light(Strict):
    """Brightness: a level, and how far and how slowly it drifts about it. `infrared`: lit by the camera, no colours."""

    level: Annotated[float, Field(ge=0.05, le=1.5)] = 1.0
    drift: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    period_s: Annotated[float, Field(ge=0.5, le=MAX_SECONDS)] = 20.0
    infrared: bool = False


class Lamp(Strict):
    """A pool of steady light: `strength` 1 doubles what is in its middle."""

    x: Where
    y: Where
    radius: Length
    strength: Annotated[float, Field(gt=0, le=8)] = 1.0


class Weather(Strict):
    """`rain`, `snow`: how thick. `wind`: how hard things sway. `clouds`: how dark their shadows are as they pass."""

    rain: Share = 0.0
    snow: Share = 0.0
    wind: Annotated[float, Field(ge=0, le=4)] = 1.0
    clouds: Annotated[float, Field(ge=0, le=0.8)] = 0.0
    cloud_speed: Annotated[float, Field(ge=0, le=0.5)] = 0.06


class Waypoint(Strict):
    """Where an actor's feet or wheels are at a moment, and how tall it is there; straight and even in between."""

    at_s: Seconds
    x: Where
    y: Where
    height: Length


class Actor(Strict):
    """Somebody or something on a path; there from its first waypoint to its last, moving where the path moves.

    `coat` is a person's, a car's paint and an animal's fur; the other colours and the bag are a person's. `lights`: a
    vehicle's lamps are on.
    """

    kind: Literal["person", "car", "van", "cat", "dog"]
    coat: Colour = "#34506e"
    trousers: Colour = "#2b2b33"
    hair: Colour = "#3a2a1e"
    bag: bool = False
    lights: bool = False
    path: Annotated[tuple[Waypoint, ...], Field(min_length=2, max_length=200, strict=False)]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if any(b.at_s <= a.at_s for a, b in pairwise(self.path)):
            raise ValueError("times along the path must grow")
        return self


class Tree(Strict):
    """Leaves that sway: foot of its trunk, height, how far its crown moves (of its height) and how fast.

    A `branch` hangs down from where its foot would be.
    """

    style: Literal["tree", "bush", "branch"] = "tree"
    x: Where
    y: Where
    height: Annotated[float, Field(gt=0, le=1.5)]
    sway: Annotated[float, Field(ge=0, le=0.3)] = 0.03
    period_s: Annotated[float, Field(ge=0.2, le=60)] = 2.6


class Cloth(Strict):
    """A flag that flies to the right of its pole, or laundry that hangs from a line: its upper left corner and size."""

    kind: Literal["flag", "laundry"]
    x: Where
    y: Where
    width: Annotated[float, Field(gt=0, le=0.5)]
    height: Annotated[float, Field(gt=0, le=0.5)]
    colour: Colour = "#b8433a"
    sway: Annotated[float, Field(ge=0, le=0.5)] = 0.12
    period_s: Annotated[float, Field(ge=0.2, le=60)] = 1.1


class Disturbance(Strict):
    """What all disturbances have: when each begins, and for how long it lasts."""

    at_s: Seconds = 0.0
    seconds: Span = MAX_SECONDS

    @property
    def until_s(self) -> float:
        """When it is over."""
        return self.at_s + self.seconds


class LightSwitch(Disturbance):
    """A light goes on or off: what it lights gets `factor` times as bright within `ramp_s`; all, or about a point."""

    kind: Literal["light_switch"]
    factor: Annotated[float, Field(ge=0.05, le=8)]
    ramp_s: Annotated[float, Field(ge=0, le=10)] = 0.1
    x: Where = 0.5
    y: Where = 0.5
    radius: Length | None = None


class Headlights(Disturbance):
    """The beams of a car that is not to be seen wander over the picture."""

    kind: Literal["headlights"]
    from_x: Where = -0.4
    to_x: Where = 1.4
    y: Where = 0.6
    radius: Length = 0.25
    strength: Annotated[float, Field(gt=0, le=12)] = 3.0


class Insect(Disturbance):
    """Insects close to the lens, out of focus; bright in infrared, else dark. `size` is of the picture's width."""

    kind: Literal["insect"]
    count: Annotated[int, Field(ge=1, le=20)] = 1
    size: Annotated[float, Field(ge=0.002, le=0.12)] = 0.03
    speed: Annotated[float, Field(ge=0.01, le=4)] = 0.8
    bright: bool = False


class InfraredCut(Disturbance):
    """The infrared filter swings: `to` night sight or back to colours, with a flash until it has adapted to `level`."""

    kind: Literal["infrared_cut"]
    to: Literal["infrared", "colour"]
    level: Annotated[float, Field(ge=0.05, le=1.5)] = 0.85


class Shake(Disturbance):
    """The camera trembles, by up to `amount` of the picture's width."""

    kind: Literal["shake"]
    amount: Annotated[float, Field(gt=0, le=0.05)] = 0.006
    hz: Annotated[float, Field(ge=0.1, le=15)] = 3.0


class GainPumping(Disturbance):
    """The camera can't settle on an exposure; smoothly, or in steps."""

    kind: Literal["gain_pumping"]
    amount: Annotated[float, Field(gt=0, le=0.8)] = 0.2
    period_s: Annotated[float, Field(ge=0.1, le=60)] = 1.5
    steps: bool = False


class NoiseBurst(Disturbance):
    """The picture is as noisy as this for a while."""

    kind: Literal["noise_burst"]
    noise: Annotated[float, Field(gt=0, le=60)] = 14.0


class Shadow(Disturbance):
    """A soft shadow of something outside of the picture moves through it, or a bird's; `dark` is what it takes away."""

    kind: Literal["shadow"]
    from_x: Where = -0.4
    from_y: Where = 0.8
    to_x: Where = 1.4
    to_y: Where = 0.8
    width: Length = 0.3
    height: Length = 0.3
    dark: Annotated[float, Field(gt=0, le=0.9)] = 0.4
    soft: Annotated[float, Field(ge=0.02, le=1)] = 0.35


class Web(Disturbance):
    """A spider's web before the lens, trembling."""

    kind: Literal["web"]
    x: Where = 0.2
    y: Where = 0.2
    size: Annotated[float, Field(gt=0, le=1)] = 0.5
    sway: Annotated[float, Field(ge=0, le=0.2)] = 0.02
    period_s: Annotated[float, Field(ge=0.2, le=60)] = 1.7
    bright: Annotated[float, Field(gt=0, le=1)] = 0.35


class Flicker(Disturbance):
    """Blocks change with each group of pictures, as a starved encoder makes them; `strength` in steps of luma."""

    kind: Literal["flicker"]
    strength: Annotated[float, Field(gt=0, le=40)] = 6.0
    block: Annotated[int, Field(ge=4, le=64)] = 16
    gop_s: Annotated[float, Field(ge=0.05, le=60)] = 1.0


class Gust(Disturbance):
    """The wind blows so many times as hard."""

    kind: Literal["gust"]
    strength: Annotated[float, Field(gt=0, le=6)] = 2.5


AnyDisturbance = Annotated[
    LightSwitch | Headlights | Insect | InfraredCut | Shake | GainPumping | NoiseBurst | Shadow | Web | Flicker | Gust,
    Field(discriminator="kind"),
]
