"""The console as one web application: guard, page, calls and media around one cell, and what it tells by itself."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp

from device.video.dumps import forbid_dumps

from . import media, page
from .api import route
from .api_home import home_endpoints
from .api_ledger import ledger_endpoints
from .api_requests import request_endpoints
from .api_review import review_endpoints
from .api_session import VERSION, session_endpoints
from .attempts import Attempts
from .cell import Cell
from .guard import Guard
from .household import Household
from .passkeys import FILE_NAME, Passkeys
from .peers import OwnersProtocol
from .supervisor import LOCKED, SessionMemory
from .watching import Watch

log = structlog.get_logger()

LOOK_EVERY_S = 0.5
LAST_WORDS_S = 0.2  # for the answers that are on their way when it locks
GRACE_S = 2


@dataclass(frozen=True, slots=True)
class ConsoleSettings:
    """What a console is started with."""

    household: Household
    owner_key: Path
    port: int
    lock_after_s: float

    @property
    def address(self) -> str:
        """Where the page is."""
        return f"http://localhost:{self.port}/"


def now_us() -> int:
    """Return the machine's clock."""
    return time.time_ns() // 1_000


def steady_us() -> int:
    """Return a clock that goes on while the machine sleeps, and never back."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000


def run_cell(settings: ConsoleSettings, listeners: Sequence[socket.socket], memory: SessionMemory) -> NoReturn:
    """Serve, then end this process: with LOCKED if it was locked, with 0 if it was told to end."""
    forbid_dumps()
    asyncio.run(_serve(settings, listeners, memory))
    raise AssertionError("a cell ends its process itself")


def make_cell(settings: ConsoleSettings, attempts: Attempts) -> Cell:
    """Make a locked cell."""
    passkeys = Passkeys(
        settings.owner_key.with_name(FILE_NAME),
        origin=settings.address.rstrip("/"),
        now_us=now_us,
        random=os.urandom,
    )
    return Cell(
        household=settings.household,
        owner_key=settings.owner_key,
        passkeys=passkeys,
        lock_after_s=settings.lock_after_s,
        now_us=now_us,
        steady_us=steady_us,
        attempts=attempts,
    )


def make_app(cell: Cell, memory: SessionMemory, settings: ConsoleSettings) -> ASGIApp:
    """Return the application."""

    def known(token: str) -> bool:
        return memory.sessions.known(token, cell.now_us())

    endpoints = [
        *session_endpoints(memory, settings.address),
        *home_endpoints(),
        *request_endpoints(),
        *review_endpoints(),
        *ledger_endpoints(),
    ]
    routes = [
        *page.routes(version=VERSION),
        *(route(endpoint, cell, known) for endpoint in endpoints),
        media.route(cell),
    ]
    return Guard(Starlette(routes=routes), port=settings.port)


async def _serve(settings: ConsoleSettings, listeners: Sequence[socket.socket], memory: SessionMemory) -> None:
    cell = make_cell(settings, memory.attempts)
    config = uvicorn.Config(
        make_app(cell, memory, settings),
        http=OwnersProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=GRACE_S,
        limit_concurrency=100,
    )
    server = _Server(config)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, lambda: print_link(settings, memory))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, server.end)
    serving = asyncio.create_task(server.serve(sockets=list(listeners)))
    tending = [asyncio.create_task(_look_around(cell)), asyncio.create_task(Watch(cell, memory.told).run())]
    locking = asyncio.create_task(cell.locking.wait())
    await asyncio.wait([serving, locking, *tending], return_when=asyncio.FIRST_COMPLETED)
    cell.hub.end()
    await cell.decided()
    for task in tending:
        if task.done():
            task.result()  # raises what ended it
    await asyncio.sleep(LAST_WORDS_S)
    memory.keep()
    sys.stderr.flush()
    # At once: a clip that is being opened or re-encoded in a thread is not waited for, and no key lives on meanwhile.
    os._exit(LOCKED if locking.done() else 0)


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the cell."""
        yield

    def end(self) -> None:
        """End serving."""
        self.should_exit = True
        self.force_exit = True


async def _look_around(cell: Cell) -> None:
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        cell.look_around()


def print_link(settings: ConsoleSettings, memory: SessionMemory) -> None:
    """Make a one-time link and write it to the terminal."""
    secret = memory.sessions.make_link(os.urandom, now_us())
    memory.keep()
    sys.stdout.write(f"ready: {settings.address}#open={secret}\n")
    sys.stdout.flush()
