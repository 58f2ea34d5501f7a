"""`latchstring scene`: lists, renders and tells the truth; a mistake is one line and exit status 1."""

import json
from pathlib import Path

import av
import pytest

from device.cli import main
from tests.video.test_scene import SMALL


def run(*arguments: str) -> int:
    """Run the command in this process; gives its exit status."""
    try:
        main(["scene", *arguments])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.fixture
def small_file(tmp_path: Path) -> Path:
    """A small scene in a file."""
    path = tmp_path / "small.toml"
    path.write_bytes(SMALL)
    return path


def test_list_names_every_scene_and_its_events(capsys: pytest.CaptureFixture[str]) -> None:
    """As a table for people, as JSON for programs."""
    assert run("list") == 0
    assert "doorbell-visitor" in capsys.readouterr().out
    assert run("list", "--json") == 0
    known = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    assert known["empty-porch"]["events"] == []
    assert [event["label"] for event in known["doorbell-visitor"]["events"]] == ["person"]


def test_render_writes_a_film_and_its_truth(
    small_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As many pictures in the MP4 as in the truth, the same bytes for the same seed, and the event is told of."""
    films = [tmp_path / "one.mp4", tmp_path / "two.mp4"]
    truth = tmp_path / "truth.jsonl"
    assert [
        run("render", str(small_file), "--out", str(film), "--seed", "3", "--truth", str(truth)) for film in films
    ] == [0, 0]
    assert films[0].read_bytes() == films[1].read_bytes()
    assert "person from" in capsys.readouterr().out
    with av.open(str(films[0])) as container:
        assert len(list(container.decode(video=0))) == 20
        assert container.streams.video[0].codec_context.name == "h264"
    lines = truth.read_text().splitlines()
    assert len(lines) == 21
    assert json.loads(lines[0])["seed"] == 3
    assert not list(tmp_path.glob("*.part"))


def test_truth_goes_to_the_terminal_or_a_file(
    small_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both are the same JSON lines."""
    assert run("truth", str(small_file)) == 0
    printed = capsys.readouterr().out
    assert run("truth", str(small_file), "--out", str(tmp_path / "truth.jsonl")) == 0
    assert (tmp_path / "truth.jsonl").read_text() == printed
    assert [event["label"] for event in json.loads(printed.splitlines()[0])["events"]] == ["person"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["render", "nobody", "--out", "x.mp4"], "doorbell-visitor"),
        (["render", "empty-porch", "--out", "nowhere/x.mp4"], "no folder"),
        (["render", "empty-porch", "--out", "."], "is a folder"),
        (["render", "empty-porch", "--out", ".."], "is a folder"),
        (["render", "empty-porch", "--out", "/"], "is a folder"),
        (["render", "empty-porch", "--out", "x.mp4", "--truth", "."], "is a folder"),
        (["truth", "empty-porch", "--out", "."], "is a folder"),
        (["truth", "none.toml"], "can't be read"),
        (["truth", "empty-porch", "--seed", "-1"], "0 or more"),
        (["truth", "empty-porch", "--out", "/proc/x"], "can't be written"),
        (["list", "--seed", "-3"], "0 or more"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str],
    complaint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What, where and what to do, and exit status 1."""
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == 1
    error = capsys.readouterr().err
    assert complaint in error
    assert len(error.strip().splitlines()) == 1
