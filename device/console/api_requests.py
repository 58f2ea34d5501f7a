"""Calls about requests: which there are, one of them, a no, and what is not to be told any more."""

import asyncio
import json
from typing import Annotated, Any, Literal

from pydantic import Field

from device.control import AwayError, ControlError

from .api import Call, Endpoint, Fields, Nothing
from .api_home import Name, thumbnails_of
from .cell import Cell
from .errors import ApiError
from .grouping import away_summary, grouped
from .household import Device, in_known_form

Leaf = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Which(Fields):
    """A request."""

    leaf: Leaf


class Where(Fields):
    """A request at one device."""

    leaf: Leaf
    device: Name


class Mute(Fields):
    """What is not to be told, or is to be told again."""

    kind: Literal["agency", "incident", "device"]
    value: Name
    on: bool


def request_endpoints() -> list[Endpoint]:
    """Return the calls."""
    return [
        Endpoint("GET", "/requests", Nothing, _requests),
        Endpoint("GET", "/request", Which, _request),
        Endpoint("POST", "/decline", Where, _decline),
        Endpoint("POST", "/mute", Mute, _mute),
    ]


async def _requests(call: Call) -> dict[str, Any]:
    cell = call.cell

    def read() -> dict[str, Any]:
        listed: list[tuple[str, dict[str, Any]]] = []
        away: list[str] = []
        mutes: dict[tuple[str, str], dict[str, Any]] = {}
        for device in asked_devices(cell):
            try:
                with in_known_form(device):
                    listed += [(device.name, summary) for summary in json.loads(device.exchange("requests")[1])]
                    mutes |= {(one["kind"], one["value"]): one for one in device.call("mutes")}
            except ControlError:
                away.append(device.name)
        return {"away": away, "requests": grouped(listed, now_us=cell.now_us()), "mutes": list(mutes.values())}

    return await asyncio.to_thread(read)


async def _request(call: Call) -> dict[str, Any]:
    cell, leaf = call.cell, call.fields.leaf

    def read() -> dict[str, Any]:
        listed = []
        for device in asked_devices(cell):
            try:
                listed.append((device.name, device.call("request", leaf=leaf)))
            except AwayError as error:
                listed.append((device.name, away_summary(leaf, str(error))))
            except ControlError:
                continue  # this device never heard of it
        found = grouped(listed, now_us=cell.now_us())
        if not found:
            raise ApiError(404, "no device here knows this request (any more)")
        for place in found[0]["places"]:
            for clip in place["clips"]:
                device = cell.mine(place["device"])
                clip["thumbnails"] = thumbnails_of(cell, device, clip["clip"], clip["start_us"], clip["end_us"])
        return found[0]

    return await asyncio.to_thread(read)


async def _decline(call: Call) -> dict[str, Any]:
    device = call.cell.mine(call.fields.device)
    with call.cell.deciding():
        await asyncio.to_thread(lambda: device.call("decline", leaf=call.fields.leaf))
    call.cell.unlocked.drafts.forget(device, call.fields.leaf)
    call.cell.hub.tell("requests")
    return {}


async def _mute(call: Call) -> dict[str, Any]:
    cell, fields = call.cell, call.fields
    devices = [cell.mine(fields.value)] if fields.kind == "device" else asked_devices(cell)

    def mute() -> None:
        refused: list[str] = []
        for device in devices:
            try:
                device.call("mute", kind=fields.kind, value=fields.value, on=fields.on)
            except ControlError as error:
                refused.append(f"{device.name}: {error}")
        if refused:
            raise ApiError(502, "; ".join(refused))

    await asyncio.to_thread(mute)
    cell.hub.tell("requests")
    return {}


def asked_devices(cell: Cell) -> list[Device]:
    """Return the owner's devices that take part in a neighbourhood."""
    public = cell.unlocked.public
    return [one for one in cell.household.devices if one.owner == public and one.settings.neighbourhood is not None]
