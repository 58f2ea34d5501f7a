"""The library of scenes: as many without an event as with one, each as its file says, whatever the seed."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from pydantic import BaseModel

from device.video.scene import parts as scene_parts
from device.video.scene.draw import SceneFilm
from device.video.scene.file import Scene, library, load_scene
from device.video.scene.parts import Picture
from device.video.scene.truth import SceneTruth

SCENES = library()
SEEDS = range(1, 13)
# What is worth telling of in each; all others are to be met with silence.
POSITIVES = {
    "beside-the-tree": ["person"],
    "car-arrives": ["vehicle"],
    "car-passes": ["vehicle", "vehicle"],
    "cat-in-the-garden": ["animal"],
    "dog-at-night": ["animal"],
    "doorbell-visitor": ["person"],
    "driveway-walker": ["person"],
    "far-away": ["person"],
    "home-at-night": ["person"],
    "leaves-in-the-snow": ["person"],
    "night-drive": ["vehicle"],
    "night-prowler": ["person"],
    "rain-walker": ["person"],
    "shaking-walker": ["person"],
    "stands-still": ["person"],
    "straight-at-the-camera": ["person"],
    "two-visitors": ["person", "person"],
    "under-clouds": ["person"],
}


def test_there_are_as_many_scenes_without_an_event_as_with_one() -> None:
    """At least two dozen scenes, negatives as many as positives."""
    assert len(SCENES) >= 24
    assert set(POSITIVES) < set(SCENES)
    assert len(SCENES) - len(POSITIVES) >= len(POSITIVES)


@pytest.mark.parametrize("name", SCENES)
def test_a_scene_is_what_its_file_says(name: str) -> None:
    """It begins by telling what it is, lasts 12 to 25 seconds, and after a quiet start has its events for any seed."""
    text = SCENES[name].read_text()
    scene = load_scene(SCENES[name])
    assert text.startswith("# ")
    assert 12 <= scene.duration_s <= 25
    assert (scene.picture, scene.jitter > 0) == (Picture(), name not in {
        "doorbell-visitor", "driveway-walker", "empty-porch", "swaying-tree",
    })  # fmt: skip
    for seed in SEEDS:
        events = SceneTruth(scene, seed=seed).events()
        assert [event.label for event in events] == POSITIVES.get(name, []), seed
        assert all(event.start_s >= 2 and event.end_s - event.start_s >= 1 for event in events), seed


@pytest.mark.parametrize("name", SCENES)
def test_a_scene_is_neither_black_nor_white_nor_still(name: str) -> None:
    """Each can be drawn at another size, shows something, and its pictures differ."""
    scene = load_scene(SCENES[name]).model_copy(update={"picture": Picture(width=128, height=72)})
    film = SceneFilm(scene, seed=2)
    lumas = [film.luma(index).astype(int) for index in range(0, film.frames, 20)]
    # An infrared filter that swings blinds the camera for a moment.
    assert all(17 < luma.mean() < 220 and luma.std() > 1.5 for luma in lumas)
    assert all(np.abs(a - b).mean() > 0.3 for a, b in pairwise(lumas))


def test_the_readme_names_every_scene_and_key() -> None:
    """The list beside the scenes is whole."""
    text = (Path(__file__).parents[2] / "samples" / "scenes" / "README.md").read_text()
    models: list[type[BaseModel]] = [Scene]
    models += [one for one in vars(scene_parts).values() if isinstance(one, type) and issubclass(one, BaseModel)]
    keys = {key for model in models for key in model.model_fields}
    assert {key for key in keys if f"`{key}`" not in text} == set()
    assert {name for name in SCENES if f"`{name}`" not in text} == set()
