"""From the film's thread to the keeper's: a queue bounded in outputs and in bytes, so that no stall fills memory."""

import threading
from collections import deque

from device.video.outputs import Output, SegmentReady, Thumbnail


class Handover:
    """Outputs in order. `put` waits until an output fits both bounds; alone, one always fits."""

    def __init__(self, *, most: int, most_bytes: int) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._held: deque[Output] = deque()
        self._bytes = 0
        self._closed = False
        self._changed = threading.Condition()

    def put(self, output: Output) -> None:
        """Hand over one output; what comes after `close` is dropped."""
        size = _size(output)
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._has_room(size))
            if self._closed:
                return
            self._held.append(output)
            self._bytes += size
            self._changed.notify_all()

    def take(self) -> Output | None:
        """Wait for the next output; None once it is closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or bool(self._held))
            if not self._held:
                return None
            output = self._held.popleft()
            self._bytes -= _size(output)
            self._changed.notify_all()
            return output

    def close(self, *, drop: bool = False) -> None:
        """Take no more, so that nobody waits any longer; `drop` forgets what is there, too."""
        with self._changed:
            self._closed = True
            if drop:
                self._held.clear()
                self._bytes = 0
            self._changed.notify_all()

    def __len__(self) -> int:
        with self._changed:
            return len(self._held)

    @property
    def held_bytes(self) -> int:
        """Bytes of the pictures that wait."""
        with self._changed:
            return self._bytes

    def _has_room(self, size: int) -> bool:
        return not self._held or (len(self._held) < self._most and self._bytes + size <= self._most_bytes)


def _size(output: Output) -> int:
    match output:
        case SegmentReady():
            return output.segment.size_bytes
        case Thumbnail():
            return len(output.jpeg)
        case _:
            return 0
