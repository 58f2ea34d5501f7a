"""What sways in the wind: trees, bushes, branches, flags, laundry. Drawn once, and bent for each picture."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from device.video.scene.file import Scene
from device.video.scene.parts import Cloth, Gust, Tree
from device.video.scene.sheet import Cut, Image, Real, Sheet, bgr, shade, u8

_GUST_S = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Wind:
    """How hard it blows: always, and in gusts."""

    usual: float
    gusts: tuple[Gust, ...]

    @classmethod
    def of(cls, scene: Scene) -> "Wind":
        """Return a scene's wind."""
        return cls(usual=scene.weather.wind, gusts=tuple(one for one in scene.disturbances if isinstance(one, Gust)))

    def at(self, at_s: float) -> float:
        """Return its strength at a moment; gusts rise and fall."""
        now = self.usual
        for gust in self.gusts:
            part = min(1.0, (at_s - gust.at_s) / _GUST_S, (gust.until_s - at_s) / _GUST_S)
            now *= 1 + (gust.strength - 1) * max(0.0, part)
        return now


class TreeLayer:
    """A tree drawn once with its cover, and sheared about its foot; a branch about where it hangs."""

    def __init__(self, tree: Tree, *, width: int, height: int, rng: np.random.Generator) -> None:
        self.depth = tree.y if tree.style != "branch" else 3.0
        self._tree = tree
        self._tall = max(8, round(tree.height * height / 2) * 2)
        self._left = round((tree.x * width - self._tall / 2) / 2) * 2
        foot = round(tree.y * height / 2) * 2
        self._top = foot if tree.style == "branch" else foot - self._tall
        self._phases = rng.uniform(0, math.tau, 3)
        self._cut = _draw_tree(self._tall, tree.style, rng)

    def draw(self, sheet: Sheet, at_s: float, wind: float) -> None:
        """Draw it as it leans at a moment."""
        turn = math.tau * at_s / self._tree.period_s
        a, b, c = self._phases
        gust = 0.6 + 0.4 * math.sin(turn * 0.23 + c)
        lean = gust * (0.7 * math.sin(turn + a) + 0.3 * math.sin(turn * 2.7 + b)) * self._tree.sway * wind
        # The crown moves, the foot stands.
        shear = np.array([[1.0, -lean, 0.0 if self._tree.style == "branch" else lean * self._tall], [0.0, 1.0, 0.0]])
        sheet.lay(self._cut.warped(shear, colour=len(sheet.planes) > 1), left=self._left, top=self._top)


