"""The broker's state and rules, with no I/O and no clock: sessions, subscriptions, retained messages, wills, keepalive.

The server tells it what came in and at what time; it answers through each connection's Link. What must hold:

1. A message reaches a client only if a subscription of its session matches, and its grants let it receive that topic.
2. A PUBACK is sent for every QoS 1 message, also for one that the policy denies (it is dropped, as Mosquitto does).
3. A connection that ends without DISCONNECT has its will published exactly once, whatever ended it; only the broker's
   own shutdown publishes none.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from broker.mqtt.access import Identity
from broker.mqtt.errors import MqttError, Refused
from broker.mqtt.limits import Limits
from broker.mqtt.packets import (
    ACCEPTED,
    BAD_CLIENT_ID,
    SUBSCRIBE_FAILED,
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
    Will,
    encode,
    encode_publish,
)
from broker.mqtt.registry import Registry
from broker.mqtt.retained import Retained
from broker.mqtt.sessions import Link, Session

log = structlog.get_logger()

_PINGRESP: Final = encode(PingResp())
_GRACE: Final = 1.5  # keepalives of silence before a client counts as gone, section 3.1.2.10


class Connection:
    """One client's connection as the core sees it; the server holds on to it and looks inside only at `closed`."""

    __slots__ = ("closed", "last_seen_s", "link", "patience_s", "session", "will")

    def __init__(self, link: Link, *, now_s: float, connect_timeout_s: float) -> None:
        self.link = link
        self.session: Session | None = None
        self.will: Will | None = None
        self.closed = False
        self.last_seen_s = now_s
        self.patience_s: float | None = connect_timeout_s  # None: for ever


@dataclass(slots=True)
class Counters:
    """What the broker has done since it began."""

    received: int = 0
    denied: int = 0
    dropped: int = 0


