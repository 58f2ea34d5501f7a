"""What the log's page says: the published checkpoint, and how its witnesses and mirrors keep up. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from broker.log.cosigned.panel import CosignerStatus
from broker.wire.notes import Note, cosigned_at, parse_checkpoint, parse_note
from broker.wire.proofs import MIRRORS, WITNESSES, Policy, parse_policy
from broker.words import count_text

from .texts import Moment, ago_text, moment

SECOND_US = 1_000_000
_ONE = {WITNESSES: "witness", MIRRORS: "mirror"}


@dataclass(frozen=True, slots=True)
class CosignerView:
    """A witness or mirror; `at` is its last cosignature, None if there was none.

    `keeps_up` says how far behind it is, or what was wrong when it was last asked. `signed` says whether it cosigned
    the published checkpoint.
    """

    name: str
    kind: str
    key: str
    url: str
    at: Moment | None
    ago: str
    keeps_up: str
    signed: bool


@dataclass(frozen=True, slots=True)
class LogView:
    """The log as it is published. `text` is empty where no checkpoint meets the policy yet."""

    origin: str
    size: int
    root: str
    text: str
    verifier: str
    cosigners: tuple[CosignerView, ...]
    quorum: str


def view_log(
    checkpoint: bytes | None, policy_text: str, cosigners: Sequence[CosignerStatus], *, verifier: str, now_us: int
) -> LogView:
    """Return what there is to show; raises WireError where the checkpoint is none, or falsely signed."""
    policy = parse_policy(policy_text)
    if checkpoint is None:
        shown = tuple(_cosigner(one, policy, None, 0, now_us) for one in cosigners)
        return LogView(policy.logs[0].name, 0, "", "", verifier, shown, _quorum(policy))
    note = parse_note(checkpoint)
    tree = parse_checkpoint(note.text)
    return LogView(
        origin=tree.origin,
        size=tree.size,
        root=tree.root.hex(),
        text=checkpoint.decode(),
        verifier=verifier,
        cosigners=tuple(_cosigner(one, policy, note, tree.size, now_us) for one in cosigners),
        quorum=_quorum(policy),
    )


def waiting_for(cosigners: Sequence[CosignerStatus], size: int) -> str:
    """Return whom `size` entries wait for, in words: the cosigners that failed, else those that are behind."""
    behind = [one for one in cosigners if (one.size or 0) < size]
    late = [one.name for one in behind if one.error is not None] or [one.name for one in behind]
    if not late:
        return "their cosignatures"
    return late[0] if len(late) == 1 else f"{', '.join(late[:-1])} and {late[-1]}"


def _cosigner(one: CosignerStatus, policy: Policy, note: Note | None, size: int, now_us: int) -> CosignerView:
    key = policy.witnesses.get(one.name)
    signed_s = None if note is None or key is None else cosigned_at(note, key)
    at_s = max((time_s for time_s in (signed_s, one.cosigned_s) if time_s is not None), default=None)
    known = max(one.size or 0, size if signed_s is not None else 0)
    behind = f"{count_text(size - known, 'entry', 'entries')} behind" if known < size else ""
    trouble = (one.error or "")[:1].upper() + (one.error or "")[1:]
    return CosignerView(
        name=one.name,
        kind=one.kind,
        key=one.key,
        url=one.url,
        at=None if at_s is None else moment(at_s * SECOND_US),
        ago="" if at_s is None else ago_text(now_us - at_s * SECOND_US),
        keeps_up=". ".join(said for said in (behind, trouble) if said) or "up to date",
        signed=signed_s is not None,
    )


def _quorum(policy: Policy) -> str:
    """Say what a checkpoint needs, group by group."""
    if policy.quorum is None:
        return "This log's policy asks for no cosignature: only the log's own key vouches for what is shown here."
    parts = [
        f"{group.threshold} of {len(group.members)} {_ONE.get(name, name) if len(group.members) == 1 else name}"
        for name, group in policy.groups.items()
        if all(member in policy.witnesses for member in group.members)
    ]
    return f"A checkpoint counts once it is cosigned by {' and '.join(parts) or policy.quorum}."
