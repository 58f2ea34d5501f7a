"""The truth about scenes: it follows the seed, agrees with what is drawn, and has a format that stays."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.video.scene.draw import SceneFilm
from device.video.scene.file import Scene, library, load_scene, parse_scene
from device.video.scene.jitter import realised
from device.video.scene.truth import SceneTruth, TrueEvent

HEAD = 'title = "T"\nplace = "driveway"\nduration_s = 12.0\nnoise = 0.0\n'
WALKER = """
[[actors]]
kind = "person"
path = [{ at_s = 2.0, x = -0.1, y = 0.9, height = 0.5 }, { at_s = 6.0, x = 1.1, y = 0.9, height = 0.5 }]
"""
CAR = """
[[actors]]
kind = "car"
path = [
    { at_s = 0.0, x = 0.5, y = 0.8, height = 0.2 },
    { at_s = 4.0, x = 0.5, y = 0.8, height = 0.2 },
    { at_s = 6.0, x = 0.9, y = 0.8, height = 0.2 },
    { at_s = 12.0, x = 0.9, y = 0.8, height = 0.2 },
]
"""


def scene(text: str, *, jitter: float = 0.0) -> Scene:
    """A scene of these parts."""
    return parse_scene(f"{HEAD}jitter = {jitter}\n{text}".encode(), name="t.toml")


def events(text: str, *, seed: int = 1, jitter: float = 0.0) -> tuple[TrueEvent, ...]:
    """Its events."""
    return SceneTruth(scene(text, jitter=jitter), seed=seed).events()


def test_a_person_counts_while_half_in_the_picture() -> None:
    """An event runs from where the middle of somebody comes into the picture to where it leaves."""
    (event,) = events(WALKER)
    assert (event.label, event.labels, event.actors) == ("person", ("person",), (0,))
    assert event.start_s == pytest.approx(2 + 4 / 12, abs=0.1)
    assert event.end_s == pytest.approx(6 - 4 / 12, abs=0.1)


def test_a_parked_car_is_scenery() -> None:
    """A vehicle counts from when it moves until a second after; all the while it may be told of."""
    truth = SceneTruth(scene(CAR), seed=1)
    (event,) = truth.events()
    assert event.label == "vehicle"
    assert [event.start_s, event.end_s] == pytest.approx([4.0, 7.0], abs=0.1)
    (glimpse,) = truth.glimpses()
    assert [glimpse.start_s, glimpse.end_s] == pytest.approx([0.0, 12.0])


def test_events_with_a_pause_between_them_are_two() -> None:
    """A second walker five seconds after the first is an event of its own; one that overlaps is not."""
    later = WALKER.replace("at_s = 2.0", "at_s = 8.0").replace("at_s = 6.0", "at_s = 11.5")
    cat = WALKER.replace("person", "cat").replace("0.5 }", "0.2 }").replace("at_s = 2.0", "at_s = 4.0")
    assert [event.actors for event in events(WALKER + later)] == [(0,), (1,)]
    (event,) = events(WALKER + cat)
    assert (event.label, event.labels, event.actors) == ("person", ("person", "animal"), (0, 1))


def test_somebody_tiny_does_not_count() -> None:
    """What is too small for anybody to ask for makes no event."""
    assert events(WALKER.replace("0.5 }", "0.04 }")) == ()


@given(st.integers(0, 2**40))
@settings(max_examples=10)
def test_truth_is_of_the_film_that_is_drawn(seed: int) -> None:
    """Whatever the seed varies, each box of the truth is where the film has changed its picture."""
    busy = scene(WALKER + '[[disturbances]]\nkind = "shake"\namount = 0.01\n', jitter=1.0)
    film, truth = SceneFilm(busy, seed=seed), SceneTruth(busy, seed=seed)
    assert film.scene == truth.scene
    index = round(film.scene.actors[0].path[0].at_s * 15) + 25
    empty = SceneFilm(film.scene.model_copy(update={"actors": ()}), seed=seed)
    rows, columns = np.nonzero(np.abs(film.luma(index).astype(int) - empty.luma(index)) > 8)
    (found,) = truth.boxes(index)
    assert found.counts
    assert columns.mean() / 640 == pytest.approx((found.box.left + found.box.right) / 2, abs=0.03)
    assert rows.min() / 360 == pytest.approx(found.box.top, abs=0.03)
    assert rows.max() / 360 == pytest.approx(found.box.bottom, abs=0.04)


def test_the_format_stays() -> None:
    """A line about the film and one for each picture, with these keys and in these units."""
    lines = [json.loads(line) for line in SceneTruth(scene(WALKER), seed=7).lines()]
    head, *pictures = lines
    assert (head["format"], head["version"], head["seed"], head["frames"]) == ("latchstring-scene-truth", 1, 7, 180)
    assert set(head) == {
        "format", "version", "title", "seed", "width", "height", "fps", "frames", "duration_s", "events", "rings_s",
        "disturbances",
    }  # fmt: skip
    assert set(head["events"][0]) == {"start_s", "end_s", "label", "labels", "actors"}
    assert [one["frame"] for one in pictures] == list(range(180))
    (box,) = pictures[60]["boxes"]
    assert set(box) == {
        "actor", "kind", "label", "left", "top", "right", "bottom", "inside", "moves", "counts",
    }  # fmt: skip
    assert (box["bottom"], box["bottom"] - box["top"], box["inside"]) == (0.9, pytest.approx(0.5), 1.0)


@given(st.integers(0, 2**40))
@settings(max_examples=20)
def test_a_seed_makes_a_scene_that_is_valid_itself(seed: int) -> None:
    """What chance makes of any scene of the library keeps the rules of scene files, and has nothing left to vary."""
    for path in list(library().values())[seed % 5 :: 5]:
        one = realised(load_scene(path), seed=seed)
        assert Scene.model_validate(one.model_dump()) == one
        assert realised(one, seed=seed + 1) == one


def test_without_jitter_nothing_varies_but_the_picture() -> None:
    """A scene that allows no jitter has the same truth for every seed."""
    plain = scene(WALKER)
    assert realised(plain, seed=5) == plain
    assert realised(scene(WALKER, jitter=1.0), seed=5) != realised(scene(WALKER, jitter=1.0), seed=6)
