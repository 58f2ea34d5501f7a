"""How log, feed and inbox are served: uvicorn, with bounds that keep one idle client from making everybody wait.

Uvicorn has no deadline for a request's head, and a connection costs a file descriptor that the MQTT broker in the same
process needs too. So: a head that takes longer than `HEAD_S` ends its connection, and beyond a share of the
descriptors that there really are a new connection is closed at once.
"""

import asyncio
import contextlib
import resource
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S = 10.0
SHUTDOWN_S = 3
HTTP_SHARE = 0.4  # of the descriptors; MQTT has as much, files the rest
MOST_CONNECTIONS = 20_000


class PatientProtocol(H11Protocol):
    """HTTP/1.1 with a deadline for each request's head and a bound on connections."""

    most_connections = MOST_CONNECTIONS
    head_s = HEAD_S

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head, or close at once where too many wait already."""
        super().connection_made(transport)
        if len(self.connections) > self.most_connections:
            transport.close()
            return
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Take bytes; the deadline ends with the head."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._enough()
        elif self._deadline is None:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadline."""
        self._enough()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._deadline = self.loop.call_later(self.head_s, self._late)

    def _enough(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _late(self) -> None:
        self._deadline = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


class Server(uvicorn.Server):
    """Uvicorn that says when it listens, and leaves signals to the process."""

    def __init__(self, app: Starlette) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=PatientProtocol,
                log_config=None,
                access_log=False,
                lifespan="off",
                timeout_graceful_shutdown=SHUTDOWN_S,
            )
        )
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


def share_descriptors() -> int:
    """Raise the soft limit of descriptors to the hard one; returns how many connections HTTP, and MQTT, may have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    share = MOST_CONNECTIONS if hard == resource.RLIM_INFINITY else int(hard * HTTP_SHARE)
    share = max(1, min(MOST_CONNECTIONS, share))
    PatientProtocol.most_connections = share
    return share
