"""A lock is the end of a process: what the next one knows, and how the console ends. With real processes."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from device.cli.console import _listen
from device.cli.errors import CommandError
from tests.neighbourhood.support import wait_for

PROGRAM = """
import os, signal, sys, time
from broker import logs
from device.console.supervisor import LOCKED, SessionMemory, Supervisor

logs.configure()
notes = open(sys.argv[1], "a", buffering=1)
memory = SessionMemory()
secrets = []

def cell(listeners, kept):
    notes.write(f"cell {os.getpid()} parent {os.getppid()} knows {len(kept.sessions.tokens)} {secrets}\\n")
    secrets.append("opened")
    link = kept.sessions.make_link(os.urandom, 1)
    kept.sessions.open(link, os.urandom, 1)
    kept.keep()
    BODY

sys.exit(Supervisor([], memory, cell).run())
"""
LOCK = "os._exit(LOCKED if len(kept.sessions.tokens) < 3 else 0)"
STAY = "signal.signal(signal.SIGTERM, lambda *_: os._exit(0)); time.sleep(30)"


@contextmanager
def supervised(tmp_path: Path, body: str) -> Iterator[tuple["subprocess.Popen[bytes]", Path]]:
    notes = tmp_path / "notes"
    program = textwrap.dedent(PROGRAM).replace("BODY", body)
    with subprocess.Popen(
        [sys.executable, "-P", "-c", program, str(notes)], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        try:
            yield process, notes
        finally:
            process.kill()


def lines(notes: Path) -> Sequence[str]:
    return notes.read_text().splitlines() if notes.exists() else []


def test_after_a_lock_another_process_serves_that_knows_the_sessions_and_nothing_else(tmp_path: Path) -> None:
    with supervised(tmp_path, LOCK) as (process, notes):
        assert process.wait(20) == 0
    told = [line.split() for line in lines(notes)]
    assert [line[5] for line in told] == ["0", "1", "2"]
    assert len({line[1] for line in told}) == 3
    assert {line[6] for line in told} == {"[]"}, "what one process opened, another has never seen"


def test_a_console_whose_process_fails_at_once_gives_up(tmp_path: Path) -> None:
    with supervised(tmp_path, "raise RuntimeError('broken')") as (process, notes):
        assert process.wait(20) == 1
        assert process.stderr is not None
        assert b"broken" in process.stderr.read()
    assert len(lines(notes)) == 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_cell_and_then_the_console(tmp_path: Path, number: signal.Signals) -> None:
    with supervised(tmp_path, STAY) as (process, notes):
        wait_for(lambda: len(lines(notes)) == 1, "a cell")
        cell = int(lines(notes)[0].split()[1])
        process.send_signal(number)
        assert process.wait(20) == 0
    with pytest.raises(ProcessLookupError):
        os.kill(cell, 0)


def test_nothing_stays_unlocked_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    with supervised(tmp_path, STAY) as (process, notes):
        wait_for(lambda: len(lines(notes)) == 1, "a cell")
        cell = int(lines(notes)[0].split()[1])
        process.kill()
        process.wait(20)
        wait_for(lambda: _gone(cell), "the end of the cell")


def _gone(pid: int) -> bool:
    try:
        return "State:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return True


def test_both_loopback_addresses_are_the_console_s_or_it_does_not_start() -> None:
    with contextlib.ExitStack() as stack:
        listeners = _listen(0, stack)
        port = listeners[0].getsockname()[1]
        assert {one.getsockname()[0] for one in listeners} == {"127.0.0.1", "::1"}
        with pytest.raises(CommandError, match="choose another --port"), contextlib.ExitStack() as other:
            _listen(port, other)
    with socket.socket(socket.AF_INET6) as taken, contextlib.ExitStack() as stack:
        taken.bind(("::1", 0))
        taken.listen()
        with pytest.raises(CommandError, match="::1"):
            _listen(taken.getsockname()[1], stack)
