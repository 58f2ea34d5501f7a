"""Fixtures of the link's tests."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from device.link.upload import UploadJob
from device.vault.state import State
from tests.link.inbox_simulator import URL, InboxSimulator
from tests.link.support import open_state, quick_folder
from tests.link.upload_support import BUNDLE, SEED, approve
from tests.mqtt.support import running


@pytest.fixture
def quick() -> Iterator[Path]:
    """A folder in memory where there is one: these tests are about logic, and no disk need be waited for."""
    with quick_folder() as folder:
        yield folder


@pytest.fixture
def state(quick: Path) -> Iterator[State]:
    """The state of a device."""
    with open_state(quick / "home") as opened:
        yield opened


@pytest.fixture(params=["ours", pytest.param("mosquitto", marks=pytest.mark.mosquitto)])
def kind(request: pytest.FixtureRequest) -> str:
    """Which broker the test runs against."""
    return str(request.param)


@pytest_asyncio.fixture
async def port(kind: str, tmp_path: Path) -> AsyncIterator[int]:
    """Port of a broker of that kind, which lets anybody do everything."""
    async with running(kind, folder=tmp_path / "broker") as number:
        yield number


@pytest_asyncio.fixture
async def simple_port(tmp_path: Path) -> AsyncIterator[int]:
    """Port of our own broker, where the kind makes no difference."""
    async with running("ours", folder=tmp_path / "broker") as number:
        yield number


@pytest.fixture
def inbox() -> InboxSimulator:
    """An inbox that behaves until told otherwise."""
    return InboxSimulator()


@pytest.fixture
def job(tmp_path: Path, inbox: InboxSimulator) -> UploadJob:
    """An approved bundle, ready to go."""
    path = tmp_path / "bundle.age"
    path.write_bytes(BUNDLE)
    return UploadJob(
        approval=approve(BUNDLE), bundle=path, inbox_url=URL, inbox_key=inbox.public_key, one_time_seed=SEED
    )
