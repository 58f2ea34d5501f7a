"""Checks a whole log as a stranger would: signatures, every tile, the root, and the intake's rules on every entry.

Nothing is taken on trust but the policy (the log's and the witnesses' keys) and the operator's key. One bundle
and one row of hashes above the leaves are in memory at a time; the history is in a temporary file.
"""

import contextlib
from collections.abc import Callable

from broker.wire.deletions import DeletionsAsked
from broker.wire.encoding import WireError
from broker.wire.merkle import HASH_BYTES, leaf_hash, root_hash, verify_consistency
from broker.wire.merkle import consistency_proof as make_consistency
from broker.wire.notes import Checkpoint
from broker.wire.proofs import Policy
from broker.wire.records import Agency
from broker.wire.rules import Limits
from broker.wire.tiles import TILE_HEIGHT, TILE_WIDTH, Tile, decode_entries, fold, tile_for_hash

from .errors import LogReadError
from .growth import edge_tiles
from .history.book import Book
from .history.entries import AnyRecord, parse_record, said_us
from .intake import Accepted, Duplicate, Refused, decide
from .readers import LogReader
from .report import LogReport
from .storage.folder import CHECKPOINT_PATH


def verify_log(
    read: LogReader,
    policy: Policy,
    *,
    operator_key: bytes,
    limits: Limits | None = None,
    old_checkpoint: bytes | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> LogReport:
    """Check a log; never raises for what the log does wrong, which is in the report.

    `operator_key` (32 bytes) signs agency records. `old_checkpoint` is a note that was kept from before: the
    log must have grown from it. `progress(done, size)` is called after each bundle.
    """
    report = LogReport()
    try:
        checkpoint = policy.check(read(CHECKPOINT_PATH))
    except (WireError, LogReadError) as error:
        report.add("checkpoint", CHECKPOINT_PATH, str(error))
        return report
    read = _edge_first(read, checkpoint.size)
    report.origin, report.size, report.root = checkpoint.origin, checkpoint.size, checkpoint.root.hex()
    with contextlib.closing(Book()) as book:
        check = _Check(
            read, report, size=checkpoint.size, operator_key=operator_key, limits=limits or Limits(), book=book
        )
        check.leaves(progress)
        check.levels()
        check.root(checkpoint)
        if old_checkpoint is not None:
            check.growth(old_checkpoint, checkpoint, policy)
    return report


def _edge_first(read: LogReader, size: int) -> LogReader:
    """Read the right edge at once: a log that grows does not keep it for ever."""
    kept: dict[str, bytes] = {}
    for tile in edge_tiles(size):
        with contextlib.suppress(LogReadError):  # told when its turn comes
            kept[tile.path] = read(tile.path)
    return lambda path: kept[path] if path in kept else read(path)


class _Check:
    """One run over a log: the leaves first, then each level above from the one below, the root, the growth."""

    def __init__(
        self, read: LogReader, report: LogReport, *, size: int, operator_key: bytes, limits: Limits, book: Book
    ) -> None:
        self._read = read
        self._report = report
        self._size = size
        self._operator_key = operator_key
        self._limits = limits
        self._book = book
        self._newest_us = 0
        self._edge: dict[Tile, bytes] = {}
        self._row: list[bytes] = []

    def leaves(self, progress: Callable[[int, int], None] | None) -> None:
        """Check every bundle against its hash tile, and every entry against the rules."""
        for number in range(-(-self._size // TILE_WIDTH)):
            width = min(TILE_WIDTH, self._size - number * TILE_WIDTH)
            entries = self._bundle(Tile("entries", number, width))
            hashes = self._tile(Tile(0, number, width))
            if entries is None:
                for _ in range(width):
                    self._book.skip()
            else:
                computed = b"".join(leaf_hash(entry) for entry in entries)
                if hashes is not None and computed != hashes:
                    self._differs(Tile(0, number, width), computed, hashes)
                hashes = computed
                with self._book.batch():
                    for entry in entries:
                        self._entry(self._book.size, entry)
            self._take(Tile(0, number, width), hashes)
            if progress is not None:
                progress(number * TILE_WIDTH + width, self._size)

    def levels(self) -> None:
        """Check every hash tile above the leaves."""
        level = 1
        while self._size >> (TILE_HEIGHT * level):
            row, self._row = self._row, []
            for number in range(-(-len(row) // TILE_WIDTH)):
                computed = b"".join(row[number * TILE_WIDTH : (number + 1) * TILE_WIDTH])
                tile = Tile(level, number, len(computed) // HASH_BYTES)
                stored = self._tile(tile)
                if stored is not None and stored != computed:
                    self._report.add("tile", tile.path, "does not follow from the level below")
                self._take(tile, computed)
            level += 1

    def root(self, checkpoint: Checkpoint) -> None:
        """Check the root."""
        if root_hash(self._size, self._edge_hash) != checkpoint.root:
            self._report.add("root", CHECKPOINT_PATH, "the entries do not lead to the root that the checkpoint signs")

    def growth(self, old_note: bytes, checkpoint: Checkpoint, policy: Policy) -> None:
        """Check that the log only grew since an earlier checkpoint."""
        try:
            old = policy.check(old_note)
            proof = make_consistency(old.size, checkpoint.size, self._stored_hash)
            verify_consistency(old.size, old.root, checkpoint.size, checkpoint.root, proof)
        except (WireError, LogReadError) as error:
            self._report.add("fork", CHECKPOINT_PATH, str(error))

    def _entry(self, index: int, data: bytes) -> None:
        where = f"entry {index}"
        try:
            _, record = parse_record(data)
        except WireError as error:
            self._report.add("malformed", where, str(error))
            self._book.skip()
            return
        at_us = said_us(record)
        decision = decide(data, self._book, operator_key=self._operator_key, limits=self._limits, now_us=at_us)
        match decision:
            case Accepted():
                self._book.apply(index, data)
                self._report.counts[record.thing] += 1
                self._check_order(record, at_us, where)
                return
            case Duplicate(earlier):
                self._report.add("duplicate", where, f"is entry {earlier} again")
            case Refused(code, message):
                self._report.add(code, where, message)
        self._book.skip()

    def _check_order(self, record: AnyRecord, at_us: int, where: str) -> None:
        # Intake lets an agency's clock differ from its own both ways; a larger step back means that the time was
        # not checked when the entry was logged. An agency record may be signed long before it is logged, though, and
        # asked deletions are told by day alone; one that is dated ahead shows in what is logged after it.
        if not isinstance(record, Agency | DeletionsAsked) and at_us < self._newest_us - 2 * self._limits.clock_skew_us:
            self._report.add("backdated", where, "claims a time well before that of an earlier entry")
        self._newest_us = max(self._newest_us, at_us)

    def _bundle(self, tile: Tile) -> list[bytes] | None:
        found = self._fetch(tile)
        if found is None:
            return None
        data, width = found
        try:
            entries = decode_entries(data, width=width)
        except WireError as error:
            self._report.add("bundle", tile.path, str(error))
            return None
        self._report.counts["bundles"] += 1
        return entries[: tile.width]

    def _tile(self, tile: Tile) -> bytes | None:
        found = self._fetch(tile)
        if found is None:
            return None
        data, width = found
        if len(data) != width * HASH_BYTES:
            self._report.add("tile", tile.path, f"has {len(data)} bytes where {width * HASH_BYTES} are expected")
            return None
        self._report.counts["tiles"] += 1
        return data[: tile.hash_bytes]

    def _fetch(self, tile: Tile) -> tuple[bytes, int] | None:
        """Return (data, its width): a partial tile may be gone once the full one is there."""
        try:
            return self._read(tile.path), tile.width
        except LogReadError as error:
            if tile.width < TILE_WIDTH:
                try:
                    return self._read(Tile(tile.level, tile.index).path), TILE_WIDTH
                except LogReadError:
                    pass  # the path that was asked for first is the one to report
            self._report.add("missing", tile.path, error.reason)
            return None

    def _differs(self, tile: Tile, computed: bytes, stored: bytes) -> None:
        first = next(at for at in range(tile.width) if _hash_at(computed, at) != _hash_at(stored, at))
        index = tile.index * TILE_WIDTH + first
        self._report.add("tile", tile.path, f"entry {index} does not hash to what stands here: one of them was changed")

    def _take(self, tile: Tile, hashes: bytes | None) -> None:
        """Keep what the next level and the root need of a tile."""
        if hashes is None:
            hashes = bytes(tile.hash_bytes)  # reported already; the root can't come out right
        if tile.width == TILE_WIDTH:
            self._row.append(fold(hashes, 0, TILE_WIDTH))
        else:
            self._edge[tile] = hashes

    def _edge_hash(self, level: int, index: int) -> bytes:
        tile, first, count = tile_for_hash(level, index, self._size)
        return fold(self._edge[tile], first, count)

    def _stored_hash(self, level: int, index: int) -> bytes:
        tile, first, count = tile_for_hash(level, index, self._size)
        found = self._fetch(tile)
        if found is None:
            raise WireError(f"{tile.path} is missing, so growth can't be shown")
        return fold(found[0], first, count)


def _hash_at(hashes: bytes, at: int) -> bytes:
    return hashes[at * HASH_BYTES : (at + 1) * HASH_BYTES]
