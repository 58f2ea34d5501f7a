"""Fetching what was shared for a request, each bundle once."""

from dataclasses import dataclass
from pathlib import Path

from .client import InboxClient
from .errors import AgencyError
from .files import make_folder
from .keys import AgencyFolder


@dataclass(frozen=True, slots=True)
class Fetched:
    """A bundle in the agency's folder, sealed still; `is_new` tells whether this call brought it."""

    path: Path
    bytes: int
    sha256: str
    is_new: bool


def fetch(folder: AgencyFolder, leaf: str, *, inbox: InboxClient) -> list[Fetched]:
    """Bring every bundle of a request (leaf hash in hex) to `requests/<leaf>/bundles`; raises RemoteError.

    An interrupted call leaves what it had; the next one goes on there.
    """
    place = folder.request_folder(leaf)
    if not place.is_dir():
        raise AgencyError(f"{place} is not there; only requests that were posted from this folder can be fetched for")
    bundles = place / "bundles"
    make_folder(bundles)
    fetched: dict[str, Fetched] = {}
    for bundle in inbox.list(leaf):
        path = bundles / f"{bundle.sha256}.age"
        if bundle.sha256 in fetched:
            continue
        is_new = not path.exists()
        if is_new:
            inbox.download(leaf, bundle, path)
        fetched[bundle.sha256] = Fetched(path, bundle.bytes, bundle.sha256, is_new)
    return list(fetched.values())
