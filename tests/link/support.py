"""What the link's tests share: a state folder, a reader at the broker, and waiting for something to become true."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiomqtt

from device.link.client import NO_DELAY
from device.link.events import Health
from device.link.outbox import SCHEMA, Outbox, OutboxLimits
from device.link.settings import Backoff, LinkTiming
from device.vault.state import State

PROMPT = LinkTiming(
    connect_s=2.0,
    ack_s=2.0,
    stable_s=5.0,
    farewell_s=1.0,
    republish_spread_s=0.0,
    reconnect=Backoff(first_s=0.02, cap_s=0.05),
    resend=Backoff(first_s=0.1, cap_s=0.2),
)


def health(**changes: Any) -> Health:
    """Return a device's health, changed as told."""
    fields = {
        "problem": "", "segments_lost": 0, "frames_per_second": 15.0, "frames_dropped": 0,
        "frames_watched": 10, "frames_decoded": 3, "decode_ms": 0.7, "lag_ms": 0.0, "storage_used_bytes": 1,
        "storage_limit_bytes": 2, "outbox_messages": 0, "outbox_dropped": 0, "outbox_epoch": "e",
        "outbox_oldest_seq": 1, "outbox_next_seq": 1,
    }  # fmt: skip
    return Health(**{**fields, **changes})


@contextmanager
def quick_folder() -> Iterator[Path]:
    """Make a folder in memory where there is such a file system."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


def open_state(folder: Path) -> State:
    """Open the state of a test's device."""
    return State.open(folder / "state.db", schemas=[SCHEMA])


def open_outbox(
    state: State, *, receipts: bool = False, max_messages: int = 10_000, max_bytes: int = 1 << 20
) -> Outbox:
    """Return the outbox in a state."""
    return Outbox(
        state,
        limits=OutboxLimits(max_messages=max_messages, max_bytes=max_bytes),
        expect_receipts=receipts,
        make_epoch=lambda: "epoch-1",
    )


def numbered(epoch: str, seq: int) -> bytes:
    """Return a payload that names its number."""
    return json.dumps({"epoch": epoch, "seq": seq}).encode()


def say(outbox: Outbox, state: State, count: int = 1) -> list[int]:
    """Put numbered messages into the outbox, each in a transaction of its own; returns their seqs."""
    found = []
    for _ in range(count):
        with state.transaction() as tx:
            found.append(outbox.add_numbered(tx, "event", numbered))
    return found


async def eventually(true: Callable[[], bool], *, within_s: float = 10.0) -> None:
    """Wait until a condition holds; a test that never gets there fails by the clock."""
    async with asyncio.timeout(within_s):
        while not true():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0.005)


@dataclass(frozen=True, slots=True)
class Seen:
    """One message as a reader at the broker saw it."""

    topic: str
    payload: bytes
    retained: bool

    @property
    def json(self) -> Any:
        """The payload, parsed."""
        return json.loads(self.payload)


class Reader:
    """Somebody else at the broker: the owner's collector, Home Assistant, the operator."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self.client = client
        self.seen: list[Seen] = []

    def of(self, topic: str) -> list[Seen]:
        """Return what came on one topic."""
        return [message for message in self.seen if message.topic == topic]

    def last(self, topic: str) -> bytes | None:
        """Return the newest payload of one topic."""
        found = self.of(topic)
        return found[-1].payload if found else None

    def seqs(self) -> list[int]:
        """Return the numbers on the event topics, in the order of arrival."""
        return [message.json["seq"] for message in self.seen if message.topic.endswith("/event")]

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish at QoS 1."""
        await self.client.publish(topic, payload, qos=1, retain=retain)

    async def _read(self) -> None:
        async for message in self.client.messages:
            assert isinstance(message.payload, bytes)
            self.seen.append(Seen(str(message.topic), message.payload, message.retain))


@asynccontextmanager
async def reader(port: int, *topics: str, name: str = "reader", **more: Any) -> AsyncIterator[Reader]:
    """Connect a reader that subscribes to `topics`."""
    async with aiomqtt.Client("127.0.0.1", port, identifier=name, socket_options=NO_DELAY, **more) as client:
        somebody = Reader(client)
        reading = asyncio.create_task(somebody._read())
        for topic in topics or ("#",):
            await client.subscribe(topic, qos=1)
        try:
            yield somebody
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


@asynccontextmanager
async def in_background(work: Coroutine[Any, Any, None]) -> AsyncIterator[asyncio.Task[None]]:
    """Run a coroutine beside the test; it is cancelled at the end, and an error of its own fails the test."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            task.result()
