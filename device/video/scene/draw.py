"""Draws scenes: picture i is a pure function of the scene, the seed and i. OpenCV and numpy only, no file, no clock.

What never changes (house, street, noise) is drawn once when the film is made; a picture then costs a copy, what moves
in it, its light, what is before the lens, and its grain. Luma alone is drawn by the same steps, without the others.
"""

from functools import lru_cache

import cv2
import numpy as np

from device.video.scene.animals import draw_animal
from device.video.scene.file import Scene
from device.video.scene.jitter import realised
from device.video.scene.lens import Grain, NearThings, Precipitation
from device.video.scene.light import Lighting
from device.video.scene.parts import Actor
from device.video.scene.paths import Pose, actor_pose
from device.video.scene.people import draw_person
from device.video.scene.places import draw_place
from device.video.scene.sheet import Image, Planes, Sheet, planes_of, u8
from device.video.scene.sway import ClothLayer, TreeLayer, Wind
from device.video.scene.tremble import Tremble
from device.video.scene.vehicles import draw_vehicle

_ARM_UP_S = 1.0


class SceneFilm:
    """A scene with a seed, ready to be drawn picture by picture, in any order. `scene` is as the seed has it."""

    def __init__(self, scene: Scene, *, seed: int) -> None:
        self.scene = realised(scene, seed=seed)
        width, height = scene.picture.width, scene.picture.height
        self._still = _still(scene.place, width, height, seed)
        rng = np.random.default_rng([seed, 0xBAC5])
        self._lighting = Lighting(self.scene, rng=rng)
        layers: list[TreeLayer | ClothLayer] = [
            *(TreeLayer(tree, width=width, height=height, rng=rng) for tree in self.scene.trees),
            *(ClothLayer(cloth, width=width, height=height, rng=rng) for cloth in self.scene.cloths),
        ]
        self._layers = sorted(layers, key=lambda layer: layer.depth)
        self._wind = Wind.of(self.scene)
        self._tremble = Tremble(self.scene, seed=seed)
        self._falling = Precipitation(self.scene, seed=seed, rng=rng)
        self._near = NearThings(self.scene, rng=rng)
        self._grain = Grain(self.scene, seed=seed, rng=rng)

    @property
    def frames(self) -> int:
        """How many pictures it has."""
        return self.scene.frames

    def luma(self, index: int) -> Image:
        """Luma of picture `index`, uint8 (height, width): exactly the first rows of its `i420`, at half the cost."""
        return self._picture(index, self._still[:1])[0]

    def i420(self, index: int) -> Image:
        """Picture `index` as planar YUV 4:2:0, uint8 (height * 3 / 2, width); its first `height` rows are luma."""
        luma, *chroma = self._picture(index, self._still)
        return u8(np.concatenate([luma.ravel(), *(plane.ravel() for plane in chroma)]).reshape(-1, luma.shape[1]))

    def bgr(self, index: int) -> Image:
        """Picture `index` as uint8 (height, width, 3), blue first."""
        return u8(cv2.cvtColor(self.i420(index), cv2.COLOR_YUV2BGR_I420))

    def _picture(self, index: int, still: Planes) -> Planes:
        at_s = index / self.scene.picture.fps
        sheet = Sheet(tuple(plane.copy() for plane in still))
        self._draw_world(sheet, at_s)
        self._lighting.at(at_s).fall(sheet)
        if self.scene.mirrored:
            sheet.planes = tuple(u8(cv2.flip(plane, 1)) for plane in sheet.planes)
        self._shake(sheet, at_s)
        self._falling.fall(sheet, index, at_s)
        self._near.draw(sheet, at_s)
        self._grain.fall(sheet.planes[0], index, at_s)
        return sheet.planes

    def _draw_world(self, sheet: Sheet, at_s: float) -> None:
        """Draw what stands, sways and walks, the farthest first."""
        wind = self._wind.at(at_s)
        posed = ((actor, actor_pose(actor, at_s)) for actor in self.scene.actors)
        there = sorted(((actor, pose) for actor, pose in posed if pose is not None), key=lambda one: one[1].y)
        for layer in self._layers:
            while there and there[0][1].y < layer.depth:
                self._draw_actor(sheet, *there.pop(0), at_s=at_s)
            layer.draw(sheet, at_s, wind)
        for actor, pose in there:
            self._draw_actor(sheet, actor, pose, at_s=at_s)

    def _draw_actor(self, sheet: Sheet, actor: Actor, pose: Pose, *, at_s: float) -> None:
        if actor.kind == "person":
            ringing = any(0 <= at_s - ring + _ARM_UP_S / 2 <= _ARM_UP_S for ring in self.scene.rings_s)
            draw_person(sheet, actor, pose, at_s=at_s, ringing=ringing)
        elif actor.kind in ("car", "van"):
            draw_vehicle(sheet, actor, pose)
        else:
            draw_animal(sheet, actor, pose, at_s=at_s)

    def _shake(self, sheet: Sheet, at_s: float) -> None:
        x, y = self._tremble.at(at_s)
        if not x and not y:
            return
        moved = []
        for plane in sheet.planes:
            rows, columns = plane.shape
            matrix = np.array([[1.0, 0.0, x * columns], [0.0, 1.0, y * rows]])
            moved.append(u8(cv2.warpAffine(plane, matrix, (columns, rows), borderMode=cv2.BORDER_REFLECT)))
        sheet.planes = tuple(moved)


@lru_cache(maxsize=8)
def _still(place: str, width: int, height: int, seed: int) -> Planes:
    """Return the planes of a place where nothing moves; shared by films, so never drawn upon."""
    planes = planes_of(draw_place(place, width=width, height=height, rng=np.random.default_rng([seed, 0xBAC4])))
    for plane in planes:
        plane.flags.writeable = False
    return planes
