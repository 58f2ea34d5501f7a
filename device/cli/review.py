"""`latchstring review`: the owner's decisions, on the command line. What unlocks the owner key is in `review_share`."""

import json
from typing import Annotated

from cyclopts import App, Parameter
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from broker import logs
from broker.terminal import AsJson, say, say_json
from broker.wire.encoding import format_time, from_base64
from broker.wire.records import Approval
from device.control import ControlClient
from device.vault.ledger import LedgerEntry, verify_lines

from .common import Home, Leaf
from .errors import CommandError
from .review_deletion import review_ask_deletion
from .review_mute import review_mute, review_mutes
from .review_share import review_approve
from .shown import show_request, state_in_words

logs.configure()  # to standard error, whatever a command imports: standard output is for answers
_SAID = {
    "declined": "nothing was sent",
    "deletion-asked": "the agency is to delete what it was given",
    "deletion-told": "the inbox has signed for that",
}
app = App(name="review", help="See who asks, and decide.")


@app.command(name="list")
def review_list(
    *,
    home: Home,
    waiting: Annotated[bool, Parameter(negative="", help="Only those that wait for you.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the requests that this device knows, newest first."""
    listed = json.loads(ControlClient(home).exchange("requests")[1])
    found = [one for one in listed if not waiting or (one["state"] == "offered" and not one["muted"])]
    if as_json:
        say_json(found)
        return
    table = Table("request", "state", "agency", "case", "incident", "clips")
    for one in found:
        request = one.get("request")
        if request is None:
            table.add_row(one["leaf"][:12], state_in_words(one), escape(one["message"]), "", "", "")
            continue
        state = f"{state_in_words(one)} ({one['rule']})" if one["rule"] else state_in_words(one)
        case, clips = escape(request["case"]), str(len(one["clips"]))
        table.add_row(one["leaf"][:12], state, request["agency"], case, request["incident"], clips)
    Console().print(table if found else "no requests")


@app.command(name="show")
def review_show(leaf: Leaf, *, home: Home, as_json: AsJson = False) -> None:
    """Show one request: who asks, for what, on which terms, and which of your clips match. Nothing is unlocked."""
    summary = ControlClient(home).call("request", leaf=leaf)
    if as_json:
        say_json(summary)
    else:
        show_request(summary)


app.command(review_approve, name="approve")
app.command(review_ask_deletion, name="ask-deletion")
app.command(review_mute, name="mute")
app.command(review_mutes, name="mutes")


@app.command(name="decline")
def review_decline(leaf: Leaf, *, home: Home) -> None:
    """Decline a request. Nothing is sent: to whoever asks, a no looks like a device that is off."""
    declined = ControlClient(home).call("decline", leaf=leaf)["request"]
    say(f"declined {declined[:12]}; nothing was sent, and nobody is told")


@app.command(name="ledger")
def review_ledger(*, home: Home, as_json: AsJson = False) -> None:
    """Show every decision and what left, and verify the chain. With --json: the signed entries, a line each."""
    facts, lines = ControlClient(home).exchange("ledger")
    envelopes = lines.splitlines()
    problems = verify_lines(iter(envelopes), from_base64(facts["key"]))
    if as_json:
        say(*(line.decode() for line in envelopes))
    else:
        table = Table("no.", "when (UTC)", "what", "request", "")
        for entry in map(LedgerEntry.parse, envelopes):
            request = str(entry.body.get("request", ""))[:12]
            table.add_row(str(entry.seq), format_time(entry.at_us)[:19], entry.kind, request, _what_left(entry))
        Console().print(table)
        say(f"{len(envelopes)} entries; " + ("the chain holds" if not problems else "THE CHAIN DOES NOT HOLD"))
    if problems:
        raise CommandError(f"the ledger does not hold: {problems[0]}")


def _what_left(entry: LedgerEntry) -> str:
    if entry.kind == "approved":
        approval = Approval.unverified(str(entry.body["approval"]).encode())
        clips = len(approval.clips)
        return f"{clips} clip{'s' * (clips != 1)}, {approval.bundle_bytes:,} bytes, to {approval.recipient[:16]}…"
    return escape(str(entry.body.get("reason", _SAID.get(entry.kind, ""))))
