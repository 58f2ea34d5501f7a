"""Parties of a test, ended with it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.neighbourhood.support import Parties


@pytest.fixture
def parties(tmp_path: Path) -> Iterator[Parties]:
    parties = Parties(tmp_path)
    try:
        yield parties
    finally:
        parties.stop_all()
