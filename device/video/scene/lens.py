"""What is between the scene and the picture: rain, snow, insects and webs before the lens; then grain and blocks."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from device.video.scene.file import Scene
from device.video.scene.parts import Flicker, Insect, NoiseBurst, Web
from device.video.scene.sheet import BLACK_LEVEL, Cut, Image, Sheet, u8

# The grain is a crop of a larger tile, shifted for each picture.
_GRAIN_SHIFT = 64
# A scene's noise is that of each colour; of three alike remains so much in luma, which spans 219 steps and not 255.
_GRAIN_LUMA = 0.859
_RAIN_SHIFT = 160


class Precipitation:
    """Rain as streaks, snow as flakes in three depths."""

    def __init__(self, scene: Scene, *, seed: int, rng: np.random.Generator) -> None:
        width, height = scene.picture.width, scene.picture.height
        self._seed, self._size = seed, (width, height)
        self._wind = scene.weather.wind
        rain, snow = scene.weather.rain, scene.weather.snow
        self._rain = _rain_tile(width, height, rain, self._wind, rng) if rain else None
        self._snow = [_snow_tile(width, height, snow, depth, rng) for depth in range(3)] if snow else []

    def fall(self, sheet: Sheet, index: int, at_s: float) -> None:
        """Draw what falls at a moment."""
        luma = sheet.planes[0]
        width, height = self._size
        if self._rain is not None:
            # From one picture to the next a drop falls further than its streak is long: each is a new one.
            across, down = np.random.default_rng([self._seed, index, 7]).integers(0, _RAIN_SHIFT, 2)
            cv2.add(luma, self._rain[down : down + height, across : across + width], dst=luma)
        for depth, tile in enumerate(self._snow):
            down = height - 1 - int(at_s * height * (0.16, 0.28, 0.5)[depth]) % height
            sway = 0.02 * math.sin(at_s * (0.9 + 0.3 * depth) + depth) - 0.05 * self._wind * at_s * (1 + depth * 0.5)
            across = int(sway * width) % width
            cv2.max(luma, tile[down : down + height, across : across + width], dst=luma)


def _rain_tile(width: int, height: int, rain: float, wind: float, rng: np.random.Generator) -> Image:
    tile = np.zeros((height + _RAIN_SHIFT, width + _RAIN_SHIFT), dtype=np.uint8)
    for _ in range(round(520 * rain * tile.size / (width * height))):
        near = float(rng.random()) ** 2
        x, y = rng.uniform(0, tile.shape[1]), rng.uniform(0, tile.shape[0])
        long = height * (0.025 + 0.075 * near)
        slant = long * (0.04 + 0.10 * wind) + rng.normal(0, 0.4)
        bright = round(8 + 34 * near * rng.uniform(0.6, 1))
        thick = max(1, round(height / 360 * (1 + near * 0.8)))
        cv2.line(tile, (round(x), round(y)), (round(x - slant), round(y + long)), bright, thick, cv2.LINE_AA)
    return u8(cv2.GaussianBlur(tile, (3, 3), 0))


def _snow_tile(width: int, height: int, snow: float, depth: int, rng: np.random.Generator) -> Image:
    """Return flakes twice as wide and high as the picture, which join at all sides."""
    tile = np.zeros((height, width), dtype=np.uint8)
    radius = max(1.0, height / 360 * (1.0, 1.8, 3.2)[depth])
    for _ in range(round(snow * (420, 170, 45)[depth])):
        centre = (int(rng.integers(0, width)), int(rng.integers(0, height)))
        cv2.circle(tile, centre, max(1, round(radius * rng.uniform(0.7, 1.3))), (150, 175, 190)[depth], -1, cv2.LINE_AA)
    side = 2 * round(radius) // 2 * 2 + 1
    return u8(np.tile(cv2.GaussianBlur(tile, (side, side), 0), (2, 2)))


class NearThings:
    """Insects and webs before the lens."""

    def __init__(self, scene: Scene, *, rng: np.random.Generator) -> None:
        width, height = scene.picture.width, scene.picture.height
        self._insects = [
            _Flight(one, cuts, width=width, height=height, rng=rng)
            for one in scene.disturbances
            if isinstance(one, Insect)
            for cuts in [_blobs(one, width=width, rng=rng)]
            for _ in range(one.count)
        ]
        self._webs = [_WebLayer(one, width=width, rng=rng) for one in scene.disturbances if isinstance(one, Web)]

    def draw(self, sheet: Sheet, at_s: float) -> None:
        """Draw what is near at a moment."""
        for web in self._webs:
            web.draw(sheet, at_s)
        for insect in self._insects:
            insect.draw(sheet, at_s)


class _Flight:
    """An insect that flies to and fro, in and out of the picture, nearer and farther."""

    def __init__(self, insect: Insect, cuts: list[Cut], *, width: int, height: int, rng: np.random.Generator) -> None:
        self._insect, self._size = insect, (width, height)
        self._phases = rng.uniform(0, math.tau, 6)
        self._rates = rng.uniform(0.8, 1.25, 4) * insect.speed * (1.2, 3.1, 1.5, 3.7)
        self._cuts = cuts

    def draw(self, sheet: Sheet, at_s: float) -> None:
        if not self._insect.at_s <= at_s < self._insect.until_s:
            return
        p, r = self._phases, self._rates
        x = 0.5 + 0.42 * math.sin(r[0] * at_s + p[0]) + 0.30 * math.sin(r[1] * at_s + p[1])
        y = 0.5 + 0.40 * math.sin(r[2] * at_s + p[2]) + 0.30 * math.sin(r[3] * at_s + p[3])
        nearness = 0.5 + 0.5 * math.sin(r[0] * 0.7 * at_s + p[4])
        cut = self._cuts[min(len(self._cuts) - 1, int(nearness * len(self._cuts)))]
        tall, wide = cut.planes[0].shape
        sheet.lay(
            cut, left=round((x * self._size[0] - wide / 2) / 2) * 2, top=round((y * self._size[1] - tall / 2) / 2) * 2
        )


def _blobs(insect: Insect, *, width: int, rng: np.random.Generator) -> list[Cut]:
    """Draw an insect farther away and nearer."""
    return [
        _blob(insect.size * width * scale, float(rng.uniform(0, 180)), bright=insect.bright)
        for scale in (0.6, 0.8, 1.0, 1.3)
    ]


def _blob(size: float, turn: float, *, bright: bool) -> Cut:
    side = max(4, round(size * 2.2) // 2 * 2)
    cover = np.zeros((side, side), dtype=np.uint8)
    axes = (max(1, round(size * 0.5)), max(1, round(size * 0.3)))
    cv2.ellipse(cover, (side // 2, side // 2), axes, turn, 0, 360, 235 if bright else 205, -1, cv2.LINE_AA)
    blur = max(1, side // 7) * 2 + 1
    image = np.full((side, side, 3), 246 if bright else 24, dtype=np.uint8)
    return Cut.of(image, u8(cv2.GaussianBlur(cover, (blur, blur), 0)))


class _WebLayer:
    """A web drawn once, and sheared about its upper corner."""

    def __init__(self, web: Web, *, width: int, rng: np.random.Generator) -> None:
        self._web, self._phase = web, float(rng.uniform(0, math.tau))
        self._side = max(16, round(web.size * width) // 2 * 2)
        self._width = width
        self._cut = _draw_web(self._side, web.bright, rng)

    def draw(self, sheet: Sheet, at_s: float) -> None:
        web = self._web
        if not web.at_s <= at_s < web.until_s:
            return
        turn = math.tau * at_s / web.period_s + self._phase
        lean = web.sway * (0.7 * math.sin(turn) + 0.3 * math.sin(turn * 2.3))
        stretch = 1 + web.sway * 0.5 * math.sin(turn * 1.4)
        cut = self._cut.warped(np.array([[1.0, lean, 0.0], [0.0, stretch, 0.0]]), colour=len(sheet.planes) > 1)
        left = round((web.x * self._width - self._side / 2) / 2) * 2
        top = round((web.y * sheet.height - self._side / 2) / 2) * 2
        sheet.lay(cut, left=left, top=top)


def _draw_web(side: int, bright: float, rng: np.random.Generator) -> Cut:
    cover = np.zeros((side, side), dtype=np.uint8)
    middle = side / 2
    angles = np.sort(np.linspace(0, math.tau, 13, endpoint=False) + rng.uniform(-0.15, 0.15, 13))
    reach = side * 0.48 * rng.uniform(0.75, 1.0, len(angles))

    def at(spoke: int, part: float) -> tuple[int, int]:
        spoke %= len(angles)
        far = reach[spoke] * part
        return round(middle + math.cos(angles[spoke]) * far), round(middle + math.sin(angles[spoke]) * far)

    value, thick = round(255 * bright), max(1, side // 220)
    for spoke in range(len(angles)):
        cv2.line(cover, at(spoke, 0), at(spoke, 1), value, thick, cv2.LINE_AA)
        for ring in np.linspace(0.15, 0.95, 9):
            cv2.line(cover, at(spoke, float(ring)), at(spoke + 1, float(ring) + 0.03), value, thick, cv2.LINE_AA)
    return Cut.of(np.full((side, side, 3), 235, dtype=np.uint8), u8(cv2.GaussianBlur(cover, (3, 3), 0)))


class Grain:
    """The sensor's noise, and blocks that flicker; adds the 16 that luma begins at."""

    def __init__(self, scene: Scene, *, seed: int, rng: np.random.Generator) -> None:
        self._scene, self._seed = scene, seed
        width, height = scene.picture.width, scene.picture.height
        unit = rng.standard_normal((height + _GRAIN_SHIFT, width + _GRAIN_SHIFT), dtype=np.float32)
        self._bursts = tuple(one for one in scene.disturbances if isinstance(one, NoiseBurst))
        levels = {scene.noise, *(one.noise for one in self._bursts)}
        self._tiles = {level: _halves(unit * np.float32(level * _GRAIN_LUMA), lift=BLACK_LEVEL) for level in levels}
        self._blocks = [
            _Blocks(one, seed=seed, size=(width, height)) for one in scene.disturbances if isinstance(one, Flicker)
        ]

    def fall(self, luma: Image, index: int, at_s: float) -> None:
        """Lay the grain of picture `index` over its luma."""
        for blocks in self._blocks:
            blocks.fall(luma, at_s)
        level = max((one.noise for one in self._bursts if one.at_s <= at_s < one.until_s), default=self._scene.noise)
        brighter, darker = self._tiles[level]
        across, down = np.random.default_rng([self._seed, index]).integers(0, _GRAIN_SHIFT, 2)
        window = np.s_[down : down + luma.shape[0], across : across + luma.shape[1]]
        cv2.add(luma, brighter[window], dst=luma)
        cv2.subtract(luma, darker[window], dst=luma)


