"""The annotated clip and the contact sheet: whole, playable, and drawn where something was seen."""

from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from device.video.explain.clip import KEPT_WIDTH, ClipError, explain_clip
from device.video.explain.pen import COUNTS, Tags, fitted, paper, text_width, wrapped
from device.video.explain.run import Explained, as_recorded, run_film
from device.video.explain.sheet import WIDTH, choose, explain_sheet
from device.video.film_settings import FilmSettings
from device.video.motion.detector import MotionSettings
from device.video.source.capture import CaptureSettings, SourceSpec
from device.video.zones import Polygon
from tests.video.browser import evaluated
from tests.video.explain_support import empty, walk_then, write_lumas
from tests.video.support import write_film

SETTINGS = as_recorded(FilmSettings(capture=CaptureSettings(seed=1)))
CORNER: tuple[Polygon, ...] = (((0.7, 0.0), (1.0, 0.0), (1.0, 0.3), (0.7, 0.3)),)


def run(path: Path, settings: FilmSettings = SETTINGS) -> Explained:
    return run_film(SourceSpec(kind="file", location=str(path)), settings, labeller=None, progress=lambda _: None)


def clip_of(film: Path, out: Path, settings: FilmSettings = SETTINGS) -> tuple[Explained, dict[int, NDArray[np.uint8]]]:
    """Explain a film into a clip."""
    done = run(film, settings)
    chosen = choose(done.account)
    kept = explain_clip(
        SourceSpec(kind="file", location=str(film)), settings, done, out,
        keep=chosen.moments(done.account), progress=lambda _: None,
    )  # fmt: skip
    return done, kept


def frames_of(path: Path) -> tuple[list[NDArray[np.uint8]], float]:
    """Pictures of a clip, blue first, and its length in seconds."""
    with av.open(str(path)) as container:
        pictures = [np.asarray(frame.to_ndarray(format="bgr24"), np.uint8) for frame in container.decode(video=0)]
        return pictures, (container.duration or 0) / 1_000_000


@pytest.mark.parametrize(
    ("codec", "options", "name"),
    [("libx264", {"bf": "3", "b-pyramid": "normal"}, "b.mp4"), ("mpeg4", {}, "old.avi"), ("libx264", {}, "film.mkv")],
)
def test_as_many_pictures_as_the_film(tmp_path: Path, codec: str, options: dict[str, str], name: str) -> None:
    """Whatever was looked at, with B-frames too; and it takes as long."""
    film = write_film(tmp_path / name, codec=codec, options=options, frames=50)
    clip_of(film, tmp_path / "clip.mp4")
    pictures, seconds = frames_of(tmp_path / "clip.mp4")
    assert len(pictures) == 50
    assert seconds == pytest.approx(50 / 15, abs=0.05)


def test_boxes_are_drawn_where_something_counts(tmp_path: Path) -> None:
    """The strong colour is in pictures of the event, and in none before it."""
    film = write_lumas(tmp_path / "film.mp4", walk_then(1))
    done, _ = clip_of(film, tmp_path / "clip.mp4")
    pictures, _ = frames_of(tmp_path / "clip.mp4")
    (event,) = done.account.events
    number = done.account.at(event.start_us)
    assert number is not None
    shown = [_of_colour(picture[:530]) for picture in pictures]
    assert max(shown[:number]) == 0
    assert min(shown[number + 1 : number + 10]) > 1_000


def test_pictures_not_looked_at_are_gray(tmp_path: Path) -> None:
    """They are drawn all the same, and say so."""
    film = write_lumas(tmp_path / "film.mp4", [empty()] * 135)
    done, _ = clip_of(film, tmp_path / "clip.mp4")
    pictures, _ = frames_of(tmp_path / "clip.mp4")
    assert done.account.pictures[110].mode == "left out"
    # The label beside the clock is there, and was not at the beginning.
    corner = np.s_[8:30, 70:170]
    assert np.abs(pictures[110][corner].astype(int) - pictures[5][corner]).mean() > 15


def test_zones_and_masks_are_shown(tmp_path: Path) -> None:
    """A zone is hatched; what a mask hides is black in the clip as well."""
    film = write_lumas(tmp_path / "film.mp4", [empty()] * 30)
    masked = FilmSettings(capture=CaptureSettings(masks=CORNER))
    zoned = FilmSettings(motion=MotionSettings.for_sensitivity(5, ignore=CORNER))
    means = {}
    for name, settings in (("plain", SETTINGS), ("masked", masked), ("zoned", zoned)):
        clip_of(film, tmp_path / f"{name}.mp4", settings)
        pictures, _ = frames_of(tmp_path / f"{name}.mp4")
        means[name] = pictures[3][40:150, 700:940].mean(axis=(0, 1))
    assert means["masked"].mean() < 40
    assert means["zoned"][0] - means["zoned"][2] > means["plain"][0] - means["plain"][2] + 10


