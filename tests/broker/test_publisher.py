"""Announcements at a broker elsewhere: one that was killed and comes back empty is told everything again."""

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from broker.log.errors import NotPublishedError
from broker.log.sequencer import Sequencer
from broker.log.service import LogService
from broker.log.storage.folder import FolderStorage
from broker.mqtt import AccessPolicy, Broker, Limits
from broker.mqtt.packets import ACCEPTED, Connect
from broker.outlet import open_outlet
from broker.publisher import MqttPublisher
from broker.settings import MqttSection
from broker.wire import topics
from tests.conftest import need
from tests.log.support import OPERATOR, ORIGIN, Clock, admission, asked, leaf_of
from tests.mqtt.client import RawClient
from tests.mqtt.support import free_port


@asynccontextmanager
async def forgetful(kind: str, port: int, folder: Path) -> AsyncIterator[None]:
    """Run a broker that keeps nothing beyond its end, which is sudden."""
    if kind == "ours":
        async with Broker(policy=AccessPolicy.open_loopback(), port=port, limits=Limits(close_linger_s=0.1)):
            yield
        return
    config = folder / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nuser root\n")
    process = _start(need("mosquitto"), config)
    try:
        yield
    finally:
        process.kill()
        process.wait(10)


def _start(program: str, config: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([program, "-c", config], stderr=subprocess.DEVNULL)


async def retained(port: int, *wanted: str) -> dict[str, bytes]:
    """Wait until a broker that may not be up yet has retained messages of all `wanted` topics; returns what it has."""
    while True:
        with contextlib.suppress(ConnectionError):
            client = await RawClient.open(port)
            try:
                assert await client.connect(Connect("reader")) == ACCEPTED
                await client.subscribe("latchstring/#")
                found = {message.topic: message.payload for message in await client.settled()}
            finally:
                await client.close()
            if all(any(topic.endswith(end) for topic in found) for end in wanted):
                return found
        await asyncio.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ours", pytest.param("mosquitto", marks=pytest.mark.mosquitto)])
async def test_a_broker_that_was_killed_is_filled_again(tmp_path: Path, kind: str) -> None:
    """Nothing is posted meanwhile: the new connection alone brings request and checkpoint back."""
    port = free_port()
    publisher = MqttPublisher(host="127.0.0.1", port=port)
    service = LogService(
        sequencer=Sequencer(FolderStorage(tmp_path / "log"), key=OPERATOR, origin=ORIGIN),
        operator=OPERATOR,
        publish=publisher.publish,
        now_us=Clock(),
    )
    await service.start()
    await service.submit(admission())
    await service.submit(asked())
    wanted = (topics.CHECKPOINT, leaf_of(asked()))
    running = [
        asyncio.create_task(service.run()),
        asyncio.create_task(publisher.run(service.announcer.reconnected)),
    ]
    async with asyncio.timeout(20):
        async with forgetful(kind, port, tmp_path):
            before = await retained(port, *wanted)
        async with forgetful(kind, port, tmp_path):
            assert await retained(port, *wanted) == before
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
    await service.close()


async def test_only_a_second_connection_is_reported() -> None:
    """At the first one everything is published anyway."""
    port = free_port()
    publisher = MqttPublisher(host="localhost", port=port)
    reported = asyncio.Event()
    running = asyncio.create_task(publisher.run(reported.set))
    async with asyncio.timeout(10):
        async with Broker(policy=AccessPolicy.open_loopback(), port=port, limits=Limits(close_linger_s=0.1)):
            await publisher.publish("latchstring/log/checkpoint", b"note", retain=True)
            assert not reported.is_set()
        async with Broker(policy=AccessPolicy.open_loopback(), port=port, limits=Limits(close_linger_s=0.1)):
            await reported.wait()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def test_without_a_broker_nothing_is_published() -> None:
    """After the time-out the caller is told where, and why."""
    port = free_port()
    publisher = MqttPublisher(host="127.0.0.1", port=port, timeout_s=0.3)
    running = asyncio.create_task(publisher.run(lambda: None))
    with pytest.raises(NotPublishedError, match=f"127.0.0.1:{port}.*refused"):
        await publisher.publish("latchstring/log/checkpoint", b"note", retain=True)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_the_embedded_broker_is_never_away() -> None:
    """It lives as long as the process; what is published there arrives."""
    async with open_outlet(MqttSection(port=0), max_connections=100) as outlet:
        await outlet.run(lambda: pytest.fail("it was not away"))
        await outlet.publish("latchstring/log/checkpoint", b"note", retain=True)
        assert await retained(outlet.port, "checkpoint") == {"latchstring/log/checkpoint": b"note"}
