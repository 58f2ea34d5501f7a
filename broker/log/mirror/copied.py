"""How a mirror's copy grows: bundle after bundle, each checked before it is stored, then the checkpoint over them.

What is known to be missing or damaged is fetched again first, by the same checks, and meanwhile nothing is cosigned and
no checkpoint shown: a mirror's cosignature says that all of it is here.

Memory holds the bundles that are fetched at once, what is to be stored next (bounded by `BATCH_BYTES`), and a tile of
each level.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace

import structlog

from broker.log.errors import LogDamagedError, LogError, LogReadError
from broker.log.growth import filled_tiles, load_edge
from broker.log.partials import Partials
from broker.log.witness.answer import Evidence, Head, LogKeys, signing_time
from broker.wire.encoding import WireError
from broker.wire.merkle import EMPTY_ROOT, consistency_proof, root_hash, verify_consistency
from broker.wire.notes import Signature
from broker.wire.tiles import TILE_HEIGHT, TILE_WIDTH, Tile, fold, tile_for_hash

from .examine import Examination, fails, unfit
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
        self._damaged: set[Tile] = set()
        self._withheld = False
        self._doubtful = False  # it was withheld by a former process, which knew why
        self._swapping = asyncio.Lock()
        self._partials = Partials()

    @property
    def size(self) -> int:
        """How many entries are served."""
        return 0 if self.served is None else self.served.head.checkpoint.size

    @property
    def shown(self) -> Served | None:
        """What may be shown as the checkpoint: `served`, unless some of it is known to be missing or damaged."""
        return None if self._damaged or self._withheld else self.served

    @property
    def sound(self) -> bool:
        """Whether nothing that is served is known to be missing or damaged."""
        return not self._damaged and not self._withheld

    @property
    def damaged(self) -> int:
        """How many files are known to be missing or damaged."""
        return len(self._damaged)

    @property
    def problem(self) -> str | None:
        """What is wrong with the copy, in a line for everybody."""
        if self._damaged:
            return f"missing or damaged files: {self.damaged}; nothing is cosigned before they are here again"
        return None if self.sound else "files were missing or damaged: nothing is cosigned before all were looked at"

    def open(self, origin: str, logs: LogKeys) -> None:
        """Take over what is stored; raises LogDamagedError where the tiles don't carry the stored checkpoint.

        What else is missing, or is so by its length, is `damaged` from then on; the bytes are for `examination`.
        """
        data = self._store.checkpoint()
        if data is None:
            return
        try:
            self.served = self._checked(data, origin, logs)
        except WireError as error:
            where = self._store.folder
            raise LogDamagedError(f"{where} can't be used: {error}. Move it away: it is copied anew") from error
        self._damaged = unfit(self._store, self.size)
        self._withheld = self._doubtful = self._store.withheld()
        if self._damaged:
            log.warning("mirror_damaged", origin=origin, files=self.damaged)
            self._withheld = True
            self._store.withhold()
        self._partials = Partials()
        for tile in self._partials.found(self._store.partials(), size=self.size, now_s=self._now_s()):
            self._store.discard_partials(tile)
        self._partials.stand({self.size}, now_s=self._now_s())

    def examination(self) -> Examination | None:
        """Return a pass over what is served, None if that is nothing; what it finds is to be reported to `spoilt`."""
        return None if self.served is None else Examination(self._store, self.served.head.checkpoint)

    async def spoilt(self, tiles: Iterable[Tile]) -> None:
        """Take it that files are damaged: no checkpoint is shown before they are fetched again."""
        self._damaged.update(tiles)
        async with self._swapping:
            self._withheld = True
            await asyncio.to_thread(self._store.withhold)

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
        """Copy all that a head covers, then serve and cosign it; what is damaged is mended before.

        Raises LogError, ForkError among them, or OSError.
        """
        await self._mend()
        if self.served is not None and head.note.text == self.served.head.note.text:
            await self.serve(head)
            return
        tree = await self.tree(head)
        if self.served is not None:
            await demand_growth(self.served.head, head, tree)
        size, old_size = head.checkpoint.size, self.size
        end = -(-size // TILE_WIDTH)
        if size % TILE_WIDTH:
            await tree.bundle(end - 1)  # first, since the log does not keep it for ever
        for index in range(old_size // TILE_WIDTH, end, AT_ONCE):
            await _all_of(tree.bundle(one) for one in range(index, min(end, index + AT_ONCE)))
            await self._flush(at_least=BATCH_FILES)
        await self._flush()
        await self.serve(head)
        await asyncio.to_thread(self._drop_partials, old_size)
        log.info("mirrored", origin=head.checkpoint.origin, size=size, added=size - old_size)

    async def serve(self, head: Head) -> None:
        """Cosign and serve a head of which all is stored."""
        last_s = max(self._signed_s, 0 if self.served is None else self.served.at_s)
        at_s = signing_time(self._now_us() // _SECOND_US, last_s)
        if at_s is None:
            raise LogError(f"the clock is behind the last cosignature, which was made at {last_s}")
        witnesses: tuple[Signature, ...] = ()
        if self.served is not None and self.served.head.note.text == head.note.text:
            if self.served.at_s == self._signed_s == at_s and self.sound:
                return  # said within this second already, and stored
            witnesses = self.served.witnesses
        await self._swap(self._signer.sign(head, at_s=at_s, witnesses=witnesses))

    async def add_witnesses(self, lines: tuple[Signature, ...]) -> None:
        """Serve the same head with these lines of witnesses."""
        if self.shown is not None and self.shown.witnesses != lines:
            await self._swap(replace(self.shown, witnesses=lines))

    def root_at(self, size: int) -> bytes:
        """Return the root over the first `size` entries of the copy; raises WireError beyond what is served.

        Tiles that don't lead to the served root are LogError: from them nothing may be held against the log.
        """
        if size > self.size:
            raise WireError(f"the copy holds {self.size} entries, not {size}")
        served_root = EMPTY_ROOT if self.served is None else self.served.head.checkpoint.root

        def read(level: int, index: int) -> bytes:
            tile, first, count = tile_for_hash(level, index, self.size)
            return fold(self._read(tile), first, count)

        try:
            root = served_root if size == self.size else root_hash(size, read)
            verify_consistency(size, root, self.size, served_root, consistency_proof(size, self.size, read))
        except WireError as error:
            raise LogError("the copy's own tiles do not lead to its checkpoint: they can't be compared with") from error
        return root

    def covers(self, tile: Tile) -> bool:
        """Tell whether the served checkpoint covers a tile, and it is not known to be damaged."""
        if tile in self._damaged:
            return False
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

    async def _mend(self) -> None:
        """Fetch again what is damaged. Raises LogError, OSError."""
        if self.served is None or self.sound:
            return
        damaged = set(self._damaged)
        looked_at = damaged | (set(filled_tiles(0, self.size)) if self._doubtful else set())
        tree, self._batch = TileTree(self.served.head.checkpoint, self._obtain), {}
        partial = any(tile.level != "entries" and tile.width < TILE_WIDTH for tile in damaged)
        try:
            await tree.open(self._fetch if partial else self._obtain)
        except WireError as error:
            raise LogReadError(f"{self._source.url}/tile", str(error)) from error
        for tile in sorted(looked_at, key=lambda tile: (tile.index, str(tile.level))):
            if isinstance(tile.level, str):
                await tree.bundle(tile.index)
            elif tile.width == TILE_WIDTH:
                await tree.tile(tile.level, tile.index)
            await self._flush(at_least=BATCH_FILES)
        await self._flush()
        self._damaged -= damaged
        self._doubtful = False
        log.info("mirror_mended", origin=self.served.head.checkpoint.origin, files=len(damaged))

    def _drop_partials(self, old_size: int) -> None:
        for tile in filled_tiles(old_size, self.size):
            self._store.discard_partials(tile)
        self._partials.stand({self.size}, now_s=self._now_s())
        gone = self._partials.expired(now_s=self._now_s())
        if gone:
            self._store.discard(gone)

    def _now_s(self) -> float:
        return self._now_us() / _SECOND_US

    async def _swap(self, served: Served) -> None:
        async with self._swapping:
            if self._damaged or self._doubtful:
                raise LogError(self.problem or "the copy is not whole")
            self._signed_s = served.at_s  # also if it fails: then nobody knows whether it is stored
            await asyncio.to_thread(self._store.swap, str(served.note).encode())
            self.served, self._withheld = served, False

    async def _obtain(self, tile: Tile, check: Check) -> bytes:
        """Return a tile that passes the check: the stored one, else the log's."""
        data = self._batch.get(tile)
        if data is None:
            with contextlib.suppress(OSError):  # what can't be read can be fetched
                data = await asyncio.to_thread(self._store.tile, tile)
        if data is not None and await fails(check, data) is None:
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
            raise LogReadError(tile.path, "the log does not have it, or not any more")
        why = await fails(check, data)
        if why is not None:
            raise LogReadError(tile.path, why)
        self._batch[tile] = data
        return data

    async def _flush(self, *, at_least: int = 0) -> None:
        """Store what was fetched, if it is so many files or too many bytes to be held."""
        if len(self._batch) < at_least and sum(map(len, self._batch.values())) < BATCH_BYTES:
            return
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
