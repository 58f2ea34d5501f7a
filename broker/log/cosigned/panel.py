"""Who cosigns a log's checkpoints, and how many of them it takes. Pure.

A witness says that the log only grew; a mirror says besides that it serves every entry. What they all look like to
devices and verifiers is a tlog-policy, and a checkpoint that does not meet it is never published.
"""

from dataclasses import dataclass, field

from broker.wire.cosigning import Kind
from broker.wire.encoding import WireError
from broker.wire.notes import VerifierKey
from broker.wire.proofs import Cosigner, make_policy


@dataclass(frozen=True, slots=True)
class Panel:
    """The invited cosigners; how many of each kind are needed is None for all of them."""

    witnesses: tuple[Cosigner, ...] = ()
    mirrors: tuple[Cosigner, ...] = ()
    witnesses_needed: int | None = None
    mirrors_needed: int | None = None

    def __post_init__(self) -> None:
        for kind, needed, invited in (
            ("witnesses", self.witnesses_needed, self.witnesses),
            ("mirrors", self.mirrors_needed, self.mirrors),
        ):
            if (needed or 0) > len(invited):
                raise WireError(f"{needed} {kind} are needed, and {len(invited)} are invited")

    @property
    def cosigners(self) -> tuple[tuple[Kind, Cosigner], ...]:
        """All of them, in the order in which their lines stand in a checkpoint."""
        return (*(("witness", one) for one in self.witnesses), *(("mirror", one) for one in self.mirrors))

    def policy(self, log: VerifierKey, *, url: str = "") -> str:
        """Return the tlog-policy text for a log; raises WireError where names or keys clash."""
        return make_policy(
            log,
            url=url,
            witnesses=self.witnesses,
            mirrors=self.mirrors,
            witnesses_needed=len(self.witnesses) if self.witnesses_needed is None else self.witnesses_needed,
            mirrors_needed=len(self.mirrors) if self.mirrors_needed is None else self.mirrors_needed,
        )


@dataclass(frozen=True, slots=True)
class CosignTiming:
    """How patient the log is with its cosigners, in seconds.

    `ask_s` bounds one exchange with one of them. Once a quorum is there the others get `grace_s` more. One that failed
    is asked again after `first_retry_s`, then after twice as long, up to `last_retry_s`. While nothing is posted the
    same head is cosigned again every `again_every_s`. A stop waits `close_s` for what was just appended. A cosignature
    whose time is further ahead than `most_ahead_s` is not published: it would keep the times after it from counting.
    """

    ask_s: float = 10.0
    grace_s: float = 0.3
    poll_s: float = 0.2
    first_retry_s: float = 1.0
    last_retry_s: float = 60.0
    again_every_s: float = 3_600.0
    close_s: float = 2.0
    most_ahead_s: int = 24 * 3_600


@dataclass(frozen=True, slots=True)
class CosignerStatus:
    """How a cosigner keeps up. `size` and `cosigned_s` (POSIX, by its clock) are of the last cosignature taken.

    `asked_us` is when it last answered or failed to, by the log's clock; `error` says, in words for people, what was
    wrong with that, and is None where all was well.
    """

    name: str
    kind: Kind
    url: str
    key: str = field(repr=False)
    size: int | None = None
    cosigned_s: int | None = None
    asked_us: int | None = None
    error: str | None = None
