"""What the owner's tools can ask of a running daemon: the handlers behind its control socket.

Each takes the arguments of one request and returns a JSON result and raw bytes. They parse strictly, hand over to the
desk or the ring off the event loop, and decide nothing themselves. Each room of handlers names its own in `NAMES`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from device.asked import Asked
from device.consent.docket import DeviceView
from device.consent.errors import ConsentError
from device.control import Answer, Handler
from device.eventlog import EventLog
from device.logstatus import LogOperations
from device.vault.clipring import ClipRing
from device.vault.keys import DeviceKey
from device.vault.ledger import Ledger

from .deciding import DecidingOperations
from .deletion import DeletionOperations
from .footage import FootageOperations
from .muting import MutingOperations
from .own import Controls, OwnOperations
from .requests import RequestOperations

__all__ = ["Controls", "make_operations"]

OF_REQUESTS = (RequestOperations, DecidingOperations, DeletionOperations, MutingOperations, LogOperations)


def make_operations(
    *,
    controls: Controls,
    asked: Asked | None,
    ring: ClipRing,
    events: EventLog,
    ledger: Ledger,
    device: DeviceView,
    device_key: DeviceKey,
    outgoing: Path,
) -> Mapping[str, Handler]:
    """Return the handlers by name; without a neighbourhood nobody asks, and its operations say so."""
    handlers = _named(OwnOperations(controls, ledger, device), FootageOperations(ring, events))
    if asked is None:
        names = [name for room in OF_REQUESTS for name in room.NAMES]
        return handlers | dict.fromkeys(names, _nobody_asks)
    return handlers | _named(
        RequestOperations(controls, asked, events),
        DecidingOperations(controls, asked, device_key, outgoing),
        DeletionOperations(asked),
        MutingOperations(asked.mutes),
        LogOperations(asked.follower, asked.reader),
    )


def _named(*rooms: Any) -> dict[str, Handler]:
    return {name: getattr(room, name) for room in rooms for name in room.NAMES}


async def _nobody_asks(arguments: Mapping[str, Any], body: bytes) -> Answer:
    del arguments, body
    raise ConsentError("this device takes part in no neighbourhood; its settings have no [neighbourhood] section")
