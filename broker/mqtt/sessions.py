"""One client's session (section 4.1): what it subscribed to, what is on its way to it, what waits for it.

No I/O: bytes go to a Link, which the server implements over a socket and a test over a list.
"""

from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from broker.mqtt.access import Identity
from broker.mqtt.limits import Limits
from broker.mqtt.packets import Publish, encode_publish

_LAST_PACKET_ID: Final = 0xFFFF


class Link(Protocol):
    """The way to one client. Neither call may come back into the core before it returns."""

    writable: bool
    """False while the client reads more slowly than it is sent to."""

    def send(self, data: bytes) -> None:
        """Take bytes to be sent, in order, without waiting."""

    def close(self) -> None:
        """Send what was taken, then close; nothing that arrives is read any more."""


class Session:
    """State that outlives a connection unless `clean`; `link` is None while the client is away."""

    __slots__ = (
        "_backlog",
        "_inflight",
        "_last_packet_id",
        "_limits",
        "_queue",
        "_queued_bytes",
        "_resend",
        "clean",
        "client_id",
        "denied",
        "dropped",
        "identity",
        "link",
        "subscriptions",
    )

    def __init__(self, *, client_id: str, identity: Identity, clean: bool, limits: Limits) -> None:
        self.client_id = client_id
        self.identity = identity
        self.clean = clean
        self.link: Link | None = None
        self.subscriptions: dict[str, int] = {}
        self.dropped = 0  # messages, since the client last came
        self.denied = 0  # messages and subscriptions
        self._limits = limits
        self._inflight: dict[int, tuple[Publish, bool]] = {}  # in the order sent, with the retain flag
        self._resend: list[int] = []  # packet ids in flight that this connection was not sent yet, the next one last
        self._queue: deque[Publish] = deque()  # QoS 1 only
        self._queued_bytes = 0
        self._backlog: dict[str, int] = {}  # topics whose retained message is still to be sent, and at which QoS
        self._last_packet_id = 0

    def deliver(self, message: Publish, qos: int, encoded: bytes | None = None) -> bool:
        """Send `message` now, or keep it where QoS 1 asks for that; False when it was dropped.

        `encoded` is its QoS 0 form, where the caller has it.
        """
        link = self.link
        if qos == 0:
            if link is None:
                return True  # QoS 0 is for those who are there
            if not link.writable:
                return self._drop()
            link.send(encoded or encode_publish(message.topic, message.payload, 0, False, False, None))
            return True
        if link is not None and link.writable and not self._queue and self._has_room:
            self._send(link, message, retain=False)
            return True
        size = len(message.payload)
        full = len(self._queue) >= self._limits.max_queued_messages
        if full or self._queued_bytes + size > self._limits.max_queued_bytes:
            return self._drop()
        self._queue.append(message)
        self._queued_bytes += size
        return True

    def owe_retained(self, topic: str, qos: int) -> None:
        """Note that the retained message of `topic` is to be sent; its content is looked up when there is room."""
        self._backlog[topic] = max(qos, self._backlog.get(topic, 0))

    def acknowledge(self, packet_id: int) -> None:
        """Take a PUBACK; one for nothing that is in flight changes nothing."""
        self._inflight.pop(packet_id, None)

    def pump(self, retained: Callable[[str], Publish | None]) -> None:
        """Send what waits while there is room: what is sent again, then retained messages, then the queue."""
        link = self.link
        while link is not None and link.writable:
            if self._resend:
                self._send_again(link, self._resend.pop())
            elif self._backlog:
                topic = next(iter(self._backlog))
                if self._backlog[topic] and not self._has_room:
                    return
                qos = self._backlog.pop(topic)
                message = retained(topic)
                if message is not None and self.identity.grants.may_receive(topic):
                    self._send_retained(link, message, qos)
            elif self._queue and self._has_room:
                message = self._queue.popleft()
                self._queued_bytes -= len(message.payload)
                self._send(link, message, retain=False)
            else:
                return

    def resume(self, link: Link) -> None:
        """Take the client back; `pump` sends what it never acknowledged first, in its old order (section 4.4)."""
        self.link = link
        self.dropped = 0
        self._resend = list(reversed(self._inflight))

    @property
    def _has_room(self) -> bool:
        return len(self._inflight) < self._limits.max_inflight

    def _send_again(self, link: Link, packet_id: int) -> None:
        held = self._inflight.get(packet_id)
        if held is not None:
            message, retain = held
            link.send(encode_publish(message.topic, message.payload, 1, retain, True, packet_id))

    def _send_retained(self, link: Link, message: Publish, qos: int) -> None:
        if min(qos, message.qos):
            self._send(link, message, retain=True)
        else:
            link.send(encode_publish(message.topic, message.payload, 0, True, False, None))

    def _send(self, link: Link, message: Publish, *, retain: bool) -> None:
        packet_id = self._last_packet_id
        while True:
            packet_id = packet_id + 1 if packet_id < _LAST_PACKET_ID else 1
            if packet_id not in self._inflight:
                break
        self._last_packet_id = packet_id
        self._inflight[packet_id] = (message, retain)
        link.send(encode_publish(message.topic, message.payload, 1, retain, False, packet_id))

    def _drop(self) -> bool:
        self.dropped += 1
        return False
