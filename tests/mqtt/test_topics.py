"""Topic filters: the tree agrees with a naive matcher, and overlap with what can be found by trying."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.mqtt import MqttError
from broker.mqtt.topics import TopicTree, check_filter, check_topic, matches, overlap, split
from tests.mqtt.strategies import FILTERS, TOPICS


def naive(topic_filter: str, topic: str) -> bool:
    """Match by a regular expression built from section 4.7."""
    if topic.startswith("$") and topic_filter[0] in "+#":
        return False
    if topic_filter == "#":
        return True
    body, rest = (topic_filter[:-2], "(/.*)?") if topic_filter.endswith("/#") else (topic_filter, "")
    levels = ["[^/]*" if level == "+" else re.escape(level) for level in body.split("/")]
    return re.fullmatch("/".join(levels) + rest, topic, re.DOTALL) is not None


@given(FILTERS, TOPICS)
def test_matching_agrees_with_a_naive_matcher(topic_filter: str, topic: str) -> None:
    """One filter and one topic match exactly when the regular expression says so."""
    assert matches(split(topic_filter), split(topic)) == naive(topic_filter, topic)


@pytest.mark.slow
@given(st.lists(FILTERS, max_size=12), st.lists(FILTERS, max_size=4), TOPICS)
def test_the_tree_finds_the_filters_of_a_topic(kept: list[str], removed: list[str], topic: str) -> None:
    """The tree yields each filter kept and not removed that matches, once."""
    tree: TopicTree[str] = TopicTree()
    for text in [*kept, *removed]:
        tree.put(text, text)
    for text in removed:
        tree.remove(text)
    wanted = {text for text in set(kept) - set(removed) if naive(text, topic)}
    assert sorted(tree.filters_matching(topic)) == sorted(wanted)


@given(st.lists(TOPICS, max_size=12), st.lists(TOPICS, max_size=4), FILTERS)
def test_the_tree_finds_the_topics_of_a_filter(kept: list[str], removed: list[str], topic_filter: str) -> None:
    """Turned round, the tree yields each topic kept that the filter matches, once."""
    tree: TopicTree[str] = TopicTree()
    for text in [*kept, *removed]:
        tree.put(text, text)
    for text in removed:
        tree.remove(text)
    wanted = {text for text in set(kept) - set(removed) if naive(topic_filter, text)}
    assert sorted(tree.topics_matching(topic_filter)) == sorted(wanted)


@given(st.lists(FILTERS | TOPICS))
def test_a_tree_emptied_holds_nothing(texts: list[str]) -> None:
    """Removing all that was put leaves no branch behind."""
    tree: TopicTree[int] = TopicTree()
    for text in texts:
        tree.put(text, 1, key="one")
        tree.put(text, 2, key="two")
    for text in texts:
        tree.remove(text, key="two")
        tree.remove(text, key="one")
    assert not tree._root.children


@given(FILTERS, FILTERS)
def test_overlap_is_a_topic_that_both_match(one: str, other: str) -> None:
    """Two filters overlap exactly when some topic, made from their own levels, matches both."""
    names = sorted({level for level in split(one) + split(other) if level not in ("+", "#")} | {"z"})
    found = _search(one, other, names, ())
    assert overlap(split(one), split(other)) == found == overlap(split(other), split(one))


def _search(one: str, other: str, names: list[str], prefix: tuple[str, ...]) -> bool:
    at = len(prefix)
    if at and naive(one, "/".join(prefix)) and naive(other, "/".join(prefix)):
        return True
    if at > max(len(split(one)), len(split(other))):
        return False
    fitting = [
        name
        for name in names
        if all(
            at >= len(levels) or levels[at] in ("+", name) or "#" in levels[: at + 1]
            for levels in (split(one), split(other))
        )
    ]
    return any(_search(one, other, names, (*prefix, name)) for name in fitting)


@pytest.mark.parametrize("topic", ["", "a/+", "#", "a#", "/" * 200])
def test_what_no_message_can_be_published_to_is_refused(topic: str) -> None:
    """Empty topics, wildcards and endless levels raise."""
    with pytest.raises(MqttError):
        check_topic(topic)


@pytest.mark.parametrize("topic_filter", ["", "a#", "#/a", "a/#/b", "##", "a+", "+a/b", "a/b+/c", "/" * 200])
def test_what_is_no_filter_is_refused(topic_filter: str) -> None:
    """Wildcards that don't fill their level, or `#` before the end, raise."""
    with pytest.raises(MqttError):
        check_filter(topic_filter)
