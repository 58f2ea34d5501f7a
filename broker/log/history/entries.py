"""What an entry of the log is, once its bytes are parsed: a record, and where in the log it stands. Pure."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from broker.wire.deletions import DeletionsAsked
from broker.wire.encoding import WireError
from broker.wire.envelopes import Envelope, parse_envelope
from broker.wire.records import Agency, Refusals, Request, Revocation, Update
from broker.wire.rules import DAY_US

AnyRecord = Agency | Revocation | Request | Update | Refusals | DeletionsAsked
_TYPES: dict[str, type[AnyRecord]] = {
    kind.payload_type(): kind for kind in (Agency, Revocation, Request, Update, Refusals, DeletionsAsked)
}
_JUST_PARSED: Final = 512


@dataclass(frozen=True, slots=True)
class Admitted:
    """An agency's record, in force from entry `index` on; `leaf` is the entry's leaf hash in hex."""

    index: int
    leaf: str
    agency: Agency


@dataclass(frozen=True, slots=True)
class Revoked:
    """The end of an agency's admission, from entry `index` on."""

    index: int
    leaf: str
    revocation: Revocation


@dataclass(frozen=True, slots=True)
class Posted:
    """A request as logged, under the record that admitted its agency then; `post` counts the case's posts from 1."""

    index: int
    leaf: str
    request: Request
    admission: Admitted
    post: int


@dataclass(frozen=True, slots=True)
class Updated:
    """An update as logged."""

    index: int
    leaf: str
    update: Update


@dataclass(frozen=True, slots=True)
class Refused:
    """Counts of what was refused, as logged."""

    index: int
    leaf: str
    refusals: Refusals


@dataclass(frozen=True, slots=True)
class DeletionAsked:
    """A count of asked deletions, as logged."""

    index: int
    leaf: str
    deletions: DeletionsAsked


Entry = Admitted | Revoked | Posted | Updated | Refused | DeletionAsked


class UnknownTypeError(WireError):
    """A well-formed envelope of a type that has no place in the log."""


@lru_cache(_JUST_PARSED)  # what was decided on is applied a moment later
def parse_record(data: bytes) -> tuple[Envelope, AnyRecord]:
    """Parse an entry as one of the records that the log holds; its signature is not checked. Raises WireError."""
    envelope = parse_envelope(data, what="entry")
    kind = _TYPES.get(envelope.payload_type)
    if kind is None:
        things = ", ".join(one.thing for one in _TYPES.values())
        raise UnknownTypeError(f"the log holds {things}, not {envelope.payload_type[:80]!r}")
    return envelope, kind.from_payload(envelope.payload)


def said_us(record: AnyRecord) -> int:
    """Return the time that a record gives itself; a count of asked deletions the end of its day."""
    match record:
        case Agency():
            return record.admitted_at
        case Request():
            return record.posted_at
        case Update() | Revocation():
            return record.at
        case Refusals():
            return record.until
        case DeletionsAsked():
            return record.day + DAY_US
