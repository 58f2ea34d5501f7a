"""How an agency stands, as the log says: `latchstring agency status`; and a new signing key: `rotate`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from broker.agency import AgencyFolder, LogClient, RemoteError, Standing, application, read_standing, write_application
from broker.agency.keys import APPLICATION_FILE
from broker.agency.listing import listed
from broker.agency.post import confirm
from broker.agency.rotate import is_rotating, next_public_key, settle
from broker.agency.updates import confirm_updates
from broker.clock import system_now_us
from broker.terminal import AsJson, say, say_json, working
from broker.wire.envelopes import public_bytes
from broker.wire.records import Agency, Revocation
from broker.words import moment_text

from .agencycommon import Folder, deletions_text, log_of, say_aside

_SHORT = 12


def agency_rotate(*, folder: Folder) -> None:
    """Change the signing key: makes a new one, and prints the application for the operator to admit it.

    The old key signs on until the log admits the new one; run this again, or any other command, to change over then.
    """
    place = AgencyFolder.load(folder)
    if is_rotating(place):
        with working("reading the log", as_json=False):
            standing = read_standing(place, log=log_of(place), now_us=system_now_us())
        if settle(place, standing):
            say_aside("the log admits the new key: it is in use from now on, and the old one is kept as retired-*.key")
            return
        say_aside("the log does not admit the new key yet; this is its application again, for 'broker admit'")
    else:
        say_aside("a new key was made, and the old one stays in use until the log admits it: give this to the operator")
    write_application(place, key=next_public_key(place))
    say_json(application(place, key=next_public_key(place)))


def agency_status(*, folder: Folder, as_json: AsJson = False) -> None:
    """Read in the log how the agency stands: admitted, under which key, revoked, refused; and confirm what was sent."""
    place = AgencyFolder.load(folder)
    log = log_of(place)
    with working("reading the log", as_json=as_json):
        standing = read_standing(place, log=log, now_us=system_now_us())
        changed = settle(place, standing)
        sent = _confirmed(place, log)
    if standing.newest is None:
        write_application(place)  # folders of an earlier version have none
    known = listed(place, now_us=system_now_us())
    status = _status(place, standing, sent) | {"to_delete": {one.leaf: one.to_delete for one in known if one.to_delete}}
    if as_json:
        say_json(status)
        return
    if changed:
        say_aside("the log admits the new key: it is in use from now on")
    _show_status(place, standing, status)
    say(*deletions_text(known))


@dataclass(frozen=True, slots=True)
class _Sent:
    """A request or update that was sent and not confirmed before: the entry it has now, or what the log says."""

    leaf: str
    index: int | None
    note: str


def _confirmed(place: AgencyFolder, log: LogClient) -> list[_Sent]:
    found = []
    for one in listed(place, now_us=system_now_us()):
        if one.state == "unconfirmed":
            found.append(_look(place, one.leaf, log))
        elif left := confirm_updates(place, one.leaf, log=log):
            found.append(_Sent(one.leaf, None, f"{left} updates of it are not confirmed; say them again"))
    return found


def _look(place: AgencyFolder, leaf: str, log: LogClient) -> _Sent:
    try:
        submitted = confirm(place, leaf, log=log)
    except RemoteError as error:
        if error.status is None:
            raise
        return _Sent(leaf, None, "not in the log: nothing was posted by it. Post it again, if it is still to be asked")
    if submitted is None:
        return _Sent(leaf, None, "taken by the log, and waiting for its witnesses")
    return _Sent(leaf, submitted.index, f"confirmed: entry {submitted.index}")


def _status(place: AgencyFolder, standing: Standing, sent: Sequence[_Sent]) -> dict[str, Any]:
    newest, admitted = standing.newest, standing.in_force
    return {
        "agency": place.settings.id,
        "log_entries": standing.size,
        "admitted": admitted is not None,
        "ours": admitted is not None and admitted.key == public_bytes(place.signing_key()),
        "rotating": is_rotating(place),
        "entry": None if newest is None else newest.index,
        "record": None if newest is None else newest.record.model_dump(mode="json"),
        "refused": dict(standing.refused),
        "sent": [{"leaf": one.leaf, "index": one.index, "note": one.note} for one in sent],
    }


def _show_status(place: AgencyFolder, standing: Standing, status: dict[str, Any]) -> None:
    say(f"{place.settings.name} ({place.settings.id}), as the log says in its {standing.size} entries:")
    for one in standing.said:
        say(f"  entry {one.index}: {_words(one.record)}")
    if standing.refused:
        say(f"  refused so far: {', '.join(f'{count} for {code}' for code, count in standing.refused.items())}")
    say(*(f"  {line}" for line in _verdict(status, place.path / APPLICATION_FILE)))
    say(*(f"  request {one['leaf'][:_SHORT]}: {one['note']}" for one in status["sent"]))


def _words(record: Agency | Revocation) -> str:
    match record:
        case Agency():
            when = moment_text(record.admitted_at)
            return f"admitted {when} by {record.admitted_by}, key {record.key.hex()[:16]}; evidence: {record.evidence}"
        case Revocation():
            return f"revoked {moment_text(record.at)} by {record.revoked_by}: {record.reason}"


def _verdict(status: dict[str, Any], application_file: Path) -> list[str]:
    if status["record"] is None:
        return [f"not admitted: give the operator {application_file}"]
    if not status["admitted"]:
        return ["revoked: it may not ask any more. Only the operator can admit it again, with a new key"]
    if status["rotating"]:
        return ["admitted under the old key; the new one waits for the operator: latchstring agency rotate"]
    if not status["ours"]:
        return ["admitted under another key than the one in this folder: nothing can be posted from here"]
    return ["admitted under the key in this folder: it may ask"]
