"""Owners' notices that ask an agency to delete what it was given, kept beside the bundles that they are about.

A notice is signed by the key that the bundle was announced under. Which key that was the inbox knows, and it took the
notice for that; here it is seen that the notice is whole, and about this request. What to do about it is the agency's
business: this only sees to it that nobody who works with the bundle can overlook it.
"""

from collections.abc import Mapping
from pathlib import Path

from broker.wire.deletions import Deletion
from broker.wire.encoding import WireError
from broker.wire.envelopes import MAX_ENVELOPE_BYTES

from .errors import AgencyError, RemoteError
from .files import make_folder, read_file, write_file
from .inboxclient import InboxClient
from .keys import AgencyFolder

SUFFIX = ".deletion.dsse.json"


def fetch_notices(folder: AgencyFolder, leaf: str, *, inbox: InboxClient) -> list[Deletion]:
    """Bring the notices about a request (leaf hash in hex) to `requests/<leaf>/bundles`, and return the new ones.

    Raises RemoteError, and AgencyError where the folder does not do.
    """
    bundles = folder.request_folder(leaf) / "bundles"
    make_folder(bundles)
    new = []
    for envelope in inbox.deletions(leaf):
        try:
            notice = Deletion.open(envelope, key=Deletion.unverified(envelope).key)
        except WireError as error:
            raise RemoteError(f"the inbox lists a notice that does not hold: {error}") from error
        if notice.request != leaf:
            raise RemoteError("the inbox lists a notice about another request")
        file = bundles / f"{notice.bundle_sha256}{SUFFIX}"
        if not file.exists():
            write_file(file, envelope)
            new.append(notice)
    return new


def notices(folder: AgencyFolder, leaf: str) -> Mapping[str, Deletion]:
    """Return the notices about a request that were fetched, by the digest of their bundle; raises AgencyError."""
    found = {}
    for file in sorted((folder.request_folder(leaf) / "bundles").glob(f"*{SUFFIX}")):
        try:
            notice = Deletion.unverified(read_file(file, max_bytes=MAX_ENVELOPE_BYTES))
        except WireError as error:
            raise AgencyError(f"{file}: {error}") from error
        found[notice.bundle_sha256] = notice
    return found


def notice_about(bundle: Path) -> Deletion | None:
    """Return the notice that lies beside a sealed bundle's file; raises AgencyError."""
    file = bundle.with_name(f"{bundle.stem}{SUFFIX}")
    if not file.exists():
        return None
    try:
        return Deletion.unverified(read_file(file, max_bytes=MAX_ENVELOPE_BYTES))
    except WireError as error:
        raise AgencyError(f"{file}: {error}") from error
