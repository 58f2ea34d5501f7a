"""Reading on: which head of the log is believed, what its entries teach, and whether what is known counts right now.

1. A head counts if the pinned policy accepts it, and if it is shown to have grown from what was read: by entries that
   hash from the kept edge to its root. Nothing is kept of entries that are not shown to be in it.
2. A head that contradicts what was read (the log went back, or is another one) is evidence: both are kept, and from
   then on nothing of this log counts or is learnt until the owner says so. A mirror, a broker or a cache that lags
   contradicts nothing: the log went back if it shows less at its own address long after it had shown more there.
3. What is known is as fresh as the newest time by which a quorum had cosigned a head that was read to its end.

Blocking, no network; one thread at a time reads on, any thread may ask.
"""

import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import structlog

from broker.wire.edge import Edge
from broker.wire.encoding import WireError
from broker.wire.merkle import HashReader, leaf_hash
from broker.wire.proofs import MIRRORS, Policy
from device.consent.errors import ConsentError
from device.vault.state import State

from .contradiction import ROLLBACK, Accusation, contradicted, gone_back, no_beginning, passed_by, unfollowed
from .edge import Plan, beginning, hold_to, plan_growth
from .freshness import stale
from .heads import SECOND_US, Head, Heard, Outcome, cosigners, gather, signed_by_log
from .kept import Evidence, Kept, Logged, PublicRecord, read_on
from .lessons import teach
from .register import Standing
from .tables import KEPT_US, ReadingStore

log = structlog.get_logger()

MOST_HEARD = 16


class MisservedError(ConsentError):
    """What was read is not what the head stands for; whoever served it is at fault, and nothing was learnt."""


