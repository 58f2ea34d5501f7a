"""A page in Debian's Chromium, filled in as an agency would, and what axe-core says of it."""

from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from tests.ask.support import FORM

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


class Shown:
    """A page, and everything that it complained of."""

    def __init__(self, context: "BrowserContext", address: str) -> None:
        self.context = context
        self.page: Page = context.new_page()
        self.complaints: list[str] = []
        self.asked: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda said: self._heard(said.type, said.text))
        self.page.on("request", lambda sent: self.asked.append(sent.url))
        self.page.goto(f"{address}/ask")

    def _heard(self, kind: str, text: str) -> None:
        if kind == "error" and "favicon" not in text and "404" not in text:
            self.complaints.append(text)

    def fill(self, **others: str) -> None:
        """Fill in a form that keeps every rule, and change some of it."""
        now = datetime.now(UTC).replace(second=0, microsecond=0)
        times = {
            "zone": "UTC",
            "start": (now - timedelta(hours=30)).strftime("%Y-%m-%dT%H:%M"),
            "end": (now - timedelta(hours=28)).strftime("%Y-%m-%dT%H:%M"),
        }
        for name, value in (FORM | times | others).items():
            if isinstance(value, list):
                for box in value:
                    self.page.check(f"input[name={name}][value={box}]")
            elif name in {"agency", "incident"}:
                self.page.select_option(f"#{name}", value)
            else:
                self.page.fill(f"#{name}", value)

    def standing(self) -> dict[str, str]:
        """Return the live table: each rule's state."""
        rows = self.page.query_selector_all("#live tbody tr")
        return {str(row.get_attribute("data-rule")): str(row.get_attribute("class")) for row in rows}

    def violations(self) -> list[str]:
        """Return what axe-core finds."""
        found = self.page.evaluate("() => axe.run()")
        return [f"{one['id']}: {node['html'][:160]}" for one in found["violations"] for node in one["nodes"]]


@cache
def axe() -> str:
    return files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
