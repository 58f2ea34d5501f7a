"""Clients that others wrote: aiomqtt (paho) and Mosquitto's command line, against our broker and Mosquitto alike."""

import asyncio
import subprocess

import aiomqtt
import pytest

from tests.conftest import need
from tests.mqtt.conftest import Join


def client(port: int, name: str, *, will: aiomqtt.Will | None = None, clean_session: bool = True) -> aiomqtt.Client:
    """Return an aiomqtt client of MQTT 3.1.1."""
    return aiomqtt.Client(
        "127.0.0.1",
        port,
        identifier=name,
        protocol=aiomqtt.ProtocolVersion.V311,
        will=will,
        clean_session=clean_session,
    )


async def test_aiomqtt_publishes_and_subscribes(port: int) -> None:
    """Messages of both QoS levels and a retained one come as they were sent."""
    async with client(port, "writer") as writer, client(port, "reader") as reader:
        await writer.publish("state", b"kept", qos=1, retain=True)
        await reader.subscribe("#", qos=1)
        await writer.publish("zero", b"0", qos=0)
        await writer.publish("one", bytes(300_000), qos=1)
        seen = {}
        async for message in reader.messages:
            seen[message.topic.value] = (message.payload, message.qos, message.retain)
            if len(seen) == 3:
                break
    assert seen == {"state": (b"kept", 1, True), "zero": (b"0", 0, False), "one": (bytes(300_000), 1, False)}


async def test_aiomqtt_resumes_its_session(port: int) -> None:
    """What was published while the client was away is there when it is back."""
    async with client(port, "reader", clean_session=False) as reader:
        await reader.subscribe("queue", qos=1)
    async with client(port, "writer") as writer:
        for at in range(50):
            await writer.publish("queue", b"%d" % at, qos=1)
    got = []
    async with client(port, "reader", clean_session=False) as reader:
        async for message in reader.messages:
            got.append(message.payload)
            if len(got) == 50:
                break
    assert got == [b"%d" % at for at in range(50)]


async def test_aiomqtt_can_be_taken_over(port: int, join: Join) -> None:
    """The client that loses its id learns of it, and its will is published."""
    reader = await join("reader")
    await reader.subscribe("gone")

    async def lose() -> None:
        async with client(port, "same", will=aiomqtt.Will("gone", b"", qos=1)) as first:
            await join("same")
            await anext(aiter(first.messages))

    with pytest.raises(aiomqtt.MqttError):
        await lose()
    assert len(await reader.messages(1)) == 1


@pytest.mark.mosquitto
async def test_mosquittos_command_line_reads_and_writes(port: int, join: Join) -> None:
    """What mosquitto_pub publishes arrives."""
    reader = await join("reader")
    await reader.subscribe("tool")
    command = [need("mosquitto_pub"), "-p", str(port), "-t", "tool", "-m", "hello", "-q", "1", "-r"]
    assert await asyncio.to_thread(subprocess.call, command, timeout=10) == 0
    assert [message.payload for message in await reader.messages(1)] == [b"hello"]
