"""Every command that the README shows, run as it stands, in order, the way a person would: at a terminal."""

import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ANSWERS = {b"Passphrase: ": b"correct horse battery staple\n", b"Again: ": b"correct horse battery staple\n",
           b"Type yes: ": b"yes\n", b"[y/N] ": b"y\n"}  # fmt: skip
COMMAND_S = 60.0


def commands(heading: str) -> list[str]:
    """Return the `$ ` lines of the console blocks below a heading."""
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return [
        line[2:] for block in re.findall(r"```console\n(.*?)```", section, re.DOTALL) for line in block.splitlines()
    ]


class Terminal:
    """A pseudo-terminal on which one command runs; prompts are answered."""

    def __init__(self, command: str, folder: Path) -> None:
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
            os.environ["COLUMNS"] = "200"
            os.execvp("bash", ["bash", "-c", command])
        self.printed = b""

    def read_until(self, wanted: bytes | None) -> None:
        """Read until `wanted` is printed, or the end of the command where it is None."""
        until = time.monotonic() + COMMAND_S
        while wanted is None or wanted not in self.printed:
            assert time.monotonic() < until, self.printed.decode()
            if not select.select([self._fd], [], [], 0.2)[0]:
                continue
            try:
                data = os.read(self._fd, 65_536)
            except OSError:  # the other side has ended
                data = b""
            if not data:
                assert wanted is None, self.printed.decode()
                return
            self.printed += data
            for prompt, answer in ANSWERS.items():
                if self.printed.endswith(prompt):
                    os.write(self._fd, answer)

    def wait(self) -> int:
        _, status = os.waitpid(self.pid, 0)
        os.close(self._fd)
        return os.waitstatus_to_exitcode(status)

    def interrupt(self) -> int:
        """Press Ctrl-C, read what is said still, and return the exit status."""
        os.kill(self.pid, signal.SIGINT)
        self.read_until(None)
        return self.wait()


@contextmanager
def serving(command: str, folder: Path) -> Iterator[Terminal]:
    terminal = Terminal(f"exec {command}", folder)
    try:
        terminal.read_until(b"ready")
        yield terminal
    finally:
        assert terminal.interrupt() in {0, 130}


def run(command: str, folder: Path) -> str:
    terminal = Terminal(command, folder)
    terminal.read_until(None)
    printed = terminal.printed.decode()
    assert terminal.wait() == 0, f"$ {command}\n{printed}"
    return printed


def free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_the_readme_shows_its_two_commands() -> None:
    """One command to see it work, one for the tests; both set up what they need."""
    demo, tests = commands("See it work")
    assert demo.endswith("latchstring demo --once --out demo-run")
    assert tests.endswith("-m pytest")
    for command in (demo, tests):
        assert command.startswith("python3 -m venv .venv && .venv/bin/pip install")


@pytest.mark.slow
@pytest.mark.timeout(150)
def test_the_two_terminals(tmp_path: Path) -> None:
    """The walk through the README, word for word, from an empty folder to a verified log."""
    lines = commands("By hand, in two terminals")
    servers = [line for line in lines if "run" in line.split()[2:3] or line.split()[1] == "console"]
    assert [line.split()[1] for line in servers] == ["mirror", "broker", "device", "console"]
    if not all(free(port) for port in (18830, 18080, 18090, 8440)):
        pytest.skip("the README's ports are taken on this machine")
    shutil.copytree(ROOT / "samples" / "requests", tmp_path / "samples" / "requests")
    request = "none yet"
    with ExitStack() as stack:
        for line in lines:
            if line in servers:
                stack.enter_context(serving(line, tmp_path))
                continue
            if "agency init" in line:
                time.sleep(12)  # the visitor comes, rings and goes
            if "review list" in line:
                time.sleep(6)  # requests are looked at every five seconds
            printed = run(line.replace("REQUEST", request), tmp_path)
            if found := re.search(r"request ([0-9a-f]{64})", printed):
                request = found[1]
    assert (tmp_path / "opened" / "clip-1.mp4").stat().st_size > 100_000


@pytest.mark.slow
def test_the_films_to_test_with(tmp_path: Path) -> None:
    """Scenes are listed, drawn with their truth, and explained, by the README's words."""
    for line in commands("Cameras"):
        run(line, tmp_path)
    assert {path.name for path in (tmp_path / "explained").iterdir()} == {
        "explained.mp4", "explained.png", "explained.json",
    }  # fmt: skip
    assert (tmp_path / "rain.jsonl").read_text().startswith("{")


@pytest.mark.slow
def test_every_command_helps() -> None:
    """Each command of the tree explains itself; a stranger can start from `--help` alone."""
    tree = {
        "device": ("init", "run", "status", "check", "log", "ring", "privacy"),
        "owner": ("init",),
        "review": ("list", "show", "approve", "decline", "mute", "mutes", "ledger"),
        "broker": ("init", "invite", "dismiss", "run", "admit", "revoke", "mosquitto", "password"),
        "witness": ("init", "run"),
        "mirror": ("init", "run"),
        "agency": ("init", "post", "update", "withdraw", "list", "status", "rotate", "fetch", "open"),
        "log": ("verify", "check"),
        "scene": ("list", "render", "truth"),
        "video": ("explain",),
    }
    program = [sys.executable, "-P", "-m", "device"]
    for group, names in tree.items():
        help_text = subprocess.run([*program, group, "--help"], capture_output=True, text=True, check=True).stdout
        for name in names:
            assert f" {name} " in help_text
        text = subprocess.run([*program, group, names[-1], "--help"], capture_output=True, text=True, check=True).stdout
        assert "Usage: " in text
