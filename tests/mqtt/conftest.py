"""Fixtures of the MQTT tests: each check runs against our broker and against Mosquitto."""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Protocol, TypeAlias, TypedDict, Unpack

import pytest
import pytest_asyncio

from broker.mqtt.packets import ACCEPTED, Connect, Will
from tests.mqtt.client import RawClient
from tests.mqtt.support import running

Sockets: TypeAlias = Callable[[int], Awaitable[RawClient]]


class Fields(TypedDict, total=False):
    """What a test may say about a client beyond its id."""

    clean_session: bool
    keepalive_s: int
    username: str
    password: bytes
    will: Will
    expect: int


class Join(Protocol):
    """Connects a client to the open broker; it is closed at the test's end."""

    def __call__(self, client_id: str, **fields: Unpack[Fields]) -> Awaitable[RawClient]: ...


class JoinAt(Protocol):
    """The same at any port."""

    def __call__(self, port: int, client_id: str, **fields: Unpack[Fields]) -> Awaitable[RawClient]: ...


@pytest.fixture(params=["ours", pytest.param("mosquitto", marks=pytest.mark.mosquitto)])
def kind(request: pytest.FixtureRequest) -> str:
    """Which broker the test runs against."""
    return str(request.param)


@pytest_asyncio.fixture
async def port(kind: str, tmp_path: Path) -> AsyncIterator[int]:
    """Port of a broker that lets anybody do everything."""
    async with running(kind, folder=tmp_path / "broker") as number:
        yield number


@pytest_asyncio.fixture
async def sockets() -> AsyncIterator[Sockets]:
    """Open bare connections, closed at the test's end."""
    clients: list[RawClient] = []

    async def open_one(number: int) -> RawClient:
        clients.append(await RawClient.open(number))
        return clients[-1]

    yield open_one
    for client in clients:
        await client.close()


@pytest.fixture
def join_at(sockets: Sockets) -> JoinAt:
    """Connect clients to the broker at a port."""

    async def join_one(port: int, client_id: str, **fields: Unpack[Fields]) -> RawClient:
        client = await sockets(port)
        packet = Connect(
            client_id,
            fields.get("clean_session", True),
            fields.get("keepalive_s", 0),
            fields.get("username"),
            fields.get("password"),
            fields.get("will"),
        )
        assert await client.connect(packet) == fields.get("expect", ACCEPTED)
        return client

    return join_one


@pytest.fixture
def join(join_at: JoinAt, port: int) -> Join:
    """Connect clients to the open broker."""
    return partial(join_at, port)
