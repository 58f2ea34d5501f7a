"""The agencies that a log admits, and from which entry to which. Pure.

An agency stands in the register by what the operator's pinned key signed: admissions, each of which replaces the one
before from its entry on, and revocations, which end it. What the intake must not log counts for nothing here either: a
record that is not newer than the one before, a key that was revoked, a contact outside the agency's domain.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Self

from broker.wire.encoding import WireError
from broker.wire.records import Agency, Revocation
from broker.wire.rules import check_agency


@dataclass(frozen=True, slots=True)
class Admission:
    """An agency's record, in force from entry `index` on. `envelope` is what the operator signed."""

    index: int
    agency: Agency
    envelope: bytes

    @classmethod
    def open(cls, index: int, envelope: bytes, *, operator_key: bytes) -> Self:
        """Check the operator's signature; raises WireError."""
        return cls(index, Agency.open(envelope, key=operator_key), envelope)


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


Standing = Admission | Ended
MOST_STANDINGS: Final = 20_000  # what a device remembers for good must not be the operator's to choose


class Register:
    """Who stood how at each entry. Never changes: `with_` returns another one."""

    def __init__(
        self, standings: Mapping[str, tuple[Standing, ...]] | None = None, *, most: int = MOST_STANDINGS
    ) -> None:
        self._standings = dict(standings or {})
        self._count = sum(map(len, self._standings.values()))
        self._most = most

    @classmethod
    def of(cls, standings: Iterable[Standing]) -> Self:
        """Return the register of what stood in the log, in its order."""
        found: dict[str, tuple[Standing, ...]] = {}
        for one in standings:
            name = agency_of(one)
            found[name] = (*found.get(name, ()), one)
        return cls(found)

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

    def since_us(self, agency: str) -> int | None:
        """Return when an agency was first admitted."""
        first = next(iter(self._standings.get(agency, ())), None)
        return first.agency.admitted_at if isinstance(first, Admission) else None

    def with_(self, one: Standing) -> "Register":
        """Return the register with one more standing; raises WireError for one that counts for nothing."""
        name = agency_of(one)
        history = self._standings.get(name, ())
        if self._count >= self._most:
            raise WireError(f"the log holds more than {self._most} admissions and revocations")
        if isinstance(one, Admission):
            _check_admission(one, history)
        elif not history or isinstance(history[-1], Ended):
            raise WireError(f"{name} is not admitted, so there is nothing to revoke")
        elif one.revocation.at <= _since_us(history[-1]):
            raise WireError(f"{name} was admitted after this revocation was made")
        return Register({**self._standings, name: (*history, one)}, most=self._most)


def agency_of(one: Standing) -> str:
    """Return whom a standing is about."""
    return one.agency.agency if isinstance(one, Admission) else one.revocation.agency


def _check_admission(one: Admission, history: tuple[Standing, ...]) -> None:
    name = one.agency.agency
    if history and one.agency.admitted_at <= _since_us(history[-1]):
        raise WireError(f"{name} has a newer record already")
    revoked = {
        before.agency.key for before, after in pairwise(history) if isinstance(before, Admission) and _ends(after)
    }
    if one.agency.key in revoked:
        raise WireError(f"this key of {name} was revoked")
    for violation in check_agency(one.agency):
        raise WireError(f"{name}: {violation.message}")


def _ends(one: Standing) -> bool:
    return isinstance(one, Ended)


def _since_us(one: Standing) -> int:
    return one.agency.admitted_at if isinstance(one, Admission) else one.revocation.at
