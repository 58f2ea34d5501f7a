"""What becomes of announcements: known, verified, judged by the limits, matched, offered; and closed in the end.

What is announced waits until the device has read the log as far as that, and while nothing of the log counts. What
ends a request is read in the log, whether anybody announces it or not.

1. Each step reads the state it is about and changes it in one transaction: what another thread decided meanwhile is
   seen, never overridden.
2. What does not verify leaves no trace but a count, and what is not read yet has bounded room: nobody can fill this
   disk by publishing.
3. Nothing here publishes, and nothing depends on when an announcement arrived, but on when it is considered.
4. What our clock, which may be wrong, speaks against is not refused for good: it is judged again at the next look.

Blocking; the daemon calls it off the event loop, at times of its own.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import structlog

from broker.wire.edge import Edge
from broker.wire.geo import Point
from broker.wire.proofs import parse_proof
from broker.wire.records import Request
from broker.wire.rules import DAY_US, MINUTE_US
from broker.wire.topics import parse_announcement
from device.vault.state import State, Transaction

from .errors import NotReadYetError, RefusedError
from .matching import ClipSpan, concerns, matching_clips
from .policy import HouseholdPolicy, ended, refusals
from .reading.follower import Follower
from .requests import CLOSABLE, RequestState, RequestStore, Step
from .trust import Trust, VerifiedRequest

log = structlog.get_logger()

SETTLING_US = 2 * MINUTE_US  # longer than a clip takes from the first frame to the ring
KEPT_US = 30 * DAY_US  # how long after its expiry a request without a decision is shown
NOT_YET = frozenset({"posted-ahead", "expired"})  # by our clock, which may be behind or ahead
BY_THE_LOG = frozenset({"admission", "revoked", "signature", "not-in-log"})  # as it was read: nothing, if it lies
MOST_AWAITED = 500  # announcements that wait until the log is read so far


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
        reading: Follower,
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
        self._reading = reading
        self._policy = policy
        self._device = device
        self._shelf = shelf
        self._now_us = now_us
        self._believed_us = believed_us
        self._heeded: Edge | None = None  # what was read when it was last asked what it says of our requests
        self.refused_unverified = 0

    def consider(self, announced: Iterable[tuple[str, bytes]]) -> None:
        """Take announcements (leaf hash of the topic, payload); an empty payload is a topic that was cleared."""
        for leaf, payload in announced:
            if not payload:
                continue
            try:
                verified = self._trust.verify(payload, leaf=leaf)
            except NotReadYetError as early:
                self._doubt(payload)
                self._await(leaf, payload, early.request)
            except RefusedError as error:
                if error.rule in BY_THE_LOG and self._reading.contradiction is not None:
                    self._await(leaf, payload, Request.unverified(parse_announcement(payload).envelope))
                    continue
                self.refused_unverified += 1
                self._doubt(payload, error)
                log.warning("request_refused", leaf=leaf[:16], rule=error.rule, reason=error.message)
            else:
                self._consider(verified, payload)
        self._heed_the_log()
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

    def _await(self, leaf: str, payload: bytes, request: Request) -> None:
        """Keep an announcement that can't be judged yet."""
        now_us = self._now_us()
        if request.expires_at <= now_us:
            return  # if it is our clock that runs ahead, it will be announced again
        with self._state.transaction() as tx:
            if self._store.get(leaf, tx) is not None:
                return
            if self._store.count(RequestState.ANNOUNCED) >= MOST_AWAITED:
                self.refused_unverified += 1
                return
            settles_us = request.end + SETTLING_US
            self._store.announce(tx, leaf, payload, expires_us=request.expires_at, settles_us=settles_us, now_us=now_us)

    def _consider(self, verified: VerifiedRequest, payload: bytes) -> None:
        leaf, request = verified.leaf, verified.request
        if self._reading.hold() is not None:
            self._await(leaf, payload, request)
            return
        if self._store.get(leaf) is not None:
            return
        now_us = self._now_us()
        broken, found = self._judged(verified, now_us)
        if "expired" in broken:
            return
        with self._state.transaction() as tx:
            settles_us = request.end + SETTLING_US
            self._store.announce(tx, leaf, payload, expires_us=request.expires_at, settles_us=settles_us, now_us=now_us)
            self._settle(tx, leaf, broken, found, now_us)
        log.info("request_considered", leaf=leaf[:16], rules=sorted(broken))

    def _doubt(self, payload: bytes, error: RefusedError | None = None) -> None:
        """Have the head compared under which something was announced that was not read."""
        if error is None or error.rule == "not-in-log":
            self._reading.doubt(parse_proof(parse_announcement(payload).proof).checkpoint)

    def _heed_the_log(self) -> None:
        """Close what was withdrawn, resolved or revoked, by the log alone."""
        edge = self._reading.kept.edge
        if edge == self._heeded:  # as large as before it may be another history
            return
        now_us = self._now_us()
        for stored in self._store.every(*CLOSABLE, RequestState.RELEASED):
            logged = self._reading.request(stored.leaf)
            if logged is None or logged.closed is None or logged.closed == stored.closed_by:
                continue
            with self._state.transaction() as tx:
                self._store.set_closed(tx, stored.leaf, logged.closed)
                self.close(tx, stored.leaf, logged.closed, now_us)
        self._heeded = edge

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
        if self._reading.hold() is not None:
            return
        now_us = self._now_us()
        for stored in self._store.unsettled(now_us):
            try:
                verified = self._trust.verify(stored.announcement, leaf=stored.leaf)
            except NotReadYetError:
                continue
            except RefusedError as error:
                if stored.state is RequestState.ANNOUNCED:
                    self._doubt(stored.announcement, error)
                    self._refuse(stored.leaf, error, now_us)
                continue  # else the pinned keys have changed; it expires where it is
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

    def _refuse(self, leaf: str, error: RefusedError, now_us: int) -> None:
        with self._state.transaction() as tx:
            current = self._store.get(leaf, tx)
            if current is not None and current.state is RequestState.ANNOUNCED:
                self._store.step(tx, leaf, Step.REFUSE, now_us=now_us, rule=error.rule, message=error.message)
        log.warning("request_refused", leaf=leaf[:16], rule=error.rule, reason=error.message)

    def close(self, tx: Transaction, leaf: str, reason: str, now_us: int) -> None:
        """Close a request that is open still, whatever it was when somebody decided to."""
        current = self._store.get(leaf, tx)
        if current is None or current.state not in CLOSABLE:
            return
        step = Step.WITHDRAW if reason in {"withdrawn", "revoked", "suspended", "not-in-log"} else Step.EXPIRE
        self._store.step(tx, leaf, step, now_us=now_us, rule=reason, message=ended(reason))
        self._shelf.unpin(tx, leaf)
        log.info("request_closed", leaf=leaf[:16], rule=reason)
