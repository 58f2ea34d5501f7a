"""The outbox keeps what was said: numbers, order, bounds, receipts, and all of it through a crash at any step."""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from device.link.outbox import MAX_PAYLOAD_BYTES, Outbox, OutboxLimits, ReceiptEffect
from device.vault.state import Row, State, Transaction, Values
from tests.link.support import numbered, open_outbox, open_state, say

SECOND_US = 1_000_000


def waiting(outbox: Outbox, *, now_us: int = 0) -> list[int | None]:
    """Return the numbers of what waits, in order."""
    return [message.seq for message in outbox.pending(after=0, limit=10_000, now_us=now_us)]


def test_messages_are_numbered_from_one_and_name_their_epoch(state: State) -> None:
    """The payload is made with the number that the message gets."""
    outbox = open_outbox(state)
    assert say(outbox, state, 3) == [1, 2, 3]
    first = outbox.pending(after=0, limit=1, now_us=0)[0]
    assert json.loads(first.payload) == {"epoch": "epoch-1", "seq": 1}
    assert first.leaf == "event"


def test_a_message_commits_with_the_callers_transaction_or_not_at_all(state: State) -> None:
    """If the transaction that keeps the event fails, nothing was said, and the number is free again."""
    outbox = open_outbox(state)

    def fail() -> None:
        with state.transaction() as tx:
            outbox.add_numbered(tx, "event", numbered)
            outbox.add(tx, "ring", b"{}")
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert outbox.stats().messages == 0
    assert say(outbox, state) == [1]


def test_numbers_go_on_after_everything_was_let_go_and_reopened(tmp_path: Path) -> None:
    """Neither deleting all rows nor a restart makes a number or an id come again."""
    with open_state(tmp_path) as state:
        outbox = open_outbox(state)
        say(outbox, state, 3)
        before = outbox.pending(after=0, limit=10, now_us=0)
        outbox.published([message.id for message in before])
    with open_state(tmp_path) as state:
        outbox = open_outbox(state)
        assert say(outbox, state) == [4]
        assert outbox.pending(after=before[-1].id, limit=10, now_us=0)[0].seq == 4


def test_the_epoch_is_made_once_with_the_state(tmp_path: Path) -> None:
    """A restart keeps it; a new state has another."""
    with open_state(tmp_path / "a") as state:
        limits = OutboxLimits()
        made = Outbox(state, limits=limits, expect_receipts=False).epoch
        assert Outbox(state, limits=limits, expect_receipts=False).epoch == made
    with open_state(tmp_path / "b") as state:
        assert Outbox(state, limits=limits, expect_receipts=False).epoch != made


def test_without_receipts_the_puback_lets_go(state: State) -> None:
    """The broker's word is enough where nobody sends receipts; an unknown id does no harm."""
    outbox = open_outbox(state)
    say(outbox, state, 3)
    ids = [message.id for message in outbox.pending(after=0, limit=2, now_us=0)]
    outbox.published([*ids, 999])
    assert waiting(outbox) == [3]


def test_with_receipts_only_the_receipt_lets_go(state: State) -> None:
    """A PUBACK lets go of what has no number; the rest stays until a receipt covers it."""
    outbox = open_outbox(state, receipts=True)
    say(outbox, state, 3)
    with state.transaction() as tx:
        outbox.add(tx, "ring", b"{}")
    outbox.published([message.id for message in outbox.pending(after=0, limit=10, now_us=0)])
    assert waiting(outbox) == [1, 2, 3]
    assert outbox.receipt(epoch="epoch-1", seq=2) is ReceiptEffect.PROGRESS
    assert waiting(outbox) == [3]
    assert outbox.stats().oldest_seq == 3


def test_a_receipt_that_can_not_be_changes_nothing(state: State) -> None:
    """For another epoch, for what is gone, or for what was never said: nothing is erased."""
    outbox = open_outbox(state, receipts=True)
    say(outbox, state, 2)
    assert outbox.receipt(epoch="epoch-0", seq=2) is ReceiptEffect.FOREIGN
    assert outbox.receipt(epoch="epoch-1", seq=3) is ReceiptEffect.AHEAD
    assert outbox.receipt(epoch="epoch-1", seq=0) is ReceiptEffect.STALE
    assert waiting(outbox) == [1, 2]


def test_when_full_the_oldest_droppable_message_goes_first(state: State) -> None:
    """Updates give way to starts and ends, oldest first.

    When there are none the oldest message goes; each is counted.
    """
    outbox = open_outbox(state, max_messages=4)
    for droppable in (False, True, True, False):
        with state.transaction() as tx:
            outbox.add_numbered(tx, "event", numbered, droppable=droppable)
    say(outbox, state)
    assert waiting(outbox) == [1, 3, 4, 5]
    say(outbox, state)
    assert waiting(outbox) == [1, 4, 5, 6]
    say(outbox, state)
    assert waiting(outbox) == [4, 5, 6, 7]
    assert outbox.stats().dropped == 3
    assert outbox.stats().messages == 4


def test_a_droppable_newcomer_does_not_push_out_what_is_not(state: State) -> None:
    """It uses up its number, so that the reader sees the gap, and is counted like any other."""
    outbox = open_outbox(state, max_messages=2)
    say(outbox, state, 2)
    with state.transaction() as tx:
        assert outbox.add_numbered(tx, "event", numbered, droppable=True) == 3
    assert waiting(outbox) == [1, 2]
    assert outbox.stats().dropped == 1
    assert outbox.stats().next_seq == 4


