"""What every process that serves needs: a socket to listen on, and an end by SIGINT or SIGTERM."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator

from broker.settings import SettingsError


@contextlib.contextmanager
def listening(host: str, port: int, *, flag: str) -> Iterator[socket.socket]:
    """Bind a TCP socket until the block ends; raises SettingsError naming the `flag` that chooses another port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as sock:  # named, or asyncio sets no NODELAY
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, port))
        except (OSError, OverflowError) as error:
            why = error.strerror if isinstance(error, OSError) else "no such port"
            raise SettingsError(f"can't listen on {host}:{port}: {why}; choose another {flag}") from error
        yield sock


@contextlib.contextmanager
def stopped_by_signals(stop: asyncio.Event) -> Iterator[None]:
    """Set `stop` at SIGINT or SIGTERM while the block runs."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
