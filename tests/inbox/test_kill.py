"""A real server process, killed with SIGKILL in the middle of a body."""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.inbox.support import TUS, World, chunk, creation

DATA = random.Random(2).randbytes(6_000_000)
SERVER = """
import sys
from pathlib import Path
from broker.inbox.disk import LocalDisk
from tests.inbox.support import World, served
with served(World(Path(sys.argv[1])).open(LocalDisk())) as url:
    print(url, flush=True)
    sys.stdin.read()
"""


def start(folder: Path) -> tuple[subprocess.Popen[str], str]:
    root = Path(__file__).parents[2]
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, folder], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True, cwd=root
    )
    assert server.stdout is not None
    return server, server.stdout.readline().strip()


def stop(server: subprocess.Popen[str]) -> None:
    server.send_signal(signal.SIGKILL)
    server.communicate()


@pytest.mark.slow
def test_sigkill_within_a_body(tmp_path: Path) -> None:
    """What was acknowledged is there after the kill, and the upload ends with its receipt."""
    world = World(tmp_path / "unused")
    server, url = start(tmp_path / "inbox")
    made = httpx.post(url, headers=creation(world.promise(DATA), len(DATA)))
    path = made.headers["location"]
    assert httpx.patch(httpx.URL(url).join(path), headers=chunk(0), content=DATA[:2_000_000]).status_code == 204

    def dying_body() -> Iterator[bytes]:
        yield DATA[2_000_000:5_000_000]
        time.sleep(0.2)  # let some of it reach the server; none of it was acknowledged
        stop(server)
        yield DATA[5_000_000:]

    with pytest.raises(httpx.TransportError):
        httpx.patch(httpx.URL(url).join(path), headers=chunk(2_000_000), content=dying_body())
    server, url = start(tmp_path / "inbox")
    location = httpx.URL(url).join(path)
    offset = int(httpx.head(location, headers=TUS).headers["upload-offset"])
    assert 2_000_000 <= offset <= 5_000_000
    assert httpx.patch(location, headers=chunk(offset), content=DATA[offset:]).status_code == 204
    assert httpx.get(f"{location}/receipt").status_code == 200
    stop(server)
