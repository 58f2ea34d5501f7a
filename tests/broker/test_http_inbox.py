"""Uploads under the server's deadlines, over real sockets."""

import asyncio
import contextlib
import socket
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from broker.http import PatientProtocol, Server
from broker.inbox import routes
from tests.inbox.support import TUS, World, chunk, creation


async def test_an_upload_that_stops_keeps_what_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that moves goes on beyond a small body's time; when it stops it gets 408, and can be taken up again."""
    monkeypatch.setattr(PatientProtocol, "body_s", 0.5)
    monkeypatch.setattr(PatientProtocol, "body_idle_s", 1)
    world, data = World(tmp_path / "inbox"), b"x" * 100_000
    server = Server(Starlette(routes=routes(world.open())))
    with socket.socket() as sock, contextlib.closing(world):
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        task = asyncio.create_task(server.serve(sockets=[sock]))
        await server.listening.wait()
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            created = await client.post("/inbox", headers=creation(world.promise(data), len(data)))
            path = created.headers["location"]
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            head = {**chunk(0), "Host": "a", "Content-Length": str(len(data))}
            lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
            writer.write(f"PATCH {path} HTTP/1.1\r\n{lines}\r\n".encode())
            for _ in range(6):
                writer.write(b"x" * 10_000)
                await asyncio.sleep(0.1)
            async with asyncio.timeout(5):
                assert (await reader.read()).startswith(b"HTTP/1.1 408 ")
            writer.close()
            await writer.wait_closed()
            async with asyncio.timeout(5):  # it is written after the answer, which the handler does not give
                while (await client.head(path, headers=TUS)).headers["upload-offset"] != "60000":  # noqa: ASYNC110 - another process, to its client
                    await asyncio.sleep(0.02)
            rest = await client.patch(path, headers=chunk(60_000), content=data[60_000:])
            assert (rest.status_code, rest.headers["upload-offset"]) == (204, "100000")
        server.should_exit = True
        await task
