"""What a stretch of the log teaches: each entry checked under the keys in force at its place. Pure.

Whoever has the log's key can append anything. An entry that is no strict record, or not signed by whom it has to be
signed by, teaches nothing, and is counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from broker.wire.deletions import DeletionsAsked
from broker.wire.encoding import WireError
from broker.wire.envelopes import parse_envelope
from broker.wire.geo import circle_area_m2
from broker.wire.records import Agency, Refusals, Request, Revocation, Update
from broker.wire.rules import Limits

from .register import Admission, Ended, Register, Standing

MOST_TURNED_AWAY: Final = 1_000_000_000  # in one entry: sums have to stay numbers


@dataclass(frozen=True, slots=True)
class Stood:
    """An agency was admitted, got another key, was revoked, or was suspended by a record that can't be taken."""

    standing: Standing


@dataclass(frozen=True, slots=True)
class Requested:
    """A request of an admitted agency, under the key in force at its entry. `leaf` is 32 bytes."""

    index: int
    leaf: bytes
    agency: str
    case: str
    posted_us: int
    expires_us: int
    area_m2: int


@dataclass(frozen=True, slots=True)
class Said:
    """An update, under the key that its agency has in force at its entry; whether it has asked that is to be seen."""

    index: int
    agency: str
    request: bytes
    update: Update


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """So many of an agency's envelopes were refused at intake."""

    agency: str
    count: int


@dataclass(frozen=True, slots=True)
class AskedBack:
    """So many owners asked an agency to delete what they had given."""

    agency: str
    count: int


Lesson = Stood | Requested | Said | TurnedAway | AskedBack


@dataclass(frozen=True, slots=True)
class Taught:
    """The register afterwards, the lessons in order, and how many entries taught nothing."""

    register: Register
    lessons: tuple[Lesson, ...]
    void: int


def teach(
    register: Register,
    first: int,
    entries: Sequence[bytes],
    leaves: Sequence[bytes],
    *,
    operator_key: bytes,
    by_us: int | None,
) -> Taught:
    """Learn from entries `first`, `first` + 1, …, whose leaf hashes are given.

    `by_us`: a time no earlier than they were logged, None if nobody says.
    """
    register = register.copy()
    lessons: list[Lesson] = []
    void = 0
    for index, (entry, leaf) in enumerate(zip(entries, leaves, strict=True), first):
        try:
            lesson = _lesson(register, index, entry, leaf, operator_key)
            if isinstance(lesson, Admission | Ended):
                lesson = Stood(register.add(lesson, by_us=by_us))
        except WireError:
            void += 1
            continue
        lessons.append(lesson)
    return Taught(register, tuple(lessons), void)


def _lesson(
    register: Register, index: int, entry: bytes, leaf: bytes, operator_key: bytes
) -> Lesson | Admission | Ended:
    envelope = parse_envelope(entry, what="entry")
    kind = envelope.payload_type
    if kind == Request.payload_type():
        request = Request.from_payload(envelope.payload)
        envelope.verify(_key(register, request.agency))
        return Requested(
            index=index,
            leaf=leaf,
            agency=request.agency,
            case=request.case,
            posted_us=request.posted_at,
            # One that is open for longer than may be is refused for that, and kept no longer than another.
            expires_us=min(request.expires_at, request.posted_at + Limits().open_for_max_us),
            area_m2=round(circle_area_m2(request.area.radius_m)),
        )
    if kind == Update.payload_type():
        update = Update.from_payload(envelope.payload)
        envelope.verify(_key(register, update.agency))
        return Said(index, update.agency, bytes.fromhex(update.request), update)
    if kind == Agency.payload_type():
        return Admission.open(index, entry, operator_key=operator_key)
    if kind == Revocation.payload_type():
        return Ended.open(index, entry, operator_key=operator_key)
    return _counted(register, entry, kind, operator_key)


def _counted(register: Register, entry: bytes, kind: str, operator_key: bytes) -> TurnedAway | AskedBack:
    """Return what the operator counts of an agency's."""
    found: TurnedAway | AskedBack
    if kind == DeletionsAsked.payload_type():
        asked = DeletionsAsked.open(entry, key=operator_key)
        found = AskedBack(asked.agency, asked.count)
    else:
        refusals = Refusals.open(entry, key=operator_key)
        found = TurnedAway(refusals.agency, min(MOST_TURNED_AWAY, sum(one.count for one in refusals.counts)))
    if register.standing(found.agency) is None:
        raise WireError(f"the log never admitted an agency {found.agency}")
    return found


def _key(register: Register, agency: str) -> bytes:
    admission = register.in_force(agency)
    if admission is None:
        raise WireError(f"the log admits no agency {agency}")
    return admission.agency.key
