"""The agencies that a log admits, and from which entry to which. Pure.

An agency stands in the register by what the operator's pinned key signed. Whatever is not plainly good news for it is
bad news, since an operator chooses what is logged, and in which order:

1. A revocation ends what stands, whatever its date and however much was logged before.
2. An admission replaces the one before from its entry on, if it is what the intake may log: newer than all before, not
   dated ahead, with a key that was not revoked and a contact in the agency's domain.
3. An admission that can't be taken suspends its agency until a good one comes: who may speak for it is not known.
4. Room is bounded for admissions only; one that finds none can't be taken.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Self

from broker.wire.encoding import WireError
from broker.wire.records import Agency, Revocation
from broker.wire.rules import Limits, check_agency


@dataclass(frozen=True, slots=True)
class _AgencyRecord:
    """An agency's record at entry `index`; `envelope` is what the operator signed."""

    index: int
    agency: Agency
    envelope: bytes

    @classmethod
    def open(cls, index: int, envelope: bytes, *, operator_key: bytes) -> Self:
        """Check the operator's signature; raises WireError."""
        return cls(index, Agency.open(envelope, key=operator_key), envelope)


class Admission(_AgencyRecord):
    """One that is in force from its entry on."""

    __slots__ = ()


class Suspended(_AgencyRecord):
    """One that can't be taken: from its entry on nothing of its agency counts."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Ended:
    """A revocation, in force from entry `index` on."""

    index: int
    revocation: Revocation
    envelope: bytes

    @classmethod
    def open(cls, index: int, envelope: bytes, *, operator_key: bytes) -> Self:
        """Check the operator's signature; raises WireError."""
        return cls(index, Revocation.open(envelope, key=operator_key), envelope)


Standing = Admission | Ended | Suspended
# What a device remembers for good must not be the operator's to choose.
MOST_ADMISSIONS: Final = 20_000
MOST_OF_AGENCY: Final = 256


class Register:
    """Who stood how at each entry. Who reads on takes a copy, and adds to that."""

    def __init__(self, *, most: int = MOST_ADMISSIONS, most_of_agency: int = MOST_OF_AGENCY) -> None:
        self._standings: dict[str, tuple[Standing, ...]] = {}
        self._admissions = 0
        self._most = most
        self._most_of_agency = most_of_agency

    @classmethod
    def of(cls, standings: Iterable[Standing]) -> Self:
        """Return the register of what stood in the log, in its order."""
        found = cls()
        for one in standings:
            found._keep(one)
        return found

    def copy(self) -> "Register":
        """Return another one that says the same."""
        found = Register(most=self._most, most_of_agency=self._most_of_agency)
        found._standings, found._admissions = dict(self._standings), self._admissions
        return found

    def standing(self, agency: str, index: int | None = None) -> Standing | None:
        """Return how an agency stands for entry `index`, by what is in the log before it; None: never admitted."""
        for one in reversed(self._standings.get(agency, ())):
            if index is None or one.index < index:
                return one
        return None

    def in_force(self, agency: str, index: int | None = None) -> Admission | None:
        """Return the admission under which entry `index` was asked, or one that came now would be."""
        found = self.standing(agency, index)
        return found if isinstance(found, Admission) else None

    @property
    def revoked(self) -> int:
        """How many agencies are revoked now."""
        return sum(isinstance(history[-1], Ended) for history in self._standings.values())

    def since_us(self, agency: str) -> int | None:
        """Return when an agency was first admitted."""
        history = self._standings.get(agency, ())
        return next((one.agency.admitted_at for one in history if isinstance(one, Admission)), None)

    def add(self, one: Admission | Ended, *, by_us: int | None) -> Standing:
        """Take in what was logged next, and return how the agency stands by it, which may be suspended.

        `by_us`: no earlier than it was logged, None if nobody says. Raises WireError if it changes nothing.
        """
        history = self._standings.get(agency_of(one), ())
        last = history[-1] if history else None
        if isinstance(one, Ended):
            if last is None or isinstance(last, Ended):
                raise WireError(f"{agency_of(one)} is not admitted, so there is nothing to revoke")
            return self._keep(one)
        if isinstance(last, Admission) and last.agency == one.agency:
            raise WireError(f"{agency_of(one)} is admitted by this very record already")
        if self._admissions >= self._most or _admissions(history) >= self._most_of_agency:
            if not isinstance(last, Admission):
                raise WireError(f"there is no room for another admission of {agency_of(one)}")
        elif next(_objections(one, history, by_us), None) is None:
            return self._keep(one)
        return self._keep(Suspended(one.index, one.agency, one.envelope))

    def _keep(self, one: Standing) -> Standing:
        name = agency_of(one)
        self._standings[name] = (*self._standings.get(name, ()), one)
        self._admissions += not isinstance(one, Ended)
        return one


def agency_of(one: Standing) -> str:
    """Return whom a standing is about."""
    return one.revocation.agency if isinstance(one, Ended) else one.agency.agency


def _objections(one: Admission, history: tuple[Standing, ...], by_us: int | None) -> Iterator[str]:
    """Yield why an admission can't be taken."""
    name, at_us = one.agency.agency, one.agency.admitted_at
    if any(at_us <= _since_us(before) for before in history if not isinstance(before, Suspended)):
        yield f"{name} has a newer record already"
    if by_us is not None and at_us > by_us + Limits().clock_skew_us:
        yield f"this record of {name} is dated ahead"
    if one.agency.key in _revoked_keys(history):
        yield f"this key of {name} was revoked"
    for violation in check_agency(one.agency):
        yield f"{name}: {violation.message}"


def _revoked_keys(history: tuple[Standing, ...]) -> set[bytes]:
    """Return the keys that were in force when an admission was revoked, or that were to be by then."""
    revoked, current = set[bytes](), set[bytes]()
    for one in history:
        match one:
            case Admission():
                current = {one.agency.key}
            case Suspended():
                current.add(one.agency.key)
            case Ended():
                revoked |= current
                current = set()
    return revoked


def _admissions(history: tuple[Standing, ...]) -> int:
    return sum(not isinstance(one, Ended) for one in history)


def _since_us(one: Admission | Ended) -> int:
    return one.agency.admitted_at if isinstance(one, Admission) else one.revocation.at
