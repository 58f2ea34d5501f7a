"""Fixtures of the agency's tests."""

from pathlib import Path

import pytest

from broker.agency import AgencyFolder
from tests.agency.support import BundleMaker, film, make_folder


@pytest.fixture
def folder(tmp_path: Path) -> AgencyFolder:
    """An agency's new folder."""
    return make_folder(tmp_path / "agency")


@pytest.fixture
def maker(folder: AgencyFolder) -> BundleMaker:
    """A bundle for that agency, one clip of four segments, still to be sealed."""
    return BundleMaker(folder, [film()])
