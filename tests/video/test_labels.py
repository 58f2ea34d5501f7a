"""The frames that show an event's mover best, and what its shape tells."""

from itertools import count, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from device.video.labels.best import CROP_PIXELS, Best, BestFrames, Label, Look, shape_label
from device.video.motion.detector import MotionBox, MotionReading
from device.video.scene.file import load_scene
from device.video.scene.truth import SceneTruth

SCENES = sorted((Path(__file__).parents[2] / "samples" / "scenes").glob("*.toml"))
STEP_US = 200_000
HD = 16 / 9


def box(left: float, top: float, width: float, height: float) -> MotionBox:
    return MotionBox(left=left, top=top, width=width, height=height)


def reading(at_us: int, *boxes: MotionBox) -> MotionReading:
    return MotionReading(at_us=at_us, active=True, score=50, boxes=boxes)


def picture(rows: int = 180, columns: int = 320) -> NDArray[np.uint8]:
    return np.tile(np.arange(columns, dtype=np.uint8), (rows, 1))


def crossing(width: float, height: float, bottom: float, *, way: float = 0.6, looks: int = 20) -> Best:
    """Something of this size that crosses the picture."""
    found = (
        Look(at_us=i * STEP_US, box=box(0.15 + way * i / looks, bottom - height, width, height)) for i in range(looks)
    )
    return Best(crops=(), looks=tuple(found), aspect=HD)


sides = st.floats(-0.2, 1.2)
lengths = st.floats(0, 1.2)
boxes = st.builds(box, sides, sides, lengths, lengths)


@given(st.lists(st.tuples(st.lists(boxes, max_size=3), st.integers(1, 3_000_000)), max_size=120))
def test_best_frames_are_bounded(looked: list[tuple[list[MotionBox], int]]) -> None:
    """Whatever comes, at most three crops of bounded size and fewer than 64 looks are kept, in order."""
    frames, at_us = BestFrames(), 0
    for found, step_us in looked:
        at_us += step_us
        frames.consider(reading(at_us, *found), picture())
    best = frames.best()
    assert len(best.crops) <= 3
    assert len(best.looks) < 64
    assert all(0 < max(crop.picture.shape) <= CROP_PIXELS for crop in best.crops)
    assert [look.at_us for look in best.looks] == sorted({look.at_us for look in best.looks})
    assert [crop.worth for crop in best.crops] == sorted((crop.worth for crop in best.crops), reverse=True)
    for crop in best.crops:
        assert crop.box.left >= 0
        assert crop.box.top >= 0
        assert crop.box.left + crop.box.width <= 1 + 1e-9
        assert crop.box.top + crop.box.height <= 1 + 1e-9


@given(boxes)
def test_what_moved_stays_where_it_was(mover: MotionBox) -> None:
    """A crop's box shows the same pixels as the box in the picture that it was cut from."""
    frames, shown = BestFrames(), picture()
    frames.consider(reading(0, mover), shown)
    for crop in frames.best().crops:
        rows, columns = crop.picture.shape
        middle = crop.picture[
            min(rows - 1, int((crop.box.top + crop.box.height / 2) * rows)),
            min(columns - 1, int((crop.box.left + crop.box.width / 2) * columns)),
        ]
        left, right = max(0.0, mover.left), min(1.0, mover.left + mover.width)
        # The picture's pixels count from the left, modulo 256.
        wanted = (left + right) / 2 * 320
        apart = abs((int(middle) - wanted + 128) % 256 - 128)
        assert apart <= 3


def test_kept_crops_are_copies() -> None:
    """What the decoder does with its picture afterwards doesn't reach a crop."""
    frames, shown = BestFrames(), picture()
    frames.consider(reading(0, box(0.4, 0.4, 0.1, 0.2)), shown)
    before = frames.best().crops[0].picture.copy()
    shown[:] = 0
    assert np.array_equal(frames.best().crops[0].picture, before)


def test_three_moments_rather_than_three_pictures_of_one() -> None:
    """Frames that follow at once take each other's place; crops are of different moments."""
    frames = BestFrames()
    for i in range(100):
        frames.consider(reading(i * 66_000, box(0.4, 0.3, 0.1, 0.1 + i * 0.003)), picture())
    moments = sorted(crop.at_us for crop in frames.best().crops)
    assert len(moments) == 3
    assert all(b - a >= 500_000 for a, b in pairwise(moments))
    assert frames.ripe


