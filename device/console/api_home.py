"""Calls about the devices: how they are, a day of what they saw, a clip played, privacy, a test event."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import Field

from device.control import ControlError

from .api import Call, Endpoint, Fields, Nothing
from .cell import Cell
from .errors import ApiError
from .household import Device, in_known_form

Name = Annotated[str, Field(max_length=80)]
Time = Annotated[int, Field(ge=0, lt=1 << 53)]
DAY_US = 86_400_000_000
MOST_DAYS = 8


class Day(Fields):
    """A stretch of time on one device."""

    device: Name
    from_us: Time
    until_us: Time


class Play(Fields):
    """A clip, or a part of it."""

    device: Name
    clip: Name
    from_us: Time | None = None
    until_us: Time | None = None


class Privacy(Fields):
    """Whether a device is to stop filming."""

    device: Name
    on: bool


class Test(Fields):
    """An event to be made up on a simulated device."""

    device: Name
    kind: Literal["motion", "ring"]


def home_endpoints() -> list[Endpoint]:
    """Return the calls."""
    return [
        Endpoint("GET", "/home", Nothing, _home),
        Endpoint("GET", "/day", Day, _day),
        Endpoint("POST", "/play", Play, _play),
        Endpoint("POST", "/privacy", Privacy, _privacy),
        Endpoint("POST", "/test", Test, _test),
    ]


async def _home(call: Call) -> dict[str, Any]:
    cell = call.cell
    devices = cell.household.devices
    return {"devices": await asyncio.gather(*(asyncio.to_thread(partial(_card, cell, one)) for one in devices))}


def _card(cell: Cell, device: Device) -> dict[str, Any]:
    card = {"device": device.name, "home": str(device.home), "kind": device.settings.device.kind, "away": None}
    if device.owner != cell.unlocked.public:
        return {**card, "away": "it seals to another owner's key"}
    try:
        with in_known_form(device):
            return card | _state(device.call("status"))
    except ControlError as error:
        return {**card, "away": str(error)}


def _state(status: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "filming": {"state": status["filming"]["state"], "fps": status["filming"]["fps"]},
        "privacy": status["privacy"],
        "problem": status["problem"],
        "storage": {name: status["storage"][name] for name in ("bytes", "max_bytes", "clips", "oldest_us")},
        "waiting": status["requests"]["waiting"],
        "simulated": status["simulated"],
        "last_event_us": max((one["start_us"] for one in status["events"]), default=None),
    }


async def _day(call: Call) -> dict[str, Any]:
    fields, cell = call.fields, call.cell
    if not 0 < fields.until_us - fields.from_us <= MOST_DAYS * DAY_US:
        raise ApiError(400, f"until_us must come after from_us, by {MOST_DAYS} days at the most")
    device = cell.mine(fields.device)
    found = await asyncio.to_thread(lambda: device.call("day", from_us=fields.from_us, until_us=fields.until_us))
    clips = [{**one, "thumbnails": _thumbnails(cell, device, one)} for one in found["clips"]]
    return {"events": found["events"], "clips": clips, "more": found["more"]}


def _thumbnails(cell: Cell, device: Device, clip: dict[str, Any]) -> list[str]:
    return [thumbnail(cell, device, clip["clip"], number) for number in range(len(clip["thumbnails"]))]


def thumbnail(cell: Cell, device: Device, clip: str, number: int) -> str:
    """Return the address of a clip's thumbnail."""
    show = {"what": "thumbnail", "device": device.name, "clip": clip, "number": number}
    return cell.unlocked.addresses.make(show, cell.now_us())


def thumbnails_of(cell: Cell, device: Device, clip: str, start_us: int, end_us: int) -> list[str]:
    """Return the addresses of a clip's thumbnails; none if the clip is gone."""
    try:
        found = device.call("day", from_us=start_us, until_us=max(end_us, start_us + 1))
    except ControlError:
        return []
    return next((_thumbnails(cell, device, one) for one in found["clips"] if one["clip"] == clip), [])


async def _play(call: Call) -> dict[str, Any]:
    fields, cell = call.fields, call.cell
    device, films = cell.mine(fields.device), cell.unlocked.films
    from_us = 0 if fields.from_us is None else fields.from_us
    until_us = (1 << 53) - 1 if fields.until_us is None else fields.until_us
    film = await asyncio.to_thread(lambda: films.film(device, fields.clip, from_us, until_us))
    show = {"what": "clip", "device": device.name, "clip": fields.clip}
    show |= {"from_us": film.start_us, "until_us": film.end_us}
    return {
        "url": cell.unlocked.addresses.make(show, cell.now_us()),
        "start_us": film.start_us,
        "end_us": film.end_us,
        "width": film.width,
        "height": film.height,
        "bytes": len(film.mp4),
    }


async def _privacy(call: Call) -> dict[str, Any]:
    device = call.cell.mine(call.fields.device)
    await asyncio.to_thread(lambda: device.call("privacy", on=call.fields.on))
    call.cell.hub.tell("devices")
    return {}


async def _test(call: Call) -> dict[str, Any]:
    device = call.cell.mine(call.fields.device)
    await asyncio.to_thread(lambda: device.call("test_event", kind=call.fields.kind))
    call.cell.hub.tell("devices")
    return {}
