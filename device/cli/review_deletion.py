"""`latchstring review ask-deletion`: what becomes public is said first, then the owner is asked, then it is told."""

import json
import sys
import time
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape

from broker.terminal import AsJson, say, say_json
from device.consent.words import before_deletion, deletion_in_words
from device.control import ControlClient

from .common import Home, Leaf
from .errors import CommandError

AGAIN_S = 0.1


def review_ask_deletion(
    leaf: Leaf,
    *,
    home: Home,
    yes: Annotated[bool, Parameter(negative="", help="Don't ask; you know what becomes public.")] = False,
    wait_s: Annotated[
        float, Parameter(name="--wait", help="Wait so many seconds for the inbox to sign for it.")
    ] = 10.0,
    as_json: AsJson = False,
) -> None:
    """Ask an agency to delete what you gave it. The public will see that somebody asked, so that somebody shared.

    It is kept in the ledger before it is sent, and sent again until the inbox has signed for it. It can't be taken
    back. What is still on its way is stopped.
    """
    known = _known(home, leaf)
    if known["deletion"] is None and not yes:
        _ask(known, home)
    answer = ControlClient(home).call("ask_deletion", leaf=known["leaf"])
    final = _told(home, answer, wait_s)
    if as_json:
        say_json(final)
    else:
        say(deletion_in_words(final["deletion"]))
    if final["deletion"]["state"] == "failed":
        raise CommandError(f"the agency was not told: {final['deletion']['message']}{_contact(known)}")


def _known(home: Path, leaf: str) -> dict[str, Any]:
    """Return what the device knows of a request, also of one that it would not believe any more."""
    listed: list[dict[str, Any]] = json.loads(ControlClient(home).exchange("requests")[1])
    found = [one for one in listed if one["leaf"].startswith(leaf)]
    if len(found) != 1:
        how = "no" if not found else "more than one"
        raise CommandError(f"{how} request here begins with {leaf[:64]!r}; 'latchstring review list' shows them")
    return found[0]


def _ask(known: dict[str, Any], home: Path) -> None:
    if known["receipt"] is None and known["state"] != "released":
        return  # the daemon says why not
    if not sys.stdin.isatty():
        raise CommandError(
            "not asked: no terminal to ask on; what becomes public is in "
            f"'latchstring review ask-deletion --help', and 'review show {known['leaf'][:12]} --home {home}' shows the"
            " request; then use --yes"
        )
    console = Console(highlight=False)
    for paragraph in before_deletion(known["agency"]["name"] if "agency" in known else "the agency"):
        console.print(escape(paragraph) + "\n")
    if input("Ask for deletion? Type yes: ").strip().lower() != "yes":
        raise CommandError("not asked; nothing was sent, and nothing becomes public")


def _told(home: Path, answer: dict[str, Any], wait_s: float) -> dict[str, Any]:
    """Return the last answer once the inbox has signed, said no, or took too long; to ask again changes nothing."""
    until = time.monotonic() + wait_s
    while answer["deletion"]["state"] == "asked" and time.monotonic() < until:
        time.sleep(AGAIN_S)
        known = _known(home, answer["request"])
        answer = {"request": known["leaf"], "deletion": known["deletion"]}
    return answer


def _contact(known: dict[str, Any]) -> str:
    return f"; write to {known['request']['contact']}" if "request" in known else ""
