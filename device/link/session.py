"""A link to one broker: connect, subscribe, publish, and try again. It carries and does not decide.

`MqttLink.run()` lives as long as the daemon; each `run_once()` is one connection with tasks of its own:

    read      reads without pause until the connection ends; each message goes to its subscription's handler
    retained  publishes what the retained table holds, then what changes in it
    drain     moves the outbox, at most `WINDOW` messages without their PUBACK; one task a message in flight

When one of them ends, all end with it: nothing waits for an answer that the lost connection can't bring.

Bounds: what comes in is measured before it is parsed or kept (`Subscription.max_bytes`), and kept in places that are
bounded by their own rule (Mailbox). Requests are subscribed to at QoS 0: neither an acknowledgement nor its delay may
tell of a match.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

import structlog

from broker.wire.encoding import WireError
from device.vault.errors import StateError

from .client import Connection, Incoming, Will
from .delivery import Delivery
from .errors import BrokerLost, LinkError
from .outbox import Outbox, Outgoing
from .retained import RetainedTable
from .settings import BrokerAddress, LinkTiming, system_random
from .threads import in_thread

log = structlog.get_logger()

WINDOW = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """What to subscribe to, and who takes the messages.

    `handle` runs on the event loop, between reading two messages: it stores and returns, and raises WireError for
    what does not parse. With `skip_retained` what was on the broker before is no news: a command, say, that was meant
    for another time.
    """

    topic: str  # a filter; `+` may stand for one level
    qos: int
    max_bytes: int
    handle: Callable[[Incoming], None]
    skip_retained: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Publishing:
    """What a link publishes: last will and availability, the retained table, and the outbox."""

    availability: str
    online: bytes
    offline: bytes
    retained: RetainedTable
    outbox: Outbox
    topic_of: Callable[[str], str]  # of an outbox message's leaf


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkHealth:
    """How a link is, and what it counted since it was made."""

    connected: bool = False  # and every subscription was answered
    connections: int = 0
    failures: int = 0  # since the last connection that was stable
    last_error: str | None = None
    refused: tuple[str, ...] = ()  # filters that the broker did not grant
    oversized: int = 0
    malformed: int = 0
    unasked: int = 0  # on topics that nobody subscribed to
    published: int = 0
    resend_rounds: int = 0  # above 0: the broker takes messages and the reader does not confirm them


class MqttLink:
    """One link. Run it in one task; `wake`, `health` and `republish` may be used from any thread."""

    def __init__(
        self,
        address: BrokerAddress,
        *,
        subscriptions: Sequence[Subscription],
        publishing: Publishing | None,
        timing: LinkTiming | None = None,
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1_000,
        monotonic_s: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = system_random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.address = address
        self._subscriptions = tuple(subscriptions)
        self._publishing = publishing
        self._timing = timing or LinkTiming()
        self._clock_us = clock_us
        self._monotonic_s = monotonic_s
        self._random = random
        self._sleep = sleep
        self._loop: asyncio.AbstractEventLoop | None = None
        self._outbox_wake = asyncio.Event()
        self._retained_wake = asyncio.Event()
        self._republish = False
        self._receipt: tuple[str, int] | None = None
        self._acked: list[Outgoing] = []
        self._health = LinkHealth()

    @property
    def health(self) -> LinkHealth:
        """How the link is now."""
        return self._health

    def wake(self) -> None:
        """Say that outbox or retained table have something new."""
        self._on_loop(self._wake_all)

    def republish(self) -> None:
        """Publish all retained topics again, soon: a reader has started anew."""
        self._republish = True
        self.wake()

    def receipt(self, epoch: str, seq: int) -> None:
        """Note the reader's receipt.

        A newer one replaces one that was not yet dealt with, since they are cumulative.
        """
        self._receipt = (epoch, seq)
        self.wake()

    async def run(self) -> None:
        """Keep the link up until cancelled; then say offline and part."""
        self._loop = asyncio.get_running_loop()
        attempt = 0
        while True:
            began_s = self._monotonic_s()
            try:
                # A task of its own, so that what cancels this one can be told from its task group's own cancelling.
                await asyncio.create_task(self.run_once(), name="link-once")
            except (LinkError, StateError) as error:
                if (task := asyncio.current_task()) is not None and task.cancelling():
                    # A link that fails in the moment of its cancellation: the task group tells of the failure alone.
                    self._note(connected=False)
                    raise asyncio.CancelledError from error
                if self._health.connected and self._monotonic_s() - began_s >= self._timing.stable_s:
                    attempt = 0
                delay_s = self._timing.reconnect.delay_s(attempt, random=self._random)
                attempt += 1
                self._note(connected=False, failures=attempt, last_error=str(error))
                log.warning("link_down", broker=str(self.address), why=str(error), retry_in_s=round(delay_s, 2))
                await self._sleep(delay_s)

    async def run_once(self) -> None:
        """Hold one connection until it ends, which raises BrokerLost."""
        self._loop = asyncio.get_running_loop()
        self._acked = []
        async with self._connection() as connection:
            self._note(connections=self._health.connections + 1, refused=())
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._read(connection), name="link-read")
                    group.create_task(self._serve(connection, group), name="link-serve")
            except asyncio.CancelledError:
                await self._farewell(connection)
                self._note(connected=False)
                raise
            except BaseExceptionGroup as errors:
                raise _first(errors) from errors

    def _connection(self) -> Connection:
        out = self._publishing
        will = None if out is None else Will(out.availability, out.offline)
        try:
            return Connection(self.address, will=will, timing=self._timing)
        except OSError as error:
            raise BrokerLost(str(self.address), f"TLS files can't be used: {error}") from error

    async def _read(self, connection: Connection) -> None:
        async for message in connection.messages():
            self._dispatch(message)

    def _dispatch(self, message: Incoming) -> None:
        for subscription in self._subscriptions:
            if not matches(subscription.topic, message.topic):
                continue
            if subscription.skip_retained and message.retained:
                return
            if len(message.payload) > subscription.max_bytes:
                self._count("oversized", message, f"{len(message.payload)} bytes, {subscription.max_bytes} allowed")
                return
            try:
                subscription.handle(message)
            except WireError as error:
                self._count("malformed", message, str(error))
            return
        self._count("unasked", message, "nobody subscribed to it")

    async def _serve(self, connection: Connection, group: asyncio.TaskGroup) -> None:
        await self._subscribe(connection)
        self._note(connected=True, last_error=None)
        log.info("link_up", broker=str(self.address))
        if self._publishing is not None:
            group.create_task(self._keep_retained(connection, self._publishing), name="link-retained")
            group.create_task(self._drain(connection, self._publishing, group), name="link-drain")

    async def _subscribe(self, connection: Connection) -> None:
        refused = []
        for subscription in self._subscriptions:
            if not await connection.subscribe(subscription.topic, qos=subscription.qos):
                refused.append(subscription.topic)
                log.error("subscription_refused", broker=str(self.address), topic=subscription.topic)
        self._note(refused=tuple(refused))

    async def _keep_retained(self, connection: Connection, out: Publishing) -> None:
        sent = 0
        await connection.publish(out.availability, out.online, qos=1, retain=True)
        while True:
            self._retained_wake.clear()
            if self._republish:
                await self._sleep(self._random() * self._timing.republish_spread_s)
                self._republish = False
                sent = 0
                await connection.publish(out.availability, out.online, qos=1, retain=True)
            for value in (values := out.retained.newer_than(sent)):
                await connection.publish(value.topic, value.payload, qos=value.qos, retain=True)
            sent = max((value.version for value in values), default=sent)
            await self._retained_wake.wait()

    async def _drain(self, connection: Connection, out: Publishing, group: asyncio.TaskGroup) -> None:
        delivery = Delivery(out.outbox, window=WINDOW, resend=self._timing.resend, random=self._random)
        while True:
            self._outbox_wake.clear()
            acked, self._acked = self._acked, []
            receipt, self._receipt = self._receipt, None
            if acked:
                await in_thread(delivery.acked, acked, now_s=self._monotonic_s())
            if receipt is not None:
                epoch, seq = receipt
                effect = await in_thread(delivery.receipt, epoch=epoch, seq=seq, now_s=self._monotonic_s())
                log.debug("receipt", epoch=epoch, seq=seq, effect=effect.name.lower())
            for message in await in_thread(delivery.take, now_s=self._monotonic_s(), now_us=self._clock_us()):
                group.create_task(self._deliver(connection, out.topic_of(message.leaf), message), name="link-deliver")
            self._note(resend_rounds=delivery.rounds, published=self._health.published + len(acked))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delivery.wait_s(now_s=self._monotonic_s())):
                    await self._outbox_wake.wait()

    async def _deliver(self, connection: Connection, topic: str, message: Outgoing) -> None:
        await connection.publish(topic, message.payload, qos=1, retain=False)
        self._acked.append(message)
        self._outbox_wake.set()

    async def _farewell(self, connection: Connection) -> None:
        out = self._publishing
        with contextlib.suppress(BrokerLost, TimeoutError):
            async with asyncio.timeout(self._timing.farewell_s):
                if out is not None:
                    await connection.publish(out.availability, out.offline, qos=1, retain=True)
                await connection.goodbye()

    def _count(self, what: str, message: Incoming, why: str) -> None:
        count = getattr(self._health, what) + 1
        self._note(**{what: count})
        if count & (count - 1) == 0:  # the 1st, 2nd, 4th, 8th: a flood of bad messages must not become a flood of lines
            log.warning("message_dropped", kind=what, topic=message.topic[:200], why=why, count=count)

    def _note(self, **changes: object) -> None:
        self._health = replace(self._health, **changes)  # type: ignore[arg-type] # field names are this module's own

    def _wake_all(self) -> None:
        self._outbox_wake.set()
        self._retained_wake.set()

    def _on_loop(self, call: Callable[[], None]) -> None:
        if self._loop is None:
            call()  # nobody waits yet
            return
        with contextlib.suppress(
            RuntimeError
        ):  # the loop is closed: the link is over, and the outbox keeps what it has
            self._loop.call_soon_threadsafe(call)


def matches(topic_filter: str, topic: str) -> bool:
    """Say whether a filter, in which `+` stands for one level, takes in a topic."""
    wanted, given = topic_filter.split("/"), topic.split("/")
    return len(wanted) == len(given) and all(level in ("+", there) for level, there in zip(wanted, given, strict=True))


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first of a group's errors, one that is not ours to retry before others."""
    found = [_first(error) if isinstance(error, BaseExceptionGroup) else error for error in errors.exceptions]
    return next((error for error in found if not isinstance(error, LinkError | StateError)), found[0])