class _Blocks:
    """Blocks whose brightness is a little wrong, differently for each group of pictures."""

    def __init__(self, flicker: Flicker, *, seed: int, size: tuple[int, int]) -> None:
        self._flicker, self._seed, self._size = flicker, seed, size

    def fall(self, luma: Image, at_s: float) -> None:
        flicker = self._flicker
        if not flicker.at_s <= at_s < flicker.until_s:
            return
        since = at_s - flicker.at_s
        gop = int(since / flicker.gop_s)
        rng = np.random.default_rng([self._seed, 0xB10C, gop])
        rows, columns = (-(-side // flicker.block) for side in luma.shape)
        # What a keyframe gets wrong, the pictures after it mend bit by bit.
        left = 1 - 0.8 * (since / flicker.gop_s - gop)
        wrong = rng.standard_normal((rows, columns), dtype=np.float32) * np.float32(flicker.strength * left)
        for part, blend in zip(_halves(wrong, lift=0), (cv2.add, cv2.subtract), strict=True):
            large = np.kron(part, np.ones((flicker.block, flicker.block), dtype=np.uint8))
            blend(luma, u8(large[: luma.shape[0], : luma.shape[1]]), dst=luma)


def _halves(values: NDArray[np.float32], *, lift: int) -> tuple[Image, Image]:
    """Return what brightens, with `lift` on top, and what darkens."""
    whole = values.round()
    return np.clip(whole, 0, 255 - lift).astype(np.uint8) + np.uint8(lift), np.clip(-whole, 0, 255).astype(np.uint8)
