"""What the inbox's tests share: a book of requests that can be bent, a clock, a served inbox, a disk that dies."""

import hashlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import uvicorn
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.applications import Starlette

from broker.inbox import Inbox, InboxLimits, routes
from broker.inbox.disk import Disk, LocalDisk
from broker.wire.encoding import to_base64
from broker.wire.envelopes import public_bytes
from broker.wire.merkle import leaf_hash
from broker.wire.records import EXCLUDED_PURPOSES, Agency, Area, Fetch, Request, Upload

NOW_US = 1_780_000_000_000_000
HOUR_US = 3_600_000_000
OPERATOR_KEY = Ed25519PrivateKey.from_private_bytes(b"operator".ljust(32, b"."))
INBOX_KEY = Ed25519PrivateKey.from_private_bytes(b"inbox".ljust(32, b"."))
TUS = {"Tus-Resumable": "1.0.0"}


def key_of(name: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())


def make_agency(name: str = "northtown-police") -> Agency:
    return Agency(
        agency=name,
        name=name.title(),
        domain="northtown.example",
        contact="desk@northtown.example",
        key=public_bytes(key_of(name)),
        admitted_at=NOW_US - 100 * HOUR_US,
        admitted_by="operator",
        evidence="letter of 1 May",
    )


def make_request(agency: str = "northtown-police", *, case: str = "26-0001") -> Request:
    return Request(
        agency=agency,
        case=case,
        incident="package-theft",
        description="A parcel was taken from a porch.",
        contact="desk@northtown.example",
        area=Area(lat_e7=520_000_000, lon_e7=130_000_000, radius_m=300),
        start=NOW_US - 3 * HOUR_US,
        end=NOW_US - 2 * HOUR_US,
        devices=("camera", "doorbell"),
        recipient="age1" + "q" * 58,
        purpose="to find who took the parcel",
        retention_days=30,
        sharing=(),
        excludes=EXCLUDED_PURPOSES,
        posted_at=NOW_US - HOUR_US,
        expires_at=NOW_US + 24 * HOUR_US,
    )


class FakeBook:
    """Implements RequestBook over a dict; `closed` holds leaves that were withdrawn."""

    def __init__(self) -> None:
        self.requests: dict[str, tuple[Request, Agency]] = {}
        self.closed: set[str] = set()

    def add(self, request: Request, agency: Agency) -> str:
        leaf = leaf_hash(request.sign(key_of(agency.agency))).hex()
        self.requests[leaf] = (request, agency)
        return leaf

    def open_request(self, leaf: str, now_us: int) -> tuple[Request, Agency] | None:
        found = self.requests.get(leaf)
        return found if found and leaf not in self.closed and now_us < found[0].expires_at else None

    def known_request(self, leaf: str) -> tuple[Request, Agency] | None:
        return self.requests.get(leaf)

    def closes_us(self, leaf: str) -> int | None:
        found = self.requests.get(leaf)
        return found and (NOW_US if leaf in self.closed else found[0].expires_at)


@dataclass
class Clock:
    """A clock that stands until a test sets it."""

    now_us: int = NOW_US

    def __call__(self) -> int:
        return self.now_us


@dataclass
class World:
    """An inbox in a folder, with one request in its book."""

    folder: Path
    limits: InboxLimits = field(default_factory=InboxLimits)
    book: FakeBook = field(default_factory=FakeBook)
    clock: Clock = field(default_factory=Clock)
    leaf: str = ""
    inbox: Inbox | None = None

    def __post_init__(self) -> None:
        self.leaf = self.book.add(make_request(), make_agency())

    def open(self, disk: Disk | None = None) -> Inbox:
        """Open the inbox; the one opened before has ended, as its process would have."""
        self.close()
        self.inbox = Inbox(
            self.folder, key=INBOX_KEY, book=self.book, clock=self.clock, limits=self.limits, disk=disk or quick_disk()
        )
        return self.inbox

    def close(self) -> None:
        if self.inbox is not None:
            self.inbox.close()

    def client(self, inbox: Inbox | None = None) -> httpx.AsyncClient:
        app = Starlette(routes=routes(inbox or self.open()))
        return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://inbox")

    def promise(self, data: bytes, *, key: str = "once", leaf: str | None = None, length: int | None = None) -> bytes:
        signer = key_of(key)
        return Upload(
            request=leaf or self.leaf,
            bundle_bytes=len(data) if length is None else length,
            bundle_sha256=hashlib.sha256(data).hexdigest(),
            key=public_bytes(signer),
        ).sign(signer)

    def claim(self, *, agency: str = "northtown-police", leaf: str | None = None, at_us: int | None = None) -> str:
        fetch = Fetch(agency=agency, request=leaf or self.leaf, at=self.clock() if at_us is None else at_us)
        return "DSSE " + to_base64(fetch.sign(key_of(agency)))


def creation(envelope: bytes, length: int) -> dict[str, str]:
    return {**TUS, "Upload-Length": str(length), "Upload-Metadata": "envelope " + to_base64(envelope)}


def chunk(offset: int, **more: str) -> dict[str, str]:
    named = {name.replace("_", "-"): value for name, value in more.items()}
    return {**TUS, "Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream", **named}


def error_code(response: httpx.Response) -> str:
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message"}
    assert isinstance(body["error"]["code"], str)
    return body["error"]["code"]


@contextmanager
def served(inbox: Inbox, *, port: int = 0) -> Iterator[str]:
    """Run uvicorn in a thread; yields the inbox's URL."""
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    listening.listen(64)  # what connects before uvicorn is up waits in the queue
    config = uvicorn.Config(
        Starlette(routes=routes(inbox)), log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/inbox"
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()


def quick_disk() -> LocalDisk:
    """Return the file system without its waits; what a power cut would take is `DyingDisk`'s to play."""
    return LocalDisk(fsync=lambda _handle: None)


class PowerCut(BaseException):
    """The machine stopped; nothing may catch it."""


class DyingDisk:
    """A disk that loses power at its `at`-th step: before the step, or right after it.

    `torn` bytes of what was appended and not synced survive the cut, as a file system may have it.
    """

    def __init__(self, at: int, *, after: bool, torn: int) -> None:
        self._disk = quick_disk()
        self._left = at
        self._after = after
        self._torn = torn
        self._unsynced: dict[Path, int] = {}
        self.dead = False

    def _step(self, act: Callable[[], None]) -> None:
        if self.dead:
            raise PowerCut
        self._left -= 1
        if self._left > 0:
            act()
            return
        if self._after:
            act()
        self.dead = True
        for path, kept in self._unsynced.items():
            if path.exists():
                self._disk.truncate(path, min(path.stat().st_size, kept + self._torn))
        raise PowerCut

    def make_folder(self, path: Path) -> None:
        self._step(lambda: self._disk.make_folder(path))

    def create(self, path: Path, data: bytes) -> None:
        self._step(lambda: self._disk.create(path, data))

    def append(self, path: Path, offset: int, data: bytes) -> None:
        self._unsynced.setdefault(path, offset)
        self._step(lambda: self._disk.append(path, offset, data))

    def sync(self, path: Path) -> None:
        def act() -> None:
            self._disk.sync(path)
            self._unsynced.pop(path, None)

        self._step(act)

    def truncate(self, path: Path, length: int) -> None:
        def act() -> None:
            self._disk.truncate(path, length)
            self._unsynced.pop(path, None)

        self._step(act)

    def rename(self, old: Path, new: Path) -> None:
        self._step(lambda: self._disk.rename(old, new))

    def remove(self, path: Path) -> None:
        self._step(lambda: self._disk.remove(path))
