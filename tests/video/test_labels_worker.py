"""The thread that labels: never in the way, nothing lost, nothing twice."""

import threading
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from device.video.labels.best import Best, Label
from device.video.labels.worker import MOST_WAITING, LabelWorker

NOTHING = Best(crops=(), looks=(), aspect=1.0)
PATIENCE_S = 10.0


class Gate:
    """A labeller that takes until it is let go on, and tells when it was asked and when it rested."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.asked = threading.Semaphore(0)
        self.rested = threading.Semaphore(0)

    def label(self, best: Best) -> Label:
        del best
        self.asked.release()
        assert self.open.wait(PATIENCE_S)
        return Label(kind="animal", by="model", confidence=80)

    def rest(self) -> None:
        self.rested.release()


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def worker(gate: Gate) -> Iterator[LabelWorker]:
    worker = LabelWorker(gate)
    yield worker
    gate.open.set()
    worker.close()


def test_what_is_to_be_forgotten_is_not_looked_at(gate: Gate, worker: LabelWorker) -> None:
    """Privacy lets go of the pictures that wait; what comes after is labelled as ever."""
    worker.submit("first", NOTHING)
    assert gate.asked.acquire(timeout=PATIENCE_S)
    worker.submit("second", NOTHING)
    worker.forget()
    worker.submit("third", NOTHING)
    gate.open.set()
    assert worker.settle(PATIENCE_S)
    assert [event for event, _ in worker.done()] == ["first", "third"]


def test_labels_come_back(gate: Gate, worker: LabelWorker) -> None:
    """An event that is submitted comes back once, with what the labeller said."""
    gate.open.set()
    worker.submit("a", NOTHING)
    assert worker.settle(PATIENCE_S)
    assert worker.done() == [("a", Label(kind="animal", by="model", confidence=80))]
    assert worker.done() == []


def test_overload_is_the_shape_rules(gate: Gate, worker: LabelWorker) -> None:
    """While the labeller is stuck, only so many wait; the others get the shape rule's label at once, oldest first."""
    worker.submit("stuck", NOTHING)
    assert gate.asked.acquire(timeout=PATIENCE_S)
    names = [f"event-{i}" for i in range(10)]
    for name in names:
        worker.submit(name, NOTHING)
    early = worker.done()
    assert [name for name, _ in early] == names[:-MOST_WAITING]
    assert {label.by for _, label in early} == {"shape"}
    assert worker.overtaken == len(early)
    gate.open.set()
    assert worker.settle(PATIENCE_S)
    late = worker.done()
    assert [name for name, _ in late] == ["stuck", *names[-MOST_WAITING:]]
    assert {label.by for _, label in late} == {"model"}


def test_it_rests_when_nothing_comes(gate: Gate) -> None:
    """After a while without events the labeller may give its memory back; it is asked again later."""
    gate.open.set()
    worker = LabelWorker(gate, idle_s=0.01)
    assert gate.rested.acquire(timeout=PATIENCE_S)
    worker.submit("later", NOTHING)
    assert worker.settle(PATIENCE_S)
    assert [name for name, _ in worker.done()] == ["later"]
    worker.close()


def test_closing_ends_it(gate: Gate) -> None:
    """A closed worker rests, takes nothing more, and its thread is gone."""
    worker = LabelWorker(gate)
    worker.close(PATIENCE_S)
    assert gate.rested.acquire(blocking=False)
    worker.submit("late", NOTHING)
    assert worker.done() == []
    assert not any(thread.name == "labels" and thread.is_alive() for thread in threading.enumerate())


class Broken:
    """A labeller that raises what nobody expects, whatever is asked of it."""

    def label(self, best: Best) -> Label:
        raise RecursionError(best.aspect)

    def rest(self) -> None:
        raise ZeroDivisionError


def test_no_labeller_ends_it() -> None:
    """Whatever a labeller raises, each event gets the shape rule's label; it is logged once, and closing works."""
    with capture_logs() as logs:
        worker = LabelWorker(Broken(), idle_s=0.01)
        for name in ("a", "b"):
            worker.submit(name, NOTHING)
            assert worker.settle(PATIENCE_S)
        assert [(name, label.by) for name, label in worker.done()] == [("a", "shape"), ("b", "shape")]
        worker.close(PATIENCE_S)
    assert not worker._thread.is_alive()
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["labeller_failed"]
