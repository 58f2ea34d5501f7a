"""A neighbourhood's pages, served once for all tests that only read them."""

from collections.abc import Iterator

import httpx
import pytest

from tests.feed.site import Site, served


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with served(tmp_path_factory.mktemp("neighbourhood")) as site:
        yield site


@pytest.fixture
def http(site: Site) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=site.url) as client:
        yield client
