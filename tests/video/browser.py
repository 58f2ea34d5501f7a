"""A page in Debian's Chromium, as an owner's or an agency's browser would show it."""

from pathlib import Path
from typing import Any

from tests.conftest import need


def evaluated(page: Path, script: str) -> Any:
    """What an async function in JavaScript returns within a page that is a file."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - heavy, and few tests need it

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=need("chromium"),
            args=["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
        )
        try:
            shown = browser.new_page()
            shown.goto(page.as_uri())
            return shown.evaluate(script)
        finally:
            browser.close()
