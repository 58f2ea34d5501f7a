"""Pages that are closed, reloaded or doubled, and lines that break: what was decided goes on, and nothing twice."""

from typing import TYPE_CHECKING

import pytest

from tests.console.owner import Owner, owner_at
from tests.console.serving import Console
from tests.console.support import PD, PORCH, Household
from tests.neighbourhood.support import wait_for

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [
    pytest.mark.xdist_group("console"), pytest.mark.chromium, pytest.mark.slow, pytest.mark.timeout(120),
]  # fmt: skip

FIRST_BYTES = 70_000


def test_an_upload_goes_on_without_the_page(console: Console, chromium: "Browser", household: Household) -> None:
    """Cut in the middle and the page closed: the device goes on where it was, and a later page shows the receipt."""
    leaf = household.offered(PORCH)
    relay = household.inboxes[PORCH]
    before = relay.sent
    try:
        relay.cut_after(FIRST_BYTES)
        with owner_at(console, chromium) as owner:
            owner.open()
            owner.review(leaf, PORCH)
            owner.choose(0)
            owner.see()
            owner.approve()
            owner.heading("Sending").or_(owner.heading("Waiting to send")).first.wait_for()
            wait_for(lambda: relay.is_cut, "the line breaks")
        assert household.received_by(PD, leaf) == []
    finally:
        relay.mend()
    household.wait_for_state(PORCH, leaf, "received", within_s=40)
    opened = household.opened(leaf)
    assert opened["verified"]
    (bundle,) = household.received_by(PD, leaf)
    # What was on its way when the line broke is not counted, and was not all lost; the rest was sent once.
    assert relay.sent - before < bundle["bytes"] + FIRST_BYTES
    with owner_at(console, chromium) as owner:
        owner.open()
        owner.request(leaf)
        owner.page.get_by_role("region", name=PORCH).get_by_text("received").first.wait_for()
        owner.go_to(f"#/review/{leaf}/{PORCH}")
        owner.heading("Received").wait_for()
        owner.press("Download the receipt")


def test_two_tabs_decide_once(console: Console, chromium: "Browser", household: Household) -> None:
    """What one tab approves the other shows as decided; it can neither send it again nor decline it."""
    leaf = household.offered(PORCH)
    with owner_at(console, chromium) as first:
        first.open()
        second = Owner(first.page.context, console)
        second.open()
        for owner in (first, second):
            owner.review(leaf, PORCH)
            owner.choose(0)
            owner.see()
        first.approve()
        first.heading("Received").wait_for()
        second.heading("Received").or_(second.page.get_by_text("This was decided in another tab")).first.wait_for()
        assert second.page.get_by_role("button", name="Approve and send…").count() == 0
        assert second.complaints == []
    assert len(household.received_by(PD, leaf)) == 1


def test_a_reload_loses_no_step(console: Console, chromium: "Browser", household: Household) -> None:
    """Reloaded at each step, the page comes back to where it was; a choice is kept, and nothing is decided by it."""
    leaf = household.offered(PORCH)
    with owner_at(console, chromium) as owner:
        owner.open()
        _reloaded(owner, "Home")
        for place in ("Requests", "Ledger", "Settings"):
            owner.go(place)
            _reloaded(owner, place)
        owner.request(leaf)
        _reloaded(owner, "What they ask")
        owner.review(leaf, PORCH)
        owner.choose(1)
        _reloaded(owner, f"Choose what {PORCH} shares")
        owner.page.get_by_role("checkbox").nth(1).wait_for()
        wait_for(lambda: owner.page.get_by_role("checkbox").nth(1).is_checked(), "the choice is kept")
        assert not owner.page.get_by_role("checkbox").nth(0).is_checked()
        owner.see()
        owner.page.reload()
        owner.heading("This is what they get").or_(owner.heading(f"Choose what {PORCH} shares")).first.wait_for()
        if not owner.heading("This is what they get").is_visible():
            owner.see()
        household.wait_for_state(PORCH, leaf, "offered")
        owner.approve()
        owner.heading("Received").wait_for()
        _reloaded(owner, "Received")
    assert len(household.received_by(PD, leaf)) == 1


def test_a_lock_in_the_middle_forgets_the_choice(
    own_console: Console, chromium: "Browser", household: Household
) -> None:
    """Locked, the tab keeps nothing but its session; unlocked, the owner is where they were, and chooses anew."""
    leaf = household.offered(PORCH)
    with owner_at(own_console, chromium) as owner:
        owner.open()
        owner.review(leaf, PORCH)
        owner.choose(0)
        cells = own_console.cells()
        owner.press("Lock")
        owner.at_lock.wait_for()
        own_console.next_cell(cells)
        assert leaf not in owner.page.evaluate("JSON.stringify({...sessionStorage})")
        owner.unlock()
        owner.heading(f"Choose what {PORCH} shares").wait_for()
        owner.page.get_by_role("checkbox").first.wait_for()
        assert owner.page.get_by_role("checkbox", checked=True).count() == 0
        owner.choose(0)
        owner.see()
        owner.approve()
        owner.heading("Received").wait_for()


def _reloaded(owner: Owner, heading: str) -> None:
    owner.page.reload()
    owner.heading("Events of the day" if heading == "Home" else heading).first.wait_for()
    assert not owner.at_lock.is_visible()
