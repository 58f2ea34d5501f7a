"""Gets a motion event its label: collects its best frames while it lasts, asks once, and never waits for the answer.

The model is asked as soon as the frames are good enough, or when the event falls quiet. If it has not answered halfway
through the quiet before the event's end, the shape rule's label stands in.
"""

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from device.video.labels.best import BestFrames, Label, shape_label
from device.video.labels.process import ModelProcess
from device.video.labels.worker import LabelWorker
from device.video.motion.detector import MotionReading

Labels = Literal["model", "shape", "off"]


class Labelling:
    """For one thread at a time; `close` ends what was started."""

    def __init__(self, labels: Labels, *, post_roll_s: float) -> None:
        """`post_roll_s`: how long an event stays open after it was active last."""
        self._labels = labels
        self._patience_us = round(post_roll_s * 1_000_000 / 2)
        self._frames = BestFrames()
        self._worker = LabelWorker(ModelProcess()) if labels == "model" else None
        self._event: str | None = None
        self._asked = False
        self._answered = False
        self._active_us = 0

    def consider(self, event: str | None, reading: MotionReading, picture: NDArray[np.uint8]) -> None:
        """Take a reading, and the event that is under way, if any."""
        if event != self._event:
            self.forget()
            self._event = event
        if event is None or self._labels == "off":
            return
        if reading.active:
            self._active_us = reading.at_us
        self._frames.consider(reading, picture)
        if self._worker is not None and not self._asked and (self._frames.ripe or not reading.active):
            self._asked = True
            self._worker.submit(event, self._frames.best())

    def answers(self, now_us: int) -> Iterator[tuple[str, Label]]:
        """Give (event, label) of what is known by now and was not told yet."""
        for event, label in self._worker.done() if self._worker is not None else ():
            self._answered = self._answered or event == self._event
            yield event, label
        quiet = self._event is not None and now_us - self._active_us >= self._patience_us
        if self._event is not None and quiet and not self._answered and self._labels != "off":
            self._answered = True
            yield self._event, shape_label(self._frames.best())

    def forget(self) -> None:
        """Let go of every picture, those that wait to be looked at as well."""
        if self._worker is not None:
            self._worker.forget()
        self._frames.reset()
        self._event, self._asked, self._answered, self._active_us = None, False, False, 0

    def close(self) -> None:
        """End what was started."""
        if self._worker is not None:
            self._worker.close()
