"""How log, feed and inbox are served: uvicorn, with bounds that keep a few clients from making everybody wait.

Uvicorn has no deadlines, and a connection costs a file descriptor that the MQTT broker in the same process needs too.
So a connection ends when

- a head takes longer than `HEAD_S`;
- a body stops for `BODY_IDLE_S`, or falls behind `LEAST_RATE` once `BODY_S` are over: 408;
- nothing of an answer is taken for `DRAIN_S`;
- more of a body comes than `MOST_DISCARDED` after its answer;
- there are more than the share of the descriptors that there really are, or than one client address may have.

A reverse proxy before all this is one address: its pool of connections has to fit into `ADDRESS_SHARE`, and what one
client may have is then for the proxy to bound.
"""

import asyncio
import contextlib
import ipaddress
import resource
import socket
from collections import Counter
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, ClassVar, NamedTuple

import h11
import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

log = structlog.get_logger()

HEAD_S = 10.0
BODY_IDLE_S = 10.0
BODY_S = 60.0
LEAST_RATE = (
    1024.0  # bytes a second, reckoned beyond BODY_S: a long upload goes on, one of a byte now and then does not
)
DRAIN_S = 20.0
UNSENT_BYTES = 128 * 1024  # that the kernel keeps of an answer; without a bound megabytes for each connection
MOST_BUFFERED = 16 * 1024  # of an answer, before its handler has to wait
MOST_DISCARDED = 256 * 1024
SHUTDOWN_S = 3
HTTP_SHARE = 0.4  # of the descriptors; MQTT has as much, files the rest
MOST_CONNECTIONS = 20_000
ADDRESS_SHARE = 0.25  # of the connections
ADDRESS_LEAST = 64
_ONE_SITE = 64  # bits of an IPv6 address that are one client's; the others are its own to choose
_LOOKS = 4  # within DRAIN_S
_BOTH = frozenset({b"content-length", b"transfer-encoding"})


class _Awaited(NamedTuple):
    """What a client owes: `what` is "head", "body", or nothing, and `after` tells one head from the next."""

    after: object
    what: str


