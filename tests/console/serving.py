"""`latchstring console` as a process at a terminal of its own, and what it prints there."""

import contextlib
import os
import pty
import queue
import re
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from device.cli.stage import free_ports
from tests.neighbourhood.support import command, wait_for

LINK = re.compile(r"http://localhost:\d+/#open=\S+")


class Console:
    """A console of some devices' folders. Its folder is what it runs in, so that whatever it leaves there is found."""

    def __init__(self, folder: Path, homes: Sequence[Path], owner_key: Path, *more: str) -> None:
        self.folder = folder
        (folder / "tmp").mkdir(parents=True)
        (self.port,) = free_ports(1)
        self._terminal, theirs = pty.openpty()
        at = [argument for home in homes for argument in ("--home", str(home))]
        with (folder.parent / f"{folder.name}.log").open("a") as log:
            self.process = subprocess.Popen(
                command("console", *at, "--owner-key", str(owner_key), "--port", str(self.port), *more),
                stdin=theirs, stdout=subprocess.PIPE, stderr=log, text=True, cwd=folder, start_new_session=True,
                env={**os.environ, "TMPDIR": str(folder / "tmp")},
            )  # fmt: skip
        os.close(theirs)
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.first_link = self._next_link()

    @property
    def origin(self) -> str:
        """Where its page is."""
        return f"http://localhost:{self.port}"

    @property
    def pid(self) -> int:
        """The process that was started: it never unlocks anything."""
        return self.process.pid

    @property
    def log(self) -> str:
        """What it said to whoever looks after it."""
        return (self.folder.parent / f"{self.folder.name}.log").read_text()

    def cells(self) -> list[int]:
        """Return its children: the one that serves."""
        try:
            return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]
        except FileNotFoundError:
            return []

    def link(self) -> str:
        """Press Enter where it runs, and return the one-time link that it prints."""
        os.write(self._terminal, b"\n")
        return self._next_link()

    def next_cell(self, last: Sequence[int]) -> list[int]:
        """Wait until a lock has put another process in the place of the last one."""
        wait_for(lambda: bool(self.cells()) and not set(self.cells()) & set(last), "another cell serves")
        return self.cells()

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it; returns its exit status."""
        self.process.send_signal(how)
        status = self.process.wait(20)
        self._reader.join(5)
        os.close(self._terminal)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return status

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put("")

    def _next_link(self) -> str:
        while line := self._lines.get(timeout=30):
            if found := LINK.search(line):
                return found[0]
        raise AssertionError(f"the console ended: {self.log}")


@contextlib.contextmanager
def console_of(folder: Path, homes: Sequence[Path], owner_key: Path, *more: str) -> Iterator[Console]:
    """Run a console while the block does."""
    console = Console(folder, homes, owner_key, *more)
    try:
        yield console
    finally:
        if console.process.poll() is None:
            console.stop()
