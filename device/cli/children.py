"""Child processes of a demonstration: each a command of ours, with its log in a file; none outlives us."""

import asyncio
import contextlib
import ctypes
import json
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from .errors import CommandError

READY_S = 30.0
COMMAND_S = 60.0
END_S = 15.0
PR_SET_PDEATHSIG = 1


def command_line(*arguments: str) -> list[str]:
    """Return the argument vector that runs one of our commands with this very Python."""
    return [sys.executable, "-P", "-m", "device", *arguments]


@contextlib.asynccontextmanager
async def serving(log: Path, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a command that serves, from its `ready` line on; it is ended with the block. Raises CommandError."""
    with log.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            *command_line(*arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=file,
            start_new_session=True,  # an interrupt from the terminal reaches us alone, and we end it in order
            preexec_fn=_die_with_parent,
        )
    try:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        try:
            async with asyncio.timeout(READY_S):
                line = await process.stdout.readline()
        except TimeoutError:
            line = b""
        if not line.startswith(b"ready"):
            raise CommandError(f"'{' '.join(arguments[:2])}' did not start: {_last_line(log)}")
        yield process
    finally:
        await _end(process)


async def run(*arguments: str, log: Path, parse: bool = False) -> Any:
    """Run a command to its end; returns what it printed, as parsed JSON if told. Raises CommandError if it fails."""
    process = await asyncio.create_subprocess_exec(
        *command_line(*arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
        preexec_fn=_die_with_parent,
    )
    try:
        async with asyncio.timeout(COMMAND_S):
            out, err = await process.communicate()
    finally:
        await _end(process)
    with log.open("ab") as file:
        file.write(f"$ latchstring {' '.join(arguments)}\n".encode() + out + err)
    if process.returncode != 0:
        last = err.decode("utf-8", "replace").strip().rpartition("\n")[2].removeprefix("latchstring: ")
        raise CommandError(f"'latchstring {' '.join(arguments[:2])}' failed: {last or 'it said nothing'}")
    return json.loads(out) if parse else out.decode("utf-8", "replace")


def _die_with_parent() -> None:
    """Have the kernel end this child when its parent is gone, however that happened (Linux, prctl(2))."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(END_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1].removeprefix("latchstring: ") if lines else f"it said nothing; see {log}"
