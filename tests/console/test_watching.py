"""At home: a clip plays when it is clicked, the day can be walked through, and a device can be told things."""

from typing import TYPE_CHECKING

import pytest

from tests.console.owner import owner_at
from tests.console.serving import Console
from tests.console.support import DRIVE, PORCH, Household
from tests.neighbourhood.support import wait_for

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [
    pytest.mark.xdist_group("console"), pytest.mark.chromium, pytest.mark.slow, pytest.mark.timeout(90),
]  # fmt: skip


def test_a_click_plays_a_clip(console: Console, chromium: "Browser") -> None:
    """The first picture is there, it moves on, and any moment of it can be gone to."""
    with owner_at(console, chromium) as owner:
        owner.open()
        owner.press(f"Show the day of {PORCH}")
        owner.page.get_by_role("button", name="Play: Ring").last.click()
        film = owner.film()
        assert (film["width"], film["height"]) == (480, 270)
        assert film["length"] == pytest.approx(12, abs=1.1)
        assert film["seekable"] == pytest.approx(film["length"], abs=0.1)
        owner.until(f"document.querySelector('video').currentTime > {film['at'] + 0.2}")
        owner.page.evaluate("document.querySelector('video').currentTime = 9.5")
        owner.until("!document.querySelector('video').seeking && document.querySelector('video').currentTime >= 9.5")
        owner.page.keyboard.press("Escape")
        owner.page.get_by_role("dialog").wait_for(state="detached")


def test_the_days_events_are_marks_and_a_list(console: Console, chromium: "Browser") -> None:
    """All events of a device's day are in its list, in their kinds; another device has its own."""
    with owner_at(console, chromium) as owner:
        owner.open()
        owner.press(f"Show the day of {PORCH}")
        owner.page.get_by_role("button", name="Play: Ring").first.wait_for()
        assert owner.page.get_by_role("button", name="Play: Ring").count() >= 1
        owner.press(f"Show the day of {DRIVE}")
        owner.page.get_by_role("button", name="Play: Ring").first.wait_for(state="detached")
        owner.page.get_by_role("button", name="Play: Motion").first.wait_for()


def test_privacy_is_asked_for_and_obeyed(console: Console, chromium: "Browser", household: Household) -> None:
    """The switch says what it means first; then the device films nothing, until it is switched back."""
    with owner_at(console, chromium) as owner:
        owner.open()
        card = owner.page.get_by_role("article", name=DRIVE)
        card.get_by_role("switch", name="Privacy").click()
        owner.press("Stop filming", within=owner.page.get_by_role("dialog"))
        wait_for(lambda: bool(household.status(DRIVE)["privacy"]), "the camera is private")
        card.get_by_text("Private: not filming").wait_for()
        card.get_by_role("switch", name="Privacy").click()
        owner.press("Film again", within=owner.page.get_by_role("dialog"))
        wait_for(lambda: not household.status(DRIVE)["privacy"], "the camera films again")


def test_a_simulated_bell_can_be_rung(console: Console, chromium: "Browser", household: Household) -> None:
    """A press of the button in the page is a ring at the door, and appears among the events by itself."""
    with owner_at(console, chromium) as owner:
        owner.open()
        owner.press(f"Show the day of {PORCH}")
        rings = owner.page.get_by_role("button", name="Play: Ring")
        rings.first.wait_for()
        shown = rings.count()
        before = len([one for one in household.status(PORCH)["events"] if one["kind"] == "ring"])
        owner.press("Ring the bell", within=owner.page.get_by_role("article", name=PORCH))
        wait_for(
            lambda: len([one for one in household.status(PORCH)["events"] if one["kind"] == "ring"]) > before, "a ring"
        )
        rings.nth(shown).wait_for()


def test_who_leaves_home_at_once_is_not_brought_back(console: Console, chromium: "Browser") -> None:
    """A click before home has all it shows is obeyed: neither the page nor its address goes back."""
    with owner_at(console, chromium) as owner:
        owner.open()
        owner.page.reload()
        owner.heading("Home").first.wait_for()
        owner.go("Requests")
        owner.page.wait_for_timeout(700)
        assert owner.page.url.endswith("#/requests")
        assert owner.heading("Requests").first.is_visible()


def test_a_request_is_told_once(console: Console, chromium: "Browser", household: Household) -> None:
    """One notice for one request, though both devices have something that matches; none after a reload."""
    with owner_at(console, chromium) as owner:
        owner.leave_notices()
        owner.open()
        household.offered(incident="vandalism")
        owner.is_told("asks about: vandalism")
        owner.page.wait_for_timeout(1_500)
        notices = owner.page.get_by_role("region", name="Messages").get_by_text("asks about: vandalism")
        assert notices.count() == 1
        owner.page.reload()
        owner.heading("Events of the day").wait_for()
        owner.page.wait_for_timeout(700)
        assert notices.count() == 0
