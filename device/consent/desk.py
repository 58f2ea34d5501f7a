"""The owner's desk: what is offered, what the device may say of it, and decisions, kept before they take effect.

A decision reads the state it is about, changes it and writes its ledger entry in one transaction, and only then does
anything act on it. Blocking; the daemon calls it off the event loop.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from broker.wire.encoding import WireError
from broker.wire.proofs import parse_proof
from broker.wire.records import Approval, Release, SegmentStatement, SharedClip
from broker.wire.rules import Limits
from broker.wire.topics import parse_announcement
from device.vault.ledger import Ledger
from device.vault.state import State, Transaction

from .approval import Approved, check_approval
from .deletions import Deletions
from .docket import ClipShelf, DeviceView, Docket
from .errors import ConsentError
from .reading.follower import Follower
from .requests import RequestState, RequestStore, Step, StoredRequest
from .trust import Trust, VerifiedRequest

log = structlog.get_logger()

SHORTEST = 6  # hex digits, enough to mean one request
ASKED_BACK = "asked-back"  # what ends an upload whose owner has asked for it to be deleted


@dataclass(frozen=True, slots=True)
class Offer:
    """A request as the owner's review sees it."""

    stored: StoredRequest
    verified: VerifiedRequest
    clips: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class Sending:
    """A bundle to send; where `closed_by` says why the request has ended, only its receipt may be asked for."""

    stored: StoredRequest
    closed_by: str | None


