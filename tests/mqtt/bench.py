"""The core on a bench: a list for a link, a number for a clock."""

from dataclasses import dataclass, field

from broker.mqtt import AccessPolicy, Limits
from broker.mqtt.access import Identity
from broker.mqtt.core import BrokerCore, Connection
from broker.mqtt.packets import Connect, Packet, Publish
from broker.mqtt.parser import Parser

ANYBODY = AccessPolicy.open_loopback().authenticate(username=None, password=None)


@dataclass(eq=False)
class ListLink:
    """A link that can be read, and stopped up."""

    writable: bool = True
    closed: bool = False
    parser: Parser = field(default_factory=Parser)

    def send(self, data: bytes) -> None:
        """Keep what is sent; nothing may be after the close."""
        assert not self.closed
        self.parser.feed(data)

    def close(self) -> None:
        """Remember that this was called."""
        self.closed = True

    def packets(self) -> list[Packet]:
        """Take what was sent since the last look."""
        return list(iter(self.parser.next, None))

    def messages(self) -> list[Publish]:
        """Take the messages sent since the last look."""
        return [packet for packet in self.packets() if isinstance(packet, Publish)]


class Bench:
    """A core, and clients on it."""

    def __init__(self, **limits: float) -> None:
        self.core = BrokerCore(limits=Limits(**limits), make_client_id=lambda: "made-up")  # type: ignore[arg-type]
        self.now_s = 0.0

    def join(
        self, packet: Connect, identity: Identity = ANYBODY, *, writable: bool = True
    ) -> tuple[Connection, ListLink]:
        """Connect a client."""
        link = ListLink(writable=writable)
        connection = self.core.opened(link, now_s=self.now_s)
        assert connection is not None
        self.core.connect(connection, packet, identity, now_s=self.now_s)
        return connection, link

    def receive(self, connection: Connection, *packets: Packet) -> None:
        """Let the core take packets from a client."""
        for packet in packets:
            self.core.receive(connection, packet, now_s=self.now_s)
