"""All sessions, by user and client id, and the tree of what they subscribed to."""

from typing import TypeAlias

import structlog

from broker.mqtt.access import Identity
from broker.mqtt.limits import Limits
from broker.mqtt.sessions import Session
from broker.mqtt.topics import TopicTree

log = structlog.get_logger()

_Key: TypeAlias = tuple[str, str]  # user name and client id


class Registry:
    """A session belongs to one user: another user with the same client id gets a session of their own."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._sessions: dict[_Key, Session] = {}
        self._offline: dict[str, dict[_Key, None]] = {}  # by user name; who left first comes first
        self._subscribers: TopicTree[tuple[Session, int]] = TopicTree()

    def get(self, identity: Identity, client_id: str) -> Session | None:
        """Return the session that this user has under a client id."""
        return self._sessions.get((identity.name, client_id))

    def sessions(self) -> list[Session]:
        """Return all sessions, of clients here and away."""
        return list(self._sessions.values())

    def enter(self, identity: Identity, client_id: str, *, clean: bool) -> tuple[Session, bool]:
        """Return the session for a client that comes, and whether it is one that was kept (section 3.1.2.4)."""
        held = self.get(identity, client_id)
        if held is not None:
            self._offline[identity.name].pop(_key(held), None)
            if not clean:
                return held, True
            self.forget(held)
        session = Session(client_id=client_id, identity=identity, clean=clean, limits=self._limits)
        self._sessions[_key(session)] = session
        return session, False

    def leave(self, session: Session) -> None:
        """Keep the session of a client that went, unless it is clean; beyond the bound the one that left first goes."""
        if session.clean:
            self.forget(session)
            return
        waiting = self._offline.setdefault(session.identity.name, {})
        waiting[_key(session)] = None
        if len(waiting) > self._limits.max_offline_sessions:
            oldest = self._sessions[next(iter(waiting))]
            self.forget(oldest)
            log.warning("mqtt_session_forgotten", client=oldest.client_id, user=oldest.identity.name)

    def forget(self, session: Session) -> None:
        """Drop a session and all that it subscribed to."""
        for topic_filter in list(session.subscriptions):
            self.unsubscribe(session, topic_filter)
        self._offline.get(session.identity.name, {}).pop(_key(session), None)
        self._sessions.pop(_key(session), None)

    def subscribe(self, session: Session, topic_filter: str, qos: int) -> None:
        """Add a subscription, or change its QoS."""
        session.subscriptions[topic_filter] = qos
        self._subscribers.put(topic_filter, (session, qos), key=_tree_key(session))

    def unsubscribe(self, session: Session, topic_filter: str) -> None:
        """Take a subscription away, if there is one."""
        if session.subscriptions.pop(topic_filter, None) is not None:
            self._subscribers.remove(topic_filter, key=_tree_key(session))

    def subscribers(self, topic: str) -> dict[Session, int]:
        """Return who subscribed to `topic`, at the highest QoS of each one's matching filters (section 3.3.5)."""
        found: dict[Session, int] = {}
        for session, qos in self._subscribers.filters_matching(topic):
            if qos > found.get(session, -1):
                found[session] = qos
        return found


def _key(session: Session) -> _Key:
    return session.identity.name, session.client_id


def _tree_key(session: Session) -> str:
    # NUL is in no client id and no user name, so the pair can't be forged.
    return f"{session.identity.name}\0{session.client_id}"
