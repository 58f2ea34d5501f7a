"""What the device has seen of the public log: it may only grow, and may not be another of the same size.

The newest checkpoint that the pinned policy accepts is kept in the state. One that goes back, or that differs at the
same size, is never taken for newer: both are kept as evidence, and the owner is told. (That a larger log contains the
smaller one needs its hashes, which nobody fetches here yet.)
"""

import structlog

from broker.wire.encoding import WireError
from broker.wire.notes import Checkpoint, parse_checkpoint, parse_note
from broker.wire.proofs import Policy
from device.vault.state import State

log = structlog.get_logger()

SEEN, CONFLICT = "log.checkpoint", "log.conflict"


class LogWatch:
    """Remembers the log's head. Blocking; one thread at a time."""

    def __init__(self, state: State, policy: Policy) -> None:
        self._state = state
        self._policy = policy

    @property
    def conflict(self) -> str | None:
        """The first checkpoint that contradicted what had been seen, as it came."""
        return self._state.get_meta(CONFLICT)

    def see(self, note: bytes) -> str | None:
        """Take a signed checkpoint as announced; returns a line for the owner if the log contradicts itself."""
        try:
            checkpoint = self._policy.check(note)
        except WireError as error:
            log.warning("checkpoint_refused", reason=str(error))
            return None
        before = self._seen()
        problem = None if before is None else _contradiction(before, checkpoint)
        with self._state.transaction() as tx:
            if problem is not None:
                tx.set_meta(CONFLICT, note.decode())
            elif before is None or checkpoint.size > before.size:
                tx.set_meta(SEEN, note.decode())
        if problem is not None:
            log.error("log_contradicts_itself", problem=problem)
        return problem

    def _seen(self) -> Checkpoint | None:
        kept = self._state.get_meta(SEEN)
        return None if kept is None else parse_checkpoint(parse_note(kept.encode()).text)


def _contradiction(before: Checkpoint, now: Checkpoint) -> str | None:
    if now.origin != before.origin:
        return None  # another log of the policy
    if now.size < before.size:
        return f"the public log went back from {before.size} to {now.size} entries; both heads are kept as evidence"
    if now.size == before.size and now.root != before.root:
        return f"there are two public logs of {now.size} entries; both heads are kept as evidence"
    return None
