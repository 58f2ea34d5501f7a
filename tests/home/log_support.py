"""A device's reading of a log over HTTP, with its desk: everything real but the network and the clock."""

from pathlib import Path

from broker.wire import topics
from device import link
from device.asked import Asked
from device.courier import Courier, Destination
from device.logreader import LogReader
from tests.consent.support import Home
from tests.simulators import LogServer, LogSimulator, NeighbourhoodSimulator

LOOK_S = 100.0
CELL = "8a2a1072b59ffff"


def witnessed_hood(*, witnesses: int = 1, mirrors: int = 1) -> NeighbourhoodSimulator:
    """A neighbourhood whose log needs a witness and a mirror."""
    return NeighbourhoodSimulator(log=LogSimulator(witnesses=witnesses, mirrors=mirrors))


class Household(Home):
    """A device that reads a log from those who serve it: `log` itself, and mirrors by their names."""

    def __init__(
        self,
        folder: Path,
        hood: NeighbourhoodSimulator | None = None,
        *,
        server: LogServer | None = None,
        **mirrors: LogSimulator,
    ) -> None:
        hood = hood or witnessed_hood()
        self.server = server or LogServer(log=hood.log, **mirrors)
        self.clock_s = 0.0
        super().__init__(folder, hood)

    def open(self) -> None:
        super().open()
        self.files = self.server.reading()
        self.reader = LogReader(
            self.follower,
            self.files,
            addresses=[self.server.address(name) for name in self.server.logs],
            every_s=LOOK_S,
            monotonic_s=lambda: self.clock_s,
        )
        self.mailbox = link.request_mailbox()
        nowhere = Destination(inbox_url="http://inbox.invalid", inbox_key=bytes(32), owner_key=bytes(32))
        self.asked = Asked(
            self.docket,
            self.desk,
            Courier(self.desk, destination=nowhere, outgoing=self.folder),
            self.follower,
            self.files,
            self.reader,
            LOOK_S,
            self.mutes,
        )

    async def aclose(self) -> None:
        await self.files.aclose()
        self.close()

    async def look(self, *announced: tuple[str, bytes]) -> None:
        """Do what the daemon does at one of its times, once these (leaf, payload) were announced."""
        self.clock_s += LOOK_S
        for leaf, payload in announced:
            self.mailbox.put(topics.request(CELL, leaf), payload)
        await self.asked.look(self.mailbox)

    def paths(self, name: str = "log") -> list[str]:
        """Return what was asked of one of them, and forget it."""
        found = [path for host, path in self.server.asked if host == name]
        self.server.asked = [one for one in self.server.asked if one[0] != name]
        return found

    def pass_time(self, seconds: float) -> None:
        """Let time go by for the device; the log's witnesses sign at their own `now_s`."""
        self.now_us += int(seconds * 1_000_000)

    @property
    def evidence(self) -> tuple[str, str] | None:
        """The kind and words of the contradiction that stands."""
        found = self.follower.contradiction
        return None if found is None else (found.kind, found.message)


def fill(hood: NeighbourhoodSimulator, count: int) -> None:
    """Append so many entries that count for nothing, but take their place."""
    for number in range(count):
        hood.log.append(b"entry %d" % (len(hood.log.entries) + number))


async def offered(house: Household) -> str:
    leaf, payload = house.hood.announced()
    await house.look((leaf, payload))
    assert house.states() == {leaf: "offered"}
    return leaf


def secretly(house: Household, at: int) -> tuple[str, bytes]:
    """Announce a request that is in another log of the same keys, which is the public one up to entry `at`."""
    secret = NeighbourhoodSimulator(log=house.hood.log.fork(at))
    return secret.announced(case="secret")
