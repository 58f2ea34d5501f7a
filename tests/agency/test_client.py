"""The agency against a log and an inbox: what they say is checked before it is believed."""

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
    LogClient,
    RemoteError,
    UnreachableError,
    fetch,
    fetch_policy,
    open_bundle,
    post,
    update,
)
from broker.agency.client import BundleInfo
from broker.agency.line import new_http
from broker.agency.post import requests
from broker.wire.encoding import from_base64
from broker.wire.envelopes import public_bytes
from broker.wire.merkle import leaf_hash
from broker.wire.proofs import parse_policy, verify_proof
from broker.wire.records import Fetch, Update
from tests.agency.support import (
    HOUR_US,
    NOW_US,
    POLICY_TEXT,
    BundleMaker,
    TinyLog,
    key_of,
    make_request,
    some_bytes,
)
from tests.inbox import support as peer

Answer = Callable[[httpx.Request], httpx.Response]


@dataclass
class FakeLog:
    """Serves the log's routes over a TinyLog; `bend` may change an answer, `down` cuts the line, `refuse` says no."""

    log: TinyLog = field(default_factory=TinyLog)
    bend: Callable[[dict[str, object]], dict[str, object]] = lambda body: body
    refuse: tuple[int, str] | None = None
    down: str = ""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.down == "before":
            raise httpx.ConnectError("no route")
        if request.url.path == "/log/policy":
            return httpx.Response(200, text=POLICY_TEXT)
        assert (request.method, request.url.path) == ("POST", "/log/entries")
        if self.refuse:
            status, code = self.refuse
            return httpx.Response(status, json={"error": {"code": code, "message": "no \x1b[31m"}})
        index = self.log.add(request.content)
        if self.down == "after":
            raise httpx.ReadError("cut")
        leaf = leaf_hash(request.content).hex()
        return httpx.Response(
            201, json=self.bend({"index": index, "leaf": leaf, "proof": self.log.proof(index).decode()})
        )

    def client(self) -> LogClient:
        return LogClient("http://broker/log/", policy=parse_policy(POLICY_TEXT), http=http(self))


def http(answer: Answer) -> httpx.Client:
    """Return a client whose answers arrive as a stream, as from a socket."""

    def streamed(request: httpx.Request) -> httpx.Response:
        given = answer(request)
        if not given.is_stream_consumed:
            return given
        return httpx.Response(given.status_code, headers=given.headers, content=iter([given.content]))

    return new_http(transport=httpx.MockTransport(streamed))


def test_post(folder: AgencyFolder) -> None:
    """A request is logged, and what is kept proves it offline."""
    log = FakeLog()
    posted = post(folder, make_request(folder.recipient()), log=log.client())
    envelope = (posted.folder / "request.dsse.json").read_bytes()
    assert log.log.entries[posted.index] == envelope
    assert posted.folder == folder.path / "requests" / posted.leaf
    proof = (posted.folder / "request.tlog-proof").read_bytes()
    assert verify_proof(envelope, proof, folder.policy())[0] == posted.index
    assert list(requests(folder)) == [(posted.leaf, posted.request, True)]


def test_post_again_after_a_cut(folder: AgencyFolder) -> None:
    """A post whose answer was lost is taken up with the same envelope, so that a case is not posted twice."""
    log = FakeLog()
    for down in ("before", "after", "after"):
        log.down = down
        with pytest.raises(UnreachableError, match="try again"):
            post(folder, make_request(folder.recipient()), log=log.client())
    log.down = ""
    later = make_request(folder.recipient()).model_copy(
        update={"posted_at": NOW_US + HOUR_US, "expires_at": NOW_US + 30 * HOUR_US}
    )
    posted = post(folder, later, log=log.client())
    assert len(log.log.entries) == 3
    assert posted.request.posted_at < later.posted_at
    another = post(folder, later, log=log.client())  # it was confirmed: this is a second post of the case
    assert another.leaf != posted.leaf


