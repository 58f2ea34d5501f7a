"""The one writer of a log: puts entries into tiles, signs the head that covers them, makes proofs. Synchronous.

Steps of an append and of what follows (contract in storage/folder.py), each of which may be the last before a power
cut:

1. `put` the tiles that the new entries fill or touch         -> still the old head; staged tiles are unreferenced
2. swap in the head                                           -> the new head, all of whose tiles are there
3. publish it, once it has the cosignatures of a quorum     -> the public reads it
4. drop partial tiles: those that a published full one replaces, and those that no checkpoint named for a while
   (partials.py)                                              -> likewise; the next start drops what is left of them

Start-up reads the stored head, checks it against the key and the tiles, and stands there; then it looks what of it is
published, and which partial tiles need not be there. After an append that failed at any step the sequencer knows
nothing; it must be opened again.

Two rules have no way around them here: what is published is a tree of this log's own, at or below the head and never
smaller than the one before; and it meets the policy that devices pin.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.wire.encoding import WireError
from broker.wire.envelopes import public_bytes
from broker.wire.merkle import consistency_proof, inclusion_proof, root_hash
from broker.wire.notes import ED25519, Checkpoint, VerifierKey, check_key_name, sign_note
from broker.wire.proofs import Policy, Proof, parse_policy
from broker.wire.tiles import MAX_ENTRY_BYTES, TILE_WIDTH, Tile, decode_entries, fold, tile_for_hash

from .cosigned.panel import Panel
from .errors import LogDamagedError, LogError, NotYetPublishedError
from .growth import Edge, filled_tiles, grow, load_edge
from .partials import Partials
from .storage.folder import CHECKPOINT_PATH, HEAD_PATH, Storage
from .tilecache import TileCache

log = structlog.get_logger()

CACHED_TILES = 256  # 2 MB of hashes: the upper levels and the recent leaves of a log of any size
CACHED_BUNDLES = 4  # up to 16 MB each, by far smaller in practice


@dataclass(frozen=True, slots=True)
class _Signed:
    note: bytes
    checkpoint: Checkpoint


class Sequencer:
    """Appends to a log and proves what is in it. Not thread-safe; `AsyncLog` keeps it in one thread.

    `origin` names the log and is its key's name, `log.example.org/latchstring` say; `panel` cosigns what is published.
    """

    def __init__(
        self,
        storage: Storage,
        *,
        key: Ed25519PrivateKey,
        origin: str,
        panel: Panel | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._storage = storage
        self._key = key
        self._origin = check_key_name(origin)
        self.verifier = VerifierKey(origin, ED25519, public_bytes(key))
        self.panel = panel or Panel()
        self.policy = parse_policy(self.panel.policy(self.verifier))
        self._own = Policy((self.verifier,), {}, {}, None)
        self._edge = Edge()
        self._head: _Signed | None = None
        self._published: _Signed | None = None
        self._hash_tiles = TileCache(CACHED_TILES)
        self._bundles = TileCache(CACHED_BUNDLES)
        self._monotonic = monotonic
        self._partials = Partials()

    def open(self) -> None:
        """Claim the storage and take over what it holds; an empty one gets the head of the empty log.

        Raises LogInUseError, or LogDamagedError where the tiles don't carry the stored head.
        """
        self._head = None
        self._storage.claim()
        self._hash_tiles, self._bundles = TileCache(CACHED_TILES), TileCache(CACHED_BUNDLES)
        if self._storage.get(HEAD_PATH) is None:
            if self._storage.get(CHECKPOINT_PATH) is not None:
                raise LogDamagedError(f"log {self._origin} has a checkpoint but no head; restore it from a mirror")
            self._storage.swap_head(None, self._sign(Edge()))
        self._take_over({})
        self._published = self._read_published()
        self._partials = Partials()
        left = self._storage.partials()
        for tile in self._partials.found(left, size=self.published_size, now_s=self._monotonic()):
            self._storage.discard_partials(tile)
        self._drop_partials()
        log.info("log_opened", origin=self._origin, size=self.size, published=self.published_size)

    def close(self) -> None:
        """Let another sequencer have the log."""
        self._head = self._published = None
        self._storage.release()

    @property
    def origin(self) -> str:
        """The log's name."""
        return self._origin

    @property
    def size(self) -> int:
        """How many entries the stored head covers."""
        return self._edge.size

    @property
    def published_size(self) -> int:
        """How many entries the published checkpoint covers; 0 where there is none."""
        return 0 if self._published is None else self._published.checkpoint.size

    @property
    def head_note(self) -> bytes:
        """The stored head, signed by the log alone; raises LogError while the sequencer is not open."""
        return self._stand().note

    @property
    def published_note(self) -> bytes | None:
        """The published checkpoint with its cosignatures; None until one meets the policy."""
        return None if self._published is None else self._published.note

    def append(self, entries: Sequence[bytes]) -> list[int]:
        """Add entries under one head and return their indices; when this returns they are durable, not yet public.

        WireError: an entry is too large, nothing was done. After any other exception the outcome is unknown, and the
        sequencer is not open any more: open it again and look.
        """
        old = self._stand()
        if too_large := [len(entry) for entry in entries if len(entry) > MAX_ENTRY_BYTES]:
            raise WireError(f"an entry has {too_large[0]} bytes, more than the {MAX_ENTRY_BYTES} the log can hold")
        if not entries:
            return []
        self._head = None
        edge, written = grow(self._edge, entries)
        note = self._sign(edge)
        self._storage.put({tile.path: data for tile, data in written.items()})
        self._storage.swap_head(old.note, note)
        self._take_over(written)
        self._partials.stand({self.size, self.published_size}, now_s=self._monotonic())
        if self._partials.crowded:  # nothing is published, or far too slowly
            self._drop_partials()
        return list(range(old.checkpoint.size, self._edge.size))

    def publish(self, note: bytes) -> None:
        """Replace what the public reads by the head, or an earlier one, with its cosignatures.

        WireError: it is no tree of this log, lacks a quorum or goes back; nothing was done. After any other exception
        the old or the new one stands; the same or a newer one may be published again.
        """
        checkpoint = self.policy.check(note)
        self._check_grew(checkpoint)
        if self.published_size > checkpoint.size:
            raise WireError(f"{checkpoint.size} entries can't be published after {self.published_size}")
        self._storage.publish(note)
        before, self._published = self._published, _Signed(note, checkpoint)
        for tile in filled_tiles(checkpoint.size if before is None else before.checkpoint.size, checkpoint.size):
            self._storage.discard_partials(tile)
        self._drop_partials()

    def proof(self, index: int) -> bytes:
        """Return the tlog-proof of one entry under the published checkpoint; raises NotYetPublishedError."""
        self._stand()
        if self._published is None or self.published_size <= index < self.size:
            raise NotYetPublishedError(index)
        path = inclusion_proof(index, self.published_size, self._read_hash)
        return str(Proof(index, tuple(path), self._published.note)).encode()

    def consistency(self, old_size: int, size: int | None = None) -> list[bytes]:
        """Return the proof that the tree of `size` entries, the head's if not given, added to that of `old_size`."""
        self._stand()
        size = self.size if size is None else size
        if size > self.size:
            raise WireError(f"the log has {self.size} entries, not {size}")
        return consistency_proof(old_size, size, self._read_hash)

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

    def _stand(self) -> _Signed:
        if self._head is None:
            raise LogError(f"log {self._origin} is not open; open it first, or again after a failed append")
        return self._head

    def _drop_partials(self) -> None:
        """Drop the partial tiles that were replaced by wider ones some time ago."""
        now_s = self._monotonic()
        self._partials.stand({self.size, self.published_size}, now_s=now_s)
        gone = self._partials.expired(now_s=now_s)
        if gone:
            self._storage.discard(gone)

    def _take_over(self, written: dict[Tile, bytes]) -> None:
        """Stand on the stored head; `written` saves reading back what was just put."""
        note = self._storage.get(HEAD_PATH)
        if note is None:
            raise LogDamagedError(f"log {self._origin} has lost its head; restore it from a mirror")
        try:
            checkpoint = self._own.check(note)
            edge = load_edge(checkpoint.size, lambda tile: written.get(tile) or self._read_edge(tile))
        except WireError as error:
            raise LogDamagedError(f"log {self._origin} can't be continued: {error}") from error
        if edge.root() != checkpoint.root:
            raise LogDamagedError(f"log {self._origin}: the tiles do not lead to the root of the stored head")
        self._edge, self._head = edge, _Signed(note, checkpoint)
        for tile, data in written.items():
            if tile.level != "entries":
                self._hash_tiles.add(tile, data)

    def _read_published(self) -> _Signed | None:
        """Return the stored checkpoint if it meets the policy, which may ask for more than it did once."""
        note = self._storage.get(CHECKPOINT_PATH)
        if note is None:
            return None
        try:
            checkpoint = self._own.check(note)
            self._check_grew(checkpoint)
        except WireError as error:
            raise LogDamagedError(f"log {self._origin} can't be continued: it published another: {error}") from error
        try:
            self.policy.check(note)
        except WireError as error:
            log.warning("published_without_quorum", origin=self._origin, size=checkpoint.size, error=str(error))
            return None
        return _Signed(note, checkpoint)

    def _check_grew(self, checkpoint: Checkpoint) -> None:
        """Raise WireError unless the head's tree begins with this one."""
        head = self._stand().checkpoint
        if checkpoint.size > head.size:
            raise WireError(f"a checkpoint of {checkpoint.size} entries is ahead of the head of {head.size}")
        root = head.root if checkpoint.size == head.size else root_hash(checkpoint.size, self._read_hash)
        if root != checkpoint.root:
            raise WireError(f"a checkpoint of {checkpoint.size} entries has another root than the tree")

    def _sign(self, edge: Edge) -> bytes:
        text = Checkpoint(self._origin, edge.size, edge.root()).text
        return str(sign_note(text, self._origin, self._key)).encode()

    def _bundle_tile(self, number: int) -> Tile:
        return Tile("entries", number, min(TILE_WIDTH, self.size - number * TILE_WIDTH))

    def _read_hash(self, level: int, index: int) -> bytes:
        # Whatever tree is asked about: a complete subtree has the same hash in every larger one, and these tiles exist.
        tile, first, count = tile_for_hash(level, index, self.size)
        return fold(self._hash_tiles.get(tile, self._read), first, count)

    def _read_edge(self, tile: Tile) -> bytes:
        return self._read(tile) if tile.level == "entries" else self._hash_tiles.get(tile, self._read)

    def _read(self, tile: Tile) -> bytes:
        data = self._storage.get(tile.path)
        if data is None:
            raise LogDamagedError(f"log {self._origin} has lost {tile.path}; restore it from a mirror")
        return data
