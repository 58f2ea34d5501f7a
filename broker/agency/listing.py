"""An agency's own requests: what each has come to, as far as its folder tells."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from broker.wire.records import Request, Update

from .deletions import notices
from .keys import AgencyFolder
from .post import requests, same_but_when
from .standing import Standing, kept_standing
from .updates import updates

State = Literal["open", "expired", "resolved", "withdrawn", "revoked", "unconfirmed"]


@dataclass(frozen=True, slots=True)
class Listed:
    """A request of ours; `here` are the digests of the bundles that were fetched, and are still here.

    `asked_back` are the digests of bundles whose owners ask for their deletion, here or not.
    """

    leaf: str
    request: Request
    state: State
    updates: tuple[Update, ...]
    here: frozenset[str]
    asked_back: frozenset[str]

    @property
    def to_delete(self) -> int:
        """How many bundles are here that their owners ask to have deleted."""
        return len(self.here & self.asked_back)


def listed(folder: AgencyFolder, *, now_us: int) -> list[Listed]:
    """Return every request that was signed here, the newest first; raises AgencyError."""
    standing = kept_standing(folder)
    found = []
    for leaf, request, confirmed in requests(folder):
        said = tuple(updates(folder, leaf))
        here = frozenset(path.stem for path in (folder.request_folder(leaf) / "bundles").glob("*.age"))
        state = _state(request, said, standing, now_us) if confirmed else "unconfirmed"
        found.append(Listed(leaf, request, state, said, here, frozenset(notices(folder, leaf))))
    return sorted(found, key=lambda one: one.request.posted_at, reverse=True)


def unconfirmed(known: Iterable[Listed], wanted: Request) -> list[Listed]:
    """Return the requests of the same case that may be in the log too, and say something else than this one."""
    return [
        one
        for one in known
        if one.state == "unconfirmed" and one.request.case == wanted.case and not same_but_when(one.request, wanted)
    ]


def earlier_posts(known: Iterable[Listed], wanted: Request) -> int:
    """Return how often a case was posted by what is known here.

    One that is not confirmed may be in the log, and counts; but not if it is the wanted one, which it would become.
    """
    return sum(
        one.request.case == wanted.case and not (one.state == "unconfirmed" and same_but_when(one.request, wanted))
        for one in known
    )


def open_now(known: Iterable[Listed]) -> int:
    """Return how many requests are open by what is known here."""
    return sum(one.state == "open" for one in known)


def _state(request: Request, said: Iterable[Update], standing: Standing, now_us: int) -> State:
    kinds = {one.kind for one in said}
    if "withdrawn" in kinds:
        return "withdrawn"
    if standing.ended(request):
        return "revoked"
    if "resolved" in kinds:
        return "resolved"
    return "expired" if request.expires_at <= now_us else "open"