def test_refused_post_leaves_nothing(folder: AgencyFolder) -> None:
    """What the log refused is not kept, and its words reach the terminal without control characters."""
    log = FakeLog(refuse=(422, "area"))
    with pytest.raises(RemoteError) as caught:
        post(folder, make_request(folder.recipient()), log=log.client())
    assert (caught.value.code, caught.value.status) == ("area", 422)
    assert "\x1b" not in str(caught.value)
    assert list(requests(folder)) == []


def test_busy_log_keeps_the_post(folder: AgencyFolder) -> None:
    """A log that is only busy leaves the signed request to be sent again."""
    log = FakeLog(refuse=(503, "busy"))
    with pytest.raises(RemoteError):
        post(folder, make_request(folder.recipient()), log=log.client())
    assert [confirmed for _, _, confirmed in requests(folder)] == [False]


@dataclass
class Once:
    """Gives one answer, whatever is asked."""

    answer: httpx.Response

    def __call__(self, _request: httpx.Request) -> httpx.Response:
        return self.answer


def false_root(body: dict[str, object]) -> dict[str, object]:
    theirs = TinyLog(key_of("another log"))
    return body | {"proof": theirs.proof(1).decode()}


@pytest.mark.parametrize(
    "bend",
    [
        false_root,
        lambda body: body | {"index": 0},
        lambda body: body | {"leaf": "0" * 64},
        lambda body: body | {"proof": str(body["proof"]).replace("index 2", "index 1")},
        lambda body: body | {"proof": 7},
        lambda body: body | {"proof": ""},
        lambda _body: {},
    ],
)
def test_lying_logs(folder: AgencyFolder, bend: Callable[[dict[str, object]], dict[str, object]]) -> None:
    """A proof of another log, of another entry, or none, is not believed."""
    with pytest.raises(RemoteError):
        post(folder, make_request(folder.recipient()), log=FakeLog(bend=bend).client())
    assert [confirmed for _, _, confirmed in requests(folder)] == [False]


@pytest.mark.parametrize("text", ["", "[]", "null", '{"index": 1, "index": 2}', "<html>", "[" * 5_000, "x" * 2_000_000])
def test_odd_answers(folder: AgencyFolder, text: str) -> None:
    """Anything that is no answer is one clear error, with success and with failure as status."""
    answers = [httpx.Response(status, content=text.encode()) for status in (200, 201, 302, 404, 500)]
    for answer in answers:
        client = LogClient("http://broker/log", policy=folder.policy(), http=http(Once(answer)))
        with pytest.raises(RemoteError):
            client.submit(b"entry")


def test_withdraw(folder: AgencyFolder) -> None:
    """A withdrawal is signed, logged and kept beside its request; others' requests can't be updated from here."""
    log = FakeLog()
    posted = post(folder, make_request(folder.recipient()), log=log.client())
    said = update(folder, posted.leaf, kind="withdrawn", note="no longer needed", log=log.client(), now_us=NOW_US)
    envelope = log.log.entries[said.index]
    record = Update.open(envelope, key=public_bytes(folder.signing_key()))
    assert (record.request, record.kind, record.at) == (posted.leaf, "withdrawn", NOW_US)
    assert (posted.folder / f"update-{said.index}.dsse.json").read_bytes() == envelope
    with pytest.raises(AgencyError, match="not there"):
        update(folder, "0" * 64, kind="resolved", note="found", log=log.client(), now_us=NOW_US)
    with pytest.raises(AgencyError, match="note"):
        update(folder, posted.leaf, kind="resolved", note="", log=log.client(), now_us=NOW_US)


def test_policy(folder: AgencyFolder) -> None:
    """The operator's policy can be fetched, to be pinned."""
    assert fetch_policy("http://broker/log", http=http(FakeLog())) == POLICY_TEXT
    assert folder.policy() == parse_policy(POLICY_TEXT)


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


def test_unreachable(folder: AgencyFolder) -> None:
    """A server that is not there is said to be, and can be tried again."""
    for url in ("http://127.0.0.1:9/log", "http://broker.invalid/log"):
        with pytest.raises(UnreachableError, match="cannot be reached"), new_http() as line:
            LogClient(url, policy=folder.policy(), http=line).submit(b"entry")
