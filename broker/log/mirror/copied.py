"""How a mirror's copy grows: bundle after bundle, each checked before it is stored, then the checkpoint over them.

Memory holds the bundles that are fetched at once, what is to be stored next (bounded by `BATCH_BYTES`), and a tile of
each level.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace

import structlog

from broker.log.errors import LogDamagedError, LogError, LogReadError
from broker.log.growth import load_edge
from broker.log.witness.answer import Evidence, Head, LogKeys, signing_time
from broker.wire.encoding import WireError
from broker.wire.merkle import root_hash
from broker.wire.notes import Signature
from broker.wire.tiles import TILE_HEIGHT, TILE_WIDTH, Tile, fold, tile_for_hash

from .notes import MirrorSigner, Served
from .source import Source
from .store import MirrorStore
from .tree import Check, TileTree, narrowed

log = structlog.get_logger()

AT_ONCE = 4  # up to 16 MB each, by far smaller in practice; more than one, since a log may be far away
BATCH_BYTES = 4 << 20
BATCH_FILES = 64
_SECOND_US = 1_000_000


class ForkError(LogError):
    """The log signed a tree that did not grow from the one before."""

    def __init__(self, evidence: Evidence) -> None:
        first, second = evidence.first.checkpoint, evidence.second.checkpoint
        super().__init__(
            f"the log {first.origin} signed a tree of {second.size} that does not contain the one of {first.size}"
        )
        self.evidence = evidence


class Copy:
    """The copy of one log. `served` is what stands in the store; None before the first pull has ended."""

    def __init__(self, *, store: MirrorStore, source: Source, signer: MirrorSigner, now_us: Callable[[], int]) -> None:
        self.served: Served | None = None
        self._store = store
        self._source = source
        self._signer = signer
        self._now_us = now_us
        self._batch: dict[Tile, bytes] = {}
        self._signed_s = 0

    @property
    def size(self) -> int:
        """How many entries are served."""
        return 0 if self.served is None else self.served.head.checkpoint.size

    def open(self, origin: str, logs: LogKeys) -> None:
        """Take over what is stored; raises LogDamagedError where the tiles don't carry the stored checkpoint."""
        data = self._store.checkpoint()
        if data is None:
            return
        try:
            self.served = self._checked(data, origin, logs)
        except WireError as error:
            where = self._store.folder
            raise LogDamagedError(f"{where} can't be used: {error}. Move it away: it is copied anew") from error

    async def tree(self, head: Head) -> TileTree:
        """Return a tree at the log, its right edge checked; raises LogError."""
        self._batch = {}
        tree = TileTree(head.checkpoint, self._obtain)
        try:
            await tree.open(self._fetch)  # they are checked together, so that none is taken from the store
        except WireError as error:
            raise LogReadError(f"{self._source.url}/tile", str(error)) from error
        return tree

    async def pull(self, head: Head) -> None:
        """Copy all that a head covers, then serve and cosign it. Raises LogError, ForkError among them, or OSError."""
        if self.served is not None and head.note.text == self.served.head.note.text:
            await self.serve(head)
            return
        tree = await self.tree(head)
        if self.served is not None:
            await demand_growth(self.served.head, head, tree)
        size, old_size = head.checkpoint.size, self.size
        end = -(-size // TILE_WIDTH)
        for index in range(old_size // TILE_WIDTH, end, AT_ONCE):
            await _all_of(tree.bundle(one) for one in range(index, min(end, index + AT_ONCE)))
            if len(self._batch) >= BATCH_FILES or sum(map(len, self._batch.values())) >= BATCH_BYTES:
                await self._flush()
        await self._flush()
        await self.serve(head)
        await asyncio.to_thread(self._store.discard, old_size, size)
        log.info("mirrored", origin=head.checkpoint.origin, size=size, added=size - old_size)

    async def serve(self, head: Head) -> None:
        """Cosign and serve a head of which all is stored."""
        last_s = max(self._signed_s, 0 if self.served is None else self.served.at_s)
        at_s = signing_time(self._now_us() // _SECOND_US, last_s)
        if at_s is None:
            raise LogError(f"the clock is behind the last cosignature, which was made at {last_s}")
        witnesses: tuple[Signature, ...] = ()
        if self.served is not None and self.served.head.note.text == head.note.text:
            if self.served.at_s == self._signed_s == at_s:
                return  # said within this second already, and stored
            witnesses = self.served.witnesses
        await self._swap(self._signer.sign(head, at_s=at_s, witnesses=witnesses))

    async def add_witnesses(self, lines: tuple[Signature, ...]) -> None:
        """Serve the same head with these lines of witnesses."""
        if self.served is not None and self.served.witnesses != lines:
            await self._swap(replace(self.served, witnesses=lines))

    def root_at(self, size: int) -> bytes:
        """Return the root over the first `size` entries of the copy; raises WireError beyond what is served."""
        if size > self.size:
            raise WireError(f"the copy holds {self.size} entries, not {size}")

        def read(level: int, index: int) -> bytes:
            tile, first, count = tile_for_hash(level, index, self.size)
            return fold(self._read(tile), first, count)

        return root_hash(size, read)

    def covers(self, tile: Tile) -> bool:
        """Tell whether the served checkpoint covers a tile."""
        level = 0 if isinstance(tile.level, str) else tile.level
        return tile.index * TILE_WIDTH + tile.width <= self.size >> (TILE_HEIGHT * level)

    def _checked(self, data: bytes, origin: str, logs: LogKeys) -> Served:
        served = self._signer.parse(data, logs)
        checkpoint = served.head.checkpoint
        if checkpoint.origin != origin:
            raise WireError(f"it is of the log {checkpoint.origin!r}")
        if load_edge(checkpoint.size, self._read).root() != checkpoint.root:
            raise WireError("the tiles do not lead to its root")
        return served

    async def _swap(self, served: Served) -> None:
        self._signed_s = served.at_s  # also if it fails: then nobody knows whether it is stored
        await asyncio.to_thread(self._store.swap, str(served.note).encode())
        self.served = served

    async def _obtain(self, tile: Tile, check: Check) -> bytes:
        """Return a tile that passes the check: the stored one, else the log's."""
        data = self._batch.get(tile) or await asyncio.to_thread(self._store.tile, tile)
        if data is not None and await _fails(check, data) is None:
            return data
        return await self._fetch(tile, check)

    async def _fetch(self, tile: Tile, check: Check) -> bytes:
        """Return a tile from the log, or cut from the full one where the log keeps no partial one any more."""
        data = await self._source.tile(tile)
        if data is None and tile.width < TILE_WIDTH:
            full = await self._source.tile(Tile(tile.level, tile.index))
            try:
                data = None if full is None else narrowed(tile, full)
            except WireError as error:
                raise LogReadError(tile.path, str(error)) from error
        if data is None:
            raise LogReadError(tile.path, "the log signed it, and does not have it")
        why = await _fails(check, data)
        if why is not None:
            raise LogReadError(tile.path, why)
        self._batch[tile] = data
        return data

    async def _flush(self) -> None:
        batch, self._batch = self._batch, {}
        if batch:
            await asyncio.to_thread(self._store.put, batch)

    def _read(self, tile: Tile) -> bytes:
        data = self._store.tile(tile)
        if data is None:
            raise WireError(f"{tile.path} is missing")
        return data


async def demand_growth(old: Head, new: Head, tree: TileTree) -> None:
    """Raise ForkError unless the tree of `new` contains the one of `old`."""
    if old.checkpoint.size > new.checkpoint.size or await tree.root_of(old.checkpoint.size) != old.checkpoint.root:
        raise ForkError(Evidence("fork", old, new))


async def _all_of(reads: Iterable[Awaitable[object]]) -> None:
    """Wait for all; of those that fail, the first is raised once none is under way any more."""
    for result in await asyncio.gather(*reads, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result


async def _fails(check: Check, data: bytes) -> str | None:
    """Return why a check fails, None if it does not; off the event loop, since a bundle may have 16 MB."""

    def run() -> str | None:
        try:
            check(data)
        except WireError as error:
            return str(error)
        return None

    return await asyncio.to_thread(run)
