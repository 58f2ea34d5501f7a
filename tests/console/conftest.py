"""One household and one browser for all tests of the console; each test decides on requests of its own."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.console.browsing import browser
from tests.console.client import Client
from tests.console.elsewhere import Elsewhere, elsewhere
from tests.console.reviewing import played
from tests.console.serving import Console, console_of
from tests.console.support import DRIVE, PORCH, Household

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="package")
def household(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Household]:
    """Operator, agencies, a doorbell and a camera, with footage and no request."""
    household = Household(tmp_path_factory.mktemp("household"))
    try:
        household.start()
        yield household
    finally:
        household.stop_all()


@pytest.fixture(scope="package")
def console(household: Household) -> Iterator[Console]:
    """A console that all tests share which leave it as it was."""
    homes = [household.home(PORCH), household.home(DRIVE)]
    with console_of(household.folder / "console", homes, household.owner_key) as console:
        yield console


@pytest.fixture
def own_console(household: Household, tmp_path: Path) -> Iterator[Console]:
    """A console that a test may lock, wear out and end."""
    homes = [household.home(PORCH), household.home(DRIVE)]
    with console_of(tmp_path / "console", homes, household.owner_key) as console:
        yield console


@pytest.fixture
def client(console: Console) -> Iterator[Client]:
    """A session of the shared console, unlocked, and there as long as the test is."""
    client = Client.opened(console.port, console.link())
    with client.there():
        client.unlock()
        yield client


@pytest.fixture
def media(client: Client, household: Household) -> str:
    """The address of a film, as the page is given it."""
    return played(client, household)


@pytest.fixture
def other_site() -> Iterator[Elsewhere]:
    """A second server on this machine."""
    with elsewhere() as site:
        yield site


@pytest.fixture(scope="package")
def chromium() -> "Iterator[Browser]":
    """One browser."""
    with browser() as started:
        yield started
