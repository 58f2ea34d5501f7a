"""Whatever a mirror serves: a device learns nothing that is not in the log, and accuses no log that is honest."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from tests.consent.support import followed, read_on
from tests.consent.test_reading_follower import cut_state, learnt
from tests.home.log_support import Household, witnessed_hood
from tests.link.support import quick_folder
from tests.simulators import LogServer, LogSimulator

FLIP = st.tuples(st.just("flip"), st.integers(0, 1 << 20), st.integers(0, 7))
CUT = st.tuples(st.just("cut"), st.integers(0, 1 << 20), st.just(0))
MORE = st.tuples(st.just("more"), st.integers(1, 400), st.just(0))
OTHERS = st.tuples(st.just("another's"), st.integers(0, 30), st.just(0))
LIES = st.lists(FLIP | CUT | MORE | OTHERS, min_size=1, max_size=8)


class Liar(LogServer):
    """A mirror, `liar`, that spoils some of its answers, one lie after the other, and then begins anew."""

    def __init__(self, lies: list[tuple[str, int, int]], log: LogSimulator, other: LogSimulator) -> None:
        super().__init__(log=log, liar=log)
        self.lies = lies
        self.other = other
        self.told = 0

    def found(self, host: str, path: str) -> bytes | None:
        data = super().found(host, path)
        if host != "liar" or not data:
            return data
        how, where, bit = self.lies[self.told % len(self.lies)]
        self.told += 1
        if how == "flip":
            spoiled = bytearray(data)
            spoiled[where % len(data)] ^= 1 << bit
            return bytes(spoiled)
        if how == "cut":
            return data[: where % len(data)]
        if how == "more":
            return data + bytes(where)
        # The same file of a log under another key: well formed, and about something else.
        return self.other.file(path) or data


@given(LIES, st.lists(st.integers(1, 700), min_size=1, max_size=4))
def test_a_liar_teaches_nothing_and_accuses_nobody(lies: list[tuple[str, int, int]], growth: list[int]) -> None:
    """The log is down as often as not: what is read from the liar alone is true, or is not kept."""
    hood = witnessed_hood()
    other = LogSimulator(seed=9)
    other.entries = [b"other %d" % number for number in range(3_000)]

    async def story() -> None:
        with quick_folder() as folder:
            house = Household(folder, hood, server=Liar(lies, hood.log, other))
            for number, count in enumerate(growth):
                hood.announced(case=f"case {number}")
                hood.log.entries += [b"entry %d %d" % (number, at) for at in range(count)]
                house.server.down = {"log"} if number % 2 == 0 else set()
                before = house.follower.size
                await house.look()
                assert house.evidence is None
                assert before <= house.follower.size <= len(hood.log.entries)
            house.server.down = set()
            await house.look()
            with followed(hood, read=False) as honest:
                read_on(honest, hood.log)
                assert learnt(cut_state(house.follower)) == learnt(cut_state(honest))
            await house.aclose()

    asyncio.run(story())
