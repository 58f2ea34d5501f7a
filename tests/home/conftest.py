"""A household that reads a witnessed log, and has filmed something."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.home.log_support import Household, witnessed_hood


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[Household]:
    hood = witnessed_hood()
    house = Household(tmp_path, hood, mirror=hood.log)
    house.shelf.film("c1")
    yield house
    await house.aclose()
