"""Keeps labelling off the hot path: one thread, a short queue, and a stated rule for when it is full.

`submit` and `done` never wait. At most `MOST_WAITING` events wait; when another comes, the oldest of them gets the
shape rule's label instead, at once. Every event that was submitted comes back from `done` exactly once, unless the
worker was closed, or told to forget, before. Whatever a labeller raises, the event gets the shape rule's label, and the
next one its turn.
"""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import structlog

from device.video.labels.best import Best, Label, Labeller, shape_label

log = structlog.get_logger()

MOST_WAITING: Final = 2
# A child that waits costs memory, a new one half a second.
_IDLE_S: Final = 20.0
_MOST_REASON: Final = 200


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    event: str
    best: Best


class LabelWorker:
    """A thread that labels events one by one."""

    def __init__(self, labeller: Labeller, *, idle_s: float = _IDLE_S) -> None:
        self._labeller = labeller
        self._idle_s = idle_s
        self._changed = threading.Condition()
        self._waiting: deque[_Waiting] = deque()
        self._done: list[tuple[str, Label]] = []
        self._busy = False
        self._closed = False
        self._told = False
        self.overtaken = 0
        self._thread = threading.Thread(target=self._run, name="labels", daemon=True)
        self._thread.start()

    def submit(self, event: str, best: Best) -> None:
        """Ask for an event's label. Does nothing once closed."""
        with self._changed:
            if self._closed:
                return
            if len(self._waiting) == MOST_WAITING:
                oldest = self._waiting.popleft()
                self._done.append((oldest.event, shape_label(oldest.best)))
                self.overtaken += 1
            self._waiting.append(_Waiting(event, best))
            self._changed.notify_all()

    def done(self) -> list[tuple[str, Label]]:
        """Return the labels that are new since it was asked last, in the order in which they became known."""
        with self._changed:
            done, self._done = self._done, []
            return done

    def forget(self) -> None:
        """Let go of what waits; what is being looked at is, to its end."""
        with self._changed:
            self._waiting.clear()

    def settle(self, timeout_s: float) -> bool:
        """Wait until nothing is left to label; tells whether that came in time. For the end of a film, and tests."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._busy, timeout_s)

    def close(self, timeout_s: float = 5.0) -> None:
        """End the thread after what it is at; what waits gets no label."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            with self._changed:
                came = self._changed.wait_for(lambda: bool(self._waiting) or self._closed, self._idle_s)
                if self._closed:
                    break
                waiting = self._waiting.popleft() if came else None
                self._busy = waiting is not None
            if waiting is None:
                self._rest()
                continue
            label = self._label(waiting.best)
            with self._changed:
                self._busy = False
                self._done.append((waiting.event, label))
                self._changed.notify_all()
            log.debug(
                "event_labelled", event_id=waiting.event, kind=label.kind, by=label.by, confidence=label.confidence
            )
        self._rest()

    def _label(self, best: Best) -> Label:
        with self._surviving():
            return self._labeller.label(best)
        return shape_label(best)

    def _rest(self) -> None:
        with self._surviving():
            self._labeller.rest()

    @contextmanager
    def _surviving(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - a label is never worth the thread on which all later ones depend
            if not self._told:
                self._told = True
                log.error("labeller_failed", reason=f"{type(error).__name__}: {error}"[:_MOST_REASON])  # noqa: TRY400 - no traceback: it may show pixels