class PatientProtocol(H11Protocol):
    """HTTP/1.1 with deadlines for what is read and written, and bounds on connections."""

    most_connections = MOST_CONNECTIONS
    address_least = ADDRESS_LEAST
    head_s = HEAD_S
    body_idle_s = BODY_IDLE_S
    body_s = BODY_S
    least_rate = LEAST_RATE
    drain_s = DRAIN_S
    crowd: ClassVar[Counter[str]] = Counter()  # connections of each address; each server has its own

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._address = ""
        self._awaited: _Awaited | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._since_s = self._last_s = 0.0
        self._taken = 0
        self._draining: asyncio.TimerHandle | None = None
        self._left = 0
        self._moved_s = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head, or close at once where too many wait already."""
        super().connection_made(transport)
        self._address = _site_of(self.client)
        self.crowd[self._address] += 1
        share = max(self.address_least, int(self.most_connections * ADDRESS_SHARE))
        if len(self.connections) > self.most_connections or self.crowd[self._address] > share:
            transport.close()
            return
        transport.set_write_buffer_limits(high=MOST_BUFFERED)
        self._expect()

    def data_received(self, data: bytes) -> None:
        """Take bytes, and see what is owed after them."""
        self._last_s = self.loop.time()
        self._taken += len(data)
        super().data_received(data)
        self._expect()
        answered = self.cycle is not None and self.cycle.response_complete
        if answered and self.conn.their_state is h11.SEND_BODY and self._taken > MOST_DISCARDED:
            self.transport.close()

    def on_response_complete(self) -> None:
        """Wait for the next head, and for the answer to be taken."""
        super().on_response_complete()
        self._expect()
        self._drain()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadlines and the count."""
        for timer in (self._deadline, self._draining):
            if timer is not None:
                timer.cancel()
        self.crowd[self._address] -= 1
        if not self.crowd[self._address]:
            del self.crowd[self._address]
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Let the handler wait, but not for ever."""
        super().pause_writing()
        self._drain()

    def resume_writing(self) -> None:
        """Let the handler go on."""
        super().resume_writing()
        self._moved_s = self.loop.time()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's name and signature; the status says it
        """Refuse what is no HTTP."""
        self._refuse(HTTPStatus.BAD_REQUEST)

    def _expect(self) -> None:
        """Begin a deadline when something else is owed than before."""
        idle = self.cycle is None or self.cycle.response_complete
        awaited = _Awaited(self.cycle, "head" if idle else "body" if self.cycle.more_body else "")
        if awaited == self._awaited:
            return
        self._awaited, self._taken = awaited, 0
        self._since_s = self._last_s = self.loop.time()
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self.loop.call_at(self._due_s(), self._late) if awaited.what else None

    def _due_s(self) -> float:
        if self._awaited is None or self._awaited.what == "head":
            return self._since_s + self.head_s
        return min(self._last_s + self.body_idle_s, self._since_s + self.body_s + self._taken / self.least_rate)

    def _late(self) -> None:
        body = self._awaited is not None and self._awaited.what == "body"
        if body and self.flow.read_paused:  # the handler takes no more; the client can't help it
            self._since_s = self._last_s = self.loop.time()
        if self.loop.time() < self._due_s():
            self._deadline = self.loop.call_at(self._due_s(), self._late)
        elif body:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)
        else:
            self.transport.close()

    def _refuse(self, status: HTTPStatus) -> None:
        """Answer where nothing was answered yet, and close; the handler learns that its client has gone."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            headers = [(b"content-length", b"0"), (b"connection", b"close")]
            answer = h11.Response(status_code=status, headers=headers, reason=status.phrase.encode())
            for event in (answer, h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
        self._drain()

    def _drain(self) -> None:
        """See to it that what is to be written is taken, also on a connection that closes after it."""
        left = self.transport.get_write_buffer_size()
        if left and self._draining is None:
            self._left, self._moved_s = left, self.loop.time()
            self._draining = self.loop.call_later(self.drain_s / _LOOKS, self._look)

    def _look(self) -> None:
        self._draining = None
        left, now_s = self.transport.get_write_buffer_size(), self.loop.time()
        if left != self._left:
            self._left, self._moved_s = left, now_s
        if left and now_s - self._moved_s >= self.drain_s:
            self.transport.abort()
        elif left:
            self._draining = self.loop.call_later(self.drain_s / _LOOKS, self._look)


class Server(uvicorn.Server):
    """Uvicorn that says when it listens, and leaves signals to the process."""

    def __init__(self, app: Starlette) -> None:
        class Protocol(PatientProtocol):
            crowd: ClassVar[Counter[str]] = Counter()

        super().__init__(
            uvicorn.Config(
                _guarded(app),
                http=Protocol,
                ws="none",  # a connection that is upgraded would leave the bounds
                log_config=None,
                log_level="error",  # what uvicorn warns of, any client can bring about as often as it likes
                access_log=False,
                lifespan="off",
                timeout_graceful_shutdown=SHUTDOWN_S,
            )
        )
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        for one in (
            sockets or []
        ):  # whose connections inherit it: what waits for a reader waits here, where it is bounded
            with contextlib.suppress(AttributeError, OSError):  # no such option on some systems, nor on Unix sockets
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


def share_descriptors() -> int:
    """Raise the soft limit of descriptors to the hard one; returns how many connections HTTP, and MQTT, may have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    share = MOST_CONNECTIONS if hard == resource.RLIM_INFINITY else int(hard * HTTP_SHARE)
    share = max(1, min(MOST_CONNECTIONS, share))
    PatientProtocol.most_connections = share
    return share


def _guarded(app: ASGIApp) -> ASGIApp:
    """Refuse a body of two lengths, and make nothing of clients that go before their body ends."""

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        if {name for name, _ in scope["headers"]} >= _BOTH:  # RFC 9112, 6.1: perhaps smuggled past a proxy
            refusal = PlainTextResponse("a body has one length\n", 400, {"Connection": "close"})
            await refusal(scope, receive, send)
            return
        try:
            await app(scope, receive, send)
        except ClientDisconnect:
            log.debug("client_gone", method=scope["method"])

    return guarded


def _site_of(client: tuple[str, int] | None) -> str:
    """Return what counts as one client: an IPv4 address, or the network of an IPv6 one."""
    if client is None:
        return ""
    try:
        address = ipaddress.ip_address(client[0])
    except ValueError:
        return client[0]
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, _ONE_SITE), strict=False))
