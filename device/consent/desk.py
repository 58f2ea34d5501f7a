"""Where requests are considered and decisions kept: joins trust, policy, matching, the store and the ledger.

1. A decision and its ledger entry commit in one transaction, and only then does anything act on it.
2. What does not verify leaves no trace but a count: nobody can fill this disk by publishing.
3. Nothing here publishes, and nothing here depends on when an announcement arrived, but on when it is considered.

Blocking; the daemon calls it off the event loop, at times of its own.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import structlog

from broker.wire.encoding import WireError
from broker.wire.geo import Point
from broker.wire.records import Approval, Release, SegmentStatement
from broker.wire.rules import MINUTE_US, Violation
from device.vault.ledger import Ledger
from device.vault.state import State, Transaction

from .approval import Approved, check_approval
from .errors import ConsentError, RefusedError
from .matching import ClipSpan, concerns, matching_clips
from .policy import HouseholdPolicy, refusals
from .requests import RequestState, RequestStore, Step, StoredRequest
from .trust import Trust, VerifiedRequest

log = structlog.get_logger()

CLOSABLE = (RequestState.VERIFIED, RequestState.MATCHED, RequestState.OFFERED, RequestState.APPROVED)
SETTLING_US = 2 * MINUTE_US  # longer than a clip takes from the first frame to the ring
CLOSING_STEP = {"withdrawn": Step.WITHDRAW, "resolved": Step.EXPIRE}


class ClipShelf(Protocol):
    """What the desk asks of the clip ring."""

    def spans(self, start_us: int, end_us: int) -> Sequence[ClipSpan]:
        """Return the clips that overlap a range."""

    def statements(self, clip: str) -> Sequence[bytes]:
        """Return the envelopes of a clip's segment statements, in order."""

    def pin(self, tx: Transaction, clip: str, reason: str) -> None:
        """Keep a clip, within the pinned share."""

    def unpin(self, tx: Transaction, reason: str) -> None:
        """Let go of what was pinned for a reason."""


@dataclass(frozen=True, slots=True)
class DeviceView:
    """What the desk knows of the device it sits in."""

    name: str
    key: bytes
    camera: str
    kind: Literal["camera", "doorbell"]
    where: Point
    owner_key: bytes


@dataclass(frozen=True, slots=True)
class Offer:
    """A request as the owner's review sees it."""

    stored: StoredRequest
    verified: VerifiedRequest
    clips: tuple[tuple[str, int, int], ...]


