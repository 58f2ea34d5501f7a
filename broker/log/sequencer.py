"""The one writer of a log: puts entries into tiles, signs the checkpoint that covers them, makes proofs. Synchronous.

Steps of an append (contract in storage.py), each of which may be the last one before a power cut:

1. `put` the tiles that the new entries fill or touch         -> still the old checkpoint; staged tiles are unreferenced
2. swap in the checkpoint                                     -> the new checkpoint, all of whose tiles are there
3. drop the partial tiles that a full one now replaces      -> likewise; what is left of them is never asked for again
4. take over the stored state

Start-up is step 4 alone: `_take_over` reads the stored checkpoint, checks it against the key and the tiles, and
stands there. After an append that failed at any step the sequencer knows nothing; it must be opened again.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.wire.encoding import WireError
from broker.wire.envelopes import public_bytes
from broker.wire.merkle import consistency_proof, inclusion_proof
from broker.wire.notes import ED25519, Checkpoint, VerifierKey, check_key_name, sign_note
from broker.wire.proofs import Policy, Proof
from broker.wire.tiles import MAX_ENTRY_BYTES, TILE_WIDTH, Tile, decode_entries, fold, tile_for_hash

from .errors import LogDamagedError, LogError
from .growth import Edge, TileReader, grow, load_edge
from .storage import CHECKPOINT_PATH, Storage

log = structlog.get_logger()

CACHED_TILES = 256  # 2 MB of hashes: the upper levels and the recent leaves of a log of any size
CACHED_BUNDLES = 4  # up to 16 MB each, by far smaller in practice


class Sequencer:
    """Appends to a log and proves what is in it. Not thread-safe; `AsyncLog` keeps it in one thread.

    `origin` names the log and is its key's name, `log.example.org/latchstring` say.
    """

    def __init__(self, storage: Storage, *, key: Ed25519PrivateKey, origin: str) -> None:
        self._storage = storage
        self._key = key
        self._origin = check_key_name(origin)
        self.verifier = VerifierKey(origin, ED25519, public_bytes(key))
        self._edge = Edge()
        self._note: bytes | None = None
        self._hash_tiles = _Cache(CACHED_TILES)
        self._bundles = _Cache(CACHED_BUNDLES)

    def open(self) -> None:
        """Claim the storage and take over what it holds; an empty one gets the checkpoint of the empty log.

        Raises LogInUseError, or LogDamagedError where the tiles don't carry the stored checkpoint.
        """
        self._storage.claim()
        self._hash_tiles, self._bundles = _Cache(CACHED_TILES), _Cache(CACHED_BUNDLES)
        if self._storage.get(CHECKPOINT_PATH) is None:
            self._storage.swap_checkpoint(None, self._sign(Edge()))
        self._take_over({})
        log.info("log_opened", origin=self._origin, size=self.size)

    def close(self) -> None:
        """Let another sequencer have the log."""
        self._note = None
        self._storage.release()

    @property
    def origin(self) -> str:
        """The log's name."""
        return self._origin

    @property
    def size(self) -> int:
        """How many entries the stored checkpoint covers."""
        return self._edge.size

    @property
    def checkpoint_note(self) -> bytes:
        """The stored checkpoint; raises LogError while the sequencer is not open."""
        if self._note is None:
            raise LogError(f"log {self._origin} is not open; open it first, or again after a failed append")
        return self._note

    def append(self, entries: Sequence[bytes]) -> list[int]:
        """Add entries with one publication and return their indices; when this returns they are public and durable.

        WireError: an entry is too large, nothing was done. After any other exception the outcome is unknown, and the
        sequencer is not open any more: open it again and look.
        """
        old_note = self.checkpoint_note
        if too_large := [len(entry) for entry in entries if len(entry) > MAX_ENTRY_BYTES]:
            raise WireError(f"an entry has {too_large[0]} bytes, more than the {MAX_ENTRY_BYTES} the log can hold")
        if not entries:
            return []
        old_size = self._edge.size
        self._note = None
        edge, written = grow(self._edge, entries)
        note = self._sign(edge)
        self._storage.put({tile.path: data for tile, data in written.items()})
        self._storage.swap_checkpoint(old_note, note)
        self._discard_partials(written)
        self._take_over(written)
        return list(range(old_size, self._edge.size))

    def proof(self, index: int) -> bytes:
        """Return the tlog-proof of one entry under the current checkpoint."""
        note = self.checkpoint_note
        path = inclusion_proof(index, self.size, self._read_hash)
        return str(Proof(index, tuple(path), note)).encode()

    def consistency(self, old_size: int) -> list[bytes]:
        """Return the proof that the current tree only added to the one of `old_size` entries."""
        return consistency_proof(old_size, self.size, self._read_hash)

    def entry(self, index: int) -> bytes:
        """Return one entry's exact bytes."""
        if not 0 <= index < self.size:
            raise WireError(f"entry {index} is not in a log of {self.size}")
        bundle = self._bundles.get(self._bundle_tile(index // TILE_WIDTH), self._read)
        return decode_entries(bundle, width=self._bundle_tile(index // TILE_WIDTH).width)[index % TILE_WIDTH]

    def entries(self, start: int = 0) -> Iterator[tuple[int, bytes]]:
        """Yield (index, entry) from `start` to the size at the time of the call, one bundle in memory at a time."""
        size = self.size
        for number in range(start // TILE_WIDTH, -(-size // TILE_WIDTH)):
            tile = self._bundle_tile(number)
            for offset, entry in enumerate(decode_entries(self._read(tile), width=tile.width)):
                index = number * TILE_WIDTH + offset
                if start <= index < size:
                    yield index, entry

    def _take_over(self, written: dict[Tile, bytes]) -> None:
        """Stand on the stored checkpoint; `written` saves reading back what was just put."""
        note = self._storage.get(CHECKPOINT_PATH)
        if note is None:
            raise LogDamagedError(f"log {self._origin} has lost its checkpoint; restore it from a mirror")
        try:
            checkpoint = Policy((self.verifier,), {}, {}, None).check(note)
            edge = load_edge(checkpoint.size, lambda tile: written.get(tile) or self._read_edge(tile))
        except WireError as error:
            raise LogDamagedError(f"log {self._origin} can't be continued: {error}") from error
        if edge.root() != checkpoint.root:
            raise LogDamagedError(f"log {self._origin}: the tiles do not lead to the root of the stored checkpoint")
        self._edge, self._note = edge, note
        for tile, data in written.items():
            if tile.level != "entries":
                self._hash_tiles.add(tile, data)

    def _discard_partials(self, written: dict[Tile, bytes]) -> None:
        for tile in written:
            if tile.width == TILE_WIDTH:
                self._storage.discard_partials(tile)

    def _sign(self, edge: Edge) -> bytes:
        text = Checkpoint(self._origin, edge.size, edge.root()).text
        return str(sign_note(text, self._origin, self._key)).encode()

    def _bundle_tile(self, number: int) -> Tile:
        return Tile("entries", number, min(TILE_WIDTH, self.size - number * TILE_WIDTH))

    def _read_hash(self, level: int, index: int) -> bytes:
        tile, first, count = tile_for_hash(level, index, self.size)
        return fold(self._hash_tiles.get(tile, self._read), first, count)

    def _read_edge(self, tile: Tile) -> bytes:
        return self._read(tile) if tile.level == "entries" else self._hash_tiles.get(tile, self._read)

    def _read(self, tile: Tile) -> bytes:
        data = self._storage.get(tile.path)
        if data is None:
            raise LogDamagedError(f"log {self._origin} has lost {tile.path}; restore it from a mirror")
        return data


class _Cache:
    """The tiles used last. A tile of another width is another tile, so nothing in here can go stale."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._tiles: OrderedDict[Tile, bytes] = OrderedDict()

    def get(self, tile: Tile, read: TileReader) -> bytes:
        data = self._tiles.get(tile)
        if data is None:
            data = read(tile)
        self.add(tile, data)
        return data

    def add(self, tile: Tile, data: bytes) -> None:
        self._tiles[tile] = data
        self._tiles.move_to_end(tile)
        if len(self._tiles) > self._limit:
            self._tiles.popitem(last=False)
