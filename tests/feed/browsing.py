"""Chromium as neighbours would have it: a phone or a desktop, light or dark, with or without script."""

import contextlib
import functools
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

from tests.conftest import need

PHONE = {"width": 360, "height": 740}
DESKTOP = {"width": 1280, "height": 800}


@contextlib.contextmanager
def browser() -> Iterator[Any]:
    """Start Chromium, or skip the test where there is none."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - heavy, and few tests need it

    path = need("chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=path,
            args=["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
        )
        try:
            yield started
        finally:
            started.close()


@functools.cache
def axe() -> str:
    """The source of axe-core."""
    return files("axe_playwright_python").joinpath("axe.min.js").read_text()


def complaints(page: Any) -> list[str]:
    """What axe-core finds on a page, best practices included, as lines to read."""
    page.evaluate(axe())  # through the debugger: the page's own policy would not load it
    result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{found['id']}: {node['target']} {node['failureSummary'].splitlines()[-1].strip()}"
        for found in result["violations"]
        for node in found["nodes"]
    ]
