"""One client's socket: bytes to packets for the core, the Link by which the core answers, and the gate before both.

Reading and writing never wait for a client. What is sent to one client in the same turn of the loop goes out in one
write; what it does not read is bounded by `Limits.soft_buffer_bytes` and `Limits.hard_buffer_bytes`, so that a slow
reader costs the others nothing.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import structlog

from broker.mqtt.access import AccessPolicy, Identity
from broker.mqtt.core import BrokerCore, Connection
from broker.mqtt.errors import MqttError, Refused
from broker.mqtt.limits import Limits
from broker.mqtt.packets import Connect
from broker.mqtt.parser import Parser

log = structlog.get_logger()

_CHUNK_BYTES: Final = 65_536  # written at once, without waiting for the turn's end


class Gate:
    """What all connections share, and who is let in."""

    def __init__(self, *, policy: AccessPolicy, core: BrokerCore, limits: Limits, clock: Callable[[], float]) -> None:
        self.core = core
        self.limits = limits
        self.clock = clock
        self.protocols: set[ClientProtocol] = set()
        self.empty = asyncio.Event()  # set while there are none
        self.empty.set()
        self.policy = policy
        # One thread: hashing passwords may not starve the loop, nor take every core.
        self._hashing = ThreadPoolExecutor(1, thread_name_prefix="mqtt-password")

    def needs_hashing(self, packet: Connect) -> bool:
        """Say whether `authenticate` takes the time of a password hash."""
        return packet.username is not None and not self.policy.is_open

    def authenticate(self, packet: Connect, certified_name: str | None) -> Identity:
        """Return who the client is; raises Refused."""
        return self.policy.authenticate(
            username=packet.username, password=packet.password, certified_name=certified_name
        )

    def hash_in_thread(self, packet: Connect) -> asyncio.Future[Identity]:
        """Run `authenticate` off the loop."""
        return asyncio.get_running_loop().run_in_executor(self._hashing, self.authenticate, packet, None)

    async def closed(self, *, within_s: float) -> None:
        """Wait for every connection to end; what has not by then is cut off."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self.empty.wait()
        for protocol in self.protocols:
            protocol.abort()
        await self.empty.wait()
        self._hashing.shutdown(wait=False, cancel_futures=True)


