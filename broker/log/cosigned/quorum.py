"""All cosigners of a log, asked at once. None can hold up the others: each has a task of its own, and a deadline.

A head stays the one that is asked about until `gather` returns, so that cosigners of different speed sign the same
tree. Whoever is still busy with an earlier one is asked about the newest when it is done.

Times never go back: of each cosigner, a cosignature that is older than one taken from it before is not taken, nor one
from so far ahead of our clock that none after it would be. So a clock that was set back costs that cosigner's word
until it has caught up, and its status says so. Our own clock, set back while we run, stops nothing: what is ahead is
measured from the newest time that it ever told. Started with a clock that is a day behind, nothing is published until
it is right.
"""

import asyncio
from collections.abc import Callable, Sequence

import httpx
import structlog

from broker.log.errors import LogError
from broker.wire.cosigning import Kind
from broker.wire.encoding import WireError
from broker.wire.notes import Note
from broker.wire.proofs import Cosigner, Policy

from .cosigners import Cosigned, CosignerClient, CosignerError, Head, learnt
from .panel import CosignerStatus, CosignTiming, Panel

log = structlog.get_logger()


class Quorum:
    """Gathers cosignatures until a policy is met. `run` is to be a task while `gather` is used.

    `on_late` is called when a cosignature came that no `gather` waited for.
    """

    def __init__(
        self,
        panel: Panel,
        *,
        policy: Policy,
        http: httpx.AsyncClient | None,
        now_us: Callable[[], int],
        timing: CosignTiming | None = None,
        on_late: Callable[[], None] = lambda: None,
    ) -> None:
        if panel.cosigners and http is None:
            raise ValueError("cosigners can't be asked without an HTTP client")
        self._policy = policy
        self._timing = timing or CosignTiming()
        self._on_late = on_late
        self._changed = asyncio.Event()
        self._gathering = False
        self._now_us = now_us
        self._newest_us = 0
        self._members = [
            _Member(kind, cosigner, http=http, timing=self._timing, now_us=self._clock_us)
            for kind, cosigner in panel.cosigners
            if http is not None
        ]

    @property
    def status(self) -> Sequence[CosignerStatus]:
        """How each cosigner keeps up."""
        return tuple(member.status for member in self._members)

    def learn(self, note: Note) -> None:
        """Take over what a published checkpoint says of the cosigners: their sizes, their times, their lines."""
        for member in self._members:
            member.learn(note)

    async def run(self) -> None:
        """Ask, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for member in self._members:
                tasks.create_task(member.run(self._told), name=f"cosigner-{member.name}")

    async def gather(self, head: Head, *, since_s: float) -> Note | None:
        """Return the head with the cosignatures of a quorum and of who else was quick; None if there is no quorum.

        Asked is who did not cosign this head since `since_s` (by the loop's clock), but who failed lately not before
        its time. A cosignature from before then still counts.
        """
        now_s = asyncio.get_running_loop().time()
        for member in self._members:
            if not member.busy and member.retry_s <= now_s and not member.signed(head, since_s):
                member.ask(head)
        self._gathering = True
        try:
            return await self._gather(head, grace_until_s=None)
        finally:
            self._gathering = False

    def next_s(self, head: Head, *, since_s: float) -> float | None:
        """Return when (by the loop's clock) somebody is to be asked by the next `gather`; None if nobody is."""
        missing = (one.retry_s for one in self._members if not one.busy and not one.signed(head, since_s))
        return min(missing, default=None)

    async def _gather(self, head: Head, *, grace_until_s: float | None) -> Note | None:
        loop = asyncio.get_running_loop()
        while True:
            self._changed.clear()
            waiting = any(member.asked(head) for member in self._members)
            met = self._policy.met_by(member.name for member in self._members if member.signed(head))
            if not waiting:
                return self._merged(head) if met else None
            if met and grace_until_s is None:
                grace_until_s = loop.time() + self._timing.grace_s
            try:
                async with asyncio.timeout_at(grace_until_s):
                    await self._changed.wait()
            except TimeoutError:
                return self._merged(head)

    def _merged(self, head: Head) -> Note:
        lines = (member.cosigned.signature for member in self._members if member.cosigned and member.signed(head))
        return Note(head.note.text, (*head.note.signatures, *lines))

    def _told(self) -> None:
        self._changed.set()
        if not self._gathering:
            self._on_late()

    def _clock_us(self) -> int:
        self._newest_us = max(self._newest_us, self._now_us())
        return self._newest_us


class _Member:
    """One cosigner, and what is known of it."""

    def __init__(
        self,
        kind: Kind,
        cosigner: Cosigner,
        *,
        http: httpx.AsyncClient,
        timing: CosignTiming,
        now_us: Callable[[], int],
    ) -> None:
        self.name = cosigner.name
        self.cosigned: Cosigned | None = None
        self.retry_s = 0.0
        self._kind: Kind = kind
        self._cosigner = cosigner
        self._client = CosignerClient(kind, cosigner, http=http, timing=timing)
        self._timing = timing
        self._now_us = now_us
        self._wanted: Head | None = None
        self._answered_s = 0.0
        self._wake = asyncio.Event()
        self._pause_s = timing.first_retry_s
        self._asked_us: int | None = None
        self._error: str | None = None

    @property
    def latest_s(self) -> int:
        """The newest time taken from it, 0 before the first."""
        return 0 if self.cosigned is None else self.cosigned.at_s

    @property
    def status(self) -> CosignerStatus:
        taken = self.cosigned
        return CosignerStatus(
            name=self.name,
            kind=self._kind,
            url=self._cosigner.url,
            key=str(self._cosigner.key),
            size=None if taken is None else taken.checkpoint.size,
            cosigned_s=None if taken is None else taken.at_s,
            asked_us=self._asked_us,
            error=self._error,
        )

    def learn(self, note: Note) -> None:
        try:
            found = learnt(note, self._cosigner)
        except WireError:
            return
        if found is not None and found.at_s >= self.latest_s:
            self.cosigned = found
            self._client.size = found.checkpoint.size

    @property
    def busy(self) -> bool:
        """Whether an answer is still to come."""
        return self._wanted is not None

    def signed(self, head: Head, since_s: float = 0.0) -> bool:
        same = self.cosigned is not None and self.cosigned.checkpoint == head.checkpoint
        return same and self._answered_s >= since_s

    def asked(self, head: Head) -> bool:
        """Tell whether its answer for this head is still to come."""
        return self._wanted is head

    def ask(self, head: Head) -> None:
        self._wanted = head
        self._wake.set()

    async def run(self, told: Callable[[], None]) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._wanted is not None:
                await self._ask(self._wanted)
            self._wanted = None
            told()

    async def _ask(self, head: Head) -> None:
        try:
            self._take(await self._client.cosign(head))
        except (CosignerError, LogError, OSError) as error:
            self.retry_s = asyncio.get_running_loop().time() + self._pause_s
            self._pause_s = min(self._timing.last_retry_s, 2 * self._pause_s)
            self._error = str(error)
            log.warning("cosigner_failed", cosigner=self.name, size=head.checkpoint.size, error=self._error)
        else:
            self._pause_s = self._timing.first_retry_s
            self._answered_s = asyncio.get_running_loop().time()
            self._error = None
        self._asked_us = self._now_us()

    def _take(self, cosigned: Cosigned) -> None:
        back_s = self.latest_s - cosigned.at_s
        if back_s > 0:
            raise CosignerError(f"its clock was set back: it signs {back_s} s before it did last")
        ahead_s = cosigned.at_s - self._now_us() // 1_000_000
        if ahead_s > self._timing.most_ahead_s:
            raise CosignerError(f"its clock is {ahead_s} s ahead of ours")
        self.cosigned = cosigned
