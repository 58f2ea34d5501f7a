"""Keeps the console's address, and has a process behind it that locking ends.

    supervisor   holds the listening sockets and the hashes of sessions, in memory without a name. It has read no
                 passphrase, opened no clip, and never will
    cell         its child, which serves. Unlocking happens in it; locking is its end, and the next cell is forked from
                 a supervisor that knows nothing

So what was opened, the keys, the passphrase as it was typed, and every copy that a library made of them, are gone with
the lock: the system takes back all memory of a process that ends, and no byte of it is given on unwiped.

The supervisor has no thread and no event loop, so that forking it is sound.
"""

import ctypes
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import NoReturn

import structlog

from .attempts import Attempts
from .sessions import Sessions

log = structlog.get_logger()

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
LOCKED = 75  # the exit status of a cell that was locked
SOONEST_S = 1.0  # a cell that fails more quickly than this, so many times in a row, would fail for ever
MOST_FAILURES = 3
_CHUNK = 1 << 16


class SessionMemory:
    """What each cell finds as the one before it left it: sessions, wrong attempts, requests that were told of.

    It lies in memory without a name.
    """

    def __init__(self) -> None:
        self._fd = os.memfd_create("console-sessions")
        self.sessions = Sessions()
        self.attempts = Attempts()
        self.told: set[str] = set()
        self.keep()

    def keep(self) -> None:
        """Write it all for the next cell."""
        body = {"sessions": asdict(self.sessions), "attempts": asdict(self.attempts), "told": sorted(self.told)}
        data = json.dumps(body).encode()
        os.pwrite(self._fd, len(data).to_bytes(4, "big") + data, 0)

    def load(self) -> None:
        """Read what the last cell left."""
        length = int.from_bytes(os.pread(self._fd, 4, 0), "big")
        body = json.loads(os.pread(self._fd, length, 4))
        self.sessions, self.attempts = Sessions(**body["sessions"]), Attempts(**body["attempts"])
        self.told = set(body["told"])


@dataclass(frozen=True, slots=True)
class Supervisor:
    """Runs `cell(listeners, memory)` in a child, again after each lock; the cell ends its process with a status."""

    listeners: Sequence[socket.socket]
    memory: SessionMemory
    cell: Callable[[Sequence[socket.socket], SessionMemory], NoReturn]

    def run(self) -> int:
        """Serve until SIGINT, SIGTERM, or a cell that can't go on; returns the exit status of the console."""
        # A cell that is not ready for it would end by it; it is kept until the cell says that it is.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
        stopped = _Stopped()
        failures = 0
        while True:
            began_s = time.monotonic()
            status = self._one(stopped)
            if stopped.by or status == 0:
                return 0
            if status == LOCKED:
                failures = 0
                continue
            failures = failures + 1 if time.monotonic() - began_s < SOONEST_S else 1
            log.warning("console_cell_ended", status=status)
            if failures >= MOST_FAILURES:
                return 1

    def _one(self, stopped: "_Stopped") -> int:
        sys.stdout.flush()
        sys.stderr.flush()
        supervisor = os.getpid()
        pid = os.fork()
        if pid == 0:
            try:
                _end_with_parent(supervisor)
                stopped.forget()
                if stopped.by:  # it came while this process was made
                    os._exit(0)
                self.memory.load()
                self.cell(self.listeners, self.memory)
            except BaseException:
                log.exception("console_failed")
                raise
            finally:
                os._exit(1)  # it is no supervisor, whatever happens
        return _watch(pid, stopped)


class _Stopped:
    """Remembers that the console is to end, and tells the cell."""

    def __init__(self) -> None:
        self.by = 0
        self.cell = 0
        self._old = {number: signal.signal(number, self._stop) for number in (signal.SIGINT, signal.SIGTERM)}

    def forget(self) -> None:
        """In the cell: its signals are its own business."""
        for number, old in self._old.items():
            signal.signal(number, old)

    def _stop(self, number: int, _frame: object) -> None:
        self.by = number
        if self.cell:
            os.kill(self.cell, signal.SIGTERM)


def _watch(pid: int, stopped: _Stopped) -> int:
    """Wait for a cell's end; Enter at the terminal asks it for another link."""
    stopped.cell = pid
    if stopped.by:
        os.kill(pid, signal.SIGTERM)
    waited = os.pidfd_open(pid)
    try:
        inputs = [waited, *([sys.stdin.fileno()] if _has_terminal() else [])]
        while True:
            ready = select.select(inputs, [], [])[0]
            if waited in ready:
                return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            if os.read(inputs[1], _CHUNK):
                os.kill(pid, signal.SIGUSR1)
            else:  # the terminal is gone
                del inputs[1]
    finally:
        stopped.cell = 0
        os.close(waited)


def _end_with_parent(supervisor: int) -> None:
    """Have the system end this process when the supervisor is gone, whatever took it: nothing stays unlocked."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != supervisor:
        os._exit(1)


def _has_terminal() -> bool:
    return sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()