class RequestDesk:
    """All that a device knows and decides of requests."""

    def __init__(
        self,
        state: State,
        *,
        store: RequestStore,
        docket: Docket,
        ledger: Ledger,
        trust: Trust,
        reading: Follower,
        limits: Limits,
        device: DeviceView,
        shelf: ClipShelf,
        rings: Callable[[Sequence[tuple[int, int]]], Iterable[int]],
        now_us: Callable[[], int],
    ) -> None:
        """`rings` tells when somebody rang, as this device recorded it, within ranges [start, end)."""
        self._state = state
        self._store = store
        self._docket = docket
        self._ledger = ledger
        self._trust = trust
        self._reading = reading
        self._limits = limits
        self._device = device
        self._shelf = shelf
        self._rings = rings
        self._now_us = now_us
        self.deletions = Deletions(state, store=store, ledger=ledger, now_us=now_us)

    def requests(self) -> list[StoredRequest]:
        """Return every request that is known, newest change first."""
        return self._store.every()

    def offer(self, leaf: str) -> Offer:
        """Return one request with what matches it; `leaf` may be shortened to a unique beginning."""
        stored = self._find(leaf)
        verified = self._trust.verify(stored.announcement, leaf=stored.leaf)
        return Offer(stored, verified, tuple(self._store.clips(stored.leaf)))

    def check_release(self, release: Release) -> None:
        """Raise ConsentError unless a release says only what this device filmed for a request that is on offer."""
        self._refuse_on_hold()
        offer = self.offer(release.request)
        if offer.stored.state is not RequestState.OFFERED:
            raise ConsentError(
                f"request {offer.stored.leaf[:12]} is {offer.stored.state}; nothing can be released for it"
            )
        mine = (self._device.name, self._device.key, self._device.camera, self._device.kind)
        if (release.device, release.device_key, release.camera, release.kind) != mine:
            raise ConsentError("the release names another device")
        if release.recipient != offer.verified.request.recipient:
            raise ConsentError("the release names another recipient than the request")
        filmed = self._filmed(offer)
        for clip in release.clips:
            _check_clip(clip, filmed)
        self._check_rings(release)

    def approve(
        self, envelope: bytes, *, bundle: str, bundle_sha256: str, bundle_bytes: int, upload_seed: bytes
    ) -> Approved:
        """Keep the owner's approval of a bundle that lies ready; digest and size are measured from its file."""
        self._refuse_on_hold()
        now_us = self._now_us()
        leaf = _request_of(envelope)
        offer = self.offer(leaf)
        approved = check_approval(
            envelope,
            owner_key=self._device.owner_key,
            verified=offer.verified,
            device=self._device.name,
            limits=self._limits,
            now_us=now_us,
        )
        if (approved.approval.bundle_sha256, approved.approval.bundle_bytes) != (bundle_sha256, bundle_bytes):
            raise ConsentError("the bundle that lies ready is not the one that was approved")
        body = {"request": leaf, "approval": envelope.decode(), "bundle_sha256": bundle_sha256}
        with self._state.transaction() as tx:
            self._store.step(tx, leaf, Step.APPROVE, now_us=now_us)
            self._store.set_approval(tx, leaf, approval=envelope, bundle=bundle, upload_seed=upload_seed)
            self._ledger.append(tx, "approved", body, now_us)
        log.info("request_approved", leaf=leaf[:16], bundle=bundle_sha256[:16])
        return approved

    def decline(self, leaf: str) -> str:
        """Keep the owner's no. Nothing is sent, now or later. Returns the whole leaf hash."""
        now_us = self._now_us()
        stored = self._find(leaf)
        with self._state.transaction() as tx:
            self._store.step(tx, stored.leaf, Step.DECLINE, now_us=now_us)
            self._ledger.append(tx, "declined", {"request": stored.leaf}, now_us)
            self._shelf.unpin(tx, stored.leaf)
        log.info("request_declined", leaf=stored.leaf[:16])
        return stored.leaf

    def ask_deletion(self, leaf: str) -> str:
        """Keep that the owner asks for what was shared to be deleted. Returns the whole leaf hash."""
        stored = self._find(leaf)
        self.deletions.ask(stored.leaf)
        return stored.leaf

    def to_send(self) -> list[StoredRequest]:
        """Return the requests whose bundle has to be sent, or sent on, oldest first."""
        return self._store.every(RequestState.APPROVED, RequestState.RELEASED)[::-1]

    def releasing(self, leaf: str) -> Sending | None:
        """Keep that sending begins or goes on, before its next byte; None if there is nothing to send.

        What expired or was withdrawn before its first byte is closed. What was on its way by then, or when its owner
        asked for it to be deleted, gets no more bytes; but only the inbox knows whether all had arrived, so it is
        asked. While nothing of the log counts, all waits.
        Where the log is read anew, it waits until the request was read there, or is closed if its place is another's.
        """
        now_us = self._now_us()
        with self._state.transaction() as tx:
            stored = self._store.get(leaf, tx)
            if stored is None or stored.state not in {RequestState.APPROVED, RequestState.RELEASED}:
                return None
            hold, held = self._reading.hold(), self._reading.holds(leaf, _place_of(stored))
            reason = stored.closed_by or self._closed_by(stored, now_us)
            if reason is None and hold is None and held is False:
                reason = "not-in-log"
            if reason is None and self.deletions.wanted(leaf, tx):
                reason = ASKED_BACK
            if reason is not None and stored.state is RequestState.RELEASED:
                return Sending(stored, closed_by=reason)
            if reason is not None:
                self._docket.close(tx, leaf, reason, now_us)
                return None
            if hold is not None or not held:
                return None
            if stored.state is RequestState.APPROVED:
                self._store.step(tx, leaf, Step.RELEASE, now_us=now_us)
                self._ledger.append(tx, "released", {"request": leaf}, now_us)
        return Sending(stored, closed_by=None)

    def spent_bundles(self) -> set[str]:
        """Return the files of bundles whose requests have ended: nobody needs them any more."""
        return self._store.bundles(
            RequestState.RECEIVED, RequestState.UNDELIVERED, RequestState.EXPIRED, RequestState.WITHDRAWN
        )

    def received(self, leaf: str, receipt: bytes) -> None:
        """Keep the inbox's receipt."""
        now_us = self._now_us()
        with self._state.transaction() as tx:
            self._store.step(tx, leaf, Step.RECEIVE, now_us=now_us)
            self._store.set_receipt(tx, leaf, receipt)
            self._ledger.append(tx, "received", {"request": leaf, "receipt": receipt.decode()}, now_us)
            self._shelf.unpin(tx, leaf)

    def failed(self, leaf: str, reason: str) -> None:
        """Keep that the inbox will never take the bundle."""
        now_us = self._now_us()
        with self._state.transaction() as tx:
            self._fail(tx, leaf, reason, now_us)

    def _fail(self, tx: Transaction, leaf: str, reason: str, now_us: int) -> None:
        self._store.step(tx, leaf, Step.FAIL, now_us=now_us, rule="inbox", message=reason[:500])
        self._ledger.append(tx, "not-received", {"request": leaf, "reason": reason[:500]}, now_us)
        self.deletions.fail(tx, leaf, "the bundle never arrived, so there is nothing to delete", now_us)
        self._shelf.unpin(tx, leaf)

    def _closed_by(self, stored: StoredRequest, now_us: int) -> str | None:
        logged = self._reading.request(stored.leaf)
        if logged is not None and logged.closed is not None:
            return logged.closed
        return "expired" if stored.expires_us <= now_us else None

    def _refuse_on_hold(self) -> None:
        hold = self._reading.hold()
        if hold is not None:
            raise ConsentError(f"nothing can be approved now: {hold}")

    def _check_rings(self, release: Release) -> None:
        """Refuse rings that no clip of the release shows, or that this device does not know of."""
        shown = [(clip.start, clip.end) for clip in release.clips]
        if any(all(not start <= at_us < end for start, end in shown) for at_us in release.rings):
            raise ConsentError("the release tells of a ring at another time than that of its clips")
        if not set(release.rings) <= set(self._rings(shown)):
            raise ConsentError("the release tells of a ring that this device did not record")

    def _filmed(self, offer: Offer) -> dict[int, SegmentStatement]:
        found = {}
        for clip, _, _ in offer.clips:
            for envelope in self._shelf.statements(clip):
                statement = SegmentStatement.open(envelope, key=self._device.key)
                found[statement.seq] = statement
        return found

    def _find(self, leaf: str) -> StoredRequest:
        exact = self._store.get(leaf)
        if exact is not None:
            return exact
        if len(leaf) < SHORTEST:
            raise ConsentError(f"{leaf!r} is too short to name a request; give its first {SHORTEST} digits or more")
        found = [stored for stored in self._store.every() if stored.leaf.startswith(leaf)]
        if len(found) != 1:
            how = "no" if not found else "more than one"
            raise ConsentError(f"{how} request here begins with {leaf[:64]!r}; 'latchstring review list' shows them")
        return found[0]


def _check_clip(clip: SharedClip, filmed: Mapping[int, SegmentStatement]) -> None:
    """Refuse a clip of other segments than these, or of another time: theirs, or if it is derived, within theirs."""
    links = [filmed[seq] for seq in range(clip.first_seq, clip.last_seq + 1) if seq in filmed]
    if not links or len(links) != clip.last_seq - clip.first_seq + 1:
        raise ConsentError(f"{clip.file} names segments that this device did not film for the request")
    start, end = links[0].start, links[-1].start + links[-1].duration_us
    whole = (clip.start, clip.end) == (start, end)
    within = start <= clip.start < clip.end <= end
    if not (within if clip.transformations else whole):
        raise ConsentError(f"{clip.file} names another time than its segments")


def _place_of(stored: StoredRequest) -> int | None:
    """Return which entry a request is by its announcement; None if that is of an earlier version's form."""
    try:
        return parse_proof(parse_announcement(stored.announcement).proof).index
    except WireError:
        return None


def _request_of(envelope: bytes) -> str:
    try:
        return Approval.unverified(envelope).request
    except WireError as error:
        raise ConsentError(f"this is no approval: {error}") from error
