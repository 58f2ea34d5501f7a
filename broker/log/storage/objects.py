"""A log in a bucket, whose objects are the log's public URLs: `checkpoint` and `tile/...` below the prefix.

Two more objects are the writer's own; a bucket policy that serves the log lets the public read all but them.

    lease     who may write (lease.py)
    head      the newest head, its fence, and the tiles that came with it:

              latchstring head
              <fence>
              <bytes of the note>
              <the note>
              <path> <bytes>          for each tile, each followed by its bytes
              <the tile>

How the contract of folder.py is kept, where no call is certain and none can be taken back:

1. `put` keeps the tiles in memory. `swap_head` writes them with the head, in one object, by one conditional put, and
   then to their places: so a tile's object is never written before a head covers it, and whoever writes it late,
   twice, or after it has lost its claim, writes the same bytes.
2. `claim` puts a fence of its own into the head by a conditional put, and then writes the head's tiles to their places.
   From there on no put of an earlier writer, nor a late one of this writer's own, can move the head: its tag is gone.
   This, and not the lease, is what forbids a fork; the lease makes a second sequencer fail early and in one line.
3. `publish` is a conditional put as well. What a writer that lost its claim may still do is to publish, once and only
   if nobody has published since, a checkpoint that was a head; and to leave a partial tile that nobody asks for.

The store must answer reads with the newest write, and honour If-Match and If-None-Match, as S3 does.
"""

import os
import random
import re
import secrets
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import structlog

from broker.log.errors import CheckpointConflictError, LogDamagedError, LogInUseError, StorageError
from broker.wire.encoding import WireError, parse_decimal
from broker.wire.tiles import Tile, parse_tile_path

from .bucket import ATTEMPTS, Bucket, Headers, PatientBucket, Stored, TagMismatchError
from .folder import CHECKPOINT_PATH, HEAD_PATH
from .lease import LEASE_S, Lease

log = structlog.get_logger()

_TITLE = b"latchstring head"
_PARTIAL_FORM = re.compile(r"^tile/.*\.p/\d+$")
_WRITERS = 8  # tiles written at a time
_SWAPS = 5  # tries against a writer that swaps at the same time; more than two needs bad luck
_PRIVATE = Headers("application/octet-stream", "no-store")
_IMMUTABLE = Headers("application/octet-stream", "public, max-age=31536000, immutable")
_FRESH = Headers("text/plain; charset=utf-8", "no-cache")


@dataclass(frozen=True, slots=True)
class _Head:
    fence: bytes = b""
    note: bytes | None = None
    tiles: Mapping[str, bytes] = field(default_factory=dict)

    def encode(self) -> bytes:
        note = self.note or b""
        parts = [_TITLE, self.fence, b"%d" % len(note), note]
        for path, data in self.tiles.items():
            parts += [f"{path} {len(data)}".encode(), data]
        return b"\n".join(parts)


