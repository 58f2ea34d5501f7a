"""A log that goes back, or shows two heads of one size, is found out and remembered."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.wire.proofs import parse_proof
from device.consent.logwatch import LogWatch
from device.vault.state import State
from tests.simulators import LogSimulator


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    with State.open(tmp_path / "state.db") as state:
        yield state


def head(log: LogSimulator) -> bytes:
    return parse_proof(log.proof(len(log.entries) - 1)).checkpoint


def test_growth_is_no_news(state: State) -> None:
    """Each larger head replaces the one before; the same again is fine."""
    log = LogSimulator()
    watch = LogWatch(state, log.policy)
    for number in range(5):
        log.append(b"%d" % number)
        assert watch.see(head(log)) is None
        assert watch.see(head(log)) is None
    assert watch.conflict is None


def test_going_back_is_told_and_kept(state: State) -> None:
    """An older head after a newer one is evidence, over a restart too, and never replaces what was seen."""
    log = LogSimulator()
    log.append(b"a")
    old = head(log)
    log.append(b"b")
    LogWatch(state, log.policy).see(head(log))
    assert "went back from 2 to 1" in str(LogWatch(state, log.policy).see(old))
    assert LogWatch(state, log.policy).conflict == old.decode()
    assert LogWatch(state, log.policy).see(head(log)) is None


def test_two_heads_of_one_size_are_a_fork(state: State) -> None:
    """The same key over two histories of equal length: the second is told."""
    one, other = LogSimulator(), LogSimulator()
    one.append(b"shown to you")
    other.append(b"shown to others")
    watch = LogWatch(state, one.policy)
    watch.see(head(one))
    assert "two public logs of 1 entries" in str(watch.see(head(other)))


def test_another_log_is_no_evidence(state: State) -> None:
    """A head under an unknown key, or rubbish, is refused and remembered nowhere."""
    log, stranger = LogSimulator(), LogSimulator(seed=9)
    log.append(b"a")
    stranger.append(b"b")
    watch = LogWatch(state, log.policy)
    watch.see(head(log))
    for note in (head(stranger), b"rubbish", b"\xff"):
        assert watch.see(note) is None
    assert watch.conflict is None
