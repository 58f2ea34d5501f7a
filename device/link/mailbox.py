"""Where incoming messages wait until somebody looks at a time of their own choosing. No network, no clock.

The rule: the newest payload of a topic wins, and keeps the topic's place; when there is no room for another topic,
the one that has waited longest goes, and is counted. Nothing of what is waiting can be told from outside: putting a
message in takes the same time whatever it says.
"""

import threading


class Mailbox:
    """A bounded store of the newest payload by topic; use it from any thread."""

    def __init__(self, *, max_topics: int, max_bytes: int) -> None:
        if max_topics < 1 or max_bytes < 1:
            raise ValueError("a mailbox has room for at least one topic and one byte")
        self._max_topics = max_topics
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._waiting: dict[str, bytes] = {}
        self._bytes = 0
        self._dropped = 0

    @property
    def dropped(self) -> int:
        """How many topics had to go for want of room, ever."""
        return self._dropped

    @property
    def waiting(self) -> int:
        """How many topics have something that nobody has looked at."""
        return len(self._waiting)

    def put(self, topic: str, payload: bytes) -> None:
        """Keep this payload for its topic. An empty one is a payload as well: the topic was cleared."""
        with self._lock:
            before = self._waiting.get(topic)
            self._waiting[topic] = payload
            self._bytes += len(payload) - (0 if before is None else len(before))
            while len(self._waiting) > self._max_topics or self._bytes > self._max_bytes:
                oldest = next(iter(self._waiting))
                self._bytes -= len(self._waiting.pop(oldest))
                self._dropped += 1

    def take_all(self) -> list[tuple[str, bytes]]:
        """Return (topic, payload) of all that waits, longest waiting first, and empty the box."""
        with self._lock:
            taken = list(self._waiting.items())
            self._waiting = {}
            self._bytes = 0
        return taken
