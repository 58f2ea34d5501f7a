"""`latchstring review mute` and `mutes`: what the owner does not want to be told of. Nothing is decided by it."""

from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from broker.terminal import AsJson, say, say_json
from broker.wire.encoding import format_time
from device.control import ControlClient

from .common import Home
from .errors import CommandError


def review_mute(
    *,
    home: Home,
    agency: Annotated[str | None, Parameter(help="Requests of this agency, by its id.")] = None,
    incident: Annotated[str | None, Parameter(help="Requests about this type of incident.")] = None,
    device: Annotated[bool, Parameter(negative="", help="All requests that concern this device.")] = False,
    off: Annotated[bool, Parameter(negative="", help="Take the mute back.")] = False,
) -> None:
    """Don't be told of requests of an agency, about a type of incident, or to this device.

    They stay in 'review list', to be decided on or left, and nobody hears of it.
    """
    client = ControlClient(home)
    given = {"agency": agency, "incident": incident, "device": client.call("facts")["device"] if device else None}
    chosen = [(kind, value) for kind, value in given.items() if value is not None]
    if len(chosen) != 1:
        raise CommandError("give one of --agency, --incident and --device")
    ((kind, value),) = chosen
    client.call("mute", kind=kind, value=value, on=not off)
    if off:
        say(f"{kind} {value} is not muted any more")
    else:
        say(f"{kind} {value} is muted: you are not told of such requests; 'review list' has them still")


def review_mutes(*, home: Home, as_json: AsJson = False) -> None:
    """List what is muted."""
    found = ControlClient(home).call("mutes")
    if as_json:
        say_json(found)
        return
    table = Table("muted", "", "since (UTC)")
    for one in found:
        table.add_row(one["kind"], escape(one["value"]), format_time(one["since_us"])[:16])
    Console().print(table if found else "nothing is muted")
