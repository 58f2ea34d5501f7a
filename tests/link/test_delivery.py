"""Delivery: window, order, resending; and with receipts, everything arrives whatever breaks in between."""

from collections import deque
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from device.link.delivery import Delivery
from device.link.outbox import Outbox, Outgoing, ReceiptEffect
from device.link.settings import Backoff
from device.vault.state import State
from tests.link.support import numbered, open_outbox, open_state, quick_folder, say

RESEND = Backoff(first_s=10, cap_s=40)


def start(outbox: Outbox, *, window: int = 3) -> Delivery:
    """Return the delivery of a new connection, without jitter."""
    return Delivery(outbox, window=window, resend=RESEND, random=lambda: 1.0)


def seqs(messages: list[Outgoing]) -> list[int | None]:
    """Return the numbers of some messages."""
    return [message.seq for message in messages]


def test_no_more_than_the_window_goes_out_and_in_order(state: State) -> None:
    """Each PUBACK makes room for the next message."""
    outbox = open_outbox(state)
    say(outbox, state, 5)
    delivery = start(outbox)
    first = delivery.take(now_s=0, now_us=0)
    assert seqs(first) == [1, 2, 3]
    assert delivery.take(now_s=0, now_us=0) == []
    delivery.acked(first[:2], now_s=0)
    assert seqs(delivery.take(now_s=0, now_us=0)) == [4, 5]
    assert delivery.in_flight == 3


def test_a_new_connection_begins_with_the_oldest(state: State) -> None:
    """What was in flight when the connection went is sent again, before anything newer."""
    outbox = open_outbox(state)
    say(outbox, state, 5)
    lost = start(outbox)
    lost.acked(lost.take(now_s=0, now_us=0)[:1], now_s=0)
    assert seqs(start(outbox).take(now_s=0, now_us=0)) == [2, 3, 4]


def test_what_is_not_receipted_is_sent_again_at_growing_pauses(state: State) -> None:
    """Ten seconds after the first PUBACK, then twenty, then forty at the most; progress makes the pause short again."""
    outbox = open_outbox(state, receipts=True)
    say(outbox, state, 2)
    delivery = start(outbox)
    now_s = 0.0
    for pause_s in (10, 20, 40, 40):
        delivery.acked(delivery.take(now_s=now_s, now_us=0), now_s=now_s)
        assert delivery.wait_s(now_s=now_s) == pause_s
        assert delivery.take(now_s=now_s + pause_s - 1, now_us=0) == []
        now_s += pause_s
    assert seqs(delivery.take(now_s=now_s, now_us=0)) == [1, 2]
    assert delivery.rounds == 4
    assert delivery.receipt(epoch="epoch-1", seq=1, now_s=now_s) is ReceiptEffect.PROGRESS
    assert (delivery.rounds, delivery.wait_s(now_s=now_s)) == (0, 10)


def test_once_all_is_receipted_there_is_nothing_to_wait_for(state: State) -> None:
    """The timer ends with the last message; a receipt before the PUBACK does no harm."""
    outbox = open_outbox(state, receipts=True)
    say(outbox, state, 2)
    delivery = start(outbox)
    sent = delivery.take(now_s=0, now_us=0)
    delivery.receipt(epoch="epoch-1", seq=2, now_s=0)
    assert delivery.wait_s(now_s=0) is None
    delivery.acked(sent, now_s=0)
    assert delivery.take(now_s=1_000, now_us=0) == []
    assert (delivery.rounds, delivery.in_flight) == (0, 0)


def test_messages_in_flight_are_not_sent_twice_by_a_new_round(state: State) -> None:
    """The round sends what the broker has taken already; what still waits for its PUBACK is on its way."""
    outbox = open_outbox(state, receipts=True)
    say(outbox, state, 3)
    delivery = start(outbox, window=9)
    sent = delivery.take(now_s=0, now_us=0)
    delivery.acked(sent[:1], now_s=0)
    assert seqs(delivery.take(now_s=10, now_us=0)) == [1]
    assert delivery.in_flight == 3


def test_a_gap_that_a_drop_left_is_told_by_the_oldest_number(state: State) -> None:
    """A reader that waits for 2 learns from the health's `outbox_oldest_seq` that it will not come."""
    outbox = open_outbox(state, receipts=True, max_messages=2)
    say(outbox, state)
    with state.transaction() as tx:
        outbox.add_numbered(tx, "event", numbered, droppable=True)
    say(outbox, state)
    assert seqs(start(outbox).take(now_s=0, now_us=0)) == [1, 3]
    outbox.receipt(epoch="epoch-1", seq=1)
    stats = outbox.stats()
    assert (stats.oldest_seq, stats.dropped) == (3, 1)


