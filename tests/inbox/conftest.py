"""Fixtures of the inbox's tests."""

from pathlib import Path

import pytest

from tests.inbox.support import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    """An inbox's surroundings, with one open request."""
    return World(tmp_path / "inbox")
