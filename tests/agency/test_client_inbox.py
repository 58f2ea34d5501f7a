"""The agency against an inbox: what it lists and serves is checked before it is believed."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.agency import (
    AgencyError,
    AgencyFolder,
    FetchError,
    InboxClient,
    RemoteError,
    UnreachableError,
    fetch,
    open_bundle,
    post,
)
from broker.agency.inboxclient import BundleInfo
from broker.agency.line import new_http
from broker.wire.encoding import from_base64
from broker.wire.envelopes import public_bytes
from broker.wire.records import Fetch
from tests.agency.servers import FakeLog, http
from tests.agency.support import (
    NOW_US,
    BundleMaker,
    make_request,
    some_bytes,
)
from tests.inbox import support as peer


@dataclass
class FakeInbox:
    """Serves bundles; `cut_at` ends an answer's body early, `bend` may change an answer."""

    agency: str
    key: Ed25519PrivateKey
    bundles: list[bytes]
    cut_at: int | None = None
    bend: Callable[[httpx.Response], httpx.Response] = lambda answer: answer
    ranges: list[str] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        scheme, _, claim = request.headers["authorization"].partition(" ")
        fetched = Fetch.open(from_base64(claim), key=public_bytes(self.key))
        assert (scheme, fetched.agency, fetched.at) == ("DSSE", self.agency, NOW_US)
        if request.url.path.startswith("/inbox/requests/"):
            rows = [
                {"id": f"{at:032x}", "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
                for at, data in enumerate(self.bundles)
            ]
            return self.bend(httpx.Response(200, json={"bundles": rows}))
        data = self.bundles[int(request.url.path.rpartition("/")[2], 16)]
        start = 0
        self.ranges.append(request.headers.get("range", ""))
        headers = {}
        if "range" in request.headers:
            start = int(request.headers["range"].removeprefix("bytes=").removesuffix("-"))
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        body = self._body(data[start:])
        return self.bend(httpx.Response(206 if headers else 200, content=body, headers=headers))

    def _body(self, data: bytes) -> Iterator[bytes]:
        if self.cut_at is None:
            yield data
        else:
            yield data[: self.cut_at]
            raise httpx.ReadError("cut")


@pytest.fixture
def posted(folder: AgencyFolder) -> str:
    """A posted request's leaf."""
    return post(folder, make_request(folder.recipient()), log=FakeLog().client()).leaf


@pytest.fixture
def inbox(folder: AgencyFolder) -> FakeInbox:
    """An inbox with two bundles, one of them twice."""
    one, two = some_bytes(300_000), some_bytes(10, 2)
    return FakeInbox(folder.settings.id, folder.signing_key(), [one, two, one])


def client_of(inbox: FakeInbox) -> InboxClient:
    return InboxClient(
        "http://broker/inbox", agency=inbox.agency, key=inbox.key, clock=lambda: NOW_US, http=http(inbox)
    )


def test_fetch(folder: AgencyFolder, posted: str, inbox: FakeInbox) -> None:
    """Each bundle is fetched once, named by its digest, private; a second call brings what is new."""
    found = fetch(folder, posted, inbox=client_of(inbox))
    assert [one.is_new for one in found] == [True, True]
    for one, data in zip(found, inbox.bundles, strict=False):
        assert one.path == folder.request_folder(posted) / "bundles" / f"{hashlib.sha256(data).hexdigest()}.age"
        assert one.path.read_bytes() == data
        assert one.path.stat().st_mode & 0o777 == 0o600
    inbox.bundles.append(b"third")
    assert [one.is_new for one in fetch(folder, posted, inbox=client_of(inbox))] == [False, False, True]
    with pytest.raises(AgencyError, match="not there"):
        fetch(folder, "0" * 64, inbox=client_of(inbox))


def test_resumed_download(folder: AgencyFolder, posted: str, inbox: FakeInbox) -> None:
    """A download that was cut goes on where it stood."""
    del inbox.bundles[1:]
    for _ in range(3):
        inbox.cut_at = 90_000
        with pytest.raises(FetchError, match=r"1 of 1 bundles .* reached") as caught:
            fetch(folder, posted, inbox=client_of(inbox))
        assert {type(why) for why in caught.value.failed.values()} == {UnreachableError}
    inbox.cut_at = None
    found = fetch(folder, posted, inbox=client_of(inbox))
    assert found[0].path.read_bytes() == inbox.bundles[0]
    assert inbox.ranges == ["", "bytes=90000-", "bytes=180000-", "bytes=270000-"]
    assert not list(found[0].path.parent.glob("*.partial"))


def test_one_bad_bundle_costs_itself_alone(folder: AgencyFolder, posted: str, inbox: FakeInbox) -> None:
    """Those behind a bundle that is not what the list says are fetched all the same, and how many failed is said."""
    inbox.bundles = [b"sound", b"vandal's", b"sound too", b"gone"]
    spoil = {1: httpx.Response(200, content=b"vandals'"), 3: httpx.Response(404, json={})}

    def bent(request: httpx.Request) -> httpx.Response:
        asked = request.url.path.rpartition("/")[2]
        answer = inbox(request)
        return spoil.get(int(asked, 16), answer) if "/bundles/" in request.url.path else answer

    client = InboxClient(
        "http://broker/inbox", agency=inbox.agency, key=inbox.key, clock=lambda: NOW_US, http=http(bent)
    )
    with pytest.raises(FetchError, match=r"2 of 4 bundles could not be fetched.* damaged") as caught:
        fetch(folder, posted, inbox=client)
    assert [one.path.read_bytes() for one in caught.value.fetched] == [b"sound", b"sound too"]
    assert set(caught.value.failed) == {hashlib.sha256(inbox.bundles[at]).hexdigest() for at in (1, 3)}
    spoil.clear()
    assert [one.is_new for one in fetch(folder, posted, inbox=client)] == [False, True, False, True]


def test_an_inbox_that_is_gone_is_not_asked_for_every_bundle(
    folder: AgencyFolder, posted: str, inbox: FakeInbox
) -> None:
    """Three in a row that can't be reached end the call; what was not tried counts as missing."""
    inbox.bundles = [b"bundle %d" % number for number in range(10)]
    inbox.cut_at = 0
    with pytest.raises(FetchError, match="10 of 10 bundles") as caught:
        fetch(folder, posted, inbox=client_of(inbox))
    assert len(caught.value.failed) == len(inbox.ranges) == 3


def test_damaged_download(folder: AgencyFolder, posted: str, inbox: FakeInbox) -> None:
    """Bytes that don't hash as listed never become a bundle, and are not gone on with."""
    place = folder.request_folder(posted) / "bundles"
    place.mkdir()
    digest = hashlib.sha256(inbox.bundles[0]).hexdigest()
    for spoilt in (b"x" * 1_000, b"x" * 400_000, b"x" * 300_000):
        (place / f"{digest}.age.partial").write_bytes(spoilt)
        if len(spoilt) <= 300_000:
            with pytest.raises(FetchError, match=r"1 of 2 bundles .* damaged"):
                fetch(folder, posted, inbox=client_of(inbox))
        found = fetch(folder, posted, inbox=client_of(inbox))
        assert found[0].path.read_bytes() == inbox.bundles[0]
        found[0].path.unlink()


@pytest.mark.parametrize(
    "row",
    [
        {"id": "../../etc/passwd", "bytes": 1, "sha256": "0" * 64},
        {"id": "0" * 32, "bytes": 1, "sha256": "../" + "0" * 61},
        {"id": "0" * 32, "bytes": 1, "sha256": "A" * 64},
        {"id": "0" * 32, "bytes": 0, "sha256": "0" * 64},
        {"id": "0" * 32, "bytes": -1, "sha256": "0" * 64},
        {"id": "0" * 32, "bytes": True, "sha256": "0" * 64},
        {"id": "0" * 32, "bytes": 1 << 40, "sha256": "0" * 64},
        {"id": "0" * 32, "bytes": 1},
        {"id": "0" * 32, "bytes": 1, "sha256": "0" * 64, "path": "/etc"},
        "bundle",
    ],
)
def test_lying_lists(folder: AgencyFolder, posted: str, inbox: FakeInbox, row: object) -> None:
    """A listed bundle with an odd name, size or digest is refused before anything is written."""
    inbox.bend = lambda _answer: httpx.Response(200, text=json.dumps({"bundles": [row]}))
    with pytest.raises(RemoteError, match="lists a bundle"):
        fetch(folder, posted, inbox=client_of(inbox))
    assert list((folder.request_folder(posted) / "bundles").iterdir()) == []


def test_lying_downloads(tmp_path: Path, posted: str, inbox: FakeInbox) -> None:
    """More bytes than listed, fewer, another range, or a refusal are told."""
    data = inbox.bundles[0]
    digest = hashlib.sha256(data).hexdigest()
    path = tmp_path / "bundle.age"
    with pytest.raises(RemoteError, match="more bytes"):
        client_of(inbox).download(posted, BundleInfo("0" * 32, 10, digest), path)
    (tmp_path / "bundle.age.partial").unlink()
    with pytest.raises(UnreachableError, match="300000 of 400000"):
        client_of(inbox).download(posted, BundleInfo("0" * 32, 400_000, digest), path)
    (tmp_path / "bundle.age.partial").write_bytes(data[:10])
    inbox.bend = lambda _answer: httpx.Response(206, content=data, headers={"Content-Range": "bytes 0-9/10"})
    with pytest.raises(RemoteError, match="another range"):
        client_of(inbox).download(posted, BundleInfo("0" * 32, 300_000, digest), path)
    inbox.bend = lambda _answer: httpx.Response(403, json={"error": {"code": "stale", "message": "set the clock"}})
    with pytest.raises(RemoteError, match="set the clock") as caught:
        client_of(inbox).download(posted, BundleInfo("0" * 32, 300_000, digest), path)
    assert caught.value.code == "stale"
    inbox.bend = lambda _answer: httpx.Response(200, content=data)  # a server without ranges begins anew
    client_of(inbox).download(posted, BundleInfo("0" * 32, 300_000, digest), path)
    assert path.read_bytes() == data


def test_whole_way_through_the_real_inbox(maker: BundleMaker, tmp_path: Path) -> None:
    """A sealed bundle goes through the inbox's server to the agency, and opens verified."""
    world = peer.World(tmp_path / "inbox")
    request = make_request(maker.folder.recipient())
    leaf = world.book.add(request, maker.folder.as_admitted(NOW_US))
    world.book.requests = {maker.leaf: world.book.requests[leaf]}
    sealed = maker.sealed()
    place = maker.folder.request_folder(maker.leaf)
    place.mkdir(parents=True)
    with peer.served(world.open()) as url, httpx.Client() as device:
        made = device.post(url, headers=peer.creation(world.promise(sealed, leaf=maker.leaf), len(sealed)))
        location = httpx.URL(url).join(made.headers["location"])
        assert device.patch(location, headers=peer.chunk(0), content=sealed).status_code == 204
        with new_http() as line:
            client = InboxClient(
                url, agency=maker.folder.settings.id, key=maker.folder.signing_key(), clock=lambda: NOW_US, http=line
            )
            (bundle,) = fetch(maker.folder, maker.leaf, inbox=client)
    opened = open_bundle(
        bundle.path,
        maker.folder.identity(),
        tmp_path / "out",
        request_leaf=maker.leaf,
        policy=maker.policy,
        sha256=bundle.sha256,
    )
    assert opened.verified
