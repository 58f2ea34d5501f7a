"""Senders' notices that ask for what they sent to be deleted. No HTTP in here.

A notice counts if the very key signed it under which the bundle was announced: nobody else can ask, and it says no more
of the sender than the upload did. One bundle takes one notice; every further one gets the receipt of the first. What it
asks for is gone from here at once, and its agency, which may have it by then, finds the notice in its place.
"""

from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractContextManager

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.wire.deletions import Deletion, DeletionReceipt
from broker.wire.encoding import WireError
from broker.wire.inbox import UNKNOWN_BUNDLE

from .disk import disk_full_refused
from .errors import Refused
from .storage import AskedDeletion, Storage, Stored

log = structlog.get_logger()

Claim = Callable[[str], AbstractContextManager[Stored]]


class Deletions:
    """The notices of one inbox. Methods block on the disk and may be called from several threads."""

    def __init__(self, storage: Storage, *, key: Ed25519PrivateKey, claim: Claim, clock: Callable[[], int]) -> None:
        """`key` signs receipts, `claim` makes the caller the one that changes an upload, `clock` gives µs."""
        self._storage = storage
        self._key = key
        self._claim = claim
        self._clock = clock

    def take(self, envelope: bytes) -> bytes:
        """Keep a notice, and return the receipt for it; raises Refused: 400, 404, 409, 423, 503 or 507."""
        stored = self._bundle_of(envelope)
        if stored.deletion is not None:
            return stored.deletion.receipt
        if stored.receipt is None:
            raise Refused(409, "incomplete", "this bundle has not arrived whole: nobody was given it yet")
        with self._claim(stored.id), disk_full_refused():
            asked = stored.deletion or self._keep(stored, envelope)  # another connection may have been quicker
        return asked.receipt

    def of_request(self, leaf: str) -> list[bytes]:
        """Return the notices that concern a request, by digest of their bundles."""
        found = [
            (one.promise.bundle_sha256, one.deletion.notice)
            for one in self._storage.all()
            if one.deletion is not None and one.promise.request == leaf
        ]
        return [notice for _, notice in sorted(found)]

    def taken(self) -> dict[str, list[int]]:
        """Return for each request (leaf hash) when its notices were taken, µs, oldest first: what is to be logged."""
        found: dict[str, list[int]] = defaultdict(list)
        for one in self._storage.all():
            if one.deletion is not None:
                found[one.promise.request].append(one.deletion.taken_us)
        return {leaf: sorted(times) for leaf, times in found.items()}

    def _bundle_of(self, envelope: bytes) -> Stored:
        try:
            notice = Deletion.open(envelope, key=Deletion.unverified(envelope).key)
        except WireError as error:
            raise Refused(400, "bad-envelope", f"the notice is not sound: {error}") from error
        stored = self._storage.by_key(notice.key)
        asked = (notice.request, notice.bundle_sha256)
        if stored is None or (stored.promise.request, stored.promise.bundle_sha256) != asked:
            raise Refused(404, UNKNOWN_BUNDLE, "this inbox knows no such bundle of this sender, or not any more")
        return stored

    def _keep(self, stored: Stored, envelope: bytes) -> AskedDeletion:
        taken_us = self._clock()
        receipt = DeletionReceipt(
            request=stored.promise.request, bundle_sha256=stored.promise.bundle_sha256, taken_at=taken_us
        )
        asked = AskedDeletion(envelope, receipt.sign(self._key), taken_us)
        self._storage.ask_deletion(stored, asked)
        log.info("deletion_asked", request=stored.promise.request[:16])
        return asked
