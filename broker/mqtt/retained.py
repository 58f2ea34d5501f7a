"""The retained messages: the last one of each topic, bounded in number and bytes."""

from collections.abc import Iterator

from broker.mqtt.limits import Limits
from broker.mqtt.packets import Publish
from broker.mqtt.topics import TopicTree


class Retained:
    """One message a topic; an empty payload takes it away (section 3.3.1.3)."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._by_topic: dict[str, Publish] = {}
        self._tree: TopicTree[str] = TopicTree()
        self._bytes = 0

    def put(self, message: Publish, *, bounded: bool = True) -> bool:
        """Keep `message` in place of its topic's last one; False when it is over the bounds.

        Then the last one is gone all the same: an old state may not pass for the present one.
        """
        topic = message.topic
        before = self._by_topic.pop(topic, None)
        if before is not None:
            self._bytes -= len(before.payload)
        if not message.payload:
            self._tree.remove(topic)
            return True
        size = self._bytes + len(message.payload)
        over = len(self._by_topic) >= self._limits.max_retained_messages or size > self._limits.max_retained_bytes
        if bounded and over:
            self._tree.remove(topic)
            return False
        self._by_topic[topic] = message
        self._bytes = size
        if before is None:
            self._tree.put(topic, topic)
        return True

    def get(self, topic: str) -> Publish | None:
        """Return the retained message of `topic`."""
        return self._by_topic.get(topic)

    def matching(self, topic_filter: str) -> Iterator[Publish]:
        """Yield the retained messages whose topic the filter matches."""
        return (self._by_topic[topic] for topic in self._tree.topics_matching(topic_filter))

    def __len__(self) -> int:
        return len(self._by_topic)
