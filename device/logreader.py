"""Reads the public log for a device: asks those who serve it, and hands what they serve to the follower, who decides.

A look asks every address for its newest head, and then reads on from one of them. When it looks, and for what it asks,
depends on the clock, on the log, and on what its cell of the neighbourhood is told: the log's checkpoint topic, and the
heads under which requests are announced. Of those that are not what was read, one a look is compared by tiles, so who
serves the log can tell that such an announcement reached this device. It can't tell whether anything matches here, is
on offer or was decided: no question depends on that.

Whoever serves something else than the head stands for is passed over for the next. Before that the tiles are asked
whose fault it is: a head that is shown to be of another history is evidence against the log itself.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Protocol

import structlog

from broker.wire.tiles import TILE_WIDTH, Tile
from device import link
from device.consent.reading.edge import PLANNED_BUNDLES, Plan, ahead, spans, tile_reader, tiles_for
from device.consent.reading.follower import Follower, MisservedError
from device.consent.reading.heads import Head, Outcome

log = structlog.get_logger()

WITHOUT_PLAN: Final = 2  # bundles: so few are read at once, and then compared with the head
BUNDLES_A_LOOK: Final = PLANNED_BUNDLES  # a device that was off for long catches up over some looks
CHUNK_BUNDLES: Final = 16
CHUNK_BYTES: Final = 4 * 1024 * 1024


class Files(Protocol):
    """Those who serve a log; raises LogUnreadable."""

    async def checkpoint(self, where: "link.LogAddress") -> bytes:
        """Return the newest note."""

    async def hashes(self, where: "link.LogAddress", tile: Tile) -> bytes:
        """Return a hash tile."""

    async def entries(self, where: "link.LogAddress", tile: Tile) -> list[bytes]:
        """Return a bundle's entries."""


@dataclass(slots=True)
class Source:
    """One of those who serve the log, and how it was at the last look: the size that it showed, or what is wrong."""

    name: str
    url: str
    own: bool
    size: int | None = None
    error: str = ""


