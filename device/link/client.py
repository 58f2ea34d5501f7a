"""One MQTT connection: aiomqtt with its traps closed. Nothing else at home imports aiomqtt.

What a caller may rely on, and could not with the bare client:

- a Connection is entered once; the next connection is a new one, so that no message of an old memory queue is sent
  again;
- a refused SUBSCRIBE is seen: `subscribe` returns whether the broker granted it (SUBACK, MQTT 3.1.1 section 3.9.3);
- a connection that ends before its CONNACK fails at once, not at the time-out; one that ends with it fails too, where
  the bare client forgets the end and waits for ever;
- time-outs are `asyncio.timeout`: the bare client's `wait_for` swallows, before Python 3.12, a cancellation that comes
  together with the answer, and the task then lives on;
- leaving, by error or cancellation, also before the CONNACK, closes the socket at once, without waiting and without a
  DISCONNECT: the broker publishes the last will. Only `goodbye` parts politely;
- a packet above MAX_PACKET_BYTES ends the connection at its head; the bare client would first gather up to 256 MB;
- the incoming queue is unbounded: a bounded one acknowledges first and discards then. The caller reads without pause
  and bounds what it keeps.
"""

import asyncio
import contextlib
import logging
import math
import socket
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiomqtt

from .errors import BrokerLost
from .settings import BrokerAddress, LinkTiming, TlsContext

