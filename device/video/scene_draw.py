"""Draws scenes: picture i is a pure function of the scene, the seed and i. OpenCV and numpy only, no file, no clock.

What never changes (house, street, noise) is drawn once when the film is made; a picture then costs a copy, its actors,
its light and its grain.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from device.video.scene import Actor, Scene, Tree, actor_pose
from device.video.scene_people import draw_person
from device.video.scene_places import draw_place

Image = NDArray[np.uint8]

# The grain is a crop of a larger tile, shifted for each picture.
_GRAIN_SHIFT = 64
_ARM_UP_S = 1.0


class SceneFilm:
    """A scene with a seed, ready to be drawn picture by picture, in any order."""

    def __init__(self, scene: Scene, *, seed: int) -> None:
        self.scene = scene
        self._seed = seed
        rng = np.random.default_rng([seed, 0xBAC4])
        width, height = scene.picture.width, scene.picture.height
        self._still = draw_place(scene.place, width=width, height=height, rng=rng)
        grain = rng.normal(0.0, scene.noise, (height + _GRAIN_SHIFT, width + _GRAIN_SHIFT)).round().astype(np.int16)
        self._brighter = cv2.merge([np.clip(grain, 0, 255).astype(np.uint8)] * 3)
        self._darker = cv2.merge([np.clip(-grain, 0, 255).astype(np.uint8)] * 3)
        self._light_phase = float(rng.uniform(0, math.tau))
        self._trees = tuple(_TreeLayer(tree, width=width, height=height, rng=rng) for tree in scene.trees)

    def bgr(self, index: int) -> Image:
        """Picture `index` as uint8 (height, width, 3), blue first."""
        scene = self.scene
        at_s = index / scene.picture.fps
        image: Image = self._still.copy()
        for tree in self._trees:
            tree.draw(image, at_s)
        for actor in sorted(scene.actors, key=lambda actor: _depth(actor, at_s)):
            pose = actor_pose(actor, at_s)
            if pose is not None:
                ringing = any(0 <= at_s - ring + _ARM_UP_S / 2 <= _ARM_UP_S for ring in scene.rings_s)
                draw_person(image, actor, pose, at_s=at_s, ringing=ringing)
        gain = scene.light.level * (
            1 + scene.light.drift * math.sin(math.tau * at_s / scene.light.period_s + self._light_phase)
        )
        lit = cv2.convertScaleAbs(image, alpha=gain)
        across, down = np.random.default_rng([self._seed, index]).integers(0, _GRAIN_SHIFT, 2)
        window = np.s_[down : down + scene.picture.height, across : across + scene.picture.width]
        return _u8(cv2.subtract(cv2.add(lit, self._brighter[window]), self._darker[window]))

    def i420(self, index: int) -> Image:
        """Picture `index` as planar YUV 4:2:0, uint8 (height * 3 / 2, width); its first `height` rows are luma."""
        return _u8(cv2.cvtColor(self.bgr(index), cv2.COLOR_BGR2YUV_I420))


def _u8(image: NDArray[np.generic]) -> Image:
    return np.asarray(image, dtype=np.uint8)


def _depth(actor: Actor, at_s: float) -> float:
    pose = actor_pose(actor, at_s)
    return pose.y if pose is not None else 0.0


class _TreeLayer:
    """A tree drawn once with its transparency, and sheared for each picture."""

    def __init__(self, tree: Tree, *, width: int, height: int, rng: np.random.Generator) -> None:
        self._tree = tree
        self._tall = max(8, round(tree.height * height))
        self._left = round(tree.x * width) - self._tall // 2
        self._top = round(tree.y * height) - self._tall
        self._phases = rng.uniform(0, math.tau, 3)
        self._colour, self._alpha = _draw_tree(self._tall, rng)

    def draw(self, image: Image, at_s: float) -> None:
        turn = math.tau * at_s / self._tree.period_s
        a, b, c = self._phases
        gust = 0.6 + 0.4 * math.sin(turn * 0.23 + c)
        lean = gust * (0.7 * math.sin(turn + a) + 0.3 * math.sin(turn * 2.7 + b)) * self._tree.sway
        size = (self._tall, self._tall)
        # Sheared about its foot: the crown moves, the trunk stands.
        shear = np.array([[1.0, -lean, lean * self._tall], [0.0, 1.0, 0.0]])
        colour = cv2.warpAffine(self._colour, shear, size, flags=cv2.INTER_LINEAR)
        alpha = cv2.warpAffine(self._alpha, shear, size, flags=cv2.INTER_LINEAR)
        rows, columns = image.shape[:2]
        top, left = max(self._top, 0), max(self._left, 0)
        bottom, right = min(self._top + self._tall, rows), min(self._left + self._tall, columns)
        if top >= bottom or left >= right:
            return
        part = np.s_[top - self._top : bottom - self._top, left - self._left : right - self._left]
        under = image[top:bottom, left:right].astype(np.float32)
        share = alpha[part][..., None]
        image[top:bottom, left:right] = (under + (colour[part] - under) * share).astype(np.uint8)


def _draw_tree(tall: int, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Colour (tall, tall, 3) and transparency (tall, tall) of a tree whose foot is at the bottom's middle."""
    colour = np.zeros((tall, tall, 3), dtype=np.uint8)
    alpha = np.zeros((tall, tall), dtype=np.uint8)
    middle = tall // 2
    trunk = np.array(
        [
            (middle - tall // 22, tall),
            (middle - tall // 40, tall // 2),
            (middle + tall // 40, tall // 2),
            (middle + tall // 22, tall),
        ]
    )
    cv2.fillPoly(colour, [trunk], (38, 52, 66), cv2.LINE_AA)
    cv2.fillPoly(alpha, [trunk], 255, cv2.LINE_AA)
    leaves = 240
    for number in range(leaves):
        angle, far = rng.uniform(0, math.tau), math.sqrt(rng.uniform(0, 1))
        x = middle + math.cos(angle) * far * tall * 0.36
        y = tall * 0.36 + math.sin(angle) * far * tall * 0.30
        radius = max(2, round(tall * rng.uniform(0.025, 0.06)))
        # Later leaves are nearer and higher in the light.
        light = 0.55 + 0.45 * number / leaves + 0.25 * (0.36 - y / tall) + rng.uniform(-0.1, 0.1)
        shade = tuple(int(min(255, max(0, value * light))) for value in (44, 112, 74))
        centre = (round(x), round(y))
        cv2.ellipse(
            colour, centre, (radius, max(1, radius * 2 // 3)), math.degrees(angle), 0, 360, shade, -1, cv2.LINE_AA
        )
        cv2.ellipse(alpha, centre, (radius, max(1, radius * 2 // 3)), math.degrees(angle), 0, 360, 255, -1, cv2.LINE_AA)
    return colour.astype(np.float32), alpha.astype(np.float32) / np.float32(255)