def test_a_clip_that_can_not_be_written(tmp_path: Path) -> None:
    """One error that names the file."""
    film = write_film(tmp_path / "film.mp4")
    with pytest.raises(ClipError, match="nowhere"):
        clip_of(film, tmp_path / "nowhere" / "clip.mp4")


def test_the_sheet_shows_each_event_and_the_whole_film(tmp_path: Path) -> None:
    """A PNG as wide as ever, longer for an event; where nothing happened at all it shows glimpses of the film."""
    heights, glimpses = [], []
    for name, lumas in (("walk", walk_then(1, after_s=5)), ("still", [empty()] * 60)):
        film = write_lumas(tmp_path / f"{name}.mp4", lumas)
        done, kept = clip_of(film, tmp_path / f"{name}-clip.mp4")
        chosen = choose(done.account)
        assert kept.keys() == chosen.moments(done.account)
        assert all(picture.shape[1] == KEPT_WIDTH for picture in kept.values())
        png = explain_sheet(done.account, chosen, kept, title="film", notes=["a note"])
        sheet = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
        assert sheet is not None
        assert sheet.shape[1] == WIDTH
        heights.append(sheet.shape[0])
        glimpses.append(len(chosen.glimpses))
    assert heights[0] > heights[1]
    assert glimpses == [0, 4]


def test_labels_never_lie_on_one_another() -> None:
    """One that finds no place is left away."""
    tags = Tags(paper(100, 200))
    assert tags.put("one", ((10, 10),), colour=COUNTS)
    assert not tags.put("two", ((12, 12),), colour=COUNTS)
    assert tags.put("two", ((12, 12), (10, 60)), colour=COUNTS)


def test_weak_labels_stay_off_other_boxes() -> None:
    """They are shifted, or left away; a strong one is put there if it must be."""
    box, other = (60, 40, 80, 80), (0, 0, 200, 100)
    tags = Tags(paper(100, 200))
    tags.shun([box, other])
    assert not tags.beside("weak", box, colour=COUNTS, weak=True)
    assert tags.beside("strong", box, colour=COUNTS)
    free = Tags(paper(100, 200))
    free.shun([box, (55, 0, 120, 39)])
    assert free.beside("weak", box, colour=COUNTS, weak=True)


def test_text_is_cut_to_its_room() -> None:
    """At words where there are lines for it, with dots where there are not."""
    text = "a reason that goes on and on, for longer than anybody would read it"
    assert text_width(fitted(text, 120), 0.45) <= 120
    assert fitted(text, 120).endswith("...")
    lines = wrapped(text, 150, lines=2)
    assert len(lines) == 2
    assert all(text_width(line, 0.45) <= 150 for line in lines)
    assert " ".join(wrapped(text, 150, lines=9)) == text


@pytest.mark.chromium
@pytest.mark.slow
def test_chromium_plays_the_clip(tmp_path: Path) -> None:
    """A browser knows its length and its size, and seeks in it."""
    clip_of(write_film(tmp_path / "film.mp4"), tmp_path / "clip.mp4")
    (tmp_path / "page.html").write_text('<video id="v" muted preload="auto" src="clip.mp4"></video>')
    script = """async () => {
        const video = document.getElementById('v');
        const until = (name) => new Promise((done, fail) => {
            video.addEventListener(name, done, {once: true});
            video.addEventListener('error', () => fail(video.error.message), {once: true});
        });
        if (video.readyState < 2) await until('loadeddata');
        const seeked = until('seeked');
        video.currentTime = 2.0;
        await seeked;
        return [video.duration, video.videoWidth, video.currentTime];
    }"""
    duration, width, at_s = evaluated(tmp_path / "page.html", script)
    assert duration == pytest.approx(3.0, abs=0.05)
    assert (width, at_s) == (960, 2.0)


def _of_colour(picture: NDArray[np.uint8]) -> int:
    """How many pixels are of the colour of what counts."""
    return int((np.abs(picture.astype(int) - COUNTS).max(axis=2) < 30).sum())
