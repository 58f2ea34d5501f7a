"""The daemon's Unix socket: how the owner's tools talk to it. One request, one answer, then the connection ends.

    request   {"op": name, ...arguments, "bytes": n} LF, then n raw bytes
    answer    {"ok": true, "result": ..., "bytes": n} LF, then n raw bytes;  or  {"ok": false, "error": line} LF

The socket is 0600, and a peer with another user id is turned away besides. Nothing secret goes through it:
segments are sealed, and the owner's key never leaves the review process.
"""

import asyncio
import contextlib
import json
import os
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import structlog

from broker.wire.encoding import WireError, canonical, parse_json
from broker.wire.inbox import MAX_BUNDLE_BYTES

log = structlog.get_logger()

SOCKET_NAME = "control.sock"
MAX_LINE_BYTES = 4 << 20
PIECE_BYTES = 256 << 10
READ_TIMEOUT_S = 30.0
WRITE_TIMEOUT_S = 60.0
CLIENT_TIMEOUT_S = 60.0
_CREDENTIALS = struct.Struct("3i")

Answer = tuple[Any, bytes]
Handler = Callable[[Mapping[str, Any], bytes], Awaitable[Answer]]


class ControlError(Exception):
    """The daemon is not there, or said no; the message is one line for a person."""


class AwayError(ControlError):
    """The daemon is not there, or does not answer."""


class ControlServer:
    """Serves the handlers of one daemon. `refusals` are the errors whose message goes to the caller."""

    def __init__(self, path: Path, handlers: Mapping[str, Handler], *, refusals: tuple[type[Exception], ...]) -> None:
        self._path = path
        self._handlers = handlers
        self._refusals: tuple[type[Exception], ...] = (*refusals, WireError)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve while the block runs. The state's lock says that no other daemon owns the socket."""
        self._path.unlink(missing_ok=True)
        old_mask = os.umask(0o177)
        try:
            with _short_address(self._path) as address:
                server = await asyncio.start_unix_server(self._serve, address, limit=MAX_LINE_BYTES)
        except OSError as error:
            raise ControlError(f"{self._path} can't be listened on: {error.strerror or error}") from error
        finally:
            os.umask(old_mask)
        async with server:
            yield
        self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head, body = await self._answer(reader, writer)
            writer.write(head + b"\n")
            async with asyncio.timeout(WRITE_TIMEOUT_S):
                await _write(writer, body)
        except (ConnectionError, TimeoutError, asyncio.IncompleteReadError):
            log.info("control_peer_gone")
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[bytes, bytes]:
        if not _same_user(writer):
            return _refused("only the user who runs the daemon may talk to it")
        try:
            async with asyncio.timeout(READ_TIMEOUT_S):
                arguments = _parse_head(await reader.readuntil(b"\n"))
                body = await reader.readexactly(arguments.pop("bytes"))
            handler = self._handlers.get(arguments.pop("op"))
            if handler is None:
                return _refused("the daemon does not know that operation; is it another version?")
            result, payload = await handler(arguments, body)
            answer = {"ok": True, "result": result, "bytes": len(payload)}
            return await asyncio.to_thread(canonical, answer), payload  # a day's events take their time
        except self._refusals as error:
            return _refused(str(error))
        except asyncio.LimitOverrunError:
            return _refused("the request is too long")
        except (ConnectionError, TimeoutError, asyncio.IncompleteReadError):
            raise
        except Exception:
            log.exception("control_failed")  # a fault of ours: the caller is told that, and the daemon goes on
            return _refused("the daemon failed at this; its log says how")


class ControlClient:
    """Talks to one daemon, blocking."""

    def __init__(self, home: Path) -> None:
        self._path = home / SOCKET_NAME

    def call(self, op: str, body: bytes = b"", **arguments: Any) -> Any:
        """Return the result; raises ControlError if the daemon is not there or refuses."""
        return self.exchange(op, body, **arguments)[0]

    def exchange(self, op: str, body: bytes = b"", **arguments: Any) -> Answer:
        """Return the result and the raw bytes behind it."""
        head = canonical({"op": op, "bytes": len(body), **arguments}) + b"\n"
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(CLIENT_TIMEOUT_S)
                with _short_address(self._path) as address:
                    connection.connect(address)
                connection.sendall(head + body)
                with connection.makefile("rb") as file:
                    answer = json.loads(file.readline(MAX_LINE_BYTES) or b"{}")
                    payload = file.read(answer.get("bytes", 0))
        except (FileNotFoundError, ConnectionRefusedError) as error:
            home = self._path.parent
            if not (home / "device.toml").is_file():
                raise AwayError(f"{home} is no device's folder; 'latchstring device init' makes one") from error
            raise AwayError(f"no daemon runs in {home}; start it: latchstring device run --home {home}") from error
        except (OSError, ValueError) as error:
            raise AwayError(f"the daemon in {self._path.parent} does not answer: {error}") from error
        if not answer:
            raise AwayError("the daemon hung up")
        if not answer.get("ok"):
            raise ControlError(answer.get("error", "the daemon refused, and did not say why"))
        if len(payload) != answer.get("bytes", 0):
            raise AwayError("the daemon hung up in the middle of its answer")
        return answer["result"], payload


@contextlib.contextmanager
def _short_address(path: Path) -> Iterator[str]:
    # A Unix socket's address holds 107 bytes; a folder deep in the tree is reached through its descriptor.
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def _refused(why: str) -> tuple[bytes, bytes]:
    return canonical({"ok": False, "error": why}), b""


async def _write(writer: asyncio.StreamWriter, body: bytes) -> None:
    # In pieces: the links share this loop, and nobody outside shall see in their pace that an owner looks at clips.
    view = memoryview(body)
    for start in range(0, len(view), PIECE_BYTES):
        writer.write(view[start : start + PIECE_BYTES])
        await writer.drain()
    await writer.drain()


def _parse_head(line: bytes) -> dict[str, Any]:
    head = parse_json(line, max_bytes=MAX_LINE_BYTES, what="control request")
    if not isinstance(head, dict) or not isinstance(head.get("op"), str):
        raise WireError("a control request must be an object with an op")
    size = head.setdefault("bytes", 0)
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= MAX_BUNDLE_BYTES:
        raise WireError("a control request's bytes must be a size that a bundle can have")
    return head


def _same_user(writer: asyncio.StreamWriter) -> bool:
    connection = writer.get_extra_info("socket")
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return bool(_CREDENTIALS.unpack(raw)[1] in {os.getuid(), 0})
