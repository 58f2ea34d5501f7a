"""What becomes of announcements: known, verified, judged by the limits, matched, offered; and closed in the end.

1. Each step reads the state it is about and changes it in one transaction: what another thread decided meanwhile is
   seen, never overridden.
2. What does not verify leaves no trace but a count: nobody can fill this disk by publishing.
3. Nothing here publishes, and nothing depends on when an announcement arrived, but on when it is considered.
4. What our clock, which may be wrong, speaks against is not refused for good: it is judged again at the next look.

Blocking; the daemon calls it off the event loop, at times of its own.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import structlog

from broker.wire.geo import Point
from broker.wire.rules import DAY_US, MINUTE_US
from device.vault.state import State, Transaction

from .errors import RefusedError
from .matching import ClipSpan, concerns, matching_clips
from .policy import HouseholdPolicy, refusals
from .requests import CLOSABLE, RequestState, RequestStore, Step, StoredRequest
from .trust import Trust, VerifiedRequest

log = structlog.get_logger()

SETTLING_US = 2 * MINUTE_US  # longer than a clip takes from the first frame to the ring
KEPT_US = 30 * DAY_US  # how long after its expiry a request without a decision is shown
NOT_YET = frozenset({"posted-ahead"})  # by our clock, which may be behind


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


class Docket:
    """The requests that a device knows, and how they get there."""

    def __init__(
        self,
        state: State,
        *,
        store: RequestStore,
        trust: Trust,
        policy: HouseholdPolicy,
        device: DeviceView,
        shelf: ClipShelf,
        now_us: Callable[[], int],
        believed_us: Callable[[], int],
    ) -> None:
        """`believed_us` is the time by which requests are closed: `now_us`, unless that has just leapt."""
        self._state = state
        self._store = store
        self._trust = trust
        self._policy = policy
        self._device = device
        self._shelf = shelf
        self._now_us = now_us
        self._believed_us = believed_us
        self.refused_unverified = 0

    def consider(self, announced: Iterable[tuple[str, bytes]]) -> None:
        """Take announcements (leaf hash of the topic, payload); an empty payload is a topic that was cleared."""
        for leaf, payload in announced:
            if not payload:
                continue
            try:
                verified = self._trust.verify(payload, leaf=leaf)
            except RefusedError as error:
                self.refused_unverified += 1
                log.warning("request_refused", leaf=leaf[:16], rule=error.rule, reason=error.message)
                continue
            self._consider(verified, payload)
        self._judge_again()
        self.expire()

    def expire(self) -> None:
        """Close what has expired, and forget what ended long ago without a decision."""
        now_us = self._believed_us()
        for leaf in self._store.expired(now_us):
            with self._state.transaction() as tx:
                self.close(tx, leaf, "expired", now_us)
        with self._state.transaction() as tx:
            self._store.forget(tx, expired_before_us=now_us - KEPT_US)

    def _consider(self, verified: VerifiedRequest, payload: bytes) -> None:
        now_us = self._now_us()
        with self._state.transaction() as tx:
            known = self._store.get(verified.leaf, tx)
            if known is not None:
                self._update(tx, known, verified, payload, now_us)
                return
        broken, found = self._judged(verified, now_us)
        if "expired" in broken:
            return  # if it is our clock that runs ahead, it will be announced again
        with self._state.transaction() as tx:
            leaf, request = verified.leaf, verified.request
            settles_us = request.end + SETTLING_US
            self._store.announce(tx, leaf, payload, expires_us=request.expires_at, settles_us=settles_us, now_us=now_us)
            if verified.updates:
                count = len(verified.updates)
                self._store.renew(tx, leaf, payload, updates=count, closed_by=verified.closed_by)
            self._settle(tx, leaf, broken, found, now_us)
        log.info("request_considered", leaf=leaf[:16], rules=sorted(broken))

    def _judged(self, verified: VerifiedRequest, now_us: int) -> tuple[dict[str, str], list[ClipSpan]]:
        """Return what stands against a request (rule: message), and the clips that match if nothing does."""
        broken = {one.rule: one.message for one in refusals(verified, self._policy, now_us=now_us)}
        request = verified.request
        if broken or not concerns(request, where=self._device.where, kind=self._device.kind):
            return broken, []
        return broken, matching_clips(request, self._shelf.spans(request.start, request.end))

    def _settle(self, tx: Transaction, leaf: str, broken: dict[str, str], found: list[ClipSpan], now_us: int) -> None:
        if broken.keys() & NOT_YET:
            return  # judged again at the next look
        if broken:
            rule, message = next(iter(broken)), "; ".join(broken.values())
            self._store.step(tx, leaf, Step.REFUSE, now_us=now_us, rule=rule, message=message)
            return
        self._store.step(tx, leaf, Step.VERIFY, now_us=now_us)
        if found:
            self._offer(tx, leaf, found, now_us)
        else:
            self._store.step(tx, leaf, Step.NO_MATCH, now_us=now_us)

    def _judge_again(self) -> None:
        """Look once more at what our clock, or the end of a film on its way into the ring, may decide otherwise now."""
        now_us = self._now_us()
        for stored in self._store.unsettled(now_us):
            try:
                verified = self._trust.verify(stored.announcement, leaf=stored.leaf)
            except RefusedError:
                continue  # the pinned keys have changed; it expires where it is
            broken, found = self._judged(verified, now_us)
            with self._state.transaction() as tx:
                current = self._store.get(stored.leaf, tx)
                if current is None or current.state is not stored.state:
                    continue
                if stored.state is RequestState.ANNOUNCED:
                    self._settle(tx, stored.leaf, broken, found, now_us)
                elif found and stored.state is RequestState.OFFERED:
                    self._keep_clips(tx, stored.leaf, found)
                elif found:
                    self._offer(tx, stored.leaf, found, now_us)

    def _offer(self, tx: Transaction, leaf: str, found: list[ClipSpan], now_us: int) -> None:
        self._store.step(tx, leaf, Step.MATCH, now_us=now_us)
        self._keep_clips(tx, leaf, found)
        self._store.step(tx, leaf, Step.OFFER, now_us=now_us)

    def _keep_clips(self, tx: Transaction, leaf: str, found: list[ClipSpan]) -> None:
        self._store.set_clips(tx, leaf, [(clip.clip, clip.start_us, clip.end_us) for clip in found])
        for clip in found:
            self._shelf.pin(tx, clip.clip, leaf)

    def _update(
        self, tx: Transaction, known: StoredRequest, verified: VerifiedRequest, payload: bytes, now_us: int
    ) -> None:
        if len(verified.updates) > known.updates:  # an operator can't take an update back by leaving it out
            count = len(verified.updates)
            self._store.renew(tx, known.leaf, payload, updates=count, closed_by=verified.closed_by)
            if verified.closed_by is not None:
                self.close(tx, known.leaf, verified.closed_by, now_us)

    def close(self, tx: Transaction, leaf: str, reason: str, now_us: int) -> None:
        """Close a request that is open still, whatever it was when somebody decided to."""
        current = self._store.get(leaf, tx)
        if current is None or current.state not in CLOSABLE:
            return
        step = Step.WITHDRAW if reason == "withdrawn" else Step.EXPIRE
        message = "the request has expired" if reason == "expired" else f"the agency has {reason} the request"
        self._store.step(tx, leaf, step, now_us=now_us, rule=reason, message=message)
        self._shelf.unpin(tx, leaf)
        log.info("request_closed", leaf=leaf[:16], rule=reason)
