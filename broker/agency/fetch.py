"""Fetching what was shared for a request, each bundle once.

Anybody may upload to an open request, so the list is hostile: a bundle that does not come whole, or does not hash as
listed, costs itself alone. Each has at most MAX_BUNDLE_BYTES; the client refuses a list that says otherwise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import AgencyError, RemoteError, UnreachableError
from .files import make_folder
from .inboxclient import BundleInfo, InboxClient
from .keys import AgencyFolder

GIVE_UP_AFTER = 3  # in a row that could not be reached: then it is the inbox, not the bundle


@dataclass(frozen=True, slots=True)
class Fetched:
    """A bundle in the agency's folder, sealed still; `is_new` tells whether this call brought it."""

    path: Path
    bytes: int
    sha256: str
    is_new: bool


class FetchError(AgencyError):
    """Some bundles could not be fetched: `failed` says why of each digest, `fetched` are those that are here."""

    def __init__(self, message: str, *, fetched: Sequence[Fetched], failed: Mapping[str, RemoteError]) -> None:
        super().__init__(message)
        self.fetched = tuple(fetched)
        self.failed = dict(failed)


def fetch(folder: AgencyFolder, leaf: str, *, inbox: InboxClient) -> list[Fetched]:
    """Bring every bundle of a request (leaf hash in hex) to `requests/<leaf>/bundles`.

    Raises RemoteError without a list, FetchError where some did not come, and AgencyError where the folder does not
    do. An interrupted call leaves what it had; the next one goes on there.
    """
    place = folder.request_folder(leaf)
    if not place.is_dir():
        raise AgencyError(f"{place} is not there; only requests that were posted from this folder can be fetched for")
    bundles = place / "bundles"
    make_folder(bundles)
    wanted: dict[str, BundleInfo] = {}
    for bundle in inbox.list(leaf):
        wanted.setdefault(bundle.sha256, bundle)
    fetched: list[Fetched] = []
    failed: dict[str, RemoteError] = {}
    unreachable = 0
    for bundle in wanted.values():
        path = bundles / f"{bundle.sha256}.age"
        is_new = not path.exists()
        try:
            if is_new:
                inbox.download(leaf, bundle, path)
                unreachable = 0
        except RemoteError as error:
            failed[bundle.sha256] = error
            unreachable = unreachable + 1 if isinstance(error, UnreachableError) else 0
            if unreachable == GIVE_UP_AFTER:
                break
        else:
            fetched.append(Fetched(path, bundle.bytes, bundle.sha256, is_new))
    if failed:
        raise FetchError(_summary(wanted, fetched, failed), fetched=fetched, failed=failed)
    return fetched


def _summary(wanted: Mapping[str, BundleInfo], fetched: Sequence[Fetched], failed: Mapping[str, RemoteError]) -> str:
    missing = len(wanted) - len(fetched)
    first = next(iter(failed.values()))
    return f"{missing} of {len(wanted)} bundles could not be fetched; fetch again to go on. The first: {first}"
