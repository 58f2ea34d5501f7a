"""The agency against a log: what it says is checked before it is believed."""

from collections.abc import Callable
from dataclasses import dataclass

import httpx
import pytest

from broker.agency import (
    AgencyError,
    AgencyFolder,
    LogClient,
    RemoteError,
    UnreachableError,
    fetch_policy,
    post,
    update,
)
from broker.agency.line import new_http
from broker.agency.post import requests
from broker.wire.envelopes import public_bytes
from broker.wire.proofs import parse_policy, verify_proof
from broker.wire.records import Update
from tests.agency.servers import FakeLog, http
from tests.agency.support import (
    HOUR_US,
    NOW_US,
    POLICY_TEXT,
    TinyLog,
    key_of,
    make_request,
)


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


def test_unreachable(folder: AgencyFolder) -> None:
    """A server that is not there is said to be, and can be tried again."""
    for url in ("http://127.0.0.1:9/log", "http://broker.invalid/log"):
        with pytest.raises(UnreachableError, match="cannot be reached"), new_http() as line:
            LogClient(url, policy=folder.policy(), http=line).submit(b"entry")
