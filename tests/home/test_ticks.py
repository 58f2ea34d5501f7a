"""Times that tell nothing: fixed, whatever is done at them."""

from hypothesis import given
from hypothesis import strategies as st

from device.ticks import ticks


class Clock:
    """A clock that stands still but when somebody sleeps."""

    def __init__(self) -> None:
        self.at_s = 1_000.0

    def now_s(self) -> float:
        return self.at_s

    async def sleep(self, seconds: float) -> None:
        self.at_s += seconds


@given(st.lists(st.floats(0, 35), max_size=30))
async def test_what_is_done_at_a_time_does_not_move_the_next(lasting_s: list[float]) -> None:
    """However long each step takes, the next begins at a whole interval, and no two at one."""
    clock, began = Clock(), []
    steps = iter(lasting_s)
    async for _ in ticks(10.0, now_s=clock.now_s, sleep=clock.sleep):
        began.append(clock.at_s)
        lasts = next(steps, None)
        if lasts is None:
            break
        await clock.sleep(lasts)
    assert all(abs((at - 1_000.0) / 10 - round((at - 1_000.0) / 10)) < 1e-6 for at in began)
    assert sorted({round(at, 3) for at in began}) == [round(at, 3) for at in began]
