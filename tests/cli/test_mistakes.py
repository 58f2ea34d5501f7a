"""A user's mistake: one line that says what is wrong, exit status 1, and nothing made."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from device.vault.keys import Argon2Cost, create_owner

pytestmark = pytest.mark.slow
INIT = ["device", "init", "--name", "d", "--lat", "1", "--lon", "2", "--home", "HOME"]


def run(arguments: list[str], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    words = [word.replace("HOME", str(folder / "home")) for word in arguments]
    return subprocess.run(
        [sys.executable, "-P", "-m", "device", *words],
        capture_output=True, text=True, timeout=30, check=False, cwd=folder, env={**os.environ, **environment},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["device", "run", "--home", "HOME"], "latchstring device init"),
        (["device", "status", "--home", "HOME"], "no device's folder"),
        (["device", "check", "--home", "HOME"], "device.key"),
        ([*INIT, "--source", "scene:empty-porch", "--owner", "nowhere.json"], "latchstring owner init"),
        ([*INIT, "--source", "scene:empty-porch", "--owner", "/dev/zero"], "not an owner's public key file"),
        ([*INIT, "--source", "scene:nope", "--owner", "good.json"], "doorbell-visitor"),
        ([*INIT, "--source", "toaster", "--owner", "good.json"], "file:PATH"),
        ([*INIT[:5], "91", *INIT[6:], "--source", "scene:empty-porch", "--owner", "good.json"], "device.lat"),
        (["owner", "init", "--out", "HOME", "--passphrase-file", "open.txt"], "chmod 600"),
        (["owner", "init", "--out", "/proc/nowhere", "--passphrase-file", "secret.txt"], "/proc/nowhere"),
        (["agency", "post", "--dir", "HOME"], "agency init"),
        (["log", "verify", "HOME"], "--neighbourhood"),
        (["broker", "run", "--dir", "/proc/nowhere"], "/proc/nowhere"),
        (["broker", "mosquitto", "access.toml", "--out", "HOME", "--port", "0"], "no address to listen on"),
        (["demo", "--video", "nowhere.mp4"], "is no file"),
        (["scene", "render", "doorbell-vistor", "--out", "x.mp4"], "doorbell-visitor"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_line(tmp_path: Path, arguments: list[str], complaint: str) -> None:
    """What, where and what to do; never a traceback; and no half-made folder that keeps the next try from working."""
    (tmp_path / "open.txt").write_text("passphrase\n")
    (tmp_path / "open.txt").chmod(0o644)
    (tmp_path / "secret.txt").write_text("passphrase\n")
    (tmp_path / "secret.txt").chmod(0o600)
    (tmp_path / "access.toml").write_text('[users.porch]\nrole = "device"\n')
    (tmp_path / "good.json").write_bytes(_public())
    done = run(arguments, tmp_path)
    assert done.returncode == 1, done
    assert complaint in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert not (tmp_path / "home" / "device.toml").exists()


def test_a_film_that_can_not_be_used_ends_the_device(tmp_path: Path) -> None:
    """A file that is no film: one line, at once, and not a daemon that films nothing."""
    (tmp_path / "good.json").write_bytes(_public())
    (tmp_path / "text.mp4").write_text("this is no film")
    assert run([*INIT, "--source", "file:text.mp4", "--owner", "good.json"], tmp_path).returncode == 0
    done = run(["device", "run", "--home", "HOME"], tmp_path)
    assert done.returncode == 1
    assert "is no video that can be read" in done.stderr.strip().splitlines()[-1]
    assert "ready" not in done.stdout


def test_a_variable_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    """A whole section in one variable, and not as JSON."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "device.toml").write_text("")
    done = run(["device", "run", "--home", "HOME"], tmp_path, LATCHSTRING_CAMERA="x")
    assert (done.returncode, len(done.stderr.strip().splitlines())) == (1, 1)
    assert "camera" in done.stderr


def test_nobody_listening_is_no_crash(tmp_path: Path) -> None:
    """Standard output that is full or closed ends in a status, not in a traceback."""
    command = f"{sys.executable} -P -m device --version"
    for redirection in (">/dev/full", ">&-"):
        done = subprocess.run(
            ["bash", "-c", f"{command} {redirection}"], capture_output=True, text=True, check=False, cwd=tmp_path
        )
        assert "Traceback" not in done.stderr


def _public() -> bytes:
    return create_owner("passphrase", cost=Argon2Cost(memory_kib=8_192, iterations=1, lanes=1))[1].to_json()