class BrokerCore:
    """All sessions and connections. `make_client_id` names clients that leave their id empty."""

    def __init__(self, *, limits: Limits, make_client_id: Callable[[], str]) -> None:
        self.counters = Counters()
        self._limits = limits
        self._make_client_id = make_client_id
        self._connections: dict[Connection, None] = {}
        self._by_link: dict[Link, Connection] = {}
        self._registry = Registry(limits)
        self._retained = Retained(limits)

    def opened(self, link: Link, *, now_s: float) -> Connection | None:
        """Take a new connection, or return None when there are too many."""
        if len(self._connections) >= self._limits.max_connections:
            log.warning("mqtt_connections_full", limit=self._limits.max_connections)
            return None
        connection = Connection(link, now_s=now_s, connect_timeout_s=self._limits.connect_timeout_s)
        self._connections[connection] = None
        return connection

    def connect(self, connection: Connection, packet: Connect, identity: Identity, *, now_s: float) -> None:
        """Let an authenticated client in; raises Refused, with nothing changed, when its client id won't do."""
        identity.check_client_id(packet.client_id)
        if not packet.client_id and not packet.clean_session:
            raise Refused(BAD_CLIENT_ID, "an empty client id can't have a session that is kept")
        client_id = packet.client_id or self._make_client_id()
        held = self._registry.get(identity, client_id)
        if held is not None and held.link is not None:
            log.info("mqtt_taken_over", client=client_id, user=identity.name)
            self._end(self._by_link[held.link])
        session, present = self._registry.enter(identity, client_id, clean=packet.clean_session)
        connection.session = session
        connection.will = packet.will
        connection.last_seen_s = now_s
        connection.patience_s = packet.keepalive_s * _GRACE if packet.keepalive_s else None
        self._by_link[connection.link] = connection
        connection.link.send(encode(ConnAck(present, ACCEPTED)))
        session.resume(connection.link)
        session.pump(self._retained.get)
        log.info("mqtt_connected", client=session.client_id, user=identity.name, resumed=present)

    def refuse(self, connection: Connection, refusal: Refused) -> None:
        """Send the CONNACK that says no, and close."""
        log.warning("mqtt_refused", reason=refusal.reason, return_code=refusal.return_code)
        connection.link.send(encode(ConnAck(session_present=False, return_code=refusal.return_code)))
        self._end(connection)

    def receive(self, connection: Connection, packet: Packet, *, now_s: float) -> None:
        """Act on any packet but CONNECT; raises MqttError for one that is out of place."""
        session = connection.session
        if session is None:
            raise MqttError("the first packet is not CONNECT")
        connection.last_seen_s = now_s
        match packet:
            case Publish():
                self._published(connection, session, packet)
            case PubAck(packet_id):
                session.acknowledge(packet_id)
                session.pump(self._retained.get)
            case Subscribe():
                self._subscribe(connection.link, session, packet)
            case Unsubscribe(packet_id, filters):
                for topic_filter in filters:
                    self._registry.unsubscribe(session, topic_filter)
                connection.link.send(encode(UnsubAck(packet_id)))
            case PingReq():
                connection.link.send(_PINGRESP)
            case Disconnect():
                connection.will = None
                self._end(connection)
            case _:
                raise MqttError(f"{type(packet).__name__} does not come from a client here")

    def broke(self, connection: Connection, error: MqttError) -> None:
        """Close a connection whose peer broke the protocol."""
        log.warning("mqtt_protocol_error", client=_name(connection), reason=error.reason)
        if error.return_code is not None and connection.session is None:
            connection.link.send(encode(ConnAck(session_present=False, return_code=error.return_code)))
        self._end(connection)

    def lost(self, connection: Connection) -> None:
        """Take note that the network connection is gone."""
        self._end(connection)

    def drained(self, connection: Connection) -> None:
        """Go on sending to a client that has caught up."""
        if connection.session is not None and connection.session.link is connection.link:
            connection.session.pump(self._retained.get)

    def tick(self, *, now_s: float) -> None:
        """Close the connections that have been silent for too long; to be called a few times a second."""
        overdue = [
            connection
            for connection in self._connections
            if connection.patience_s is not None and now_s - connection.last_seen_s > connection.patience_s
        ]
        for connection in overdue:
            log.info("mqtt_timed_out", client=_name(connection), patience_s=connection.patience_s)
            self._end(connection)

    def publish(self, message: Publish) -> None:
        """Publish on the broker's own behalf, past the policy and past the bounds on retained messages."""
        self._route(message, bounded=False)

    def reauthorize(self, identity_of: Callable[[str], Identity | None]) -> None:
        """Close the connections, and forget the sessions, of users who are no longer who they were."""
        for session in self._registry.sessions():
            if identity_of(session.identity.name) == session.identity:
                continue
            log.warning("mqtt_no_longer_let_in", client=session.client_id, user=session.identity.name)
            if session.link is not None:
                self._end(self._by_link[session.link])
            self._registry.forget(session)

    def shut_down(self) -> None:
        """Close every connection; no will is published, for nobody is left to read it."""
        for connection in list(self._connections):
            connection.will = None
            self._end(connection)

    def _published(self, connection: Connection, session: Session, packet: Publish) -> None:
        self.counters.received += 1
        if session.identity.grants.may_publish(packet.topic):
            self._route(packet)
        else:
            self._deny(session, "mqtt_publish_denied", packet.topic)
        if packet.packet_id is not None:
            connection.link.send(b"\x40\x02" + packet.packet_id.to_bytes(2, "big"))

    def _route(self, message: Publish, *, bounded: bool = True) -> None:
        if message.retain and not self._retained.put(message, bounded=bounded):
            log.warning("mqtt_not_retained", topic=message.topic, retained=len(self._retained))
        plain: bytes | None = None
        allowed: dict[int, bool] = {}  # by grants, which most roles share
        for session, granted in self._registry.subscribers(message.topic).items():
            grants = session.identity.grants
            may = allowed.get(id(grants))
            if may is None:
                may = allowed[id(grants)] = grants.may_receive(message.topic)
            if not may:
                continue
            qos = min(granted, message.qos)
            if not qos and plain is None:
                plain = encode_publish(message.topic, message.payload, 0, False, False, None)
            if not session.deliver(message, qos, plain):
                self.counters.dropped += 1
                if _is_power_of_two(session.dropped):
                    log.warning("mqtt_dropping", client=session.client_id, qos=qos, so_far=session.dropped)

    def _subscribe(self, link: Link, session: Session, packet: Subscribe) -> None:
        codes: list[int] = []
        granted: list[tuple[str, int]] = []
        for topic_filter, asked in packet.filters:
            is_new = topic_filter not in session.subscriptions
            full = is_new and len(session.subscriptions) >= self._limits.max_subscriptions
            # Shared subscriptions belong to MQTT 5; taken as a plain filter it would never match, so it is refused.
            if full or topic_filter.startswith("$share/") or not session.identity.grants.may_subscribe(topic_filter):
                self._deny(session, "mqtt_subscribe_denied", topic_filter)
                codes.append(SUBSCRIBE_FAILED)
                continue
            qos = min(asked, 1)
            self._registry.subscribe(session, topic_filter, qos)
            codes.append(qos)
            granted.append((topic_filter, qos))
        link.send(encode(SubAck(packet.packet_id, tuple(codes))))
        for topic_filter, qos in granted:
            for message in self._retained.matching(topic_filter):
                session.owe_retained(message.topic, qos)
        session.pump(self._retained.get)

    def _deny(self, session: Session, event: str, topic: str) -> None:
        self.counters.denied += 1
        session.denied += 1
        if _is_power_of_two(session.denied):
            log.warning(event, client=session.client_id, user=session.identity.name, topic=topic, so_far=session.denied)

    def _end(self, connection: Connection) -> None:
        if connection.closed:
            return
        connection.closed = True
        connection.link.close()
        del self._connections[connection]
        self._by_link.pop(connection.link, None)
        session = connection.session
        if session is None:
            return
        session.link = None
        self._registry.leave(session)
        if connection.will is not None:
            self._publish_will(session, connection.will)
        log.info("mqtt_disconnected", client=session.client_id, with_will=connection.will is not None)

    def _publish_will(self, session: Session, will: Will) -> None:
        if session.identity.grants.may_publish(will.topic):
            self._route(Publish(will.topic, will.payload, will.qos, will.retain))
        else:
            self._deny(session, "mqtt_will_denied", will.topic)


def _is_power_of_two(count: int) -> bool:
    # A client that repeats itself may not fill the log: its 1st, 2nd, 4th, 8th... time is told.
    return count & (count - 1) == 0


def _name(connection: Connection) -> str | None:
    return connection.session.client_id if connection.session is not None else None
