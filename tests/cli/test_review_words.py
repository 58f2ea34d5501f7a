"""What `latchstring review` says of requests and mutes, over the socket of a device that has one request on offer."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from device.cli.errors import CommandError
from device.cli.review import review_list, review_show
from device.cli.review_mute import review_mute, review_mutes
from device.consent.errors import ConsentError
from device.control import SOCKET_NAME, ControlError, ControlServer
from tests.home.log_support import Household, offered, witnessed_hood
from tests.home.operating import operations
from tests.home.support import Kept

Say = Callable[[Callable[[], None]], Awaitable[str]]


@pytest_asyncio.fixture
async def home(tmp_path: Path) -> AsyncIterator[Path]:
    hood = witnessed_hood()
    house, kept = Household(tmp_path / "asked", hood, mirror=hood.log), Kept(tmp_path / "kept")
    house.shelf.film("c1")
    await offered(house)
    server = ControlServer(tmp_path / SOCKET_NAME, operations(kept, house=house), refusals=(ConsentError,))
    async with server.running():
        yield tmp_path
    await house.aclose()
    kept.close()


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Say:
    """Run a command as the owner does, in another thread than the daemon's, and return what it said."""
    monkeypatch.setenv("COLUMNS", "150")

    async def run(command: Callable[[], None]) -> str:
        capsys.readouterr()
        await asyncio.to_thread(command)
        return " ".join(capsys.readouterr().out.split())

    return run


async def test_what_is_muted_is_listed_as_such(home: Path, said: Say) -> None:
    """It stays in the list, with that word; among those that wait it is left out until the mute is taken back."""
    assert "offered " in await said(partial(review_list, home=home))
    told = await said(partial(review_mute, home=home, agency="springfield-pd"))
    assert told == "agency springfield-pd is muted: you are not told of such requests; 'review list' has them still"
    assert "offered, muted" in await said(partial(review_list, home=home))
    assert await said(partial(review_list, home=home, waiting=True)) == "no requests"
    (one,) = json.loads(await said(partial(review_list, home=home, as_json=True)))
    assert "offered, muted" in await said(partial(review_show, one["leaf"][:12], home=home))
    told = await said(partial(review_mute, home=home, agency="springfield-pd", off=True))
    assert told == "agency springfield-pd is not muted any more"
    assert "package-theft" in await said(partial(review_list, home=home, waiting=True))


async def test_mutes_are_told(home: Path, said: Say) -> None:
    """What is muted and since when, or that nothing is; the device is muted by its own name."""
    assert await said(partial(review_mutes, home=home)) == "nothing is muted"
    await said(partial(review_mute, home=home, device=True))
    await said(partial(review_mute, home=home, incident="arson"))
    shown = await said(partial(review_mutes, home=home))
    assert "device │ front-door │ 2026-09-21T14:13 " in shown
    assert "incident │ arson" in shown
    listed = json.loads(await said(partial(review_mutes, home=home, as_json=True)))
    assert [(one["kind"], one["value"]) for one in listed] == [("device", "front-door"), ("incident", "arson")]


async def test_a_mute_is_of_one_thing(home: Path) -> None:
    """None or two at once is a mistake, as is a type of incident that there is not: one line, and nothing is muted."""
    arson, both = {"agency": "a", "incident": "arson"}, {"incident": "arson", "device": True}
    mistakes: tuple[dict[str, Any], ...] = ({}, arson, both)
    for flags in mistakes:
        with pytest.raises(CommandError, match="give one of"):
            await asyncio.to_thread(partial(review_mute, home=home, **flags))
    with pytest.raises(ControlError, match="there are arson"):
        await asyncio.to_thread(partial(review_mute, home=home, incident="parade"))
