"""The neighbourhood's pages served over real HTTP from a thread, for browsers."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

from starlette.applications import Starlette

from broker import ask, feed, log
from broker.http import Server
from broker.log.storage.folder import FolderStorage
from tests.feed.support import neighbourhood
from tests.log.support import Clock


class Site:
    """Where the pages are, and the leaf hashes of all requests, newest first."""

    def __init__(self, url: str, leaves: list[str]) -> None:
        self.url = url
        self.leaves = leaves

    @property
    def pages(self) -> dict[str, str]:
        """The path of every kind of page."""
        return {
            "feed": "/",
            "filtered": "/?incident=package-theft&area=52.5,13.34,52.53,13.42",
            "request": f"/requests/{self.leaves[2]}",
            "agencies": "/agencies",
            "agency": "/agencies/springfield-pd",
            "revoked": "/agencies/transit-police",
            "log": "/log",
            "about": "/about",
            "missing": "/requests/none",
            "wrong": "/?area=here",
        }


@contextlib.contextmanager
def served(folder: Path) -> Iterator[Site]:
    """Serve the neighbourhood from `folder` until the block ends."""
    ready, stop = threading.Event(), threading.Event()
    found: list[Site] = []
    thread = threading.Thread(target=lambda: asyncio.run(_serve(folder, found, ready, stop)))
    thread.start()
    try:
        assert ready.wait(50)
        yield found[0]
    finally:
        stop.set()
        thread.join()


async def _serve(folder: Path, found: list[Site], ready: threading.Event, stop: threading.Event) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        clock = Clock()
        service = await neighbourhood(folder, clock, url=url)
        routes = [
            *log.routes(service, FolderStorage(folder)),
            *feed.routes(service),
            *ask.routes(service.book, now_us=clock, stylesheet="/style.css"),
        ]
        server = Server(Starlette(routes=routes))
        serving = asyncio.create_task(server.serve(sockets=[sock]))
        await server.listening.wait()
        found.append(Site(url, [posted.leaf for posted in service.book.requests()]))
        ready.set()
        await asyncio.to_thread(stop.wait)
        server.should_exit = True
        await serving
        await service.close()
