"""`latchstring video explain`: three files and a summary; a mistake is one line and exit status 1."""

import json
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import pytest
import structlog

from device.cli import main
from tests.video.explain_support import empty, walk_then, write_lumas

NAMES = {"explained.mp4", "explained.png", "explained.json"}
HOME = """
[device]
name = "front"
kind = "camera"
lat = 1.0
lon = 2.0
[camera]
source = "scene:empty-porch"
labels = "off"
"""


def run(*arguments: str) -> int:
    """Run the command in this process; gives its exit status."""
    try:
        main(["video", "explain", *arguments])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """The command sets up logs for its process, which here goes on."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A device's folder, its settings all that is in it."""
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "device.toml").write_text(HOME)
    return folder


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """A film in which something comes, and goes."""
    return write_lumas(tmp_path / "film.mp4", walk_then(1, after_s=6))


def test_it_writes_three_files_and_a_summary(
    film: Path, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The folder is made, what else is in it stays, and a second time takes the places of the first."""
    out = tmp_path / "made" / "here"
    assert run(str(film), "--out", str(out), "--home", str(home)) == 0
    (out / "notes.txt").write_text("mine")
    assert run(f"file:{film}", "--out", str(out), "--home", str(home)) == 0
    assert {path.name for path in out.iterdir()} == {*NAMES, "notes.txt"}
    text = capsys.readouterr().out
    assert "sensitivity 5 sees a person from about 1/7" in text
    assert "began: came" in text
    with av.open(str(out / "explained.mp4")) as container:
        assert len(list(container.decode(video=0))) == 165
    assert cv2.imread(str(out / "explained.png")) is not None
    told = json.loads((out / "explained.json").read_text())
    assert told["events"][0]["ended_because"].endswith("nothing came back in the 4.0 s after")


def test_a_colon_in_a_relative_path_is_no_protocol(
    film: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder may be named as a source is."""
    monkeypatch.chdir(tmp_path)
    assert run(str(film), "--out", "scene:out", "--home", str(home)) == 0
    assert {path.name for path in (tmp_path / "scene:out").iterdir()} == NAMES


def test_json_is_what_the_file_holds(
    film: Path, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On standard output nothing else."""
    assert run(str(film), "--out", str(tmp_path / "out"), "--home", str(home), "--json") == 0
    assert json.loads(capsys.readouterr().out) == json.loads((tmp_path / "out" / "explained.json").read_text())


def test_a_devices_settings_are_taken_and_a_flag_wins(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Zones, masks, eco and sensitivity of its device.toml; the sensitivity given is the one that counts."""
    extra = "sensitivity = 8\neco = false\nignore_zones = [[[0, 0], [1, 0], [1, 1], [0, 1]]]\npost_roll_s = 2.5\n"
    (home / "device.toml").write_text(HOME + extra)
    film = write_lumas(tmp_path / "film.mp4", [empty()] * 30)
    told = []
    for flags in ((), ("--sensitivity", "2", "--every-picture")):
        assert run(str(film), "--out", str(tmp_path / "out"), "--home", str(home), "--json", *flags) == 0
        told.append(json.loads(capsys.readouterr().out)["settings"])
    assert [one["sensitivity"] for one in told] == [8, 2]
    assert [one["every_picture"] for one in told] == [False, True]
    assert told[0]["eco"] is False
    assert told[1]["post_roll_s"] == 2.5
    assert len(told[1]["ignore_zones"]) == 1
    assert told[0]["least_area_share"] < told[1]["least_area_share"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("nowhere.mp4", "--out", "OUT"), "doesn't exist"),
        (("TEXT", "--out", "OUT"), "is no video"),
        (("scene:nowhere", "--out", "OUT"), "no such scene"),
        (("rtsp://user:secret@host/path", "--out", "OUT"), "is a camera"),
        (("v4l2:0", "--out", "OUT"), "is a camera"),
        (("FILM", "--out", "/proc/nowhere/out"), "can't be made"),
        (("FILM", "--out", "TEXT"), "can't be made"),
        (("FILM", "--out", "OUT", "--sensitivity", "11"), "1 (sees least) to 10"),
        (("scene:empty-porch", "--out", "OUT", "--seed", "-1"), "--seed -1"),
        (("FILM", "--out", "OUT", "--home", "nowhere"), "nowhere/device.toml"),
    ],
)
def test_a_mistake_is_one_line(
    film: Path, tmp_path: Path, arguments: tuple[str, ...], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says what is wrong, and leaves nothing half made."""
    text = tmp_path / "text.txt"
    text.write_text("no film")
    places = {"FILM": str(film), "TEXT": str(text), "OUT": str(tmp_path / "out")}
    assert run(*(places.get(word, word) for word in arguments)) == 1
    told = capsys.readouterr()
    assert complaint in told.err
    assert "secret" not in told.err
    assert len(told.err.strip().splitlines()) == 1
    assert not told.out
    assert not (tmp_path / "out").exists()


def test_the_film_itself_is_never_written_over(film: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not even when it is an explanation, and is explained into its own folder."""
    explained = film.rename(film.with_name("explained.mp4"))
    before = explained.read_bytes()
    assert run(str(explained), "--out", str(film.parent), "--home", str(home)) == 1
    assert "is the film itself" in capsys.readouterr().err
    assert explained.read_bytes() == before
