"""Fixtures of the page's tests: where it is served, one browser for a module, and a page in it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.ask.browsing import DESK, Shown
from tests.ask.support import served
from tests.conftest import need

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Where the page is."""
    with served() as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """One browser for all."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - heavy, and few tests need it

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=need("chromium"),
            args=["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
        )
        yield started
        started.close()


@pytest.fixture
def shown(browser: "Browser", address: str) -> Iterator[Shown]:
    """The page on a desk, in an accordingly wide window."""
    context = browser.new_context(viewport=DESK, timezone_id="Europe/Berlin")  # type: ignore[arg-type]
    one = Shown(context, address)
    yield one
    assert one.complaints == []
    assert all(url.startswith((address, "data:")) for url in one.asked)
    assert context.cookies() == []
    assert one.page.evaluate("() => [localStorage.length, sessionStorage.length]") == [0, 0]
    context.close()
