"""The two brokers that every check runs against.

Ours runs in this event loop, Mosquitto as a process, both from one policy.
"""

import asyncio
import os
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from broker.mqtt import AccessPolicy, Broker, Limits, MosquittoTls, Role, User, hash_password, write_mosquitto
from tests.conftest import need

OPEN = AccessPolicy.open_loopback()


def user(name: str, role: Role) -> User:
    """Return a user whose password is its name and `-secret`, hashed as cheaply as Mosquitto does."""
    return User(name, role, hash_password(password(name), iterations=101))


def password(name: str) -> bytes:
    """Return the password of a test's user."""
    return f"{name}-secret".encode()


@asynccontextmanager
async def running(
    kind: str, *, folder: Path, policy: AccessPolicy = OPEN, limits: Limits | None = None
) -> AsyncIterator[int]:
    """Run a broker of `kind` (`ours` or `mosquitto`) and yield its port."""
    if kind == "ours":
        async with Broker(policy=policy, port=0, limits=limits or Limits(close_linger_s=0.1)) as broker:
            yield broker.port
    else:
        async with mosquitto(folder=folder, policy=policy, limits=limits) as port:
            yield port


@asynccontextmanager
async def mosquitto(
    *, folder: Path, policy: AccessPolicy, limits: Limits | None = None, tls: MosquittoTls | None = None
) -> AsyncIterator[int]:
    """Run Mosquitto from the files that the policy writes, and yield its port."""
    command = need("mosquitto")
    port = free_port()
    run_as = "root" if os.geteuid() == 0 else None
    config = write_mosquitto(policy, folder, port=port, limits=limits, tls=tls, run_as=run_as)
    process = _start(command, config, folder / "mosquitto.log")
    try:
        await _listening(port, process, folder / "mosquitto.log")
        yield port
    finally:
        process.kill()  # it takes 100 ms to end politely
        process.wait(timeout=10)


def free_port() -> int:
    """Return a port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _start(command: str, config: Path, log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as file:
        return subprocess.Popen([command, "-c", str(config)], stderr=file)


async def _listening(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    async with asyncio.timeout(10):
        while True:
            assert process.poll() is None, f"mosquitto has ended, see {log}"
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.005)
                continue
            writer.close()
            await writer.wait_closed()
            return
