"""What the commands of `latchstring agency` share: the folder, a request by its first digits, the log."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from broker.agency import AgencyError, AgencyFolder, LogClient, Patience, RemoteError, read_standing
from broker.agency.keys import APPLICATION_FILE
from broker.agency.listing import Listed
from broker.agency.post import requests as posted_requests
from broker.agency.rotate import is_rotating, settle
from broker.clock import system_now_us
from broker.terminal import working
from broker.wire.deletions import Deletion
from broker.words import count_text, moment_text

Folder = Annotated[Path, Parameter(name="--dir", help="The agency's folder.")]
Leaf = Annotated[str, Parameter(name="request", help="The request's leaf hash, or its first six digits or more.")]
Wait = Annotated[float, Parameter(name="--wait", help="How many seconds the log's witnesses are waited for at most.")]
DEFAULT_WAIT_S = 120.0
ANOTHER_CASE = "a new case needs another --case"
_SHORTEST = 6


def load(folder: Path) -> AgencyFolder:
    """Read an agency's folder; a new key that the log has admitted meanwhile is taken into use first."""
    place = AgencyFolder.load(folder)
    if is_rotating(place) and settle(place, read_standing(place, log=log_of(place), now_us=system_now_us())):
        say_aside("the log admits the new key: it is in use from now on")
    return place


def say_aside(line: str) -> None:
    """Print a line for people, where standard output is for the answer."""
    sys.stderr.write(line + "\n")


def asked_text(notice: Deletion) -> str:
    """Return what nobody who works with a bundle may overlook."""
    return (
        f"DELETE: on {moment_text(notice.at)} its owner asked you to delete bundle {notice.bundle_sha256[:12]} and all"
        " that came of it, wherever it is by now. The public log counts it."
    )


def deletions_text(known: Iterable[Listed]) -> list[str]:
    """Return a line for each request of which bundles are here that their owners ask to have deleted."""
    return [
        f"DELETE {count_text(one.to_delete, 'bundle')} of request {one.leaf[:12]}: their owners ask for it. "
        f"'latchstring agency fetch {one.leaf[:12]}' names the files, and 'latchstring agency update "
        f"{one.leaf[:12]} --answered' says in public, while the request is open, that it is done"
        for one in known
        if one.to_delete
    ]


def log_of(place: AgencyFolder, *, patience: Patience | None = None) -> LogClient:
    """Return the log that a folder believes."""
    return LogClient(place.settings.log_url, policy=place.policy(), patience=patience)


@contextmanager
def patient_log(place: AgencyFolder, what: str, *, wait_s: float, as_json: bool) -> Iterator[LogClient]:
    """Give a log whose witnesses are waited for, and say so on the terminal as it goes on."""
    if wait_s < 0:
        raise AgencyError(f"--wait: {wait_s:g} is no time to wait; give seconds, such as --wait 120")
    with working(what, as_json=as_json) as status:

        def told(waited_s: float) -> None:
            if status is not None:
                status.update(f"{what}: taken, waiting for its witnesses ({waited_s:.0f} of {wait_s:g} s)")

        try:
            yield log_of(place, patience=Patience(most_s=wait_s, told=told))
        except RemoteError as error:
            advice = {
                "unknown-agency": f"give the operator {place.path / APPLICATION_FILE}",
                "posts-per-case": ANOTHER_CASE,
            }.get(error.code or "")
            if advice is None:
                raise
            raise RemoteError(f"{error}; {advice}", code=error.code, status=error.status) from error


def whole(place: AgencyFolder, leaf: str) -> str:
    """Return the leaf hash that begins so; raises AgencyError unless it is one request's."""
    found = [known for known, _, _ in posted_requests(place) if known.startswith(leaf)]
    if len(found) != 1 or len(leaf) < _SHORTEST:
        how = "no request" if not found else "more than one request" if len(found) > 1 else "perhaps one request"
        raise AgencyError(
            f"{how} of this agency begins with {leaf[:64]!r}; give six digits or more, and see: latchstring agency list"
        )
    return found[0]
