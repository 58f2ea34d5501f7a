"""What an agency does after it asked: say what came of it, and list its requests."""

from collections.abc import Sequence
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from broker.agency import (
    AgencyError,
    AgencyFolder,
    InboxClient,
    RemoteError,
    fetch_notices,
    update,
)
from broker.agency.listing import Listed, listed
from broker.agency.updates import Kind
from broker.clock import system_now_us
from broker.terminal import AsJson, say, say_json, working
from broker.wire.encoding import format_time
from broker.words import moment_text

from .agencycommon import DEFAULT_WAIT_S, Folder, Leaf, Wait, deletions_text, load, patient_log, whole

_SHORT = 12


def agency_update(
    leaf: Leaf,
    *,
    folder: Folder,
    note: Annotated[str, Parameter(help="What you say to it, in one line; it is published.")],
    answered: Annotated[bool, Parameter(negative="", help="You were given footage; the request stays open.")] = False,
    resolved: Annotated[bool, Parameter(negative="", help="Nobody needs to answer any more.")] = False,
    withdrawn: Annotated[
        bool, Parameter(negative="", help="Devices stop offering it, and nothing more is taken for it.")
    ] = False,
    wait_s: Wait = DEFAULT_WAIT_S,
) -> None:
    """Say in public what came of a request: answered, resolved or withdrawn. Nothing is edited or deleted."""
    chosen: dict[Kind, bool] = {"answered": answered, "resolved": resolved, "withdrawn": withdrawn}
    kinds = [kind for kind, given in chosen.items() if given]
    if len(kinds) != 1:
        raise AgencyError("give one of --answered, --resolved and --withdrawn")
    _update(leaf, folder=folder, kind=kinds[0], note=note, wait_s=wait_s)


def agency_withdraw(
    leaf: Leaf,
    *,
    folder: Folder,
    note: Annotated[str, Parameter(help="Why; it is published.")] = "Withdrawn by the agency.",
    resolved: Annotated[bool, Parameter(negative="", help="Say instead that it is resolved.")] = False,
    wait_s: Wait = DEFAULT_WAIT_S,
) -> None:
    """Withdraw a request: devices stop offering it, and late approvals are refused. Nothing is deleted."""
    _update(leaf, folder=folder, kind="resolved" if resolved else "withdrawn", note=note, wait_s=wait_s)


def agency_list(
    *,
    folder: Folder,
    offline: Annotated[bool, Parameter(negative="", help="Don't ask the inbox what waits there.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the agency's own requests: state, expiry, bundles that wait to be fetched, and those to be deleted."""
    place = AgencyFolder.load(folder) if offline else load(folder)
    now_us = system_now_us()
    known = listed(place, now_us=now_us)
    waiting: dict[str, int] = {}
    fault: RemoteError | None = None
    if not offline:
        with working("asking the inbox", as_json=as_json):
            waiting, fault = _waiting(place, known)
        known = listed(place, now_us=now_us)  # with the notices that came
    if as_json:
        say_json([_listed(one, waiting.get(one.leaf)) for one in known])
    else:
        _show_list(known, waiting)
    if fault is not None:
        raise AgencyError(f"what waits at the inbox is not known: {fault}")


def _update(leaf: str, *, folder: Any, kind: Kind, note: str, wait_s: float) -> None:
    place = load(folder)
    with patient_log(place, "sending", wait_s=wait_s, as_json=False) as log:
        submitted = update(place, whole(place, leaf), kind=kind, note=note, log=log, now_us=system_now_us())
    say(f"{kind}: entry {submitted.index}")


def _waiting(place: AgencyFolder, known: Sequence[Listed]) -> tuple[dict[str, int], RemoteError | None]:
    """Return how many bundles wait for each request, as far as the inbox tells, and why it stopped; fetch notices."""
    inbox = InboxClient(
        place.settings.inbox_url, agency=place.settings.id, key=place.signing_key(), clock=system_now_us
    )
    waiting: dict[str, int] = {}
    for one in known:
        if one.state == "unconfirmed":
            continue
        try:
            fetch_notices(place, one.leaf, inbox=inbox)
            there = {bundle.sha256 for bundle in inbox.list(one.leaf)}
        except RemoteError as error:
            return waiting, error
        waiting[one.leaf] = len(there - one.here)
    return waiting, None


def _listed(one: Listed, waiting: int | None) -> dict[str, Any]:
    return {
        "leaf": one.leaf,
        "case": one.request.case,
        "incident": one.request.incident,
        "state": one.state,
        "updates": [said.model_dump(mode="json") for said in one.updates],
        "posted_at": format_time(one.request.posted_at),
        "expires_at": format_time(one.request.expires_at),
        "bundles_here": len(one.here),
        "bundles_waiting": waiting,
        "bundles_asked_back": len(one.asked_back),
        "bundles_to_delete": one.to_delete,
    }


def _show_list(known: Sequence[Listed], waiting: dict[str, int]) -> None:
    if not known:
        say("no requests yet; latchstring agency post makes one")
        return
    table = Table()
    table.add_column("request", no_wrap=True, min_width=_SHORT)
    for name in ("case", "incident", "state", "expires", "bundles"):
        table.add_column(name)
    for one in known:
        kinds = [said.kind for said in one.updates]
        state = one.state + (", answered" if "answered" in kinds else "")
        bundles = f"{len(one.here)} here, {waiting.get(one.leaf, '?')} waiting"
        if one.asked_back:
            bundles += f", [red]{len(one.asked_back)} asked to be deleted[/red]"
        expires = moment_text(one.request.expires_at)
        table.add_row(one.leaf[:_SHORT], escape(one.request.case), one.request.incident, state, expires, bundles)
    Console().print(table)
    say(*deletions_text(known))
    if any(one.state == "unconfirmed" for one in known):
        say("unconfirmed: sent, and not proven to be in the log yet; latchstring agency status looks again")