class ObjectStorage:
    """A log's storage over a bucket. `lease_s` is how long a killed writer keeps the next one waiting."""

    def __init__(
        self,
        bucket: Bucket,
        *,
        lease_s: float = LEASE_S,
        attempts: int = ATTEMPTS,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = random.random,
        keep_lease: bool = True,
        writers: int = _WRITERS,
    ) -> None:
        self._bucket = PatientBucket(bucket, attempts=attempts, sleep=sleep, chance=chance)
        self._holder = f"{socket.gethostname()} {os.getpid()} {secrets.token_hex(8)}"
        brief = PatientBucket(bucket, attempts=min(attempts, 3), sleep=sleep, chance=chance)
        self._lease = Lease(brief, holder=self._holder, lease_s=lease_s, monotonic=monotonic, sleep=sleep)
        self._keep_lease = keep_lease
        self._writers = writers
        self._claims = 0
        self._head_tag: str | None = None  # of the head while it is ours to swap
        self._note: bytes | None = None
        self._staged: dict[str, bytes] = {}

    def claim(self) -> None:
        """Take the lease, fence off every earlier writer, finish what the stored head began."""
        self._head_tag = None
        self._staged.clear()
        self._lease.take()
        if self._keep_lease:
            self._lease.keep()
        head, tag = self._fence()
        self._write(head.tiles)
        self._head_tag, self._note = tag, head.note

    def release(self) -> None:
        """Give the lease back."""
        self._head_tag = None
        self._lease.give_back()

    def get(self, path: str) -> bytes | None:
        """Read an object; of the head, its note, which nobody can change while it is ours."""
        if path == HEAD_PATH:
            return self._read_head()[0].note if self._head_tag is None else self._note
        stored = self._bucket.get(_checked(path))
        return None if stored is None else stored.data

    def put(self, objects: Mapping[str, bytes]) -> None:
        """Keep tiles for the next head."""
        self._check_claimed()
        for path, data in objects.items():
            parse_tile_path(path)
            self._staged[path] = data

    def swap_head(self, old: bytes | None, new: bytes) -> None:
        """Put the head with its tiles in place of the one with the known tag; then the tiles in their places."""
        tag = self._check_claimed()
        if self._note != old:
            raise CheckpointConflictError(self._bucket.where)
        self._head_tag = None  # until all has gone well; before, `claim` has to find out what is there
        head = _Head(self._fence_of_claim(), new, dict(self._staged))
        try:
            tag = self._bucket.put_if(HEAD_PATH, head.encode(), _PRIVATE, tag=tag)
        except TagMismatchError:
            raise CheckpointConflictError(self._bucket.where) from None
        self._write(head.tiles)
        self._head_tag, self._note = tag, new
        self._staged.clear()

    def publish(self, note: bytes) -> None:
        """Swap the public checkpoint.

        Where it is not as it was read, it is of an earlier writer, or a late one of our own: then it is older.
        """
        self._check_claimed()
        for _ in range(_SWAPS):
            stored = self._bucket.get(CHECKPOINT_PATH)
            self._lease.confirm()  # after the read: whoever published what was read holds the lease by now
            tag = None if stored is None else stored.tag
            try:
                self._bucket.put_if(CHECKPOINT_PATH, note, _FRESH, tag=tag)
            except TagMismatchError:
                continue
            return
        raise LogInUseError(self._bucket.where)

    def discard_partials(self, tile: Tile) -> None:
        """Delete all below `<N>.p/`."""
        try:
            self._bucket.delete(self._bucket.list_below(f"{Tile(tile.level, tile.index).path}.p/"))
        except StorageError as error:
            log.info("log_partials_left", tile=tile.path, error=str(error))

    def partials(self) -> list[Tile]:
        """List all tiles; what can't be listed now can be at the next start."""
        try:
            keys = self._bucket.list_below("tile/")
        except StorageError as error:
            log.info("log_partials_not_listed", error=str(error))
            return []
        return [parse_tile_path(key) for key in keys if _PARTIAL_FORM.search(key)]

    def discard(self, partials: Sequence[Tile]) -> None:
        """Delete their objects."""
        try:
            self._bucket.delete([tile.path for tile in partials])
        except StorageError as error:
            log.info("log_partials_left", tiles=len(partials), error=str(error))

    def _fence(self) -> tuple[_Head, str]:
        """Swap this claim's fence into the head; returns the head with its new tag."""
        self._claims += 1
        for _ in range(_SWAPS):
            head, tag = self._read_head()
            self._lease.check()
            fenced = replace(head, fence=self._fence_of_claim())
            try:
                return head, self._bucket.put_if(HEAD_PATH, fenced.encode(), _PRIVATE, tag=tag)
            except TagMismatchError:
                continue
        raise LogInUseError(self._bucket.where)

    def _read_head(self) -> tuple[_Head, str | None]:
        stored = self._bucket.get(HEAD_PATH)
        if stored is None:
            return _Head(), None
        return _parse_head(stored, self._bucket.where), stored.tag

    def _write(self, tiles: Mapping[str, bytes]) -> None:
        with ThreadPoolExecutor(max_workers=self._writers, thread_name_prefix="log-tiles") as pool:
            for _ in pool.map(lambda path: self._bucket.put(path, tiles[path], _IMMUTABLE), tiles):
                pass

    def _check_claimed(self) -> str:
        if self._head_tag is None:
            raise LogInUseError(f"{self._bucket.where} (not claimed)")
        self._lease.check()
        return self._head_tag

    def _fence_of_claim(self) -> bytes:
        return f"{self._holder} {self._claims}".encode()


def _checked(path: str) -> str:
    if path != CHECKPOINT_PATH:
        parse_tile_path(path)
    return path


def _parse_head(stored: Stored, where: str) -> _Head:
    try:
        fence, length, rest = _after(_TITLE + b"\n", stored.data).split(b"\n", 2)
        note, rest = _cut(rest, length.decode())
        tiles = {}
        while rest:
            line, rest = _after(b"\n", rest).split(b"\n", 1)
            path, size = line.decode().split(" ")
            parse_tile_path(path)
            tiles[path], rest = _cut(rest, size)
    except (ValueError, WireError) as error:
        raise LogDamagedError(f"{where}/{HEAD_PATH} is not a head; restore the log from a mirror") from error
    return _Head(fence, note or None, tiles)


def _after(start: bytes, data: bytes) -> bytes:
    if not data.startswith(start):
        raise ValueError(start)
    return data[len(start) :]


def _cut(data: bytes, length: str) -> tuple[bytes, bytes]:
    size = parse_decimal(length)
    if size > len(data):
        raise ValueError(length)
    return data[:size], data[size:]
