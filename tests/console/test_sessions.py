"""One-time links and the sessions they open."""

import itertools
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.console.sessions import LINK_US, MOST_LINKS, MOST_SESSIONS, SESSION_US, LinkError, Random, Sessions

NOW = 1_800_000_000_000_000


def counting() -> "itertools.count[int]":
    return itertools.count(1)


def random(counter: "itertools.count[int]") -> Random:
    return lambda size: next(counter).to_bytes(size, "big")


def test_a_link_opens_a_session_once() -> None:
    sessions, numbers = Sessions(), random(counting())
    link = sessions.make_link(numbers, NOW)
    token = sessions.open(link, numbers, NOW)
    assert sessions.known(token, NOW)
    with pytest.raises(LinkError, match="used already"):
        sessions.open(link, numbers, NOW)


@given(st.integers(-LINK_US, 3 * LINK_US))
def test_a_link_opens_for_five_minutes_and_no_longer(after_us: int) -> None:
    sessions, numbers = Sessions(), random(counting())
    link = sessions.make_link(numbers, NOW)
    if after_us < LINK_US:
        sessions.open(link, numbers, NOW + after_us)
    else:
        with pytest.raises(LinkError):
            sessions.open(link, numbers, NOW + after_us)


@given(st.text(max_size=80))
def test_nothing_else_opens_a_session(secret: str) -> None:
    sessions, numbers = Sessions(), random(counting())
    link = sessions.make_link(numbers, NOW)
    if secret != link:
        with pytest.raises(LinkError):
            sessions.open(secret, numbers, NOW)
        assert not sessions.known(secret, NOW)


def test_a_session_ends_when_it_was_not_used_for_hours_and_lives_while_it_is_used() -> None:
    sessions, numbers = Sessions(), random(counting())
    token = sessions.open(sessions.make_link(numbers, NOW), numbers, NOW)
    later = NOW
    for _ in range(5):
        later += SESSION_US - 1
        assert sessions.known(token, later)
    assert not sessions.known(token, later + SESSION_US)


def test_no_secret_is_kept_only_hashes_and_they_outlive_the_process() -> None:
    sessions, numbers = Sessions(), random(counting())
    unused = sessions.make_link(numbers, NOW)
    token = sessions.open(sessions.make_link(numbers, NOW), numbers, NOW)
    kept = asdict(sessions)
    assert unused not in repr(kept)
    assert token not in repr(kept)
    again = Sessions(**kept)
    assert again.known(token, NOW)
    again.open(unused, numbers, NOW)


def test_links_and_sessions_are_bounded_and_the_oldest_goes() -> None:
    sessions, numbers = Sessions(), random(counting())
    links = [sessions.make_link(numbers, NOW + n) for n in range(MOST_LINKS + 1)]
    with pytest.raises(LinkError):
        sessions.open(links[0], numbers, NOW)
    sessions.open(links[1], numbers, NOW)
    for n in range(3 * MOST_SESSIONS):
        sessions.open(sessions.make_link(numbers, NOW + n), numbers, NOW + n)
    assert len(sessions.tokens) == MOST_SESSIONS
