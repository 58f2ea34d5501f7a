"""Who is at the other end of a connection: the owner's own programs alone are served, and only if they say something.

A loopback port is open to every user of the machine. None of another's requests would pass the guard without a token;
but by holding connections they could keep the owner out. So a connection of another user is ended before it is read,
as far as the system says whose it is (Linux: /proc/net/tcp), and one that begins no request within `HEAD_S` is, too.
"""

import asyncio
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S = 10.0
_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LOCAL, _REMOTE, _UID = 1, 2, 7  # columns of <linux>/net/ipv4/tcp_ipv4.c's table


class OwnersProtocol(H11Protocol):
    """HTTP/1.1 for the programs of one user."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._silent: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to serve, or close at once."""
        super().connection_made(transport)
        if self.client is None or self.server is None or not is_own(self.client[1], int(self.server[1] or 0)):
            transport.abort()
            return
        self._silent = self.loop.call_later(HEAD_S, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadline."""
        if self._silent is not None:
            self._silent.cancel()
        super().connection_lost(exc)

    def _give_up(self) -> None:
        if self.cycle is None:  # no request has come whole yet
            self.transport.abort()


def is_own(client_port: int, server_port: int) -> bool:
    """Tell whether the other end of a loopback connection is this user's, or root's."""
    if sys.platform != "linux":
        return True
    return uid_of(client_port, server_port, _rows()) in {None, 0, os.getuid()}


def uid_of(client_port: int, server_port: int, rows: Iterable[str]) -> int | None:
    """Return whose socket is connected from one port to the other, by the system's table; None if it isn't there."""
    ends = (f":{client_port:04X}", f":{server_port:04X}")
    for row in rows:
        columns = row.split()
        if len(columns) > _UID and (columns[_LOCAL][-5:], columns[_REMOTE][-5:]) == ends:
            return int(columns[_UID])
    return None


def _rows() -> Iterable[str]:
    for table in _TABLES:
        if table.is_file():
            yield from table.read_text(encoding="ascii").splitlines()[1:]
