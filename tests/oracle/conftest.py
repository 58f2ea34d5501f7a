"""The peers, each started once a session."""

from collections.abc import Iterator

import pytest

from tests.oracle.golang import Oracle, build


@pytest.fixture(scope="session")
def go(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oracle]:
    cache = request.config.cache
    folder = tmp_path_factory.mktemp("go")
    oracle = Oracle(build(cache=cache.mkdir("go-build") if cache else folder / "cache", into=folder))
    yield oracle
    oracle.close()
