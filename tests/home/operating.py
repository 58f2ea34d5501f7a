"""A device's operations over real rooms: what was filmed, what was asked, and a daemon's switches that only count."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from device import keeper
from device.consent.docket import DeviceView
from device.control import Answer, Handler
from device.eventlog import EventLog
from device.operations import make_operations
from device.vault.ledger import Ledger
from device.vault.state import State
from tests.home.log_support import Household
from tests.home.support import Kept
from tests.simulators import PLACE

Handlers = Mapping[str, Handler]
Kind = Literal["camera", "doorbell"]


@dataclass
class Switches:
    """What a daemon does on request, counted."""

    private: bool = False
    simulated: bool = True
    rung: int = 0
    stirred: int = 0
    sending: int = 0

    async def status(self) -> dict[str, Any]:
        return {}

    async def set_privacy(self, on: bool) -> None:
        self.private = on

    def ring(self) -> None:
        self.rung += 1

    def stir(self) -> None:
        self.stirred += 1

    def approved(self) -> None:
        self.sending += 1

    def sent_bytes(self, leaf: str) -> int | None:  # noqa: ARG002 - nothing is on its way here
        return None


def operations(
    kept: Kept, *, house: Household | None = None, switches: Switches | None = None, kind: Kind = "doorbell"
) -> Handlers:
    """Return the operations of a device that keeps what `kept` holds, and is asked what `house` is."""
    state = kept.state if house is None else house.state
    state.migrate(keeper.SCHEMA)
    return make_operations(
        controls=switches or Switches(),
        asked=None if house is None else house.asked,
        ring=kept.ring,
        events=EventLog(state),
        ledger=Ledger(state, kept.key),
        device=DeviceView(
            name="front-door", key=kept.key.public, camera="main", kind=kind, where=PLACE, owner_key=bytes(32)
        ),
        device_key=kept.key,
        outgoing=kept.folder,
    )


async def ask(handlers: Handlers, op: str, body: bytes = b"", **arguments: Any) -> Answer:
    return await handlers[op](arguments, body)


def happened(
    state: State, event: str, *, kind: str = "motion", start_us: int, end_us: int | None, clip: str | None
) -> None:
    """Keep an event as the keeper does."""
    with state.transaction() as tx:
        row = (event, kind, start_us, end_us, 50, clip, None, None)
        tx.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