def test_the_box_is_bounded_in_bytes(state: State) -> None:
    """Large messages push out as many as it takes; a message above the cap is our own mistake."""
    outbox = open_outbox(state, max_bytes=MAX_PAYLOAD_BYTES)
    for _ in range(4):
        with state.transaction() as tx:
            outbox.add(tx, "event", b"x" * (MAX_PAYLOAD_BYTES // 4))
    with state.transaction() as tx:
        outbox.add(tx, "event", b"x" * (MAX_PAYLOAD_BYTES // 2))
    stats = outbox.stats()
    assert (stats.messages, stats.bytes, stats.dropped) == (3, MAX_PAYLOAD_BYTES, 2)
    with pytest.raises(ValueError, match="above the"), state.transaction() as tx:
        outbox.add(tx, "event", b"x" * (MAX_PAYLOAD_BYTES + 1))


def test_what_has_outlived_its_time_is_not_sent(state: State) -> None:
    """A bell is rung within its time or not at all, and its absence is counted."""
    outbox = open_outbox(state)
    with state.transaction() as tx:
        outbox.add(tx, "ring", b"late", until_us=10 * SECOND_US)
        outbox.add(tx, "ring", b"soon", until_us=20 * SECOND_US)
    assert len(outbox.pending(after=0, limit=10, now_us=10 * SECOND_US)) == 2
    assert [m.payload for m in outbox.pending(after=0, limit=10, now_us=15 * SECOND_US)] == [b"soon"]
    assert (outbox.stats().messages, outbox.stats().expired) == (1, 1)


def test_several_threads_may_add_at_once(state: State) -> None:
    """Every number is given once, and the order of numbers is the order of sending."""
    outbox = open_outbox(state)
    threads = [threading.Thread(target=say, args=(outbox, state, 10)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert waiting(outbox) == list(range(1, 41))


class PowerCut(BaseException):
    """The end of the process, at a step of the test's choosing."""


class CutTransaction:
    """A transaction that may end at each of its statements."""

    def __init__(self, tx: Transaction, step: Callable[[], None]) -> None:
        self._tx = tx
        self._step = step

    def execute(self, sql: str, values: Values = ()) -> int:
        self._step()
        return self._tx.execute(sql, values)

    def query(self, sql: str, values: Values = ()) -> list[Row]:
        self._step()
        return self._tx.query(sql, values)


class CutState:
    """A state whose power goes at step `at`.

    At a statement, before a commit, or after it while the caller does not know.
    """

    def __init__(self, state: State, at: int) -> None:
        self._state = state
        self._left = at

    def step(self) -> None:
        self._left -= 1
        if self._left == 0:
            raise PowerCut

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Any]:
        self.step()
        with self._state.transaction() as tx:
            yield CutTransaction(tx, self.step)
            self.step()
        self.step()

    def query(self, sql: str, values: Values = ()) -> list[Row]:
        self.step()
        return self._state.query(sql, values)


@pytest.mark.parametrize("receipts", [False, True])
@pytest.mark.parametrize("room", [4, 100])
def test_power_may_go_at_any_step_and_nothing_that_was_acknowledged_is_lost(
    quick: Path, receipts: bool, room: int
) -> None:
    """For each step of a small life: reopen, and what was added and not let go is there, with counts that fit."""
    steps = 0
    finished = False
    while not finished:
        steps += 1
        with open_state(quick / str(steps)) as state:
            added: set[int] = set()
            released: set[int] = set()
            with contextlib.suppress(PowerCut):
                _small_life(cast(State, CutState(state, steps)), added, released, receipts=receipts, room=room)
                finished = True
        with open_state(quick / str(steps)) as state:
            outbox = open_outbox(state, receipts=receipts, max_messages=room)
            found = {number for number in waiting(outbox, now_us=9) if number is not None}
            stats = outbox.stats()
            dropped = stats.dropped
            missing = added - found - released
            assert len(missing) <= dropped, f"step {steps}: {missing} are gone and {dropped} were counted"
            assert not missing or room == 4, f"step {steps}: {missing} are gone though there was room"
            assert len(waiting(outbox, now_us=9)) == stats.messages
            ((size,),) = state.query("SELECT coalesce(sum(length(payload)), 0) FROM outbox")
            assert size == stats.bytes
            assert say(outbox, state)[0] > max(added, default=0)
    assert steps > 40


def _small_life(state: State, added: set[int], released: set[int], *, receipts: bool, room: int) -> None:
    outbox = open_outbox(state, receipts=receipts, max_messages=room)
    for droppable in (False, True, False):
        with state.transaction() as tx:
            seq = outbox.add_numbered(tx, "event", numbered, droppable=droppable)
            outbox.add(tx, "ring", b"{}", droppable=True, until_us=5)
        added.add(seq)
    first = outbox.pending(after=0, limit=1, now_us=9)
    # From here on the message may go: the reader has it.
    released.update(message.seq for message in first if message.seq is not None)
    outbox.published([message.id for message in first])
    if receipts:
        outbox.receipt(epoch="epoch-1", seq=1)
    added.update(say(outbox, state, 3))