MAX_WINDOW = 40
# Far above all that is subscribed to: what is too large for its topic alone is dropped and counted, and ends nothing.
MAX_PACKET_BYTES = 4 * 1024 * 1024
REFUSED = 0x80  # SUBACK return code "failure"
# Without it an event waits up to 40 ms for the acknowledgement of whatever small packet went before.
NO_DELAY = ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),)
UNSPECIFIED = 0x80  # what paho calls a connection that simply ended
_quiet = logging.getLogger("device.link.paho")
_quiet.addHandler(logging.NullHandler())
_quiet.propagate = False  # what paho has to say we say ourselves, as an event


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes, retained and at QoS 1, when this connection breaks off."""

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Incoming:
    """One message as it came; `retained` means that it was on the broker before we subscribed."""

    topic: str
    payload: bytes
    retained: bool


class Connection:
    """One connection from CONNECT to its end; an async context manager that is entered once. Raises BrokerLost."""

    def __init__(self, address: BrokerAddress, *, will: Will | None, timing: LinkTiming) -> None:
        self._address = address
        self._timing = timing
        self._client = _Client(
            address.host,
            address.port,
            identifier=address.client_id,
            username=address.username,
            password=address.password,
            protocol=aiomqtt.ProtocolVersion.V311,
            will=None if will is None else aiomqtt.Will(will.topic, will.payload, qos=1, retain=True),
            clean_session=True,
            keepalive=address.keepalive_s,
            timeout=math.inf,
            max_inflight_messages=MAX_WINDOW,
            tls_context=None if address.tls is None else address.tls.context(),
            logger=_quiet,
            socket_options=NO_DELAY,
        )
        self._client.pending_calls_threshold = MAX_WINDOW

    async def __aenter__(self) -> Self:
        try:
            async with asyncio.timeout(self._timing.connect_s):
                await self._client.__aenter__()
        except TimeoutError as error:
            self._client.abort()
            raise BrokerLost(str(self._address), "timed out before it accepted us") from error
        except (aiomqtt.MqttError, ValueError) as error:  # ValueError: a host that can't be one, found by the resolver
            self._client.abort()
            raise BrokerLost(str(self._address), str(error) or "no connection") from error
        except asyncio.CancelledError:
            self._client.abort()
            raise
        if self._client.ended:
            self._client.abort()
            raise BrokerLost(str(self._address), self._client.refusal or "closed as soon as it had accepted us")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.abort()

    async def goodbye(self) -> None:
        """Send DISCONNECT and close: the broker publishes no last will."""
        with contextlib.suppress(aiomqtt.MqttError):
            await self._client.__aexit__(None, None, None)

    async def subscribe(self, topic_filter: str, *, qos: int) -> bool:
        """Subscribe, and say whether the broker granted it."""
        async with self._answer_to(f"SUBACK for {topic_filter}"):
            codes = await self._client.subscribe(topic_filter, qos=qos)
        return all(_code(code) < REFUSED for code in codes)

    async def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool) -> None:
        """Hand a message over, and at QoS 1 wait for its PUBACK. The message is on its way before the first await.

        In MQTT 3.1.1 a broker can't say that it dropped a message which its policy forbids: a PUBACK is no receipt.
        """
        async with self._answer_to(f"PUBACK for {topic}"):
            await self._client.publish(topic, payload, qos=qos, retain=retain)

    @contextlib.asynccontextmanager
    async def _answer_to(self, what: str) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._timing.ack_s):
                yield
        except (aiomqtt.MqttError, TimeoutError) as error:
            raise BrokerLost(str(self._address), f"no {what} ({str(error) or 'timed out'})") from error

    async def messages(self) -> AsyncIterator[Incoming]:
        """Yield what comes in until the connection ends, which raises BrokerLost.

        One reader; cancelling it may lose a message.
        """
        try:
            async for message in self._client.messages:
                payload = message.payload
                yield Incoming(str(message.topic), payload if isinstance(payload, bytes) else b"", message.retain)
        except aiomqtt.MqttError as error:
            raise BrokerLost(str(self._address), self._client.refusal or _why(error)) from error


class _Client(aiomqtt.Client):
    """The bare client, and the one thing that it lacks: a way to close the socket at once, whatever it is doing.

    Connecting runs in a thread that can't be stopped. If that is under way, it closes what it made when it is done.
    """

    def __init__(self, *args: Any, tls_context: TlsContext | None, **kwargs: Any) -> None:
        super().__init__(*args, tls_context=tls_context, **kwargs)
        self._tls = tls_context
        self._guard = threading.Lock()
        self._connecting = False
        self._abandoned = False
        self.ended = False
        self.refusal = ""  # why it was we who ended it
        self._receive_bare = self._client._sock_recv  # noqa: SLF001 - paho has no limit of its own
        self._client._sock_recv = self._receive  # type: ignore[method-assign, assignment] # noqa: SLF001 - as above

    def _receive(self, count: int) -> bytes:
        # paho asks for the rest of a packet at once, as soon as it knows the length. An OSError ends the connection.
        if count > MAX_PACKET_BYTES:
            self.refusal = f"it sent a packet of {count} bytes, {MAX_PACKET_BYTES} are taken"
            raise ConnectionAbortedError(self.refusal)
        return self._receive_bare(count)

    def abort(self) -> None:
        """Close the socket, if there is or will be one; its reader, writer and timer leave the event loop with it."""
        with self._guard:
            self._abandoned = True
            if self._connecting:
                return
        # Not now: the connecting thread may have queued the reader's registration, and it must find its socket open.
        self._loop.call_soon(self._close_socket)

    def _on_disconnect(self, *args: Any, **kwargs: Any) -> None:
        super()._on_disconnect(*args, **kwargs)
        self.ended = True
        if self._disconnected.done() and not self._disconnected.cancelled():
            self._disconnected.exception()  # seen: whoever reads tells of it, and where nobody does it is no news
        # The bare client ignores an end before the CONNACK. This may be the connecting thread.
        if not self._connected.done():
            self._loop.call_soon_threadsafe(_fail, self._connected)

    def _client_connect(self) -> None:
        with self._guard:
            self._connecting = not self._abandoned
        if not self._connecting:
            return
        try:
            super()._client_connect()
        except OSError:
            if self._tls is not None and self._tls.wrapped is not None:
                self._tls.wrapped.close()  # paho forgets it when the handshake fails
            raise
        finally:
            with self._guard:
                self._connecting = False
                abandoned = self._abandoned
            if abandoned:
                self._loop.call_soon_threadsafe(self._close_socket)

    def _close_socket(self) -> None:
        # paho's own way: its public ones send a DISCONNECT, upon which the broker forgets the last will.
        self._client._sock_close()  # noqa: SLF001 - see above


def _fail(connected: asyncio.Future[None]) -> None:
    if not connected.done():
        connected.set_exception(aiomqtt.MqttError("closed before it was accepted"))
        connected.exception()  # seen: if nobody waits any more, that is no unretrieved error


def _why(error: aiomqtt.MqttError) -> str:
    cause = error.__cause__ or error
    if isinstance(cause, aiomqtt.MqttCodeError) and getattr(cause.rc, "value", None) == UNSPECIFIED:
        return "the connection broke"
    return str(cause)


def _code(code: Any) -> int:
    return int(code if isinstance(code, int) else code.value)
