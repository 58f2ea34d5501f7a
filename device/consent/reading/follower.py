"""Reading on: which head of the log is believed, what its entries teach, and whether what is known counts right now.

1. A head counts if the pinned policy accepts it, and if it is shown to have grown from what was read: by entries that
   hash from the kept edge to its root. Nothing is kept of entries that are not shown to be in it.
2. A head that contradicts what was read (the log went back, or is another one) is evidence: both are kept, and from
   then on nothing of this log counts until the owner says so. A mirror, a broker or a cache that lags contradicts
   nothing: the log went back if it shows less at its own address long after it had shown more there.
3. What is known is as fresh as the newest time by which a quorum had cosigned a head that was read to its end.

Blocking, no network; one thread at a time reads on, any thread may ask.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import structlog

from broker.wire.encoding import WireError
from broker.wire.merkle import HashReader, leaf_hash
from broker.wire.proofs import MIRRORS, Policy
from broker.wire.rules import HOUR_US
from device.consent.errors import ConsentError
from device.vault.state import State

from .contradiction import Accusation, contradicted, no_beginning, passed_by, unfollowed
from .edge import Edge, Plan, hold_to, plan_growth
from .heads import SECOND_US, Head, cosigners, gather, signed_by_log
from .kept import Evidence, Kept, Logged, PublicRecord, checkpoint_in, read_on
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
        self.refused_why = ""
        self.unmet_why = ""  # why the head heard last is not believed yet, though the log signed it
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
        self._contradiction = next((one for one in self._store.evidence() if one.accepted_us is None), None)

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

    def record(self, agency: str) -> PublicRecord:
        """Return an agency's record in the log."""
        return self._store.record(agency, since_us=self._register.since_us(agency))

    def evidence(self) -> list[Evidence]:
        """Return all that the log ever did and must not."""
        return self._store.evidence()

    def counts(self) -> dict[str, int]:
        """Return how many agencies, requests and cases are kept."""
        return self._store.counts()

    def age_us(self) -> int | None:
        """Return how old what is known is, None if nobody says."""
        return None if self._kept.at_s is None else max(0, self._now_us() - self._kept.at_s * SECOND_US)

    def hold(self) -> str | None:
        """Return why nothing of this log counts now, in a line for the owner; None if it does."""
        if self._contradiction is not None:
            return f"the public log contradicts itself: {self._contradiction.message}; see 'latchstring device log'"
        if not self.witnessed:
            return None
        age_us = self.age_us()
        if age_us is None:
            return "the public log was not read to its end yet"
        if age_us <= self._max_age_us:
            return None
        return (
            f"the public log was last witnessed {age_us // HOUR_US} h ago, and {self._max_age_us // HOUR_US} h are"
            " allowed: nothing is offered or sent until its witnesses are heard again"
        )

    def problem(self) -> str | None:
        """Return what the owner should know of the log: as `hold`, but not while it is read for the first time."""
        return None if self._contradiction is None and self._kept.at_s is None else self.hold()

    def cosigners(self) -> list[dict[str, Any]]:
        """Return the policy's witnesses and mirrors, and when each cosigned the newest head, None if it has not."""
        return cosigners(self._kept.note, self._policy)

    def gather(self, notes: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return for each note one with all signatures that were given for what it says."""
        return gather(notes, self._policy)

    def hear(self, note: bytes, *, own: bool = False) -> Head | None:
        """Take a head; returns it if there is more to read. `own`: the log itself showed it, at its own address.

        What the log signed is compared with what was read whoever cosigned it; it is believed if a quorum did.
        """
        if self._contradiction is not None:
            return None
        try:
            checkpoint = signed_by_log(note, self._policy)
        except WireError as error:
            self.refused += 1
            self.refused_why = str(error)
            log.warning("head_refused", reason=str(error))
            return None
        heard, now_us = self._heard.values(), self._now_us()
        if self._accused(contradicted(self._kept, heard, note, checkpoint, own=own, now_us=now_us)):
            return None
        if own and checkpoint.size > self._kept.shown:
            self._swap(replace(self._kept, own_note=note, own_us=now_us))
        try:
            head = Head(note, checkpoint, self._policy.witnessed(note).at_s)
        except WireError as error:
            self.unmet_why = str(error)
            return None
        self.unmet_why = ""
        if head.size == self.size:
            self._refresh(head)
        if head.size <= self.size:
            return None
        if len(self._heard) < MOST_HEARD or head.size in self._heard:
            self._heard[head.size] = head
        return head

    def doubt(self, note: bytes) -> None:
        """Keep the head under which something was announced that was not read; any thread may, it is looked at later.

        Of too many the oldest go.
        """
        self._doubts.append(note)

    def doubted(self) -> list[Head]:
        """Look at what was doubted; returns the heads that have to be shown to be beginnings of what was read."""
        found = []
        while self._doubts and self._contradiction is None:
            note = self._doubts.popleft()
            refused = self.refused
            if self.hear(note) is None and self._contradiction is None and self.refused == refused:
                found.append(Head(note, checkpoint_in(note), None))
        return [head for head in found if 0 < head.size < self.size]

    def plan(self, head: Head, read: HashReader) -> Plan | None:
        """Return what the next bundles have to hash to, by the log's tiles; None if they don't lead to the head."""
        return plan_growth(self._kept.edge, size=head.size, root=head.checkpoint.root, read=read)

    def take(self, head: Head, bundles: Sequence[Sequence[bytes]], plan: Plan | None = None) -> None:
        """Learn from the next bundles, of which the first begins at the first entry that was not read.

        Without a plan they have to lead to the head's very end. Raises MisservedError; MovedError.
        """
        before = self._kept
        leaves = [[leaf_hash(entry) for entry in bundle] for bundle in bundles]
        flat = [leaf for some in leaves for leaf in some]
        edge = _reach(before.edge, head, leaves, plan)
        if self._accused(passed_by(before, self._heard.values(), head, flat)):
            return
        entries = [entry for bundle in bundles for entry in bundle]
        taught = teach(self._register, before.size, entries, flat, operator_key=self._operator_key)
        at_s = self._cosigned(head) if edge.size == head.size else before.at_s
        after = read_on(before, edge=edge, note=head.note, at_s=at_s, lessons=taught.lessons, void=taught.void)
        # By our clock and by the log's newest time, whichever is earlier: one that is wrong forgets nothing.
        ended_us = min(self._now_us(), after.posted_us) - KEPT_US
        self._store.swap(before, after, taught.lessons, ended_before_us=ended_us)
        self._kept, self._register = after, taught.register
        self._heard = {size: one for size, one in self._heard.items() if size > after.size}
        log.info("log_read", size=after.size, of=head.size, void=taught.void)

    def blame(self, head: Head, read: HashReader) -> bool:
        """Find out, by tiles, whether a head that can't be reached is of another history; keeps the evidence if so."""
        return self._accused(unfollowed(self._kept, head, read))

    def settle_doubt(self, head: Head, read: HashReader) -> None:
        """Compare a smaller head with what was read, by tiles that have to lead from it to our own edge."""
        self._accused(no_beginning(self._kept, head, read))

    def begin_again(self) -> None:
        """Forget what was read and believe the log's history as it is shown now; the evidence is kept, as answered."""
        self._store.begin_again(now_us=self._now_us())
        self._heard.clear()
        self._doubts.clear()
        self._load()
        log.warning("log_read_again", origin=self.origin)

    def _refresh(self, head: Head) -> None:
        kept, known = self._kept, self._kept.head
        at_s = self._cosigned(head)
        if known is None or known.size != head.size or (at_s or 0) > (kept.at_s or 0):
            self._swap(replace(kept, note=head.note, at_s=at_s))

    def _cosigned(self, head: Head) -> int | None:
        # Not later than now: a witness ahead of its time would make what is known fresh for as long.
        return None if head.at_s is None else min(head.at_s, self._now_us() // SECOND_US)

    def _swap(self, after: Kept) -> None:
        self._store.swap(self._kept, after)
        self._kept = after

    def _accused(self, accusation: Accusation | None) -> bool:
        """Keep the evidence, if there is any: from here on nothing of this log counts."""
        if accusation is None:
            return False
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
