"""What the inbox takes, from whom, and to whom it gives: decisions over the storage. No HTTP in here.

A device is a stranger here. It shows an `Upload` envelope, signed by a key that it made for this one request, and gets
nothing but room for the promised bytes. An agency shows a fresh `Fetch` envelope, signed by its admitted key.

A bundle is kept until some time after its request closed, for its agency to fetch, or until its sender asks for its
deletion; then its bytes go, and what its sender may still ask for, the receipt, stays for longer.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.wire.inbox import MAX_BUNDLE_BYTES
from broker.wire.records import Receipt, Upload

from .claims import RequestBook, check_claim, open_promise
from .deletions import Deletions
from .disk import Disk, LocalDisk, disk_full_refused
from .errors import Refused
from .storage import Storage, Stored
from .writer import Writer

log = structlog.get_logger()

GIB = 1 << 30
HOUR_US = 3_600 * 1_000_000
DAY_US = 24 * HOUR_US


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxLimits:
    """Bounds of the inbox. Promised bytes count, not only those that came.

    `keep_bundles_us` and `keep_receipts_us` count from when the request expired, or was withdrawn or resolved.
    """

    max_bundle_bytes: int = MAX_BUNDLE_BYTES
    max_uploads_per_request: int = 1_000
    max_request_bytes: int = 64 * GIB
    max_total_bytes: int = 256 * GIB
    max_writers: int = 64
    stale_after_us: int = 48 * HOUR_US
    keep_bundles_us: int = 30 * DAY_US
    keep_receipts_us: int = 400 * DAY_US
    idle_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle that is there, whole: `bytes` long, `sha256` in hex."""

    id: str
    bytes: int
    sha256: str
    path: Path


