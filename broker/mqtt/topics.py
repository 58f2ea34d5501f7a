"""Topic names and filters (section 4.7): their checks, matching one pair, and a tree that matches many at once."""

from collections.abc import Iterator
from typing import Final, Generic, TypeVar

from broker.mqtt.errors import MqttError

MAX_LEVELS: Final = 200  # Mosquitto's limit as well; it bounds the recursion below

Value = TypeVar("Value")


def check_topic(topic: str) -> str:
    """Return `topic` if a message may be published to it; raises MqttError."""
    if not topic:
        raise MqttError("a topic is empty")
    if "+" in topic or "#" in topic:
        raise MqttError("a topic to publish to holds a wildcard")
    if topic.count("/") >= MAX_LEVELS:
        raise MqttError(f"a topic is over {MAX_LEVELS} levels")
    return topic


def check_filter(topic_filter: str) -> str:
    """Return `topic_filter` if it can be subscribed to; raises MqttError."""
    if not topic_filter:
        raise MqttError("a topic filter is empty")
    levels = topic_filter.split("/")
    if len(levels) > MAX_LEVELS:
        raise MqttError(f"a topic filter is over {MAX_LEVELS} levels")
    if "#" in topic_filter and (levels[-1] != "#" or topic_filter.count("#") > 1):
        raise MqttError("'#' stands elsewhere than alone at a filter's end")
    if "+" in topic_filter and any("+" in level and level != "+" for level in levels):
        raise MqttError("'+' does not fill its level of a filter")
    return topic_filter


def split(text: str) -> tuple[str, ...]:
    """Return the levels of a topic or filter."""
    return tuple(text.split("/"))


def matches(filter_levels: tuple[str, ...], topic_levels: tuple[str, ...]) -> bool:
    """Say whether a filter matches a topic; a wildcard at the front does not match a topic that begins with `$`."""
    if topic_levels[0].startswith("$") and filter_levels[0] in ("+", "#"):
        return False
    last = len(filter_levels) - 1
    if filter_levels[last] == "#":
        # "a/#" matches "a" too (section 4.7.1.2).
        if len(topic_levels) < last:
            return False
        filter_levels = filter_levels[:last]
    elif len(topic_levels) != last + 1:
        return False
    return all(level in ("+", topic) for level, topic in zip(filter_levels, topic_levels, strict=False))


def overlap(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Say whether some topic matches both filters (be it the empty one, to which nothing can be published)."""
    for dollar, wild in ((one, other), (other, one)):
        if dollar[0].startswith("$") and wild[0] in ("+", "#"):
            return False
    for ours, theirs in zip(one, other, strict=False):
        if "#" in (ours, theirs):
            return True
        if ours != theirs and "+" not in (ours, theirs):
            return False
    shorter, longer = sorted((one, other), key=len)
    return len(shorter) == len(longer) or longer[len(shorter) :] == ("#",)


class _Node(Generic[Value]):
    __slots__ = ("children", "values")

    def __init__(self) -> None:
        self.children: dict[str, _Node[Value]] = {}
        self.values: dict[str, Value] = {}


class TopicTree(Generic[Value]):
    """Values under topics or filters, one dict for each level; each place holds one value for each key.

    Subscriptions are kept by filter and found by topic; retained messages are kept by topic and found by filter.
    """

    __slots__ = ("_root",)

    def __init__(self) -> None:
        self._root: _Node[Value] = _Node()

    def put(self, text: str, value: Value, *, key: str = "") -> None:
        """Put `value` at `text`, in place of what that key held there."""
        node = self._root
        for level in text.split("/"):
            child = node.children.get(level)
            if child is None:
                child = node.children[level] = _Node()
            node = child
        node.values[key] = value

    def remove(self, text: str, *, key: str = "") -> None:
        """Forget what `key` holds at `text`, if anything, and every branch that is bare then."""
        path: list[tuple[_Node[Value], str]] = []
        node = self._root
        for level in text.split("/"):
            child = node.children.get(level)
            if child is None:
                return
            path.append((node, level))
            node = child
        node.values.pop(key, None)
        for parent, level in reversed(path):
            child = parent.children[level]
            if child.values or child.children:
                return
            del parent.children[level]

    def filters_matching(self, topic: str) -> Iterator[Value]:
        """Yield the values whose filter matches `topic`, those of overlapping filters each."""
        return _down(self._root, topic.split("/"), 0, wild=not topic.startswith("$"))

    def topics_matching(self, topic_filter: str) -> Iterator[Value]:
        """Yield the values whose topic is matched by `topic_filter`."""
        return _along(self._root, topic_filter.split("/"), 0)


def _down(node: _Node[Value], levels: list[str], depth: int, *, wild: bool) -> Iterator[Value]:
    children = node.children
    if wild and (rest := children.get("#")) is not None:
        yield from rest.values.values()
    if depth == len(levels):
        yield from node.values.values()
        return
    if (child := children.get(levels[depth])) is not None:
        yield from _down(child, levels, depth + 1, wild=True)
    if wild and (child := children.get("+")) is not None:
        yield from _down(child, levels, depth + 1, wild=True)


def _along(node: _Node[Value], levels: list[str], depth: int) -> Iterator[Value]:
    if depth == len(levels):
        yield from node.values.values()
        return
    level = levels[depth]
    if level == "#":
        yield from _below(node, at_root=depth == 0)
    elif level == "+":
        for name, child in node.children.items():
            if depth or not name.startswith("$"):
                yield from _along(child, levels, depth + 1)
    elif (child_named := node.children.get(level)) is not None:
        yield from _along(child_named, levels, depth + 1)


def _below(node: _Node[Value], *, at_root: bool) -> Iterator[Value]:
    yield from node.values.values()
    for name, child in node.children.items():
        if not (at_root and name.startswith("$")):
            yield from _below(child, at_root=False)