class Follower:
    """What this device has read of the log."""

    def __init__(
        self,
        state: State,
        *,
        policy: Policy,
        operator_key: bytes,
        now_us: Callable[[], int],
        max_age_us: int,
    ) -> None:
        """`policy` names one log. `max_age_us`: how old what is known may be, where there is a quorum to say so."""
        if len(policy.logs) != 1:
            raise ConsentError(f"the policy names {len(policy.logs)} logs, and a device follows one")
        self.origin = policy.logs[0].name
        self.witnessed = policy.quorum is not None
        self.needs_mirror = policy.needs(MIRRORS)
        self.refused = 0
        self._policy = policy
        self._operator_key = operator_key
        self._now_us = now_us
        self._max_age_us = max_age_us
        self._store = ReadingStore(state, operator_key=operator_key)
        self._heard: dict[int, Head] = {}  # larger than what was read: each is compared when it is passed
        self._doubts: deque[bytes] = deque(maxlen=MOST_HEARD)
        self._load()

    def _load(self) -> None:
        self._kept = self._store.kept()
        self._register = self._store.register()
        standing = [one for one in self._store.evidence() if one.accepted_us is None]
        self._contradiction = next((one for one in standing if one.kind != ROLLBACK), None)
        self._back = next((one for one in standing if one.kind == ROLLBACK), None)

    @property
    def size(self) -> int:
        """How many entries were read, and shown to be in the log."""
        return self._kept.size

    @property
    def kept(self) -> Kept:
        """How far the log was read."""
        return self._kept

    @property
    def contradiction(self) -> Evidence | None:
        """What the log did that it must not, until the owner has answered it."""
        return self._contradiction

    def standing(self, agency: str, index: int) -> Standing | None:
        """Return how an agency stood for entry `index`; None: it was never admitted."""
        return self._register.standing(agency, index)

    def request(self, leaf: str) -> Logged | None:
        """Return a request that was read, by its leaf hash in hex."""
        return self._store.request(leaf)

    def holds(self, leaf: str, index: int | None) -> bool | None:
        """Return whether a request was read at its place in the log, None: the log was not read so far.

        Where the place is not known (None), it may stand anywhere.
        """
        return self._store.holds(leaf, index)

    def record(self, agency: str) -> PublicRecord:
        """Return an agency's record in the log."""
        return self._store.record(agency, since_us=self._register.since_us(agency))

    def evidence(self) -> list[Evidence]:
        """Return all that the log ever did and must not."""
        return self._store.evidence()

    def counts(self) -> dict[str, int]:
        """Return how many agencies, requests and cases are kept, and how many of the agencies are revoked now."""
        return {**self._store.counts(), "revoked": self._register.revoked}

    def age_us(self) -> int | None:
        """Return how old what is known is, None if nobody says; below 0 if our clock is before that time."""
        return None if self._kept.at_s is None else self._now_us() - self._kept.at_s * SECOND_US

    def hold(self) -> str | None:
        """Return why nothing of this log counts now, in a line for the owner; None if it does."""
        if self._contradiction is not None:
            return f"the public log contradicts itself: {self._contradiction.message}; see 'latchstring device log'"
        if self._back is not None:
            return f"{self._back.message} at its own address: nothing is offered or sent until it shows as many again"
        return stale(self.age_us(), max_age_us=self._max_age_us) if self.witnessed else None

    def problem(self) -> str | None:
        """Return what the owner should know of the log: as `hold`, but not while it is read for the first time."""
        quiet = self._contradiction is None and self._back is None and self._kept.at_s is None
        return None if quiet else self.hold()

    def cosigners(self) -> list[dict[str, Any]]:
        """Return the policy's witnesses and mirrors, and when each cosigned the newest head, None if it has not."""
        return cosigners(self._kept.note, self._policy)

    def gather(self, notes: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return for each note one with all signatures that were given for what it says."""
        return gather(notes, self._policy)

    def hear(self, note: bytes, *, own: bool = False) -> Heard:
        """Take a head; returns what became of it. `own`: the log itself showed it, at its own address.

        What the log signed is compared with what was read whoever cosigned it; it is believed if a quorum did.
        """
        try:
            checkpoint = signed_by_log(note, self._policy)
        except WireError as error:
            self.refused += 1
            log.warning("head_refused", reason=str(error))
            return Heard(Outcome.REFUSED, why=str(error))
        signed, now_us = Head(note, checkpoint, None), self._now_us()
        if self._contradicted(signed):
            return Heard(Outcome.CONTRADICTED, signed)
        if own:
            self._shown(signed, now_us)
        try:
            head = replace(signed, at_s=self._policy.witnessed(note).at_s)
        except WireError as error:
            return Heard(Outcome.UNMET, signed, str(error))
        if head.size == self.size:
            self._refresh(head)
        if head.size <= self.size:
            return Heard(Outcome.KNOWN, head)
        if len(self._heard) < MOST_HEARD or head.size in self._heard:
            self._heard[head.size] = head
        return Heard(Outcome.MORE, head)

    def doubt(self, note: bytes) -> None:
        """Keep the head under which something was announced that was not read; any thread may, it is looked at later.

        It stands until it is settled. Of too many the oldest go.
        """
        if note not in self._doubts:
            self._doubts.append(note)

    def doubted(self) -> Head | None:
        """Look at what was doubted, up to the first head that has to be shown to be a beginning of what was read.

        The others have their turn before it is returned again.
        """
        while self._doubts and self._contradiction is None:
            heard = self.hear(self._doubts[0])
            note = self._doubts.popleft()
            if heard.outcome in {Outcome.KNOWN, Outcome.UNMET} and heard.head and 0 < heard.head.size < self.size:
                self._doubts.append(note)
                return heard.head
        return None

    def plan(self, head: Head, read: HashReader) -> Plan | None:
        """Return what the next bundles have to hash to, by the log's tiles; None if they don't lead to the head."""
        return plan_growth(self._kept.edge, size=head.size, root=head.checkpoint.root, read=read)

    def take(self, head: Head, bundles: Sequence[Sequence[bytes]], plan: Plan | None = None) -> None:
        """Learn from the next bundles, of which the first begins at the first entry that was not read.

        Without a plan they have to lead to the head's very end. Learns nothing once the log contradicts itself. Raises
        MisservedError; MovedError.
        """
        if self._contradiction is not None:
            return
        before = self._kept
        leaves = [[leaf_hash(entry) for entry in bundle] for bundle in bundles]
        flat = [leaf for some in leaves for leaf in some]
        edge = _reach(before.edge, head, leaves, plan)
        if self._accused(passed_by(before, self._heard.values(), head, flat)):
            return
        entries = [entry for bundle in bundles for entry in bundle]
        taught = teach(
            self._register, before.size, entries, flat, operator_key=self._operator_key, by_us=self._by_us(head)
        )
        at_s = head.at_s if edge.size == head.size else before.at_s
        after = read_on(before, edge=edge, note=head.note, at_s=at_s, lessons=taught.lessons, void=taught.void)
        # By our clock and by the log's newest time, whichever is earlier: one that is wrong forgets nothing.
        ended_us = min(self._now_us(), after.posted_us) - KEPT_US
        self._store.swap(before, after, taught.lessons, ended_before_us=ended_us)
        # In this order: who sees that so much was read must see whom that admitted and revoked.
        self._register = taught.register
        self._kept = after
        self._heard = {size: one for size, one in self._heard.items() if size > after.size}
        log.info("log_read", size=after.size, of=head.size, void=taught.void)

    def blame(self, head: Head, read: HashReader) -> bool:
        """Find out, by tiles, whether a head that can't be reached is of another history; keeps the evidence if so."""
        return self._accused(unfollowed(self._kept, head, read))

    def settle_doubt(self, head: Head, read: HashReader) -> None:
        """Compare a smaller head with what was read; raises MisservedError for tiles that don't lead to that."""
        ours = beginning(head.size, of=self._kept.edge, read=read)
        if ours is None:
            raise MisservedError(f"the tiles do not lead from {head.size} entries to the {self.size} that were read")
        self._accused(no_beginning(self._kept, head, ours, read))
        with contextlib.suppress(ValueError):  # of too many it may have gone
            self._doubts.remove(head.note)

    def begin_again(self) -> None:
        """Forget what was read and believe the log's history as it is shown now; the evidence is kept, as answered."""
        self._store.begin_again(now_us=self._now_us())
        self._heard.clear()
        self._doubts.clear()
        self._load()
        log.warning("log_read_again", origin=self.origin)

    def _refresh(self, head: Head) -> None:
        kept, known = self._kept, self._kept.head
        at_s = head.at_s
        if known is None or known.size != head.size or (at_s or 0) > (kept.at_s or 0):
            self._swap(replace(kept, note=head.note, at_s=at_s))

    def _by_us(self, head: Head) -> int | None:
        """Return a time by which a head's entries were logged, None if no quorum says: our clock alone may be wrong."""
        return None if head.at_s is None else max(head.at_s * SECOND_US, self._now_us())

    def _swap(self, after: Kept) -> None:
        self._store.swap(self._kept, after)
        self._kept = after

    def _contradicted(self, head: Head) -> bool:
        if self._contradiction is not None:
            return True
        return self._accused(contradicted(self._kept, self._heard.values(), head.note, head.checkpoint))

    def _shown(self, head: Head, now_us: int) -> None:
        """Take what the log itself shows, at its own address: as much as before, or less."""
        if head.size > self._kept.shown:
            self._swap(replace(self._kept, own_note=head.note, own_us=now_us))
        if head.size >= self._kept.shown:
            self._kept = replace(self._kept, own_us=now_us)  # written with what is learnt next, not at every look
            if self._back is not None:
                self._store.answer(self._back, now_us=now_us)
                self._back = None
                log.warning("log_shows_as_much_again", size=head.size)
            return
        accusation = gone_back(self._kept, head.note, head.checkpoint, now_us=now_us)
        if accusation is not None and self._back is None:
            self._back = self._store.accuse_once(accusation, found_us=now_us)
            self.doubt(head.note)  # if it is another log besides, that is proven
            log.error("log_went_back", what=accusation.message)

    def _accused(self, accusation: Accusation | None) -> bool:
        """Keep the evidence, if there is any: from here on nothing of this log counts. One at a time is enough."""
        if accusation is None:
            return False
        if self._contradiction is not None:
            return True
        self._contradiction = self._store.accuse(accusation, found_us=self._now_us())
        log.error("log_contradicts_itself", kind=accusation.kind, what=accusation.message)
        return True


def _reach(edge: Edge, head: Head, bundles: Sequence[Sequence[bytes]], plan: Plan | None) -> Edge:
    """Return the edge after some bundles' leaves, once they are shown to be in the head's tree."""
    try:
        for leaves in bundles:
            edge = hold_to(plan, edge, leaves) if plan is not None else edge.extended((0, leaf) for leaf in leaves)
    except WireError as error:
        raise MisservedError(str(error)) from error
    if plan is None and (edge.size, edge.root) != (head.size, head.checkpoint.root):
        raise MisservedError(f"the entries up to {edge.size} do not lead to the log's head of {head.size}")
    return edge
