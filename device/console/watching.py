"""What an open page is told by itself: that a device or a request changed, how a bundle goes out, who newly asks.

The daemons are asked now and then, while somebody looks and the console is unlocked; never otherwise.
"""

import asyncio
import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from device.control import ControlError

from .api_requests import asked_devices
from .cell import Cell
from .errors import ApiError
from .grouping import total_bytes
from .household import Device, in_known_form

log = structlog.get_logger()

EVERY_S = 2.0
SENDING_S = 0.3
STILL_US = 5_000_000
_TELLING = ("privacy", "problem", "requests")
_SENDING = frozenset({"approved", "released"})


class Watch:
    """Asks the daemons of one unlocked console."""

    def __init__(self, cell: Cell, told: set[str]) -> None:
        """`told` holds the requests that were told by this console, over its locks."""
        self._cell = cell
        self._devices: dict[str, str] = {}
        self._requests: dict[str, str] = {}
        self._sending: dict[tuple[str, str], _Sending] = {}
        self._owed: dict[str, set[str]] = {}  # by device, what is to be told once a page is there to hear it
        self._told = told

    async def run(self) -> None:
        """Watch for ever."""
        while True:
            moving = any(one.moves(self._cell.now_us()) for one in self._sending.values())
            await asyncio.sleep(SENDING_S if moving else EVERY_S)
            if self._cell.is_locked or not self._cell.hub.pages:
                continue
            self._cell.hub.tell("tick", lock_in_s=self._cell.lock_in_s())
            with contextlib.suppress(ApiError):  # it was locked meanwhile
                await self._look()

    async def _look(self) -> None:
        cell = self._cell
        asked = asked_devices(cell)
        for device in cell.household.devices:
            if device.owner != cell.unlocked.public:
                continue
            try:
                with in_known_form(device):
                    status = await asyncio.to_thread(partial(device.call, "status"))
                    self._compare(device, status)
                    if device in asked:
                        await self._look_at_requests(device, status)
                        await self._look_at_sending(device)
            except ControlError as error:
                self._compare(device, {"away": str(error)})

    def _compare(self, device: Device, status: Mapping[str, Any]) -> None:
        now = json.dumps([status.get(name) for name in _TELLING] + [status.get("away"), _last_event(status)])
        if self._devices.get(device.name, now) != now:
            self._cell.hub.tell("devices")
        self._devices[device.name] = now

    async def _look_at_requests(self, device: Device, status: Mapping[str, Any]) -> None:
        now = json.dumps(status["requests"])
        if self._requests.get(device.name) == now:
            return
        # Before they are read: what is offered in between would be noticed, and told to nobody.
        new = (await asyncio.to_thread(partial(device.call, "notices")))["new"]
        owed = self._owed.setdefault(device.name, set())
        owed.update(new)
        summaries = json.loads(await asyncio.to_thread(lambda: device.exchange("requests")[1]))
        for one in summaries:
            if one["state"] in _SENDING:
                self._sending.setdefault((device.name, one["leaf"]), _Sending())
        self._tell_notices(device, [one for one in reversed(summaries) if one["leaf"] in owed])
        if device.name in self._requests:
            self._cell.hub.tell("requests")
        self._requests[device.name] = now

    async def _look_at_sending(self, device: Device) -> None:
        for name, leaf in [key for key in self._sending if key[0] == device.name]:
            one = await asyncio.to_thread(partial(device.call, "request", leaf=leaf))
            self._sending[name, leaf].saw(one.get("sent_bytes"), self._cell.now_us())
            self._cell.hub.tell(
                "sending",
                leaf=leaf,
                device=name,
                state=one["state"],
                sent_bytes=one.get("sent_bytes"),
                total_bytes=total_bytes(one),
            )
            if one["state"] not in _SENDING:
                del self._sending[name, leaf]
                self._cell.hub.tell("requests")

    def _tell_notices(self, device: Device, summaries: list[dict[str, Any]]) -> None:
        if not self._cell.hub.pages:
            return
        for one in summaries:
            leaf = one["leaf"]
            self._owed[device.name].discard(leaf)
            if leaf in self._told or one.get("request") is None:
                continue  # one notice a request, however many devices it concerns
            self._told.add(leaf)
            incident = one["request"]["incident"]
            self._cell.hub.tell(
                "notice", leaf=leaf, device=device.name, agency=one["agency"]["name"], incident=incident
            )


@dataclass(slots=True)
class _Sending:
    """How far a bundle was when it was last looked at."""

    sent_bytes: int | None = None
    moved_us: int | None = None

    def saw(self, sent_bytes: int | None, now_us: int) -> None:
        """Note how far it is."""
        if self.moved_us is None or sent_bytes != self.sent_bytes:
            self.sent_bytes, self.moved_us = sent_bytes, now_us

    def moves(self, now_us: int) -> bool:
        """Tell whether it is worth a close look; an inbox may be away for days."""
        return self.moved_us is None or now_us - self.moved_us < STILL_US


def _last_event(status: Mapping[str, Any]) -> Any:
    events, storage = status.get("events"), status.get("storage", {})
    return [events[0]["event"], events[0]["end_us"], storage.get("clips")] if events else None