class RequestDesk:
    """All that a device knows and decides of requests."""

    def __init__(
        self,
        state: State,
        *,
        ledger: Ledger,
        trust: Trust,
        policy: HouseholdPolicy,
        device: DeviceView,
        shelf: ClipShelf,
        now_us: Callable[[], int],
    ) -> None:
        self._state = state
        self._store = RequestStore(state)
        self._ledger = ledger
        self._trust = trust
        self._policy = policy
        self._device = device
        self._shelf = shelf
        self._now_us = now_us
        self.refused_unverified = 0

    def consider(self, announced: Iterable[tuple[str, bytes]]) -> None:
        """Take announcements (leaf hash of the topic, payload); an empty payload is a topic that was cleared."""
        for leaf, payload in announced:
            if payload:
                try:
                    verified = self._trust.verify(payload, leaf=leaf)
                except RefusedError as error:
                    self.refused_unverified += 1
                    log.warning("request_refused", leaf=leaf[:16], rule=error.rule, reason=error.message)
                    continue
                self._consider(verified, payload)
        self._match_again()
        self.expire()

    def expire(self) -> None:
        """Close what has expired."""
        now_us = self._now_us()
        for stored in self._store.every(*CLOSABLE):
            if stored.expires_us <= now_us:
                self._close(stored.leaf, Step.EXPIRE, now_us, rule="expired", message="the request has expired")

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
            links = [filmed.get(seq) for seq in range(clip.first_seq, clip.last_seq + 1)]
            first, last = filmed.get(clip.first_seq), filmed.get(clip.last_seq)
            if None in links or first is None or last is None:
                raise ConsentError(f"{clip.file} names segments that this device did not film for the request")
            if clip.start != first.start or clip.end != last.start + last.duration_us:
                raise ConsentError(f"{clip.file} names another time than its segments")

    def approve(
        self, envelope: bytes, *, bundle: str, bundle_sha256: str, bundle_bytes: int, upload_seed: bytes
    ) -> Approved:
        """Keep the owner's approval of a bundle that lies ready; digest and size are measured from its file."""
        now_us = self._now_us()
        leaf = _request_of(envelope)
        offer = self.offer(leaf)
        approved = check_approval(
            envelope,
            owner_key=self._device.owner_key,
            verified=offer.verified,
            device=self._device.name,
            limits=self._policy.limits,
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

    def to_send(self) -> list[StoredRequest]:
        """Return the requests whose bundle has to be sent, or sent on, oldest first."""
        return self._store.every(RequestState.APPROVED, RequestState.RELEASED)[::-1]

    def releasing(self, leaf: str) -> None:
        """Keep that sending begins, before its first byte; a request that is on its way already stays so."""
        stored = self._find(leaf)
        if stored.state is RequestState.RELEASED:
            return
        now_us = self._now_us()
        with self._state.transaction() as tx:
            self._store.step(tx, leaf, Step.RELEASE, now_us=now_us)
            self._ledger.append(tx, "released", {"request": leaf}, now_us)

    def received(self, leaf: str, receipt: bytes) -> None:
        """Keep the inbox's receipt."""
        now_us = self._now_us()
        with self._state.transaction() as tx:
            self._store.step(tx, leaf, Step.RECEIVE, now_us=now_us)
            self._store.set_receipt(tx, leaf, receipt)
            self._ledger.append(tx, "received", {"request": leaf, "receipt": receipt.decode()}, now_us)
            self._shelf.unpin(tx, leaf)

    def failed(self, leaf: str, reason: str) -> None:
        """Keep that the inbox will never take the bundle: the request is closed."""
        now_us = self._now_us()
        with self._state.transaction() as tx:
            self._store.step(tx, leaf, Step.EXPIRE, now_us=now_us, rule="inbox", message=reason[:500])
            self._ledger.append(tx, "not-received", {"request": leaf, "reason": reason[:500]}, now_us)
            self._shelf.unpin(tx, leaf)

    def _consider(self, verified: VerifiedRequest, payload: bytes) -> None:
        now_us = self._now_us()
        known = self._store.get(verified.leaf)
        if known is not None:
            self._update(known, verified, payload, now_us)
            return
        broken = refusals(verified, self._policy, now_us=now_us)
        request = verified.request
        found = [] if broken else self._matching(verified)
        with self._state.transaction() as tx:
            self._store.announce(tx, verified.leaf, payload, expires_us=request.expires_at, now_us=now_us)
            self._settle(tx, verified.leaf, broken, found, now_us)
        log.info("request_considered", leaf=verified.leaf[:16], rules=[one.rule for one in broken])

    def _settle(
        self, tx: Transaction, leaf: str, broken: Sequence[Violation], found: list[ClipSpan], now_us: int
    ) -> None:
        if broken:
            message = "; ".join(one.message for one in broken)
            self._store.step(tx, leaf, Step.REFUSE, now_us=now_us, rule=broken[0].rule, message=message)
            return
        self._store.step(tx, leaf, Step.VERIFY, now_us=now_us)
        if not found:
            self._store.step(tx, leaf, Step.NO_MATCH, now_us=now_us)
            return
        self._offer(tx, leaf, found, now_us)

    def _matching(self, verified: VerifiedRequest) -> list[ClipSpan]:
        request = verified.request
        if not concerns(request, where=self._device.where, kind=self._device.kind):
            return []
        return matching_clips(request, self._shelf.spans(request.start, request.end))

    def _match_again(self) -> None:
        """Look once more at requests whose window ended just now: its last moments may have been on their way."""
        now_us = self._now_us()
        for stored in self._store.every(RequestState.UNMATCHED):
            verified = self._trust.verify(stored.announcement, leaf=stored.leaf)
            if now_us - verified.request.end > SETTLING_US or refusals(verified, self._policy, now_us=now_us):
                continue
            if found := self._matching(verified):
                with self._state.transaction() as tx:
                    self._offer(tx, stored.leaf, found, now_us)

    def _offer(self, tx: Transaction, leaf: str, found: list[ClipSpan], now_us: int) -> None:
        self._store.step(tx, leaf, Step.MATCH, now_us=now_us)
        self._store.set_clips(tx, leaf, [(clip.clip, clip.start_us, clip.end_us) for clip in found])
        for clip in found:
            self._shelf.pin(tx, clip.clip, leaf)
        self._store.step(tx, leaf, Step.OFFER, now_us=now_us)

    def _update(self, known: StoredRequest, verified: VerifiedRequest, payload: bytes, now_us: int) -> None:
        held = self._trust.verify(known.announcement, leaf=known.leaf)
        if len(verified.updates) <= len(held.updates):
            return  # an operator can't take an update back by leaving it out
        with self._state.transaction() as tx:
            self._store.renew(tx, known.leaf, payload)
        kind = verified.closed_by
        if kind is not None and known.state in CLOSABLE:
            self._close(known.leaf, CLOSING_STEP[kind], now_us, rule=kind, message=f"the agency has {kind} the request")

    def _close(self, leaf: str, step: Step, now_us: int, *, rule: str, message: str) -> None:
        with self._state.transaction() as tx:
            self._store.step(tx, leaf, step, now_us=now_us, rule=rule, message=message)
            self._shelf.unpin(tx, leaf)
        log.info("request_closed", leaf=leaf[:16], rule=rule)

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
        found = [stored for stored in self._store.every() if len(leaf) >= 6 and stored.leaf.startswith(leaf)]  # noqa: PLR2004 - enough to mean one
        if len(found) != 1:
            how = "no" if not found else "more than one"
            raise ConsentError(f"{how} request here begins with {leaf[:64]!r}; 'latchstring review list' shows them")
        return found[0]


def waiting(requests: Iterable[StoredRequest]) -> int:
    """Return how many requests wait for the owner."""
    return sum(stored.state is RequestState.OFFERED for stored in requests)


def _request_of(envelope: bytes) -> str:
    try:
        return Approval.unverified(envelope).request
    except WireError as error:
        raise ConsentError(f"this is no approval: {error}") from error
