"""A small raw MQTT client for tests: it sends what it is told, wrong if need be, and hides nothing of what it gets."""

import asyncio
import socket
from collections.abc import Callable
from typing import TypeVar

from broker.mqtt.packets import (
    ConnAck,
    Connect,
    Disconnect,
    Packet,
    PingReq,
    PingResp,
    PubAck,
    Publish,
    SubAck,
    Subscribe,
    UnsubAck,
    Unsubscribe,
    encode,
)
from broker.mqtt.parser import Parser

PATIENCE_S = 10.0

Kind = TypeVar("Kind", bound=Packet)


class Gone(Exception):  # noqa: N818 - the broker closed, which some tests wait for
    """The broker closed the connection."""


class RawClient:
    """One connection; messages that arrive while another packet is awaited are kept in `inbox`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.inbox: list[Publish] = []
        self.auto_ack = True
        self.session_present = False
        self._reader = reader
        self._writer = writer
        self._parser = Parser(max_packet=8_000_000)
        self._packet_id = 0

    @classmethod
    async def open(cls, port: int, *, receive_buffer: int | None = None) -> "RawClient":
        """Connect the socket alone; a small `receive_buffer` (bytes) keeps the kernel from reading ahead."""
        raw = socket.socket()
        raw.setblocking(False)
        if receive_buffer is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", port))
        except OSError:
            raw.close()
            raise
        return cls(*await asyncio.open_connection(sock=raw))

    async def connect(self, packet: Connect) -> int:
        """Send CONNECT and return the CONNACK's code."""
        await self.send(packet)
        answer = await self.answer(ConnAck)
        self.session_present = answer.session_present
        return answer.return_code

    async def send(self, *packets: Packet) -> None:
        """Send packets in one write."""
        await self.send_bytes(b"".join(map(encode, packets)))

    async def send_bytes(self, data: bytes) -> None:
        """Send anything."""
        self._writer.write(data)
        await self._writer.drain()

    async def receive(self) -> Packet:
        """Return the next packet, a message or not; raises Gone."""
        async with asyncio.timeout(PATIENCE_S):
            while (packet := self._parser.next()) is None:
                try:
                    data = await self._reader.read(65_536)
                except ConnectionError:
                    data = b""
                if not data:
                    raise Gone
                self._parser.feed(data)
        if isinstance(packet, Publish) and packet.packet_id is not None and self.auto_ack:
            await self.send(PubAck(packet.packet_id))
        return packet

    async def answer(self, kind: type[Kind]) -> Kind:
        """Return the next packet of `kind`; messages before it go to the inbox, anything else is a failure."""
        while True:
            packet = await self.receive()
            if isinstance(packet, kind):
                return packet
            assert isinstance(packet, Publish), f"{packet} instead of {kind.__name__}"
            self.inbox.append(packet)

    async def messages(self, count: int) -> list[Publish]:
        """Wait for `count` messages and take them out of the inbox."""
        while len(self.inbox) < count:
            self.inbox.append(await self.answer(Publish))
        taken, self.inbox = self.inbox[:count], self.inbox[count:]
        return taken

    async def settled(self) -> list[Publish]:
        """Return all that the broker had sent by the time it answers a ping, and empty the inbox."""
        await self.send(PingReq())
        await self.answer(PingResp)
        taken, self.inbox = self.inbox, []
        return taken

    async def until(self, enough: Callable[[list[Publish]], bool]) -> list[Publish]:
        """Wait until the inbox is `enough`, and empty it."""
        while not enough(self.inbox):
            self.inbox.append(await self.answer(Publish))
        taken, self.inbox = self.inbox, []
        return taken

    async def closed(self) -> None:
        """Wait for the broker to close, whatever it sends before."""
        try:
            while True:
                await self.receive()
        except Gone:
            return

    async def subscribe(self, *filters: str, qos: int = 1) -> tuple[int, ...]:
        """Subscribe to all `filters` at one QoS and return the codes."""
        self._packet_id += 1
        await self.send(Subscribe(self._packet_id, tuple((text, qos) for text in filters)))
        answer = await self.answer(SubAck)
        assert answer.packet_id == self._packet_id
        return answer.return_codes

    async def unsubscribe(self, *filters: str) -> None:
        """Unsubscribe and wait for the answer."""
        self._packet_id += 1
        await self.send(Unsubscribe(self._packet_id, filters))
        assert (await self.answer(UnsubAck)).packet_id == self._packet_id

    async def publish(self, topic: str, payload: bytes = b"x", *, qos: int = 1, retain: bool = False) -> None:
        """Publish; at QoS 1 return when it is acknowledged."""
        if qos == 0:
            await self.send(Publish(topic, payload, 0, retain))
            return
        self._packet_id += 1
        await self.send(Publish(topic, payload, 1, retain, packet_id=self._packet_id))
        assert (await self.answer(PubAck)).packet_id == self._packet_id

    async def publish_many(self, topic: str, payloads: list[bytes]) -> None:
        """Publish all at QoS 1 in one go, and return when the last is acknowledged."""
        first = self._packet_id + 1
        self._packet_id += len(payloads)
        sending = asyncio.create_task(
            self.send(*(Publish(topic, payload, 1, packet_id=first + at) for at, payload in enumerate(payloads)))
        )
        for _ in payloads:
            await self.answer(PubAck)
        await sending

    async def disconnect(self) -> None:
        """Leave with a word."""
        await self.send(Disconnect())
        await self.closed()

    def abort(self) -> None:
        """Leave without a word, by a reset."""
        self._writer.transport.abort()

    async def close(self) -> None:
        """Let go of the socket."""
        self._writer.transport.abort()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            return