class LogReader:
    """Looks at the log when `look` is called, but only each `every_s` seconds, or sooner if told of more.

    One after the other: looking, being told, beginning again, and what happens while it is `at_rest`.
    """

    def __init__(
        self,
        follower: Follower,
        files: Files,
        *,
        addresses: Sequence["link.LogAddress"],
        every_s: float,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._follower = follower
        self._files = files
        self._addresses = tuple(addresses)
        self._every_s = every_s
        self._monotonic_s = monotonic_s
        self._next_s = monotonic_s()
        self._sooner = False
        self._looking = asyncio.Lock()
        self.sources = [Source(one.name, one.prefix, one.own) for one in addresses]

    async def told(self, note: bytes) -> None:
        """Take a head that everybody is told of: if there is more to read, a look is due. Raises VaultError."""
        async with self._looking:
            heard = await asyncio.to_thread(self._follower.hear, note)
            if heard.outcome is Outcome.MORE:
                self._sooner = True

    async def look(self) -> None:
        """Look if it is due. Raises VaultError if what was learnt can't be kept, and nothing of the network's."""
        now_s = self._monotonic_s()
        if now_s < self._next_s and not self._sooner:
            return
        async with self._looking:
            self._sooner = False
            self._next_s = now_s + self._every_s
            heads = await self._heads()
            settled, size = await self._settle_doubt(), self._follower.size
            await self._read_on(heads)
            if not settled and self._follower.size != size:
                # The partial tiles of the size before may be gone; those of the present one are there.
                await self._settle_doubt()

    async def read_again(self) -> None:
        """Forget what was read, as the owner has said, and begin anew at the next look."""
        async with self._looking:
            await asyncio.to_thread(self._follower.begin_again)
            self._sooner = True

    @contextlib.asynccontextmanager
    async def at_rest(self) -> AsyncIterator[None]:
        """Keep what was read as it is: nothing is read on or forgotten meanwhile."""
        async with self._looking:
            yield

    def status(self) -> list[dict[str, Any]]:
        """Return who serves the log, and how."""
        return [asdict(source) for source in self.sources]

    async def _heads(self) -> list[tuple["link.LogAddress", Head]]:
        async def ask(address: "link.LogAddress") -> bytes | link.LogUnreadable:
            try:
                return await self._files.checkpoint(address)
            except link.LogUnreadable as error:
                return error

        notes = await asyncio.gather(*(ask(address) for address in self._addresses))
        whole = self._follower.gather([note for note in notes if isinstance(note, bytes)])
        found = []
        for address, source, note in zip(self._addresses, self.sources, notes, strict=True):
            source.size, source.error = None, ""
            if isinstance(note, link.LogUnreadable):
                source.error = str(note)
                continue
            head = await asyncio.to_thread(self._heard, whole.get(note, note), source)
            if head is not None:
                found.append((address, head))
        return found

    def _heard(self, note: bytes, source: Source) -> Head | None:
        heard = self._follower.hear(note, own=source.own)
        source.size = None if heard.head is None else heard.head.size
        if heard.head is None or source.own:  # a mirror alone need not be a quorum
            source.error = heard.why
        return heard.more

    async def _read_on(self, heads: Sequence[tuple["link.LogAddress", Head]]) -> None:
        """Read up to the largest head that somebody serves, or until the log contradicts itself."""
        for head in sorted({one.size: one for _, one in heads}.values(), key=lambda one: -one.size):
            showing = [address for address, one in heads if one.size == head.size]
            for address in [*showing, *(one for one in self._addresses if one not in showing)]:
                if self._follower.contradiction is not None:
                    return
                try:
                    await self._read_from(address, head)
                except (link.LogUnreadable, MisservedError) as error:
                    self._blamed(address, str(error))
                else:
                    return

    async def _read_from(self, address: "link.LogAddress", head: Head) -> None:
        first, last = self._follower.size // TILE_WIDTH, -(-head.size // TILE_WIDTH)
        plan = None
        if last - first > WITHOUT_PLAN:
            plan = await self._plan(address, head)
            if plan is None:
                await self._blame(address, head)
                return
        bundles: list[list[bytes]] = []
        for number in range(first, min(last, first + BUNDLES_A_LOOK)):
            bundles.append(await self._bundle(address, number, head))
            if plan is not None and (len(bundles) >= CHUNK_BUNDLES or _bytes_in(bundles) >= CHUNK_BYTES):
                await self._take(address, head, bundles, plan)
                bundles = []
                if self._follower.contradiction is not None:
                    return
        if bundles:
            await self._take(address, head, bundles, plan)
        # At the next look, since there is more.
        self._sooner = self._follower.contradiction is None and self._follower.size < head.size

    async def _take(
        self, address: "link.LogAddress", head: Head, bundles: list[list[bytes]], plan: Plan | None
    ) -> None:
        skip = self._follower.size % TILE_WIDTH
        new = [bundles[0][skip:], *bundles[1:]]
        try:
            await asyncio.to_thread(self._follower.take, head, new, plan)
        except MisservedError:
            if plan is not None:
                raise
            await self._blame(address, head)

    async def _bundle(self, address: "link.LogAddress", number: int, head: Head) -> list[bytes]:
        width = min(TILE_WIDTH, head.size - number * TILE_WIDTH)
        return await self._files.entries(address, Tile("entries", number, width))

    async def _plan(self, address: "link.LogAddress", head: Head) -> Plan | None:
        tiles = await self._tiles(address, tiles_for(ahead(self._follower.size, head.size), size=head.size))
        return await asyncio.to_thread(self._follower.plan, head, tile_reader(tiles, size=head.size))

    async def _blame(self, address: "link.LogAddress", head: Head) -> None:
        """Keep the evidence if the head is of another history; raises MisservedError if it is not shown to be."""
        size = self._follower.size
        tiles = await self._tiles(address, tiles_for(_both(size, head.size), size=head.size))
        if not await asyncio.to_thread(self._follower.blame, head, tile_reader(tiles, size=head.size)):
            raise MisservedError(f"{address.name} does not serve the entries that its head of {head.size} stands for")

    async def _settle_doubt(self) -> bool:
        """Have one head compared under which something was announced that was not read; False if nobody could help.

        Whoever signed it may be who serves no tiles, or false ones: then somebody else is asked, now or later.
        """
        head = await asyncio.to_thread(self._follower.doubted)
        if head is None:
            return True
        size = self._follower.size
        needed = tiles_for(_both(head.size, size), size=size)
        for address in self._addresses:
            try:
                tiles = await self._tiles(address, needed)
                await asyncio.to_thread(self._follower.settle_doubt, head, tile_reader(tiles, size=size))
            except (link.LogUnreadable, MisservedError) as error:
                self._blamed(address, str(error))
            else:
                return True
        return False

    async def _tiles(self, address: "link.LogAddress", tiles: Iterable[Tile]) -> dict[Tile, bytes]:
        return {tile: await self._files.hashes(address, tile) for tile in tiles}

    def _blamed(self, address: "link.LogAddress", why: str) -> None:
        log.warning("log_misread", source=address.name, why=why)
        for source in self.sources:
            if source.url == address.prefix:
                source.error = why


def _both(size: int, larger: int) -> Iterator[tuple[int, int]]:
    """Yield the subtrees of the first `size` entries, and of those that follow up to a larger size."""
    yield from spans(0, size)
    yield from spans(size, larger)


def _bytes_in(bundles: Sequence[Sequence[bytes]]) -> int:
    return sum(len(entry) for bundle in bundles for entry in bundle)
