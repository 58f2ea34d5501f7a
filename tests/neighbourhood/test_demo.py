"""The demonstration as a user runs it: one command, and everything it promises is there."""

import hashlib
import json
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

from broker.log.readers import folder_reader
from broker.log.verify import verify_log
from broker.wire.encoding import from_base64, parse_time
from broker.wire.notes import parse_verifier_key
from broker.wire.proofs import make_policy, parse_policy
from tests.conftest import need
from tests.neighbourhood.support import command

pytestmark = [pytest.mark.slow, pytest.mark.timeout(150), pytest.mark.xdist_group("demo")]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], str]:
    """Run the demonstration once: its folder, its story, what it printed."""
    out = tmp_path_factory.mktemp("demo") / "out"
    done = subprocess.run(
        command("demo", "--once", "--out", str(out), "--seed", "7"),
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return out, json.loads((out / "story.json").read_text()), done.stdout


def test_the_story_is_whole(run: tuple[Path, dict[str, Any], str]) -> None:
    """Two devices with events, one approved and one declined; what was released was received, every file verified."""
    out, story, printed = run
    assert [one["kind"] for one in story["devices"]] == ["doorbell", "camera"]
    for device in story["homes"]:
        assert any(one["device"] == device and one["type"] == "motion" for one in story["events"])
    assert any(one["type"] == "ring" for one in story["events"])
    assert {one["device"]: one["decision"] for one in story["decisions"]} == {
        "front-door": "approved",
        "driveway": "declined",
    }
    assert story["received"]["verified"]
    assert all(file["verified"] for file in story["received"]["files"])
    bundle = out / story["released"]["bundle"]
    assert hashlib.sha256(bundle.read_bytes()).hexdigest() == story["released"]["sha256"]
    for clip in story["released"]["clips"]:
        assert parse_time(clip["start"]) < parse_time(clip["end"])
    assert (out / "contact-sheet.png").read_bytes().startswith(b"\x89PNG")
    assert "What left the house" in printed


def test_the_log_of_the_story_holds(run: tuple[Path, dict[str, Any], str]) -> None:
    """A stranger who knows the verifier key and the operator's key finds nothing wrong with the log's folder."""
    out, story, _ = run
    log = story["log"]
    policy = parse_policy(make_policy(parse_verifier_key(log["verifier_key"])))
    report = verify_log(folder_reader(out / log["folder"]), policy, operator_key=from_base64(log["operator_key"]))
    assert report.ok, report.findings
    assert (report.origin, report.size) == (log["origin"], 2)


def test_no_footage_lies_open_at_home(run: tuple[Path, dict[str, Any], str]) -> None:
    """In the homes there is no picture, film or plaintext segment: only what is sealed."""
    out, story, _ = run
    for home in story["homes"].values():
        for path in (out / home).rglob("*"):
            data = path.read_bytes() if path.is_file() else b""
            assert b"latchstring segment v1" not in data
            assert b"ftypisom" not in data
            assert b"\xff\xd8\xff\xe0" not in data


@pytest.mark.age
def test_stock_tools_open_the_bundle(run: tuple[Path, dict[str, Any], str], tmp_path: Path) -> None:
    """`age -d | tar x` gives the very files that the agency's own tool opened."""
    out, story, _ = run
    age = need("age")
    tar = tmp_path / "bundle.tar"
    identity = out / story["agency"]["identity"]
    subprocess.run([age, "-d", "-i", identity, "-o", tar, out / story["released"]["bundle"]], check=True)
    with tarfile.open(tar) as archive:
        archive.extractall(tmp_path / "files", filter="data")
    for file in story["received"]["files"]:
        assert (tmp_path / "files" / file["name"]).read_bytes() == (out / file["path"]).read_bytes()


@pytest.mark.ffmpeg
def test_the_clip_has_the_length_it_claims(run: tuple[Path, dict[str, Any], str]) -> None:
    """Ffprobe reads one H.264 track, as long as the clip's time range."""
    out, story, _ = run
    (clip,) = story["released"]["clips"]
    path = out / story["received"]["folder"] / clip["file"]
    probe = subprocess.run(
        [need("ffprobe"), "-v", "error", "-show_entries", "stream=codec_name:format=duration", "-of", "json", path],
        capture_output=True, check=True,
    )  # fmt: skip
    found = json.loads(probe.stdout)
    assert [stream["codec_name"] for stream in found["streams"]] == ["h264"]
    expected_s = (parse_time(clip["end"]) - parse_time(clip["start"])) / 1e6
    assert float(found["format"]["duration"]) == pytest.approx(expected_s, abs=0.01)


@pytest.mark.chromium
def test_the_clip_plays_in_a_browser(run: tuple[Path, dict[str, Any], str]) -> None:
    """Chromium plays what the agency received: exact duration, and a seek into the middle shows a frame."""
    out, story, _ = run
    chromium = need("chromium")
    (clip,) = story["released"]["clips"]
    path = out / story["received"]["folder"] / clip["file"]
    expected_s = (parse_time(clip["end"]) - parse_time(clip["start"])) / 1e6
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
        )
        page = browser.new_page()
        page.goto(f"file://{path.parent}/")
        page.set_content(f'<video muted src="file://{path}"></video>')
        duration = page.evaluate(
            """() => new Promise((done, fail) => {
                const video = document.querySelector('video');
                video.onerror = () => fail(new Error('does not play'));
                video.onseeked = () => done(video.duration);
                if (video.readyState >= 1) video.currentTime = 5;
                else video.onloadedmetadata = () => { video.currentTime = 5; };
            })"""
        )
        browser.close()
    assert duration == pytest.approx(expected_s, abs=0.05)


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    """Into a folder that holds something nothing is written; one line says so."""
    (tmp_path / "mine.txt").write_text("mine")
    done = subprocess.run(
        command("demo", "--once", "--out", str(tmp_path)), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "not an empty folder" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