class Inbox:
    """The inbox of one folder. Methods block on the disk and may be called from several threads."""

    def __init__(
        self,
        folder: Path,
        *,
        key: Ed25519PrivateKey,
        book: RequestBook,
        clock: Callable[[], int],
        limits: InboxLimits | None = None,
        random_bytes: Callable[[int], bytes] = os.urandom,
        disk: Disk | None = None,
    ) -> None:
        """Open the folder, or make it; `key` signs receipts, `clock` gives µs. Raises InboxError."""
        self.limits = limits or InboxLimits()
        self._key = key
        self._book = book
        self._clock = clock
        self._storage = Storage(folder, disk=disk or LocalDisk(), random_bytes=random_bytes)
        self._creating = threading.RLock()  # held while an upload is made, disk and all
        self._claiming = threading.Lock()  # held for a moment: which uploads have a writer
        self._claimed: set[str] = set()
        self._storage.load(self._make_receipt)
        self.deletions = Deletions(self._storage, key=key, claim=self._claim, clock=clock)

    def close(self) -> None:
        """Let another process have the folder; nothing is lost without it."""
        self._storage.close()

    def create(self, envelope: bytes, length: int) -> Stored:
        """Return the upload that an envelope promises, made or found again; raises Refused."""
        promise = open_promise(envelope, length)
        with self._creating:
            known = self._storage.by_key(promise.key)
            if known is not None and known.envelope == envelope:
                return known
            if known is not None:
                raise Refused(409, "second-version", "this key promised another bundle; none is sent in two versions")
            self._admit(promise)
            with disk_full_refused():
                stored = self._storage.create(promise, envelope)
        log.info("upload_created", request=promise.request[:16], bytes=promise.bundle_bytes)
        return stored

    def find(self, upload_id: str) -> Stored:
        """Return an upload by its id; raises Refused (404)."""
        stored = self._storage.get(upload_id)
        if stored is None:
            raise Refused(404, "no-such-upload", "there is no such upload; create it again with its envelope")
        return stored

    @contextmanager
    def writer(self, upload_id: str, offset: int) -> Iterator[Writer]:
        """Be the one writer of an upload at its offset; raises Refused: 404, 409, 410, 423 or 503."""
        with self._claim(upload_id) as stored:
            if offset != stored.offset:
                raise Refused(409, "offset-mismatch", f"the upload stands at {stored.offset}, not at {offset}")
            if stored.offset < stored.length and not self._is_open(stored):
                raise Refused(410, "request-closed", "the request has expired or was withdrawn; nothing more is taken")
            yield Writer(self._storage, stored)

    def finish(self, upload_id: str) -> None:
        """Check a full upload and make its receipt, as its writer; raises Refused (460) if it is not as promised."""
        stored = self.find(upload_id)
        if stored.receipt is not None or stored.offset != stored.length:
            return
        with disk_full_refused():
            sound = self._storage.finish(stored, self._make_receipt)
        if not sound:
            log.warning("upload_discarded", request=stored.promise.request[:16], bytes=stored.length)
            raise Refused(
                460,
                "digest-mismatch",
                "the bytes do not hash as the envelope promised and were discarded; send them again from 0",
            )
        log.info("upload_received", request=stored.promise.request[:16], bytes=stored.length)

    def receipt(self, upload_id: str) -> bytes:
        """Return the receipt envelope; raises Refused (404, 460, or 409 while bytes are missing)."""
        stored = self.find(upload_id)
        if stored.receipt is None and stored.offset == stored.length:
            with self._claim(upload_id):  # full, but its writer was cut off before it could finish
                self.finish(upload_id)
        if stored.receipt is None:
            raise Refused(409, "incomplete", f"{stored.offset} of {stored.length} bytes are here; no receipt yet")
        return stored.receipt

    def authorize(self, envelope: bytes, *, leaf: str | None = None) -> str:
        """Return the request (leaf hash) that a `Fetch` envelope opens, `leaf` if given; raises Refused."""
        return check_claim(envelope, book=self._book, now_us=self._clock(), leaf=leaf)

    def bundles(self, leaf: str) -> list[Bundle]:
        """Return what arrived whole for a request, by digest."""
        found = [_bundle(one) for one in self._storage.all() if _is_here(one, leaf)]
        return sorted(found, key=lambda bundle: (bundle.sha256, bundle.id))

    def bundle(self, bundle_id: str, *, leaf: str) -> Bundle:
        """Return one bundle of a request; raises Refused (404), alike for one that is another request's."""
        stored = self._storage.get(bundle_id)
        if stored is None or not _is_here(stored, leaf):
            raise Refused(404, "not-found", "nothing here for this claim")
        return _bundle(stored)

    def sweep(self) -> int:
        """Let go of what nobody is to have any more; returns of how many uploads. Raises InboxError.

        Unfinished ones go when they are stale, or their request has closed; received ones some time after that.
        """
        now_us = self._clock()
        swept = 0
        for stored in self._storage.all():
            step = self._next_step(stored, now_us)
            if step is None:
                continue
            try:
                with self._claim(stored.id), disk_full_refused():
                    step(stored)
            except Refused:  # it has a writer, or another sweep was quicker
                continue
            swept += 1
        if swept:
            log.info("uploads_swept", count=swept)
        return swept

    def _next_step(self, stored: Stored, now_us: int) -> Callable[[Stored], None] | None:
        if stored.receipt is not None:
            closes_us = self._book.closes_us(stored.promise.request)
            closed_for_us = 0 if closes_us is None else now_us - closes_us
            over = closed_for_us >= self.limits.keep_bundles_us
            if stored.deletion is not None:  # its agency has as long to read the notice as it had for the bundle
                over = now_us - stored.deletion.taken_us >= self.limits.keep_bundles_us
            if over and closed_for_us >= self.limits.keep_receipts_us:
                return self._storage.remove
            unwanted = (over or stored.deletion is not None) and not stored.gone
            return self._storage.let_go if unwanted else None
        if not self._is_dead(stored, now_us):
            return None
        if stored.offset == stored.length:  # all of it came, and its writer was cut off before the receipt
            return lambda one: self.finish(one.id)
        return self._storage.remove

    @contextmanager
    def _claim(self, upload_id: str) -> Iterator[Stored]:
        with self._claiming:
            stored = self.find(upload_id)
            if upload_id in self._claimed:
                raise Refused(423, "being-written", "another connection writes this upload; ask for its offset later")
            if len(self._claimed) >= self.limits.max_writers:
                raise Refused(503, "busy", f"{self.limits.max_writers} uploads are running; try again in a minute")
            self._claimed.add(upload_id)
        try:
            yield stored
        finally:
            with self._claiming:
                self._claimed.discard(upload_id)

    def _is_open(self, stored: Stored) -> bool:
        return self._book.open_request(stored.promise.request, self._clock()) is not None

    def _is_dead(self, stored: Stored, now_us: int) -> bool:
        if self._book.open_request(stored.promise.request, now_us) is None:
            return True
        return now_us - self._storage.touched_us(stored) > self.limits.stale_after_us

    def _admit(self, promise: Upload) -> None:
        most = self.limits.max_bundle_bytes
        if promise.bundle_bytes > most:
            raise Refused(413, "too-large", f"a bundle may have {most} bytes")
        if self._book.open_request(promise.request, self._clock()) is None:
            raise Refused(403, "request-not-open", "the log has no such request, or it has expired or was withdrawn")
        self._check_room(promise, sweep=True)

    def _check_room(self, promise: Upload, *, sweep: bool) -> None:
        uploads = self._storage.all()
        # What is gone by its sender's wish counts on: else one that uploads and asks had no bound.
        same = [
            one.held_bytes
            for one in uploads
            if one.promise.request == promise.request and (not one.gone or one.deletion is not None)
        ]
        full = sum(one.held_bytes for one in uploads) + promise.bundle_bytes > self.limits.max_total_bytes
        crowded = (
            len(same) >= self.limits.max_uploads_per_request
            or sum(same) + promise.bundle_bytes > self.limits.max_request_bytes
        )
        if (full or crowded) and sweep and self.sweep():
            self._check_room(promise, sweep=False)
        elif full:
            raise Refused(507, "inbox-full", "the inbox is full; try again later")
        elif crowded:
            raise Refused(429, "request-full", "this request has as many bundles as it may have; try again later")

    def _make_receipt(self, promise: Upload) -> bytes:
        receipt = Receipt(
            request=promise.request,
            bundle_bytes=promise.bundle_bytes,
            bundle_sha256=promise.bundle_sha256,
            received_at=self._clock(),
        )
        return receipt.sign(self._key)


def _is_here(stored: Stored, leaf: str) -> bool:
    return stored.receipt is not None and not stored.gone and stored.promise.request == leaf


def _bundle(stored: Stored) -> Bundle:
    return Bundle(stored.id, stored.length, stored.promise.bundle_sha256, stored.data_path)