class ClientProtocol(asyncio.Protocol):
    """One client's socket: bytes to packets for the core, and the Link by which the core answers."""

    __slots__ = (
        "_closing",
        "_connection",
        "_gate",
        "_out",
        "_out_bytes",
        "_parser",
        "_transport",
        "_waiting",
        "writable",
    )

    def __init__(self, gate: Gate) -> None:
        self.writable = True
        self._gate = gate
        self._parser = Parser(max_packet=min(gate.limits.max_connect_bytes, gate.limits.max_packet_bytes))
        self._connection: Connection | None = None
        self._transport: asyncio.Transport | None = None
        self._out: list[bytes] = []
        self._out_bytes = 0
        self._closing = False
        self._waiting = False  # for the password to be checked; packets stay in the parser until then

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Tell the core, which may say that there are too many."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - asyncio's promise for a stream protocol
        self._transport = transport
        transport.set_write_buffer_limits(high=self._gate.limits.soft_buffer_bytes)
        raw = transport.get_extra_info("socket")
        if raw is not None and raw.family in (socket.AF_INET, socket.AF_INET6):
            # A client may ask for no keepalive at all; then TCP's own finds out that its machine is gone.
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._gate.protocols.add(self)
        self._gate.empty.clear()
        self._connection = self._gate.core.opened(self, now_s=self._gate.clock())
        if self._connection is None:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Tell the core, whatever the cause."""
        self._closing = True
        self._out.clear()
        self._gate.protocols.discard(self)
        if not self._gate.protocols:
            self._gate.empty.set()
        if self._connection is not None:
            self._gate.core.lost(self._connection)

    def data_received(self, data: bytes) -> None:
        """Take packets out of what came, unless the password is still being checked."""
        if self._closing:
            return
        self._parser.feed(data)
        if not self._waiting:
            self._take_packets()

    def pause_writing(self) -> None:
        """Note that the soft bound is reached."""
        self.writable = False

    def resume_writing(self) -> None:
        """Let the core send what waited."""
        self.writable = True
        if self._connection is not None and not self._closing:
            self._gate.core.drained(self._connection)

    def send(self, data: bytes) -> None:
        """Collect `data` for this turn's one write."""
        if self._closing:
            return
        if not self._out:
            asyncio.get_running_loop().call_soon(self._flush)
        self._out.append(data)
        self._out_bytes += len(data)
        if self._out_bytes >= _CHUNK_BYTES:
            self._flush()

    def close(self) -> None:
        """Send what was collected and close, by force if the client does not read it in time."""
        if self._closing or self._transport is None:
            return
        self._flush()
        self._closing = True
        self._transport.close()
        if self._transport.get_write_buffer_size():
            asyncio.get_running_loop().call_later(self._gate.limits.close_linger_s, self.abort)

    def abort(self) -> None:
        """Close at once; what was not sent is lost."""
        self._closing = True
        if self._transport is not None:
            self._transport.abort()

    def _flush(self) -> None:
        if not self._out or self._closing or self._transport is None:
            return
        data = self._out[0] if len(self._out) == 1 else b"".join(self._out)
        self._out.clear()
        self._out_bytes = 0
        self._transport.write(data)
        unsent = self._transport.get_write_buffer_size()
        if unsent > self._gate.limits.hard_buffer_bytes:
            log.warning("mqtt_cut_off", unsent_bytes=unsent, limit_bytes=self._gate.limits.hard_buffer_bytes)
            self.abort()

    def _take_packets(self) -> None:
        connection = self._connection
        if connection is None:
            return
        receive, take = self._gate.core.receive, self._parser.next
        now_s = self._gate.clock()
        try:
            while not connection.closed and not self._closing:
                packet = take()
                if packet is None:
                    return
                if isinstance(packet, Connect) and connection.session is None:
                    if self._begin(connection, packet):
                        return
                else:
                    receive(connection, packet, now_s=now_s)
        except MqttError as error:
            self._gate.core.broke(connection, error)

    def _begin(self, connection: Connection, packet: Connect) -> bool:
        """Let the client in or turn it away; True when that has to wait for a password to be hashed."""
        certified_name = _common_name(self._transport)
        if certified_name is None and self._gate.needs_hashing(packet):
            self._waiting = True
            if self._transport is not None:
                self._transport.pause_reading()
            policy = self._gate.policy
            checked = self._gate.hash_in_thread(packet)
            checked.add_done_callback(lambda future: self._checked(connection, packet, policy, future))
            return True
        try:
            self._admit(connection, packet, self._gate.authenticate(packet, certified_name))
        except Refused as refusal:
            self._gate.core.refuse(connection, refusal)
        return False

    def _checked(
        self, connection: Connection, packet: Connect, policy: AccessPolicy, checked: "asyncio.Future[Identity]"
    ) -> None:
        if checked.cancelled() or connection.closed or self._transport is None:
            return
        if self._gate.policy is not policy:
            # It was replaced meanwhile: the password is checked again.
            if self._begin(connection, packet):
                return
        else:
            try:
                self._admit(connection, packet, checked.result())
            except Refused as refusal:
                self._gate.core.refuse(connection, refusal)
        if not connection.closed:
            self._waiting = False
            self._transport.resume_reading()
            self._take_packets()

    def _admit(self, connection: Connection, packet: Connect, identity: Identity) -> None:
        self._gate.core.connect(connection, packet, identity, now_s=self._gate.clock())
        self._parser.max_packet = self._gate.limits.max_packet_bytes


def _common_name(transport: asyncio.BaseTransport | None) -> str | None:
    """Return the common name of the client certificate that TLS verified, if there was one."""
    certificate = transport.get_extra_info("peercert") if transport is not None else None
    for names in (certificate or {}).get("subject", ()):
        for key, value in names:
            if key == "commonName":
                return str(value)
    return None
