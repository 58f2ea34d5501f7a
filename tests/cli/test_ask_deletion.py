"""`latchstring review ask-deletion` as it is typed: what becomes public is said before anything is asked."""

import asyncio
import os
import pty
import re
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from broker.wire.encoding import canonical
from device.consent.errors import ConsentError
from device.control import SOCKET_NAME, Answer, ControlServer

LEAF = "ab" * 32
PROMPT = b"Type yes: "
pytestmark = pytest.mark.slow


class Daemon:
    """A daemon of which only the control socket is there; `answers` are what the inbox says, one after the other."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.state = "received"
        self.deletion: dict[str, Any] | None = None
        self.answers: list[dict[str, Any]] = [{"state": "told", "at_us": 7, "message": ""}]
        self.asked: list[str] = []
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(20)

    def end(self) -> None:
        assert self._loop is not None
        assert self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        operations = {"requests": self._requests, "ask_deletion": self._ask}
        async with ControlServer(self.home / SOCKET_NAME, operations, refusals=(ConsentError,)).running():
            self._ready.set()
            await self._stop.wait()

    async def _requests(self, arguments: Mapping[str, Any], body: bytes) -> Answer:  # noqa: ARG002 - takes none
        if self.asked and self.answers:
            self.deletion = self.answers.pop(0)
        one = {
            "leaf": LEAF, "state": self.state, "receipt": "{}" if self.state == "received" else None,
            "agency": {"name": "Springfield [bold]PD"}, "request": {"contact": "desk@pd.example"},
            "deletion": self.deletion,
        }  # fmt: skip
        return {}, canonical([one])

    async def _ask(self, arguments: Mapping[str, Any], body: bytes) -> Answer:  # noqa: ARG002 - takes none
        if self.state == "offered":
            raise ConsentError("its agency was given nothing")
        self.asked.append(arguments["leaf"])
        return {"request": LEAF, "deletion": {"state": "asked", "at_us": 7, "message": ""}}, b""


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon that answers until the test ends."""
    daemon = Daemon(tmp_path)
    daemon.start()
    yield daemon
    daemon.end()


def program(daemon: Daemon, *more: str) -> list[str]:
    asking = ["review", "ask-deletion", LEAF[:8], "--home", str(daemon.home)]
    return [sys.executable, "-P", "-m", "device", *asking, *more]


def at_a_terminal(daemon: Daemon, answer: str) -> tuple[int, str]:
    """Run the command at a terminal and give one answer; returns its exit status, and what was to be read."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, program(daemon), {**os.environ, "COLUMNS": "300"})
    printed = b""
    until = time.monotonic() + 40
    while time.monotonic() < until:
        if not select.select([terminal], [], [], 0.2)[0]:
            continue
        try:
            printed += os.read(terminal, 65_536)
        except OSError:  # the other side has ended
            break
        if printed.endswith(PROMPT):
            assert daemon.asked == [], "it was asked before it was answered"
            os.write(terminal, f"{answer}\n".encode())
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), re.sub(r"\s+", " ", printed.decode())


@pytest.mark.parametrize(("answer", "sent"), [("yes", True), ("y", False), ("", False)])
def test_it_says_what_becomes_public_and_asks(daemon: Daemon, answer: str, sent: bool) -> None:
    """At a terminal, in words, before the answer; nothing but the whole word sends anything. A name is text."""
    code, printed = at_a_terminal(daemon, answer)
    assert code == (0 if sent else 1)
    assert "What becomes public" in printed
    assert "everybody will see that somebody shared footage" in printed
    assert "Springfield [bold]PD gets a notice" in printed
    assert ("the inbox has signed for your notice" in printed) is sent
    assert ("nothing becomes public" in printed) is not sent
    assert daemon.asked == ([LEAF] if sent else [])


def run(daemon: Daemon, *more: str) -> tuple[int, str, str]:
    done = subprocess.run(
        program(daemon, *more), capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL
    )
    return done.returncode, done.stdout, done.stderr


def test_without_a_terminal_it_wants_to_be_told(daemon: Daemon) -> None:
    """A script says --yes, or nothing is asked."""
    code, _, err = run(daemon)
    assert (code, daemon.asked) == (1, [])
    assert "use --yes" in err
    code, out, _ = run(daemon, "--yes", "--json")
    assert code == 0
    assert f'"request": "{LEAF}"' in out
    assert '"state": "told"' in out


def test_what_the_inbox_does_not_know_ends_with_whom_to_write_to(daemon: Daemon) -> None:
    """Exit status 1, one line, and the agency's contact."""
    daemon.answers = [{"state": "failed", "at_us": 7, "message": "the inbox knows no such bundle"}]
    code, out, err = run(daemon, "--yes")
    assert code == 1
    assert "of no avail" in out
    assert err.count("\n") == 1
    assert "write to desk@pd.example" in err


def test_what_is_not_there_to_be_asked_for_is_said_at_once(daemon: Daemon) -> None:
    """Nobody is asked whether they mean it where there is nothing to delete."""
    daemon.state = "offered"
    code, _, err = run(daemon)
    assert code == 1
    assert "given nothing" in err
