"""Films of real faces for the benchmark: cut out of pictures, made small, moving over drawn scenes, encoded."""

import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from device.video.codec.encoder import Encoder, EncoderSettings
from device.video.packets import TICKS_PER_S, Packet, us_from_ticks
from device.video.redact.regions import Box
from device.video.scene.draw import SceneFilm
from device.video.scene.file import builtin_scene, load_scene
from device.video.segments import Segment
from tests.video.support import START_US, VTEST, segments_of

WIDTH, HEIGHT, FPS = 1280, 720, 15
PICTURES = 45
COLUMNS, ROWS = 3, 2
# What is cut out around a face, in its own widths and heights.
ASIDE, ABOVE, BELOW = 0.8, 0.7, 1.0

Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Cutting:
    """A face with what is around it; `face` in pixels of it."""

    picture: Image
    face: tuple[float, float, float, float]


def cuttings(folder: Path | None) -> list[Cutting]:
    """All labelled faces whose pictures are there."""
    labels = tomllib.loads(Path(__file__).with_name("faces_labels.toml").read_text())
    found = []
    for label in labels["picture"]:
        package, _, name = label["file"].partition(":")
        path = find(package, name, folder)
        picture = None if path is None else cv2.imread(str(path))
        if picture is None:
            print(f"{name} is left out: it is in {package}, see this module's head", file=sys.stderr)
            continue
        found += [_cut_out(np.asarray(picture, np.uint8), *face) for face in label["faces"]]
    return found


def find(package: str, name: str, folder: Path | None) -> Path | None:
    """Where a picture is, if it is."""
    if package == "opencv-doc":
        path = VTEST.parent / name
        return path if path.is_file() else None
    return None if folder is None else next(iter(sorted(folder.rglob(name))), None)


def _cut_out(picture: Image, x: int, y: int, width: int, height: int) -> Cutting:
    rows, columns = picture.shape[:2]
    left, top = max(0, round(x - ASIDE * width)), max(0, round(y - ABOVE * height))
    right, bottom = min(columns, round(x + (1 + ASIDE) * width)), min(rows, round(y + (1 + BELOW) * height))
    return Cutting(picture[top:bottom, left:right], (x - left, y - top, width, height))


class Crowd:
    """Some faces of one size, each in a part of the picture of its own, moving."""

    def __init__(self, faces: Sequence[Cutting], *, size: int, speed: float) -> None:
        self._pasted = [self._small(face, size) for face in faces]
        self._size = size
        self._speed = speed

    def _small(self, face: Cutting, size: int) -> tuple[Image, NDArray[np.float32], tuple[float, ...]]:
        scale = size / face.face[2]
        height, width = face.picture.shape[:2]
        across, down = max(4, round(width * scale)), max(4, round(height * scale))
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        small = np.asarray(cv2.resize(face.picture, (across, down), interpolation=how), np.uint8)
        # Soft edges: what finds a face must not find the edge of a photograph.
        alpha = np.zeros((down, across), np.float32)
        margin = max(1, min(across, down) // 10)
        alpha[margin:-margin, margin:-margin] = 1
        alpha = np.asarray(cv2.blur(alpha, (2 * margin + 1, 2 * margin + 1)), np.float32)
        return small, alpha[..., None], tuple(value * scale for value in face.face)

    def draw(self, onto: Image, number: int) -> list[Box]:
        """Paste the faces into a picture; gives where they are."""
        boxes = []
        cell = (WIDTH / COLUMNS, HEIGHT / ROWS)
        for place, (small, alpha, (x, y, width, height)) in enumerate(self._pasted):
            down, across = small.shape[:2]
            room = (cell[0] - across, cell[1] - down)
            # Nobody turns round more than once a second.
            way = number / FPS * min(self._speed * self._size, max(room[0], 1.0)) + place * 57
            left = round(place % COLUMNS * cell[0] + _to_and_fro(way, room[0]))
            top = round(place // COLUMNS * cell[1] + _to_and_fro(way * 0.3, room[1]))
            under = onto[top : top + down, left : left + across]
            above, part = small[: under.shape[0], : under.shape[1]], alpha[: under.shape[0], : under.shape[1]]
            under[:] = np.round(above * part + under * (1 - part)).astype(np.uint8)
            boxes.append(Box((left + x) / WIDTH, (top + y) / HEIGHT, width / WIDTH, height / HEIGHT))
        return boxes


def _to_and_fro(way: float, room: float) -> float:
    room = max(room, 1.0)
    turn = way % (2 * room)
    return turn if turn < room else 2 * room - turn


def filmed(crowd: Crowd, light: str, scene: Image) -> tuple[list[Segment], list[list[Box]]]:
    """Film a crowd in front of a scene; gives where the faces are in each picture."""
    rng = np.random.default_rng(5)
    noise = rng.normal(0, 7, (2, HEIGHT + 64, WIDTH)).astype(np.float32)
    truth: list[list[Box]] = []

    def drawn() -> Iterator[Image]:
        for number in range(PICTURES):
            picture = scene.copy()
            truth.append(crowd.draw(picture, number))
            if light == "night":
                late = int(rng.integers(0, 64))
                gray = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) * 0.33 + noise[number % 2, late : late + HEIGHT]
                picture = np.repeat(np.clip(gray, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
            yield picture

    return encoded(drawn()), truth


def encoded(drawn: Iterator[Image]) -> list[Segment]:
    """Encode pictures as a camera does, into segments."""
    encoder: Encoder | None = None
    packets = []
    for number, picture in enumerate(drawn):
        height, width = (side // 2 * 2 for side in picture.shape[:2])
        if encoder is None:
            encoder = Encoder(width=width, height=height, fps=Fraction(FPS), settings=EncoderSettings())
        ticks = number * TICKS_PER_S // FPS
        i420 = np.asarray(cv2.cvtColor(picture[:height, :width], cv2.COLOR_BGR2YUV_I420), np.uint8)
        packets.append(
            Packet(
                config=encoder.config,
                unit=encoder.encode(i420, ticks=ticks),
                at_us=START_US + us_from_ticks(ticks),
                duration_us=us_from_ticks(TICKS_PER_S // FPS),
            )
        )
    return segments_of(packets)


def scene_picture(name: str, number: int) -> Image:
    """Return one picture of a scene."""
    return scene_film(name).bgr(number)


def scene_film(name: str) -> SceneFilm:
    """Return a scene at the size of these films."""
    scene = load_scene(builtin_scene(name))
    picture = scene.picture.model_copy(update={"width": WIDTH, "height": HEIGHT})
    return SceneFilm(scene.model_copy(update={"picture": picture}), seed=1)


def real_film(path: Path, *, most: int = 300) -> list[Segment]:
    """Encode a real film as a camera would."""
    with av.open(str(path)) as container:
        frames = (frame for _, frame in zip(range(most), container.decode(video=0), strict=False))
        return encoded(np.asarray(frame.to_ndarray(format="bgr24"), np.uint8) for frame in frames)
