"""The records by which an owner asks for what was shared to be deleted. Pure.

    Deletion          owner -> inbox -> agency   signed by the one-time key of the upload, so by nobody else
    DeletionReceipt   inbox -> owner             signed by the inbox's key
    DeletionsAsked    operator -> public log     signed by the operator's key: a count, and a day

None says who asks: neither the device nor the household.
"""

from typing import Annotated, ClassVar, Final

from pydantic import AfterValidator, Field

from .records import Digest, PublicKey, Record, Slug, TimeUs
from .rules import DAY_US

MOST_COUNTED: Final = 100_000  # in one entry


def _whole_day(at_us: int) -> int:
    if at_us % DAY_US:
        raise ValueError("must be the beginning of a day (UTC)")
    return at_us


Day = Annotated[TimeUs, AfterValidator(_whole_day)]


class Deletion(Record):
    """An owner's notice to an agency: delete what was in this bundle. `key` is the one its upload was made under."""

    thing: ClassVar[str] = "deletion"
    request: Digest
    bundle_sha256: Digest
    key: PublicKey
    at: TimeUs


class DeletionReceipt(Record):
    """The inbox's word that a bundle's sender has asked for its deletion, and that the agency will find the notice."""

    thing: ClassVar[str] = "deletion-receipt"
    request: Digest
    bundle_sha256: Digest
    taken_at: TimeUs


class DeletionsAsked(Record):
    """So many more who answered a request have asked its agency, up to the end of `day`, to delete what they gave.

    Logged once the day is over, so that not even the log's growth tells the hour; at most once a request and day.
    """

    thing: ClassVar[str] = "deletions-asked"
    agency: Slug
    request: Digest
    day: Day
    count: Annotated[int, Field(ge=1, le=MOST_COUNTED)]
