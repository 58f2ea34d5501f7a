"""An agency is asked to delete what it was given: it can't overlook that, and a hostile inbox gains nothing by it."""

import hashlib
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from broker.agency import AgencyError, AgencyFolder, InboxClient, RemoteError, fetch, fetch_notices, notice_about, post
from broker.agency.deletions import notices
from broker.agency.line import new_http
from broker.agency.listing import listed
from broker.wire.deletions import Deletion
from broker.wire.encoding import to_base64
from broker.wire.envelopes import public_bytes
from broker.wire.records import Fetch
from tests.agency.servers import FakeLog, http
from tests.agency.support import NOW_US, BundleMaker, key_of, make_request
from tests.agency.test_commands import run, shown
from tests.inbox import support as peer

BUNDLE = b"a sealed bundle"
DIGEST = hashlib.sha256(BUNDLE).hexdigest()
SENDER = key_of("once")


def notice(leaf: str, *, digest: str = DIGEST, signer: str = "once") -> bytes:
    record = Deletion(request=leaf, bundle_sha256=digest, key=public_bytes(SENDER), at=NOW_US)
    return record.sign(key_of(signer))


@pytest.fixture
def posted(folder: AgencyFolder) -> str:
    """A posted request's leaf."""
    return post(folder, make_request(folder.recipient()), log=FakeLog().client()).leaf


def client_of(folder: AgencyFolder, answer: httpx.Response) -> InboxClient:
    """Return a client of an inbox that gives one answer, whatever it is asked."""
    return InboxClient(
        "http://broker/inbox", agency=folder.settings.id, key=folder.signing_key(), clock=lambda: NOW_US,
        http=http(lambda _request: answer),
    )  # fmt: skip


def listing(*envelopes: bytes, **more: Any) -> httpx.Response:
    return httpx.Response(200, json={"deletions": [to_base64(one) for one in envelopes], **more})


def test_a_notice_is_kept_beside_its_bundle(folder: AgencyFolder, posted: str) -> None:
    """Its exact bytes, once; a bundle that was never fetched, or is deleted by now, has its notice all the same."""
    bundles = folder.request_folder(posted) / "bundles"
    (new,) = fetch_notices(folder, posted, inbox=client_of(folder, listing(notice(posted))))
    assert new.bundle_sha256 == DIGEST
    assert (bundles / f"{DIGEST}.deletion.dsse.json").read_bytes() == notice(posted)
    assert fetch_notices(folder, posted, inbox=client_of(folder, listing(notice(posted)))) == []
    (one,) = listed(folder, now_us=NOW_US)
    assert (one.asked_back, one.to_delete) == (frozenset({DIGEST}), 0)
    (bundles / f"{DIGEST}.age").write_bytes(BUNDLE)
    (one,) = listed(folder, now_us=NOW_US)
    assert (one.here, one.to_delete) == (frozenset({DIGEST}), 1)
    assert notice_about(bundles / f"{DIGEST}.age") == notices(folder, posted)[DIGEST] == new
    assert notice_about(bundles / "another.age") is None


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, json={"deletions": "none"}),
        httpx.Response(200, json={"bundles": []}),
        httpx.Response(200, json=[]),
        httpx.Response(200, json={"deletions": [], "more": 1}),
        httpx.Response(200, json={"deletions": [7]}),
        httpx.Response(200, json={"deletions": ["not base64!"]}),
        httpx.Response(200, json={"deletions": ["AAAA"]}),
        httpx.Response(200, json={"deletions": [""] * 10_001}),
        httpx.Response(404, json={"error": {"code": "not-found", "message": "nothing here"}}),
        httpx.Response(500),
        listing(notice("0" * 64)),
        listing(Fetch(agency="a", request="0" * 64, at=1).sign(SENDER)),
    ],
    ids=range(12),
)
def test_lying_lists_of_notices(folder: AgencyFolder, posted: str, answer: httpx.Response) -> None:
    """What is no notice about this request is refused, and nothing is written."""
    with pytest.raises(RemoteError):
        fetch_notices(folder, posted, inbox=client_of(folder, answer))
    assert list((folder.request_folder(posted) / "bundles").iterdir()) == []


def test_a_notice_that_its_key_did_not_sign_is_refused(folder: AgencyFolder, posted: str) -> None:
    """However it is listed."""
    with pytest.raises(RemoteError, match="does not hold"):
        fetch_notices(folder, posted, inbox=client_of(folder, listing(notice(posted, signer="stranger"))))


def test_an_inbox_of_an_earlier_version_has_no_notices(folder: AgencyFolder, posted: str) -> None:
    """It knows no such address, and that is no reason to fetch nothing."""
    assert fetch_notices(folder, posted, inbox=client_of(folder, httpx.Response(404, text="<html>not found"))) == []


def test_a_damaged_notice_is_named(folder: AgencyFolder, posted: str) -> None:
    """It is not passed over: somebody asked for something."""
    bundles = folder.request_folder(posted) / "bundles"
    bundles.mkdir()
    (bundles / f"{DIGEST}.deletion.dsse.json").write_bytes(b"{}")
    for look in (lambda: notices(folder, posted), lambda: notice_about(bundles / f"{DIGEST}.age")):
        with pytest.raises(AgencyError, match=DIGEST):
            look()


def test_whole_way_through_the_real_inbox(
    maker: BundleMaker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Fetched, asked back, and loud wherever the agency works with it; the inbox hands it to nobody any more."""
    world = peer.World(tmp_path / "inbox")
    request = make_request(maker.folder.recipient())
    world.book.requests[maker.leaf] = (request, maker.folder.as_admitted(NOW_US))
    sealed = maker.sealed()
    digest = hashlib.sha256(sealed).hexdigest()
    place = maker.folder.request_folder(maker.leaf)
    place.mkdir(parents=True)
    (place / "request.dsse.json").write_bytes(maker.request)
    with peer.served(world.open()) as url, httpx.Client() as device, new_http() as line:
        made = device.post(url, headers=peer.creation(world.promise(sealed, leaf=maker.leaf), len(sealed)))
        location = httpx.URL(url).join(made.headers["location"])
        assert device.patch(location, headers=peer.chunk(0), content=sealed).status_code == 204
        client = InboxClient(
            url, agency=maker.folder.settings.id, key=maker.folder.signing_key(), clock=lambda: NOW_US, http=line
        )
        (bundle,) = fetch(maker.folder, maker.leaf, inbox=client)
        asked = notice(maker.leaf, digest=digest)
        assert device.post(f"{url}/deletions", content=asked).status_code == 200
        assert fetch(maker.folder, maker.leaf, inbox=client) == []
        (new,) = fetch_notices(maker.folder, maker.leaf, inbox=client)
        assert new.bundle_sha256 == bundle.sha256 == digest
    capsys.readouterr()
    with pytest.raises(SystemExit):
        run("open", bundle.path, "--dir", maker.folder.path, "--out", tmp_path / "out", "--json")
    out, err = capsys.readouterr()
    assert json.loads(out)["deletion_asked_at"] is not None
    assert f"DELETE: on 28 May 2026, 20:26 UTC its owner asked you to delete bundle {digest[:12]}" in err
    assert "DELETE 1 bundle of request" in shown(capsys, "list", "--dir", maker.folder.path, "--offline")
