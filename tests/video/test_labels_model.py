"""The model that labels: its weights, its findings on drawn and real pictures, and how they become a label."""

import hashlib
import random
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from device.video.labels.best import Best, BestFrames, Kind, Label, Look
from device.video.labels.model import WEIGHTS, Finding, LabelsError, SsdDetector, choose
from device.video.labels.process import ModelProcess
from device.video.motion.detector import MotionBox, MotionReading, MotionState, read_motion, shrink
from device.video.scene.draw import SceneFilm
from device.video.scene.file import load_scene
from device.video.scene.truth import SceneTruth
from tests.video.support import VTEST

SCENES = Path(__file__).parents[2] / "samples" / "scenes"
MIDDLE = MotionBox(left=0.3, top=0.3, width=0.4, height=0.4)
ASIDE = MotionBox(left=0.0, top=0.0, width=0.2, height=0.2)


@pytest.fixture(scope="module")
def detector() -> SsdDetector:
    return SsdDetector()


def named(detector: SsdDetector, best: Best) -> Label:
    """What the model makes of an event, as its process does."""
    return choose((detector.find(crop.picture), crop.box) for crop in best.crops)


def finding(kind: Kind, score: float, where: MotionBox = MIDDLE) -> Finding:
    return Finding(kind=kind, score=score, box=where)


def best_of_scene(name: str, seed: int) -> tuple[Best, Kind]:
    """Return the best frames of a scene's first event by its true boxes, and its true label."""
    scene = load_scene(SCENES / f"{name}.toml")
    film, truth = SceneFilm(scene, seed=seed), SceneTruth(scene, seed=seed)
    event = truth.events()[0]
    frames = BestFrames()
    fps = scene.picture.fps
    for i in range(round(event.start_s * fps), round(event.end_s * fps), fps // 3):
        boxes = tuple(
            MotionBox(left=b.left, top=b.top, width=b.right - b.left, height=b.bottom - b.top)
            for b in (one.box for one in truth.boxes(i) if one.counts)
        )
        reading = MotionReading(at_us=i * 1_000_000 // fps, active=True, score=50, boxes=boxes)
        frames.consider(reading, shrink(film.luma(i), width=320))
    return frames.best(), event.label


def test_the_weights_are_those_that_were_recorded() -> None:
    """The file in the package is the one whose origin and licence stand beside it."""
    digest = hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()
    assert digest in WEIGHTS.with_name("weights.md").read_text()


@pytest.mark.parametrize(
    ("name", "seed"),
    [("driveway-walker", 3), ("doorbell-visitor", 4), ("car-passes", 5), ("cat-in-the-garden", 6)],
)
def test_drawn_scenes_are_told_apart(detector: SsdDetector, name: str, seed: int) -> None:
    """A person, a car and a cat of the sample scenes are named by the model."""
    best, true = best_of_scene(name, seed)
    label = named(detector, best)
    assert (label.kind, label.by) == (true, "model")


@pytest.mark.slow
@pytest.mark.skipif(not VTEST.exists(), reason="Debian's opencv-doc is not installed")
def test_real_people_are_persons(detector: SsdDetector) -> None:
    """Each five seconds of real footage in which people walk, gray and by motion's own boxes, are a person's."""
    state, frames, labels = MotionState(), BestFrames(), list[Label]()
    with av.open(str(VTEST)) as film:
        for number, frame in enumerate(film.decode(video=0)):
            luma = shrink(np.asarray(frame.to_ndarray(format="gray"), dtype=np.uint8), width=320)
            state, reading = read_motion(state, shrink(luma), number * 100_000)
            frames.consider(reading, luma)
            if number % 50 == 49:
                labels += [named(detector, frames.best())] if frames.best().crops else []
                frames.reset()
    assert len(labels) >= 12
    assert {(label.kind, label.by) for label in labels} == {("person", "model")}


@pytest.mark.parametrize("value", [0, 127, 255])
def test_an_empty_wall_is_unknown(detector: SsdDetector, value: int) -> None:
    """Nothing is found where nothing is."""
    wall = np.full((200, 300), value, dtype=np.uint8)
    assert choose([(detector.find(wall), MIDDLE)]).kind == "unknown"


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (37, 301), (720, 1280)])
def test_any_size_of_picture_will_do(detector: SsdDetector, shape: tuple[int, int]) -> None:
    """Pictures are scaled, whatever their proportions."""
    detector.find(np.zeros(shape, dtype=np.uint8))


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (4, 4, 3)])
def test_a_picture_without_pixels_is_refused(detector: SsdDetector, shape: tuple[int, ...]) -> None:
    """What isn't a gray picture is an error with a reason."""
    with pytest.raises(LabelsError, match="no pixels"):
        detector.find(np.zeros(shape, dtype=np.uint8))


