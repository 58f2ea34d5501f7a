"""Somebody at a page of the console: finds things by what they are called, as a person does."""

import contextlib
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tests.console.serving import Console
from tests.console.support import PASSPHRASE
from tests.neighbourhood.support import wait_for

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Locator, Page

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
WAIT_MS = 15_000


class Owner:
    """One page, and everything that it complained of or asked for."""

    def __init__(self, context: "BrowserContext", console: Console) -> None:
        self.console = console
        self.page: Page = context.new_page()
        self.page.set_default_timeout(WAIT_MS)
        self.complaints: list[str] = []
        self.asked: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda said: self._heard(said.type, said.text))
        self.page.on("request", lambda sent: self.asked.append(sent.url))
        # A notice that lies over what is wanted is dismissed, as anybody would.
        self._notice = self.page.get_by_role("button", name="Dismiss").first
        self.page.add_locator_handler(self._notice, self._dismiss, no_wait_after=True)

    def _heard(self, kind: str, text: str) -> None:
        # That a call was refused is said to the owner by the page.
        if kind == "error" and "Failed to load resource" not in text:
            self.complaints.append(text)

    def _dismiss(self, notice: "Locator") -> None:
        if not self.page.get_by_role("dialog").is_visible():  # which is above all notices
            notice.click()

    def leave_notices(self) -> None:
        """Leave notices alone from now on, so that the focus stays where it is."""
        self.page.remove_locator_handler(self._notice)

    def open(self) -> None:
        """Open the page by a new one-time link, and unlock it if it is locked."""
        self.page.goto(self.console.link())
        self.page.locator("h1").first.wait_for()
        if self.at_lock.is_visible():
            self.unlock()
        self.heading("Home").wait_for()
        self.heading("Events of the day").wait_for()

    @property
    def at_lock(self) -> "Locator":
        """The heading of the page that is locked."""
        return self.page.get_by_role("heading", name="Unlock", exact=True)

    def unlock(self, passphrase: str = PASSPHRASE) -> None:
        """Type a passphrase and press the button."""
        self.page.get_by_label("Passphrase", exact=True).fill(passphrase)
        self.press("Unlock")

    def heading(self, name: str) -> "Locator":
        """A page's or part's title."""
        return self.page.get_by_role("heading", name=name)

    def press(self, name: str, *, within: "Locator | None" = None) -> None:
        """Press a button."""
        (within or self.page).get_by_role("button", name=name, exact=True).click()

    def go(self, place: str) -> None:
        """Go to one of the main places."""
        self.page.get_by_role("navigation", name="Main").get_by_role("link", name=re.compile(f"^{place}")).click()
        self.heading(place).first.wait_for()

    def go_to(self, address: str) -> None:
        """Go where a link of the page leads."""
        self.page.evaluate("(address) => { location.hash = address; }", address)

    def request(self, leaf: str) -> None:
        """Open one request."""
        self.go_to(f"#/request/{leaf}")
        self.heading("What they ask").wait_for()

    def review(self, leaf: str, device: str) -> None:
        """Open the review of one device's answer."""
        self.go_to(f"#/review/{leaf}/{device}")
        self.heading(f"Choose what {device} shares").wait_for()
        self.page.get_by_role("checkbox").first.wait_for()

    def choose(self, *numbers: int) -> None:
        """Tick clips, by their place in the list."""
        for number in numbers:
            self.page.get_by_role("checkbox").nth(number).check()

    def edit(self, number: int) -> None:
        """Have the editor of a clip open, and its filmstrip there."""
        clip = self.page.get_by_role("region", name="Clips").get_by_role("list").first.locator("> li").nth(number)
        closed = clip.get_by_role("button", name=re.compile("^Trim, hide"))
        if closed.is_visible():
            closed.click()
        self.page.get_by_role("slider", name="Start of what they get").wait_for()

    def trim(self, leaf: str, device: str, number: int) -> None:
        """Come to the page, review, tick one clip, and have its editor open."""
        self.open()
        self.review(leaf, device)
        self.choose(number)
        self.edit(number)

    def see(self) -> None:
        """Have what they would get made, and look at it."""
        self.press("See what they get")
        self.heading("This is what they get").wait_for()

    def approve(self, passphrase: str = PASSPHRASE) -> None:
        """Approve what is shown, with the passphrase."""
        self.press("Approve and send…")
        dialog = self.page.get_by_role("dialog")
        dialog.get_by_label("Your passphrase").fill(passphrase)
        self.press("Approve and send", within=dialog)

    def until(self, script: str) -> None:
        """Wait until something is true in the page; its own policy lets no test wait there."""
        wait_for(lambda: bool(self.page.evaluate(script)), script)

    def is_told(self, text: str) -> None:
        """Wait for a message, which may be gone soon."""
        self.until(f"document.body.innerText.includes({json.dumps(text)})")

    def film(self) -> dict[str, Any]:
        """Return how the film that is open stands, once a picture of it can be seen."""
        self.until("[...document.querySelectorAll('video')].some((one) => one.readyState >= 2 && one.videoWidth)")
        found: dict[str, Any] = self.page.evaluate(
            """() => {
              const one = [...document.querySelectorAll('video')].find((one) => one.readyState >= 2);
              return {at: one.currentTime, length: one.duration, width: one.videoWidth, height: one.videoHeight,
                      paused: one.paused, seekable: one.seekable.length && one.seekable.end(0),
                      address: new URL(one.src).pathname};
            }"""
        )
        return found


def _afternoon() -> str:
    """Return a zone in which what was filmed some hours ago was filmed today."""
    east = 14 - datetime.now(UTC).hour
    return f"Etc/GMT{-east:+d}"


@contextlib.contextmanager
def owner_at(console: Console, chromium: "Browser", **how: Any) -> Iterator[Owner]:
    """Be an owner at a page; at the end nothing was complained of, and nobody else was asked for anything."""
    context = chromium.new_context(**{"viewport": DESKTOP, "timezone_id": _afternoon(), **how})
    owner = Owner(context, console)
    try:
        try:
            yield owner
        except BaseException:
            print(owner.page.url, owner.page.locator("body").aria_snapshot(), sep="\n")  # noqa: T201 - why it failed
            raise
        assert owner.complaints == []
        assert {url.split("/")[2] for url in owner.asked if not url.startswith(("data:", "blob:"))} <= {
            f"localhost:{console.port}"
        }
        assert context.cookies() == []
    finally:
        context.close()
