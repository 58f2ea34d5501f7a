"""A home whose device has a neighbourhood."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.consent.support import Home
from tests.simulators import NeighbourhoodSimulator


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path, NeighbourhoodSimulator())
    yield home
    home.close()
