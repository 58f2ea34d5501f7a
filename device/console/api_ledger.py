"""Calls about what was decided: the ledger with its verification, exports, and the request to delete."""

import asyncio
import contextlib
from functools import partial
from typing import Any

from broker.wire.encoding import WireError, from_base64
from broker.wire.records import Approval
from device.control import ControlError
from device.vault.errors import LedgerError
from device.vault.ledger import LedgerEntry, verify_lines

from .api import Call, Endpoint, Fields, Nothing
from .api_home import Name
from .api_requests import Where, asked_devices
from .cell import Cell
from .household import Device


class DeviceFields(Fields):
    """A device."""

    device: Name


def ledger_endpoints() -> list[Endpoint]:
    """Return the calls."""
    return [
        Endpoint("GET", "/ledger", Nothing, _ledger),
        Endpoint("POST", "/export", DeviceFields, _export),
        Endpoint("POST", "/receipt", Where, _receipt),
        Endpoint("POST", "/deletion", Where, _deletion),
    ]


async def _ledger(call: Call) -> dict[str, Any]:
    cell = call.cell
    devices = [one for one in cell.household.devices if one.owner == cell.unlocked.public]
    return {"devices": [await asyncio.to_thread(partial(_of, cell, one)) for one in devices]}


def _of(cell: Cell, device: Device) -> dict[str, Any]:
    try:
        facts, lines = device.exchange("ledger")
    except ControlError as error:
        return {"device": device.name, "away": str(error), "holds": False, "problem": None, "entries": []}
    envelopes = lines.splitlines()
    problems = verify_lines(iter(envelopes), from_base64(facts["key"]))
    about = _About(device) if device in asked_devices(cell) else None
    return {
        "device": device.name,
        "away": None,
        "holds": not problems,
        "problem": problems[0] if problems else None,
        "entries": [_entry(entry, about) for entry in _readable(envelopes)],
    }


def _readable(envelopes: list[bytes]) -> list[LedgerEntry]:
    """Return the entries, newest first, but for those that can't be read: the verification names them."""
    found = []
    for envelope in reversed(envelopes):
        with contextlib.suppress(LedgerError):
            found.append(LedgerEntry.parse(envelope))
    return found


class _About:
    """Looks up who asked, once for each request."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._known: dict[str, tuple[str | None, str | None]] = {}

    def __call__(self, leaf: str) -> tuple[str | None, str | None]:
        """Return (agency's name, case), as far as the device still knows the request."""
        if leaf not in self._known:
            try:
                summary = self._device.call("request", leaf=leaf)
                self._known[leaf] = summary["agency"]["name"], summary["request"]["case"]
            except (ControlError, KeyError):
                self._known[leaf] = None, None
        return self._known[leaf]


def _entry(entry: LedgerEntry, about: _About | None) -> dict[str, Any]:
    leaf = str(entry.body.get("request", "")) or None
    agency, case = about(leaf) if about is not None and leaf is not None else (None, None)
    told = {
        "seq": entry.seq,
        "at_us": entry.at_us,
        "kind": entry.kind,
        "request": leaf,
        "agency": agency,
        "case": case,
        "clips": 0,
        "bytes": None,
        "recipient": None,
        "reason": entry.body.get("reason"),
    }
    if entry.kind == "approved":
        try:
            approval = Approval.unverified(str(entry.body["approval"]).encode())
        except WireError:  # an approval of another version: the chain still says that there was one
            return told
        told |= {"clips": len(approval.clips), "bytes": approval.bundle_bytes, "recipient": approval.recipient}
    return told


async def _export(call: Call) -> dict[str, Any]:
    device = call.cell.mine(call.fields.device)
    return {"url": call.cell.unlocked.addresses.make({"what": "ledger", "device": device.name}, call.cell.now_us())}


async def _receipt(call: Call) -> dict[str, Any]:
    device = call.cell.mine(call.fields.device)
    show = {"what": "receipt", "device": device.name, "leaf": call.fields.leaf}
    return {"url": call.cell.unlocked.addresses.make(show, call.cell.now_us())}


async def _deletion(call: Call) -> dict[str, Any]:
    device = call.cell.mine(call.fields.device)
    with call.cell.deciding():
        await asyncio.to_thread(lambda: device.call("ask_deletion", leaf=call.fields.leaf))
    call.cell.hub.tell("requests")
    return {}