def _draw_tree(tall: int, style: str, rng: np.random.Generator) -> Cut:
    """Draw a tree whose foot is at the bottom's middle; a branch hangs from the top's middle."""
    colour = np.zeros((tall, tall, 3), dtype=np.uint8)
    cover = np.zeros((tall, tall), dtype=np.uint8)
    middle = tall // 2
    if style == "tree":
        trunk = [(tall // 22, tall), (tall // 40, tall // 2)]
        corners = np.array([(middle - x, y) for x, y in trunk] + [(middle + x, y) for x, y in reversed(trunk)])
        _fill(colour, cover, corners, (38, 52, 66))
        _leaves(colour, cover, crown=(0.5, 0.36, 0.36, 0.30), count=240, green=(44, 112, 74), rng=rng)
    elif style == "bush":
        _leaves(colour, cover, crown=(0.5, 0.62, 0.40, 0.34), count=260, green=(50, 104, 70), rng=rng)
    else:
        for _ in range(5):
            tip = (middle + round(tall * rng.uniform(-0.36, 0.36)), round(tall * rng.uniform(0.6, 0.92)))
            cv2.line(colour, (middle, 0), tip, (40, 56, 70), max(1, tall // 70), cv2.LINE_AA)
            cv2.line(cover, (middle, 0), tip, 255, max(1, tall // 70), cv2.LINE_AA)
        _leaves(colour, cover, crown=(0.5, 0.44, 0.36, 0.40), count=170, green=(46, 108, 78), rng=rng)
    return Cut.of(colour, cover)


def _fill(colour: Image, cover: Image, corners: NDArray[np.int_], paint: tuple[int, int, int]) -> None:
    cv2.fillPoly(colour, [corners.astype(np.int32)], paint, cv2.LINE_AA)
    cv2.fillPoly(cover, [corners.astype(np.int32)], 255, cv2.LINE_AA)


def _leaves(
    colour: Image,
    cover: Image,
    *,
    crown: tuple[float, float, float, float],
    count: int,
    green: tuple[int, int, int],
    rng: np.random.Generator,
) -> None:
    tall = colour.shape[0]
    x0, y0, wide, high = crown
    for number in range(count):
        angle, far = rng.uniform(0, math.tau), math.sqrt(rng.uniform(0, 1))
        x = tall * x0 + math.cos(angle) * far * tall * wide
        y = tall * y0 + math.sin(angle) * far * tall * high
        radius = max(2, round(tall * rng.uniform(0.025, 0.06)))
        # Later leaves are nearer and higher in the light.
        light = 0.55 + 0.45 * number / count + 0.25 * (y0 - y / tall) + rng.uniform(-0.1, 0.1)
        axes = (radius, max(1, radius * 2 // 3))
        place = (round(x), round(y))
        cv2.ellipse(colour, place, axes, math.degrees(angle), 0, 360, shade(green, light), -1, cv2.LINE_AA)
        cv2.ellipse(cover, place, axes, math.degrees(angle), 0, 360, 255, -1, cv2.LINE_AA)


class ClothLayer:
    """A flag or laundry: waves run through it, growing away from where it is held."""

    depth = 2.0

    def __init__(self, cloth: Cloth, *, width: int, height: int, rng: np.random.Generator) -> None:
        self._cloth, self._phase = cloth, float(rng.uniform(0, math.tau))
        wide, tall = (max(4, round(cloth.width * width / 2) * 2), max(4, round(cloth.height * height / 2) * 2))
        self._margin = max(2, round(min(wide, tall) * 0.4 / 2) * 2)
        self._left, self._top = (
            round(cloth.x * width / 2) * 2 - self._margin,
            round(cloth.y * height / 2) * 2 - self._margin,
        )
        self._cut = _draw_cloth(cloth, wide, tall, self._margin, rng)
        rows, columns = self._cut.planes[0].shape
        self._x = np.arange(columns, dtype=np.float32)[None, :].repeat(rows, 0)
        self._y = np.arange(rows, dtype=np.float32)[:, None].repeat(columns, 1)
        self._reach = (wide, tall)

    def draw(self, sheet: Sheet, at_s: float, wind: float) -> None:
        """Draw it as it waves at a moment."""
        turn = math.tau * at_s / self._cloth.period_s + self._phase
        wide, tall = self._reach
        if self._cloth.kind == "flag":
            held = np.clip((self._x - self._margin) / wide, 0, 1)
            move = held * np.sin(5.5 * held - np.float32(turn)) * np.float32(self._cloth.sway * tall * wind)
            x, y = self._x, self._y + move
        else:
            held = np.clip((self._y - self._margin) / tall, 0, 1)
            wave = np.sin(np.float32(turn) + 3.0 * self._x / np.float32(wide)) + 0.5 * math.sin(turn * 0.41)
            move = held * wave * np.float32(self._cloth.sway * wide * 0.5 * wind)
            x, y = self._x + move, self._y - np.abs(move) * np.float32(0.4)
        maps = (np.asarray(x, dtype=np.float32), np.asarray(y, dtype=np.float32))
        sheet.lay(_remapped(self._cut, maps, colour=len(sheet.planes) > 1), left=self._left, top=self._top)


def _remapped(cut: Cut, maps: tuple[Real, Real], *, colour: bool) -> Cut:
    small: tuple[Real, ...] = tuple(np.ascontiguousarray(one[::2, ::2] / 2) for one in maps) if colour else ()

    def bent(plane: Image, number: int, beyond: int) -> Image:
        x, y = small if number else maps
        return u8(cv2.remap(plane, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(beyond,)))

    planes = tuple(bent(plane, n, 0) for n, plane in enumerate(cut.planes[: 3 if colour else 1]))
    return Cut(planes, tuple(bent(keep, n, 255) for n, keep in enumerate(cut.keeps[: 2 if colour else 1])))


def _draw_cloth(cloth: Cloth, wide: int, tall: int, margin: int, rng: np.random.Generator) -> Cut:
    image = np.zeros((tall + 2 * margin, wide + 2 * margin, 3), dtype=np.uint8)
    cover = np.zeros(image.shape[:2], dtype=np.uint8)
    paint = bgr(cloth.colour)
    if cloth.kind == "flag":
        bands: Sequence[tuple[int, int, int]] = (paint, (226, 228, 230), shade(paint, 0.6))
        for number, band in enumerate(bands):
            top, foot = margin + number * tall // 3, margin + (number + 1) * tall // 3
            image[top:foot, margin : margin + wide] = band
        cover[margin : margin + tall, margin : margin + wide] = 255
        image[:, margin - 2 : margin], cover[margin - 2 :, margin - 2 : margin] = (110, 116, 120), 255
    else:
        pieces = max(1, round(wide / max(8, tall * 0.7)))
        for number in range(pieces):
            left = margin + number * wide // pieces + 1
            right = margin + (number + 1) * wide // pieces - 2
            foot = margin + round(tall * rng.uniform(0.7, 1.0))
            image[margin:foot, left:right] = shade(paint, float(rng.uniform(0.7, 1.3)))
            cover[margin:foot, left:right] = 255
        image[margin - 2 : margin], cover[margin - 2 : margin] = (200, 204, 206), 255
    return Cut.of(image, cover)