def test_a_frame_that_cuts_the_mover_off_gives_way() -> None:
    """Somebody half outside of the picture is worth less than the same wholly within it."""
    frames = BestFrames()
    for i in range(3):
        frames.consider(reading(i * 1_000_000, box(0.0, 0.3, 0.1, 0.3)), picture())
    for i in range(3, 6):
        frames.consider(reading(i * 1_000_000, box(0.4, 0.3, 0.1, 0.3)), picture())
    assert all(crop.at_us >= 3_000_000 for crop in frames.best().crops)


def test_nothing_active_is_nothing_kept() -> None:
    """A quiet reading, a box without width, and a new event leave nothing behind."""
    frames = BestFrames()
    frames.consider(MotionReading(at_us=0, active=False, score=0), picture())
    frames.consider(reading(1, box(0.5, 0.5, 0.0, 0.1)), picture())
    assert frames.best().looks == ()
    assert not frames.ripe
    frames.consider(reading(2, box(0.5, 0.5, 0.1, 0.1)), picture())
    frames.reset()
    assert frames.best().crops == ()
    assert frames.best().looks == ()


@pytest.mark.parametrize(
    ("best", "kind"),
    [
        pytest.param(crossing(0.10, 0.40, 0.85), "person", id="walks past the door"),
        pytest.param(crossing(0.04, 0.14, 0.48), "person", id="walks on the far side"),
        pytest.param(crossing(0.22, 0.25, 0.70), "vehicle", id="a van in the street"),
        pytest.param(crossing(0.30, 0.15, 0.75), "vehicle", id="a saloon from the side"),
        pytest.param(crossing(0.11, 0.12, 0.80), "animal", id="a dog over the lawn"),
        pytest.param(crossing(0.22, 0.25, 0.70, way=0.02), "unknown", id="as large as a car, and comes nowhere"),
        pytest.param(crossing(0.02, 0.02, 0.30), "unknown", id="in the sky"),
        pytest.param(crossing(0.10, 0.40, 0.85, looks=2), "unknown", id="hardly seen"),
        pytest.param(crossing(0.10, 0.20, 0.85), "unknown", id="legs alone"),
    ],
)
def test_shapes(best: Best, kind: str) -> None:
    """Plain shapes are told apart; what isn't plain is unknown."""
    label = shape_label(best)
    assert (label.kind, label.by) == (kind, "shape")
    assert (label.confidence == 0) == (kind == "unknown")


@given(st.lists(boxes, max_size=70), st.floats(0.5, 3))
def test_the_rule_takes_any_boxes(found: list[MotionBox], aspect: float) -> None:
    """No boxes make the rule fail or leave its range."""
    frames = BestFrames()
    for i, one in enumerate(found):
        frames.consider(reading(i * STEP_US, one), picture(rows=max(1, round(320 / aspect))))
    label = shape_label(frames.best())
    assert 0 <= label.confidence <= 70
    assert label.by == "shape"


@given(st.integers(1, 4), st.sampled_from(["person", "vehicle", "animal"]))
def test_the_rule_does_not_mind_the_pace(every: int, kind: str) -> None:
    """Looking at every picture or at each fourth gives one answer."""
    shapes = {
        "person": crossing(0.10, 0.40, 0.85, looks=40),
        "vehicle": crossing(0.22, 0.25, 0.70, looks=40),
        "animal": crossing(0.11, 0.12, 0.80, looks=40),
    }
    best = shapes[kind]
    assert shape_label(Best(crops=(), looks=best.looks[::every], aspect=best.aspect)).kind == kind


@pytest.mark.parametrize("path", SCENES, ids=lambda path: path.stem)
def test_the_rule_is_never_wrong_on_true_boxes(path: Path) -> None:
    """On the true boxes of the sample scenes the rule says what is there, or that it doesn't know."""
    truth = SceneTruth(load_scene(path), seed=5)
    scene = truth.scene
    for event in truth.events():
        frames = BestFrames()
        for i in count(round(event.start_s * scene.picture.fps)):
            if i / scene.picture.fps >= event.end_s:
                break
            found = [one.box for one in truth.boxes(i) if one.counts]
            movers = [box(one.left, one.top, one.right - one.left, one.bottom - one.top) for one in found]
            frames.consider(reading(i * 1_000_000 // scene.picture.fps, *movers), picture())
        assert shape_label(frames.best()).kind in {*event.labels, "unknown"}


@pytest.mark.parametrize("confidence", [-1, 101])
def test_a_confidence_is_a_share_of_hundred(confidence: int) -> None:
    """A label can't be surer than sure."""
    with pytest.raises(ValueError, match="within 0 to 100"):
        Label(kind="person", by="model", confidence=confidence)
