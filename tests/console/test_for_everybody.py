"""The pages are for everybody: on any screen, light or dark, by keyboard alone, and for who hears them read."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.console.owner import DESKTOP, PHONE, Owner, owner_at
from tests.console.serving import Console
from tests.console.support import PASSPHRASE, PD, PORCH, Household
from tests.feed.browsing import complaints

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [
    pytest.mark.xdist_group("console"), pytest.mark.chromium, pytest.mark.slow, pytest.mark.timeout(180),
]  # fmt: skip

SETTLED = "document.getAnimations().every((one) => one.playState !== 'running')"
RINGED = """
(() => {
  const drawn = (style) => style.outlineStyle !== "none" || style.boxShadow !== "none";
  const one = document.activeElement;
  return ["", "::before", "::after"].some((part) => drawn(getComputedStyle(one, part)))
    || drawn(getComputedStyle(one.closest("article, li, label, tr") ?? one));
})()
"""


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_axe_finds_nothing_anywhere(
    own_console: Console, chromium: "Browser", household: Household, size: dict[str, int]
) -> None:
    """On no page and in no dialog, light or dark, does axe-core complain; nothing is wider than the screen."""
    leaf = household.offered(PORCH)
    with owner_at(own_console, chromium, viewport=size) as owner:
        found: dict[str, list[str]] = {}
        for name in _places(owner, leaf):
            for scheme in ("light", "dark"):
                owner.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                owner.until(SETTLED)
                found[f"{name}, {scheme}"] = complaints(owner.page)
            wide = owner.page.evaluate("document.documentElement.scrollWidth")
            found[f"{name}, width"] = [] if wide <= size["width"] else [f"{wide} pixels wide"]
        assert {name: what for name, what in found.items() if what} == {}


def test_everything_can_be_done_by_keyboard(own_console: Console, chromium: "Browser", household: Household) -> None:
    """Unlocking, choosing, moving an end, seeing what they get, approving: no key but Tab, arrows, Space and Enter."""
    leaf = household.offered(PORCH, incident="burglary")
    with owner_at(own_console, chromium) as owner:
        owner.leave_notices()
        owner.page.goto(own_console.first_link)
        owner.at_lock.wait_for()
        _tab_to(owner, "Passphrase")
        owner.page.keyboard.type(PASSPHRASE)
        owner.page.keyboard.press("Enter")
        owner.heading("Events of the day").wait_for()
        _tab_to(owner, "Requests", then="Enter")
        owner.heading("Requests").wait_for()
        _tab_to(owner, "Burglary", then="Enter")
        owner.heading("What they ask").wait_for()
        _tab_to(owner, "Review and decide", then="Enter", times=2 if _drive_is_first(owner) else 1)
        owner.heading(f"Choose what {PORCH} shares").wait_for()
        _tab_to(owner, "Share of the clip", then="Space")
        _tab_to(owner, "Start of what they get", then="ArrowRight")
        _tab_to(owner, "See what they get", then="Enter")
        owner.heading("This is what they get").wait_for()
        _tab_to(owner, "Approve and send…", then="Enter")
        owner.page.get_by_role("dialog").wait_for()
        _tab_to(owner, "Your passphrase")
        owner.page.keyboard.type(PASSPHRASE)
        owner.page.keyboard.press("Enter")
        owner.heading("Received").wait_for()
    assert len(household.received_by(PD, leaf)) == 1


def test_a_clip_is_played_and_left_by_keyboard(console: Console, chromium: "Browser") -> None:
    """Enter on an event plays it, arrows seek, Space stops, Escape leaves, and the focus is where it was."""
    with owner_at(console, chromium) as owner:
        owner.open()
        owner.leave_notices()
        _tab_to(owner, "Motion", then="Enter")
        owner.film()
        owner.page.keyboard.press("Space")
        owner.until("document.querySelector('video').paused")
        at = owner.film()["at"]
        key, moved = ("ArrowRight", "> 0.9") if at < 4 else ("ArrowLeft", "< -0.9")
        owner.page.keyboard.press(key)
        owner.until(f"document.querySelector('video').currentTime - {at} {moved}")
        owner.page.keyboard.press("Escape")
        owner.page.get_by_role("dialog").wait_for(state="detached")
        assert "Motion" in _focused(owner)


def _places(owner: Owner, leaf: str) -> Iterator[str]:
    """Go to every page and dialog, and say which one it is."""
    page = owner.page
    page.goto(owner.console.origin)
    owner.heading("Open the console from its link").wait_for()
    yield "without a link"
    page.goto(owner.console.link())
    owner.at_lock.wait_for()
    yield "locked"
    owner.unlock("wrong")
    page.get_by_text("does not open").first.wait_for()
    yield "locked, after a wrong passphrase"
    owner.unlock()
    owner.heading("Events of the day").wait_for()
    yield "home"
    page.get_by_role("button", name="Play: Motion").first.click()
    owner.film()
    yield "a clip"
    _leave(owner)
    page.get_by_role("article", name=PORCH).get_by_role("switch", name="Privacy").click()
    yield "privacy"
    _leave(owner)
    yield from _places_of_requests(owner, leaf)
    owner.go("Ledger")
    yield "ledger"
    owner.go("Settings")
    yield "settings"
    owner.press("Add a passkey")
    yield "add a passkey"
    _leave(owner)


def _places_of_requests(owner: Owner, leaf: str) -> Iterator[str]:
    page = owner.page
    owner.go("Requests")
    for tab in ("Waiting", "Muted", "Decided", "Ended", "Set aside"):
        page.get_by_role("tab", name=tab).click()
        yield f"requests, {tab}"
    owner.request(leaf)
    yield "a request"
    for dialog in ("Decline", "Mute"):
        owner.press(dialog, within=page.get_by_role("region", name=PORCH))
        yield dialog
        _leave(owner)
    owner.review(leaf, PORCH)
    yield "choose"
    owner.choose(0)
    owner.edit(0)
    owner.press("Add a box")
    yield "choose, with the editor"
    owner.see()
    owner.film()
    yield "what they get"
    owner.press("Approve and send…")
    page.get_by_role("dialog").wait_for()
    yield "approve"
    page.get_by_role("dialog").get_by_label("Your passphrase").fill(PASSPHRASE)
    owner.press("Approve and send", within=page.get_by_role("dialog"))
    owner.heading("Received").wait_for()
    yield "received"


def _leave(owner: Owner) -> None:
    owner.page.keyboard.press("Escape")
    owner.page.get_by_role("dialog").wait_for(state="detached")


def _tab_to(owner: Owner, name: str, *, then: str | None = None, times: int = 1) -> None:
    """Press Tab until something of that name has the focus, and can be seen to have it."""
    for _ in range(150):
        if name in _focused(owner):
            times -= 1
            if times == 0:
                break
        owner.page.keyboard.press("Tab")
    else:
        raise AssertionError(f"Tab does not come to {name!r}")
    assert owner.page.evaluate(RINGED), f"the focus on {name!r} can't be seen"
    if then is not None:
        owner.page.keyboard.press(then)


def _focused(owner: Owner) -> str:
    """Return what has the focus, as it is read out: its role and its name."""
    focused = owner.page.locator("*:focus")
    return str(focused.aria_snapshot()).partition("\n")[0] if focused.count() else ""


def _drive_is_first(owner: Owner) -> bool:
    return owner.page.get_by_role("link", name="Review and decide").count() > 1
