"""The mailbox and the retained table: newest wins, bounded, from any thread."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.link.mailbox import Mailbox
from device.link.retained import RetainedTable


def test_the_newest_payload_of_a_topic_wins_and_keeps_its_place() -> None:
    """Three messages on two topics are two things to look at."""
    box = Mailbox(max_topics=10, max_bytes=100)
    for topic, payload in (("a", b"1"), ("b", b"2"), ("a", b"3")):
        box.put(topic, payload)
    assert box.take_all() == [("a", b"3"), ("b", b"2")]
    assert box.take_all() == []


def test_when_full_the_longest_waiting_topic_goes_and_is_counted() -> None:
    """By number and by bytes."""
    box = Mailbox(max_topics=2, max_bytes=100)
    for topic in "abc":
        box.put(topic, b"x")
    assert [topic for topic, _ in box.take_all()] == ["b", "c"]
    box.put("a", b"x" * 60)
    box.put("b", b"x" * 60)
    assert [topic for topic, _ in box.take_all()] == ["b"]
    box.put("a", b"x" * 101)
    assert box.take_all() == []
    assert box.dropped == 3


def test_a_mailbox_without_room_is_a_mistake() -> None:
    """It could never hold anything."""
    with pytest.raises(ValueError, match="room"):
        Mailbox(max_topics=0, max_bytes=1)


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.binary(max_size=9))))
def test_the_bounds_hold_whatever_comes(messages: list[tuple[str, bytes]]) -> None:
    """Never more topics or bytes than allowed; each payload is the newest that its topic had."""
    box = Mailbox(max_topics=3, max_bytes=20)
    for topic, payload in messages:
        box.put(topic, payload)
    taken = box.take_all()
    newest = dict(messages)
    assert len(taken) <= 3
    assert sum(len(payload) for _, payload in taken) <= 20
    assert all(newest[topic] == payload for topic, payload in taken)


def test_threads_may_put_while_another_takes() -> None:
    """Nothing is taken twice and nothing is lost while there is room."""
    box = Mailbox(max_topics=10_000, max_bytes=1 << 20)
    taken: list[tuple[str, bytes]] = []

    def fill(name: int) -> None:
        for number in range(500):
            box.put(f"{name}/{number}", b"x")

    threads = [threading.Thread(target=fill, args=(name,)) for name in range(3)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        taken += box.take_all()
    taken += box.take_all()
    assert len(taken) == len(dict(taken)) == 1_500


def test_the_retained_table_gives_what_is_newer() -> None:
    """All in table order from the start; after that only what changed, oldest change first."""
    table = RetainedTable()
    assert table.set("a", b"1")
    assert table.set("b", b"1")
    assert not table.set("a", b"1")
    first = table.newer_than(0)
    assert [value.topic for value in first] == ["a", "b"]
    seen = max(value.version for value in first)
    assert table.newer_than(seen) == []
    assert table.set("b", b"2")
    assert table.set("a", b"2")
    assert [(value.topic, value.payload) for value in table.newer_than(seen)] == [("b", b"2"), ("a", b"2")]
    assert [value.topic for value in table.newer_than(0)] == ["a", "b"]