@pytest.mark.parametrize("damage", [None, b"", b"not xz", b"cut"])
def test_without_weights_the_shape_rule_speaks(tmp_path: Path, damage: bytes | None) -> None:
    """Missing or damaged weights are one clear error, and the label comes from the shape."""
    weights = tmp_path / "weights.xz"
    if damage is not None:
        weights.write_bytes(WEIGHTS.read_bytes()[:5000] if damage == b"cut" else damage)
    detector = SsdDetector(weights)
    with pytest.raises(LabelsError, match="install the package again"):
        detector.load()
    best, _ = best_of_scene("driveway-walker", 3)
    code = (
        "import sys; from pathlib import Path; from device.video.labels.model import SsdDetector;"
        "from device.video.labels.process import serve;"
        f"serve(sys.stdin.buffer, sys.stdout.buffer, SsdDetector(Path({str(weights)!r})))"
    )
    process = ModelProcess((sys.executable, "-c", code))
    assert process.label(best).by == "shape"
    process.rest()


def test_no_pictures_are_the_shape_rules_business() -> None:
    """An event of which no frame was kept gets the shape rule's label."""
    best = Best(crops=(), looks=(Look(at_us=0, box=MIDDLE),), aspect=1.0)
    assert ModelProcess().label(best).by == "shape"


def test_several_frames_make_sure() -> None:
    """Three weak findings of one kind are enough where one alone is not."""
    once = [([finding("animal", 0.4)], MIDDLE)]
    assert choose(once).kind == "unknown"
    label = choose(once * 3)
    assert (label.kind, label.confidence) == ("animal", 78)


def test_what_stands_aside_does_not_count() -> None:
    """A parked car beside somebody who walks is not what moved."""
    looks = [([finding("vehicle", 0.9, ASIDE), finding("person", 0.6)], MIDDLE)]
    assert choose(looks).kind == "person"


def test_a_tie_is_unknown() -> None:
    """Where two kinds are about as likely nothing is claimed."""
    looks = [([finding("person", 0.62), finding("animal", 0.6)], MIDDLE)]
    assert choose(looks).kind == "unknown"


kinds: st.SearchStrategy[Kind] = st.sampled_from(["person", "vehicle", "animal"])
boxes = st.builds(
    lambda left, top, width, height: MotionBox(left=left, top=top, width=width, height=height),
    *[st.floats(-1, 2)] * 2,
    *[st.floats(0, 2)] * 2,
)
findings = st.lists(st.builds(finding, kinds, st.floats(0, 1), boxes), max_size=5)


@given(st.lists(st.tuples(findings, boxes), max_size=3), st.randoms())
def test_choosing_is_sound(looks: list[tuple[list[Finding], MotionBox]], chance: random.Random) -> None:
    """Any findings make a valid label, of a kind that was found, whatever their order."""
    label = choose(looks)
    assert label.kind in {"unknown", *(one.kind for found, _ in looks for one in found)}
    shuffled = [(chance.sample(found, len(found)), mover) for found, mover in looks]
    assert choose(chance.sample(shuffled, len(shuffled))).kind == label.kind


@given(st.integers(1, 40), st.integers(1, 40), st.randoms())
def test_noise_never_breaks_it(detector: SsdDetector, rows: int, columns: int, chance: random.Random) -> None:
    """Pictures of pure noise are looked at like any other."""
    noise: NDArray[np.uint8] = np.frombuffer(chance.randbytes(rows * columns), dtype=np.uint8).reshape(rows, columns)
    assert all(0 <= one.score <= 1 for one in detector.find(noise))
