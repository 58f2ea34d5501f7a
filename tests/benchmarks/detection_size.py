"""What the sensitivity means: how tall somebody has to be in the picture to be seen, at each level."""

from device.video.motion.detector import MotionSettings, MotionState, read_motion, shrink
from device.video.scene.draw import SceneFilm
from device.video.scene.file import Scene, parse_scene

HEIGHTS = (0.40, 0.35, 0.30, 0.26, 0.23, 0.20, 0.18, 0.16, 0.14, 0.12, 0.11, 0.10, 0.09, 0.08, 0.07, 0.06, 0.05, 0.04)
PLACES = ("driveway", "garden", "street")
SEEDS = (101, 102, 103)
# Lengths of its own that somebody walks in a second, for its height.
WIDTHS_PER_HEIGHT_S = 0.5
BEGIN_S, WALK_S = 4.0, 6.0


def smallest_seen(level: int) -> float:
    """Height, as a share of the picture's, of the smallest person seen in most films of all places."""
    settings = MotionSettings.for_sensitivity(level)
    smallest = 1.0
    for height in HEIGHTS:
        seen = [_sees(settings, _walk(place, height), seed) for place in PLACES for seed in SEEDS]
        if sum(seen) * 3 < len(seen) * 2:
            break
        smallest = height
    return smallest


def _walk(place: str, height: float) -> Scene:
    end_s, to_x = BEGIN_S + WALK_S, WIDTHS_PER_HEIGHT_S * height * WALK_S - 0.05
    text = f"""
        title = "Walks"
        place = "{place}"
        duration_s = {end_s}
        [[actors]]
        kind = "person"
        path = [
            {{ at_s = {BEGIN_S}, x = -0.05, y = 0.8, height = {height} }},
            {{ at_s = {end_s}, x = {to_x}, y = 0.8, height = {height} }},
        ]
    """
    return parse_scene(text.encode(), name="walks.toml")


def _sees(settings: MotionSettings, scene: Scene, seed: int) -> bool:
    film, state = SceneFilm(scene, seed=seed), MotionState(settings=settings)
    for index in range(scene.frames):
        state, reading = read_motion(state, shrink(film.luma(index)), index * 1_000_000 // scene.picture.fps)
        if reading.active:
            return True
    return False
