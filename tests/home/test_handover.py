"""What is filmed waits for the keeper, within bounds."""

import threading

from hypothesis import given
from hypothesis import strategies as st

from device.handover import Handover
from device.video.outputs import ClipEnded, Thumbnail


def picture(size: int, *, number: int = 0) -> Thumbnail:
    return Thumbnail(clip="c", at_us=number, jpeg=bytes(size))


@given(st.lists(st.integers(0, 50), max_size=40), st.integers(1, 8), st.integers(1, 100))
def test_everything_comes_in_order_and_no_more_is_held_than_allowed(
    sizes: list[int], most: int, most_bytes: int
) -> None:
    """Whatever the sizes: nothing is lost, nothing overtakes, and the bounds hold but for one output alone."""
    queue = Handover(most=most, most_bytes=most_bytes)
    outputs = [picture(size, number=number) for number, size in enumerate(sizes)]

    def hand_over() -> None:
        for output in outputs:
            queue.put(output)
            assert len(queue) <= most
            assert queue.held_bytes <= max(most_bytes, *sizes)
        queue.close()

    thread = threading.Thread(target=hand_over)
    thread.start()
    taken = []
    while (output := queue.take()) is not None:
        taken.append(output)
    thread.join()
    assert taken == outputs


class WatchedHandover(Handover):
    """Says when somebody found no room. Whoever takes the lock after that finds him waiting."""

    def __init__(self, *, most: int, most_bytes: int) -> None:
        super().__init__(most=most, most_bytes=most_bytes)
        self.crowded = threading.Event()

    def _has_room(self, size: int) -> bool:
        if super()._has_room(size):
            return True
        self.crowded.set()
        return False


def test_who_waits_for_room_is_let_go_when_it_closes() -> None:
    """A keeper that can't go on holds up nobody; what comes later is dropped."""
    queue = WatchedHandover(most=1, most_bytes=10)
    queue.put(picture(10))
    waiting = threading.Thread(target=lambda: queue.put(picture(10)))
    waiting.start()
    assert queue.crowded.wait(5)
    queue.close(drop=True)
    waiting.join(5)
    assert not waiting.is_alive()
    queue.put(ClipEnded(clip="c", end_us=1))
    assert queue.take() is None
    assert queue.held_bytes == 0


def test_an_output_larger_than_the_bound_goes_through_alone() -> None:
    """One segment may be larger than all that is allowed together; it must not wait for ever."""
    queue = Handover(most=4, most_bytes=10)
    queue.put(picture(1_000))
    assert queue.held_bytes == 1_000
    assert queue.take() == picture(1_000)
