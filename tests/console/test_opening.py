"""Opening and closing the console: its link, the passphrase, the lock, and what a locked page shows."""

import json
import time
from typing import TYPE_CHECKING

import pytest

from tests.console.client import Client
from tests.console.owner import Owner, owner_at
from tests.console.serving import Console, console_of
from tests.console.support import DRIVE, PORCH, Household
from tests.neighbourhood.support import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser

pytestmark = [
    pytest.mark.xdist_group("console"), pytest.mark.chromium, pytest.mark.slow, pytest.mark.timeout(90),
]  # fmt: skip

DRAWN = "[...document.querySelectorAll('video, img, canvas')].filter((one) => !(one.currentSrc || one.src || '').includes('/static/')).length"  # noqa: E501 - a script


def test_the_passphrase_opens_it(own_console: Console, chromium: "Browser") -> None:
    """A link, the passphrase, and the household's devices are there; the link is nowhere any more."""
    with owner_at(own_console, chromium) as owner:
        owner.page.goto(own_console.first_link)
        owner.at_lock.wait_for()
        assert owner.page.url == f"{own_console.origin}/"
        assert owner.page.get_by_role("heading", name=PORCH).count() == 0
        owner.unlock()
        owner.heading("Home").wait_for()
        owner.page.get_by_role("article", name=PORCH).wait_for()
        owner.page.get_by_role("article", name=DRIVE).wait_for()
        assert "open=" not in json.dumps(owner.page.evaluate("[history.state, location.href, {...sessionStorage}]"))


def test_a_used_link_opens_nothing(console: Console, chromium: "Browser") -> None:
    """Whoever comes second with a link, or with none, is told how to get one, and sees nothing else."""
    link = console.link()
    Client.opened(console.port, link)
    with owner_at(console, chromium) as owner:
        for address in (link, console.origin):
            owner.page.goto("about:blank")
            owner.page.goto(address)
            owner.heading("Open the console from its link").wait_for()
            assert owner.page.get_by_role("textbox").count() == 0


def test_a_wrong_passphrase_is_told_and_slowed_down(own_console: Console, chromium: "Browser") -> None:
    """The page says that it was wrong, and after some of them counts down until the next is looked at."""
    with owner_at(own_console, chromium) as owner:
        owner.page.goto(own_console.first_link)
        owner.unlock("wrong")
        owner.page.get_by_text("does not open").first.wait_for()
        owner.unlock("wrong again")
        owner.page.get_by_text("You can try again in").first.wait_for()
        owner.page.get_by_text("You can try again now").first.wait_for()
        owner.unlock()
        owner.heading("Home").wait_for()


def test_locked_it_shows_nothing_of_what_was_filmed(own_console: Console, chromium: "Browser") -> None:
    """The button locks at once: no picture, and no address of one, is left in the page; unlocked, it goes on."""
    with owner_at(own_console, chromium) as owner:
        _opened(owner, own_console)
        owner.page.get_by_role("button", name="Play: Motion").first.click()
        address = owner.film()["address"]
        owner.page.keyboard.press("Escape")
        cells = own_console.cells()
        owner.press("Lock")
        owner.at_lock.wait_for()
        own_console.next_cell(cells)
        assert owner.page.evaluate(DRAWN) == 0
        assert "/media/" not in owner.page.content()
        assert Client(own_console.port).send("GET", address).status == 423
        owner.page.reload()
        owner.at_lock.wait_for()
        assert owner.page.evaluate(DRAWN) == 0
        owner.unlock()
        owner.page.get_by_role("button", name="Lock", exact=True).wait_for()


def test_every_tab_is_locked_with_one(own_console: Console, chromium: "Browser") -> None:
    """A lock in one tab is seen in the other at once, and so is unlocking it again."""
    with owner_at(own_console, chromium) as owner:
        _opened(owner, own_console)
        other = Owner(owner.page.context, own_console)
        other.open()
        owner.press("Lock")
        owner.at_lock.wait_for()
        other.at_lock.wait_for()
        other.unlock()
        other.heading("Home").wait_for()
        owner.heading("Home").wait_for()
        assert other.complaints == []


def test_it_locks_when_its_last_page_is_closed(own_console: Console, chromium: "Browser") -> None:
    """A reload is no end; but some seconds after the last page is gone the console has locked itself."""
    client = Client.opened(own_console.port, own_console.first_link)
    with owner_at(own_console, chromium) as owner:
        owner.open()
        owner.page.reload()
        owner.heading("Home").wait_for()
    began, cells = time.monotonic(), own_console.cells()
    assert client.state()["locked"] is False
    wait_for(lambda: bool(client.state()["locked"]), "it locks", within_s=20)
    assert time.monotonic() - began > 5
    own_console.next_cell(cells)


def test_it_locks_when_nobody_uses_it(household: Household, chromium: "Browser", tmp_path: "Path") -> None:
    """An open page alone is no use: after the time that was set it locks, and the page says so."""
    quick = ("--lock-after-min", "0.05")
    with (
        console_of(tmp_path / "console", [household.home(PORCH)], household.owner_key, *quick) as console,
        owner_at(console, chromium) as owner,
    ):
        _opened(owner, console)
        owner.at_lock.wait_for()


def _opened(owner: Owner, console: Console) -> None:
    owner.page.goto(console.first_link)
    owner.unlock()
    owner.heading("Home").wait_for()