class Collector:
    """The owner's reader: stores only what comes next, receipts what it stored."""

    def __init__(self) -> None:
        self.stored: list[int] = []

    def receive(self, seq: int) -> None:
        if seq == len(self.stored) + 1:
            self.stored.append(seq)


class World:
    """A device, a broker that may lose anything it took, and a collector."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now_s = 0.0
        self.said = 0
        self.collector = Collector()
        self.queue: deque[int] = deque()  # at the broker, on the way to the collector
        self.unacked: deque[Outgoing] = deque()  # at the broker, PUBACK not yet sent
        self.start()

    def start(self) -> None:
        self.state = open_state(self.folder)
        self.outbox = open_outbox(self.state, receipts=True)
        self.connect()

    def connect(self) -> None:
        self.delivery = start(self.outbox, window=4)
        self.unacked.clear()

    def do(self, what: str) -> None:
        getattr(self, f"do_{what}")()

    def do_say(self) -> None:
        self.said += len(say(self.outbox, self.state, 2))

    def do_send(self) -> None:
        for message in self.delivery.take(now_s=self.now_s, now_us=0):
            assert message.seq is not None
            self.unacked.append(message)
            self.queue.append(message.seq)

    def do_ack(self) -> None:
        if self.unacked:
            self.delivery.acked([self.unacked.popleft()], now_s=self.now_s)

    def do_deliver(self) -> None:
        if self.queue:
            self.collector.receive(self.queue.popleft())

    def do_lose(self) -> None:
        if self.queue:
            self.queue.popleft()

    def do_receipt(self) -> None:
        self.delivery.receipt(epoch="epoch-1", seq=len(self.collector.stored), now_s=self.now_s)

    def do_cut(self) -> None:
        self.connect()

    def do_crash(self) -> None:
        self.state.close()
        self.start()

    def do_broker_crash(self) -> None:
        self.queue.clear()
        self.connect()

    def do_wait(self) -> None:
        self.now_s += 15

    def settle(self) -> None:
        """Nothing breaks any more: everything must get through."""
        for _ in range(self.said * 4 + 20):
            self.do_send()
            while self.unacked:
                self.do_ack()
            while self.queue:
                self.do_deliver()
            self.do_receipt()
            self.do_wait()


ACTS = ("say", "send", "ack", "deliver", "lose", "receipt", "cut", "crash", "broker_crash", "wait")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(ACTS), max_size=30))
def test_with_receipts_everything_arrives_in_order_whatever_breaks(acts: list[str]) -> None:
    """Crashes of the device and the broker, cuts, lost messages and late receipts in any order.

    At the end all is stored, in order.
    """
    with quick_folder() as folder:
        world = World(folder)
        try:
            for act in acts:
                world.do(act)
            world.settle()
            assert world.collector.stored == list(range(1, world.said + 1))
            assert world.outbox.stats().messages == 0
        finally:
            world.state.close()


@settings(max_examples=80, deadline=None)
@given(st.lists(st.sampled_from(("say", "send", "ack", "cut", "crash")), max_size=30))
def test_without_receipts_first_arrivals_are_in_order_through_cuts_and_crashes(acts: list[str]) -> None:
    """With a broker that keeps what it took, what arrives is complete and in order once repeats are dropped."""
    with quick_folder() as folder:
        world = World(folder)
        try:
            world.outbox.expect_receipts = False
            for act in acts:
                world.do(act)
                world.outbox.expect_receipts = False
            while world.outbox.stats().messages:
                world.do_cut()
                world.do_send()
                while world.unacked:
                    world.do_ack()
            assert list(dict.fromkeys(world.queue)) == list(range(1, world.said + 1))
        finally:
            world.state.close()


def test_backoff_is_capped_and_starts_small() -> None:
    """The ceiling doubles from the first to the cap, and no attempt number overflows it."""
    backoff = Backoff(first_s=1, cap_s=60)
    assert [backoff.ceiling_s(attempt) for attempt in (0, 1, 5, 6, 10_000)] == [1, 2, 32, 60, 60]
    assert backoff.delay_s(3, random=lambda: 0.25) == 2
    with pytest.raises(ZeroDivisionError):
        backoff.delay_s(0, random=lambda: 1 / 0)
