"""Chromium as an owner has it, and as somebody has it who was led to another site."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tests.conftest import need

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext

REBOUND = "rebound.example"  # a name of somebody else's, which leads to this machine
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    f"--host-resolver-rules=MAP {REBOUND} 127.0.0.1", "--autoplay-policy=no-user-gesture-required",
]  # fmt: skip


@contextlib.contextmanager
def browser() -> "Iterator[Browser]":
    """Start Chromium, or skip the test where there is none."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - heavy, and few tests need it

    path = need("chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        try:
            yield started
        finally:
            started.close()


@contextlib.contextmanager
def with_profile(browser: "Browser", profile: Path, scratch: Path) -> "Iterator[BrowserContext]":
    """Start another Chromium with a folder in which it keeps what it keeps, and one for what it needs for a while."""
    started = browser.browser_type.launch_persistent_context(
        profile, executable_path=need("chromium"), args=ARGUMENTS, env={"TMPDIR": str(scratch), "HOME": str(scratch)}
    )
    try:
        yield started
    finally:
        started.close()
