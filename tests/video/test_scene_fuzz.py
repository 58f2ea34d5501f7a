"""Scenes from a careless or hostile hand: whatever bytes come, a SceneError or a scene that can be drawn."""

import contextlib
import re

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from device.video.errors import SceneError
from device.video.scene.draw import SceneFilm
from device.video.scene.file import Scene, library, parse_scene
from device.video.scene.parts import Picture
from device.video.scene.truth import SceneTruth
from tests.video.test_scene import BUSY, SMALL

TEXTS = (SMALL, BUSY, *(path.read_bytes() for path in library().values()))
VALUES = [
    "0", "-1", "1", "0.001", "2.0", "-2.0", "3.0", "1e308", "-1e308", "inf", "nan", "9" * 400, "3600.0", "true", "[]",
    "{}", '""', '"person"', '"#ffffff"', "1979-05-27", "0.5", "0.3", "12", "64", "1e-9",
]  # fmt: skip
_NUMBER = re.compile(r"-?\d+(\.\d+)?")


def parsed(raw: bytes) -> Scene | None:
    """The scene, or None where there is a SceneError of one line."""
    try:
        return parse_scene(raw, name="x.toml")
    except SceneError as error:
        assert "\n" not in str(error)  # noqa: PT017 - most of what comes is refused, and rightly
        return None


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A scene file with a few numbers, lines or bytes of it changed."""
    text = draw(st.sampled_from(TEXTS)).decode()
    for _ in range(draw(st.integers(1, 4))):
        lines = text.splitlines()
        where = draw(st.integers(0, len(lines) - 1))
        change = draw(st.sampled_from(["number", "number", "number", "drop", "twice", "swap", "byte"]))
        if change == "number":
            numbers = list(_NUMBER.finditer(text))
            if numbers:
                at = numbers[draw(st.integers(0, len(numbers) - 1))]
                text = text[: at.start()] + draw(st.sampled_from(VALUES)) + text[at.end() :]
            continue
        if change == "drop":
            del lines[where]
        elif change == "twice":
            lines.insert(where, lines[where])
        elif change == "swap":
            lines[where], lines[0] = lines[0], lines[where]
        else:
            lines[where] += draw(st.text(max_size=3))
        text = "\n".join(lines) or "#"
    return text.encode()


@given(st.one_of(st.binary(max_size=300), st.text(max_size=300).map(str.encode)))
def test_no_bytes_break_the_parser(data: bytes) -> None:
    """Arbitrary bytes are a scene or a SceneError."""
    parsed(data)


@given(mutated(), st.integers(0, 5))
@settings(max_examples=150, deadline=2000, suppress_health_check=[HealthCheck.too_slow])
def test_what_parses_can_be_drawn(raw: bytes, seed: int) -> None:
    """A mutated scene file is refused in one line, or its film and its truth can be had at any moment."""
    scene = parsed(raw)
    if scene is None:
        return
    scene = scene.model_copy(update={"picture": Picture(width=64, height=64, fps=scene.picture.fps)})
    film, truth = SceneFilm(scene, seed=seed), SceneTruth(scene, seed=seed)
    for index in {0, film.frames // 3, film.frames // 2, film.frames - 1}:
        assert film.luma(index).shape == (64, 64)
        assert film.i420(index).shape == (96, 64)
        assert len(truth.boxes(index)) <= len(scene.actors)


@given(st.text(alphabet="[]{}=.\"'#\\\n\r\t 019aeEx_-:TZ", max_size=400))
@settings(max_examples=300)
def test_no_toml_breaks_the_parser(text: str) -> None:
    """Text of the characters that TOML is made of is a scene or a SceneError, too."""
    with contextlib.suppress(UnicodeEncodeError):
        parsed(text.encode())
