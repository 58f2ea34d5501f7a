"""What the device's retained topics hold: the newest value of each, to be sent again when the broker may have lost it.

A retained topic is a state, not a story: between two looks only the newest value counts, so nothing queues here. It
lives in memory; the daemon sets every topic when it starts.
"""

import threading
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetainedValue:
    """The newest payload of one topic; `version` grows with each change in the table."""

    topic: str
    payload: bytes
    qos: int
    version: int


class RetainedTable:
    """The table; use it from any thread. Topics keep the order in which they were first set."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, RetainedValue] = {}
        self._version = 0

    def set(self, topic: str, payload: bytes, *, qos: int = 1) -> bool:
        """Set a topic's value; returns whether that changed anything."""
        with self._lock:
            before = self._values.get(topic)
            if before is not None and (before.payload, before.qos) == (payload, qos):
                return False
            self._version += 1
            self._values[topic] = RetainedValue(topic, payload, qos, self._version)
            return True

    def newer_than(self, version: int) -> list[RetainedValue]:
        """Return what was set after `version`, oldest change first; 0 returns all, in table order."""
        with self._lock:
            values = list(self._values.values())
        if version == 0:
            return values
        return sorted((value for value in values if value.version > version), key=lambda value: value.version)
