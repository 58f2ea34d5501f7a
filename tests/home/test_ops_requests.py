"""What the owner's tools see of requests, and that what is muted or noticed is seen here and nowhere else."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from broker.wire.encoding import WireError
from device import link
from device.consent.errors import ConsentError
from device.control import SOCKET_NAME, ControlClient, ControlServer
from tests.consent.support import CLIP_START_US
from tests.home.log_support import Household, offered, witnessed_hood
from tests.home.operating import Handlers, ask, happened, operations
from tests.home.support import Kept

CLIP_END_US = CLIP_START_US + 5_000_000
MUTE: dict[str, Any] = {"kind": "agency", "value": "springfield-pd", "on": True}


@dataclass
class Asked:
    """A device with one request on offer, and its operations."""

    house: Household
    kept: Kept
    leaf: str
    handlers: Handlers

    async def listed(self) -> list[dict[str, Any]]:
        return list(json.loads((await ask(self.handlers, "requests"))[1]))


@pytest_asyncio.fixture
async def asked(tmp_path: Path) -> AsyncIterator[Asked]:
    hood = witnessed_hood()
    house, kept = Household(tmp_path / "asked", hood, mirror=hood.log), Kept(tmp_path / "kept")
    house.shelf.film("c1")
    yield Asked(house, kept, await offered(house), operations(kept, house=house))
    await house.aclose()
    kept.close()


async def test_a_summary_tells_the_rings_within_its_clips(asked: Asked) -> None:
    """Presses of the bell while a matching clip was filmed, in order; motion, and what was before or after, is not."""
    for number, at_us in enumerate((CLIP_END_US - 1, CLIP_START_US, CLIP_START_US - 1, CLIP_END_US)):
        happened(asked.house.state, f"r{number}", kind="ring", start_us=at_us, end_us=at_us, clip="c1")
    happened(asked.house.state, "m", start_us=CLIP_START_US + 5, end_us=CLIP_START_US + 9, clip="c1")
    (one,) = await asked.listed()
    assert one["rings"] == [CLIP_START_US, CLIP_END_US - 1]
    assert (await ask(asked.handlers, "request", leaf=asked.leaf))[0]["rings"] == one["rings"]


async def test_a_summary_tells_that_it_is_muted(asked: Asked) -> None:
    """In the list and alone, while it is; the request stays where it stands."""
    for on in (True, False):
        assert await ask(asked.handlers, "mute", **MUTE | {"on": on}) == (MUTE | {"on": on}, b"")
        (one,) = await asked.listed()
        assert (one["muted"], one["state"], one["deletion"]) == (on, "offered", None)
        assert (await ask(asked.handlers, "request", leaf=asked.leaf))[0]["muted"] is on


async def test_what_no_longer_verifies_tells_of_its_mute_too(asked: Asked) -> None:
    """A request that the device can't stand behind any more is muted by what it says, and has no rings."""
    await ask(asked.handlers, "mute", **MUTE)
    asked.house.hood.log.append(b"more")
    with asked.house.state.transaction() as tx:
        tx.execute("DELETE FROM log_requests")
    (one,) = await asked.listed()
    assert (one["muted"], "request" in one, "rings" in one) == (True, False, False)


async def test_mutes_are_listed(asked: Asked) -> None:
    """Each with what it is about and since when, the oldest first."""
    assert (await ask(asked.handlers, "mutes"))[0] == []
    await ask(asked.handlers, "mute", **MUTE)
    asked.house.pass_time(1)
    await ask(asked.handlers, "mute", kind="device", value="front-door", on=True)
    since_us = asked.house.now_us
    assert await ask(asked.handlers, "mutes") == (
        [
            {"kind": "agency", "value": "springfield-pd", "since_us": since_us - 1_000_000},
            {"kind": "device", "value": "front-door", "since_us": since_us},
        ],
        b"",
    )


@pytest.mark.parametrize(
    ("op", "arguments"),
    [
        ("mute", {}),
        ("mute", {"kind": "agency", "value": "springfield-pd"}),
        ("mute", MUTE | {"more": 1}),
        ("mute", MUTE | {"on": 1}),
        ("mute", MUTE | {"value": None}),
        ("mute", MUTE | {"kind": "case"}),
        ("mute", MUTE | {"kind": ["agency"]}),
        ("mutes", {"kind": "agency"}),
        ("notices", {"since": 0}),
        ("requests", {"leaf": "ab"}),
        ("request", {}),
    ],
)
async def test_requests_are_asked_of_strictly(asked: Asked, op: str, arguments: dict[str, Any]) -> None:
    """Exactly an operation's arguments, each of its type; nothing is kept of what is not."""
    with pytest.raises(WireError):
        await ask(asked.handlers, op, **arguments)
    assert (await ask(asked.handlers, "mutes"))[0] == []


async def test_two_consoles_get_each_notice_once(asked: Asked) -> None:
    """Over the socket, both at the same time and again and again: one of them is told of a request, once."""
    leaves = [asked.leaf]
    for number in range(6):
        announced = asked.house.hood.announced(case=f"case {number}")
        await asked.house.look(announced)
        leaves.append(announced[0])

    def console() -> list[str]:
        client = ControlClient(asked.kept.folder)
        return [leaf for _ in range(5) for leaf in client.call("notices")["new"]]

    server = ControlServer(asked.kept.folder / SOCKET_NAME, asked.handlers, refusals=(ConsentError,))
    async with server.running():
        told = await asyncio.gather(*(asyncio.to_thread(console) for _ in range(3)))
    assert sorted(leaf for one in told for leaf in one) == sorted(leaves)


async def test_nothing_of_a_mute_or_notice_is_published(asked: Asked) -> None:
    """Muting, unmuting and noticing leave no message to be sent, and no word in the ledger."""
    state = asked.house.state
    state.migrate(link.SCHEMA)
    outbox = link.Outbox(state, limits=link.OutboxLimits(), expect_receipts=False)
    before = outbox.stats()
    for on in (True, False):
        await ask(asked.handlers, "mute", **MUTE | {"on": on})
        await ask(asked.handlers, "notices")
        await ask(asked.handlers, "requests")
    assert outbox.stats() == before
    assert list(asked.house.ledger.entries()) == []


async def test_where_nobody_asks_there_is_nothing_to_mute(asked: Asked) -> None:
    """Without a neighbourhood its operations say so; what is filmed is shown all the same."""
    handlers = operations(asked.kept)
    for op in ("requests", "request", "mutes", "mute", "notices", "ask_deletion", "approve", "log"):
        with pytest.raises(ConsentError, match="no neighbourhood"):
            await ask(handlers, op)
    assert (await ask(handlers, "day", from_us=0, until_us=1))[0]["events"] == []
