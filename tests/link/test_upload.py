"""The one door: what was approved gets through any cut, and what was not does not get out, whoever tries."""

import json
import socket
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.responses import Response

from broker.wire.envelopes import public_bytes
from broker.wire.records import Receipt
from device.link.bundle import CHUNK_BYTES
from device.link.errors import UploadInterrupted, UploadRefused
from device.link.upload import UploadJob, upload_bundle
from tests.link.inbox_simulator import URL, InboxSimulator
from tests.link.upload_support import BUNDLE, OWNER, PATIENCE, REQUEST, SEED, approve, send


async def test_an_approved_bundle_arrives_and_its_receipt_comes_back(job: UploadJob, inbox: InboxSimulator) -> None:
    """The inbox holds exactly the approved bytes, and the caller gets the envelope that the pinned key signed."""
    seen: list[tuple[int, int]] = []
    envelope = await send(job, inbox, progress=lambda sent, total: seen.append((sent, total)))
    (stored,) = inbox.uploads.values()
    assert bytes(stored.data) == BUNDLE == inbox.sent
    assert Receipt.open(envelope, key=inbox.public_key).request == REQUEST
    assert seen == [(n, len(BUNDLE)) for n in (0, CHUNK_BYTES, 2 * CHUNK_BYTES, len(BUNDLE))]
    assert [said.method for said in inbox.said] == ["POST", "HEAD", "PATCH", "PATCH", "PATCH", "GET"]


async def test_nothing_that_tells_who_sends_is_said(job: UploadJob, inbox: InboxSimulator) -> None:
    """Cookies, default headers and credentials of the client stay at home, and so does the device's name."""
    client = inbox.client(
        cookies={"session": "secret"},
        headers={"X-Device": "porch", "User-Agent": "porch/1.0"},
        auth=("porch", "secret"),
        follow_redirects=True,
    )
    async with client:
        await upload_bundle(job, owner_key=public_bytes(OWNER), client=client)
    allowed = {
        "host",
        "tus-resumable",
        "user-agent",
        "accept-encoding",
        "content-length",
        "upload-length",
        "upload-metadata",
        "upload-offset",
        "content-type",
    }
    for said in inbox.said:
        assert set(said.headers) <= allowed
        assert said.headers["user-agent"] == "latchstring"
        assert "porch" not in str(said.headers)
    (stored,) = inbox.uploads.values()
    assert stored.promise.key == public_bytes(Ed25519PrivateKey.from_private_bytes(SEED))


async def test_an_upload_goes_on_where_it_was_cut(job: UploadJob, inbox: InboxSimulator) -> None:
    """After each cut the inbox's own offset counts.

    At the edge of a chunk, in its middle, and before the first byte.
    """
    inbox.cut_at = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 777, len(BUNDLE)]
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    await send(job, inbox, random=lambda: 1.0, sleep=sleep)
    (stored,) = inbox.uploads.values()
    assert bytes(stored.data) == BUNDLE
    assert len(waits) == 6
    assert len({said.headers["upload-metadata"] for said in inbox.said if said.method == "POST"}) == 1


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cuts=st.lists(st.integers(0, len(BUNDLE)), max_size=8).map(sorted),
    lost=st.sets(st.sampled_from(["POST", "HEAD", "PATCH", "GET"])),
)
async def test_any_cuts_and_lost_answers_end_in_the_approved_bytes(
    tmp_path: Path, cuts: list[int], lost: set[str]
) -> None:
    """Whatever breaks where, the inbox ends up with the bundle, once, and nothing else was ever sent."""
    inbox = InboxSimulator()
    inbox.cut_at = list(cuts)
    inbox.cut_before_answer = set(lost)
    path = tmp_path / "bundle.age"
    path.write_bytes(BUNDLE)
    job = UploadJob(
        approval=approve(BUNDLE), bundle=path, inbox_url=URL, inbox_key=inbox.public_key, one_time_seed=SEED
    )
    await send(job, inbox, patience=replace(PATIENCE, tries=20))
    (stored,) = inbox.uploads.values()
    assert bytes(stored.data) == BUNDLE
    for said in inbox.said:
        if said.method == "PATCH":
            start = int(said.headers["upload-offset"])
            assert said.body == BUNDLE[start : start + len(said.body)]


async def test_a_call_after_a_power_cut_finds_the_same_upload(job: UploadJob, inbox: InboxSimulator) -> None:
    """The same job announces the same envelope, so that a new process needs no memory of the old one."""
    inbox.cut_at = [CHUNK_BYTES + 5] * 3
    with pytest.raises(UploadInterrupted) as caught:
        await send(job, inbox, patience=replace(PATIENCE, tries=1))
    assert (caught.value.offset, caught.value.total) == (CHUNK_BYTES + 5, len(BUNDLE))
    inbox.cut_at = []
    before = len(inbox.sent)
    await send(job, inbox)
    assert len(inbox.uploads) == 1
    assert len(inbox.sent) - before == len(BUNDLE) - CHUNK_BYTES - 5
    await send(job, inbox)  # and once more when all is there: the receipt alone
    assert len(inbox.sent) - before == len(BUNDLE) - CHUNK_BYTES - 5


async def test_tries_without_progress_come_to_an_end_with_growing_pauses(job: UploadJob, inbox: InboxSimulator) -> None:
    """A server that is down is left alone after `tries`; the error says how much has arrived."""
    inbox.answers = {"POST": [Response("busy\nmore", status_code=503) for _ in range(9)]}
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    with pytest.raises(UploadInterrupted, match="503: busy; 0 of"):
        await send(job, inbox, random=lambda: 1.0, sleep=sleep, patience=replace(PATIENCE, tries=5))
    assert waits == [2, 4, 4, 4]


async def test_only_the_receipt_is_asked_for_when_no_more_may_be_sent(job: UploadJob, inbox: InboxSimulator) -> None:
    """A request that closed meanwhile: not a byte more leaves; if all had arrived, the receipt says so."""
    with pytest.raises(UploadRefused, match="0 of"):
        await send(job, inbox, only_receipt=True)
    assert not any(said.method == "PATCH" for said in inbox.said)
    await send(job, inbox)
    sent = sum(said.method == "PATCH" for said in inbox.said)
    assert await send(job, inbox, only_receipt=True)
    assert sum(said.method == "PATCH" for said in inbox.said) == sent


async def test_what_the_inbox_says_no_to_is_final_with_its_line(job: UploadJob, inbox: InboxSimulator) -> None:
    """The inbox's own 4xx ends the upload; its first line reaches the owner, without control characters and capped."""
    message = f"request has \x1b[31mexpired{'!' * 500}\nsecond"
    body = json.dumps({"error": {"code": "request-not-open", "message": message}})
    inbox.answers = {"POST": [Response("<h1>Please log in</h1>", status_code=403), Response(body, status_code=403)]}
    with pytest.raises(UploadRefused, match=r"403: request has \[31mexpired!") as caught:
        await send(job, inbox)
    assert caught.value.status == 403
    assert len(str(caught.value)) < 300


async def test_an_upload_that_vanished_is_announced_again(job: UploadJob, inbox: InboxSimulator) -> None:
    """An inbox that threw a half upload away gets it from the start; one that never has it is left alone."""
    inbox.cut_at = [CHUNK_BYTES + 9]

    async def forget(_seconds: float) -> None:
        inbox.uploads.clear()

    await send(job, inbox, sleep=forget)
    (stored,) = inbox.uploads.values()
    assert bytes(stored.data) == BUNDLE
    inbox.answers = {"HEAD": [Response("gone", status_code=410) for _ in range(5)]}
    with pytest.raises(UploadRefused, match="410"):
        await send(job, inbox)


async def test_a_404_after_a_dead_line_is_no_upload_that_vanished(job: UploadJob, inbox: InboxSimulator) -> None:
    """A proxy's 404, to the announcement or between other failures, closes no request: only twice in a row does."""
    inbox.cut_before_answer = {"POST"}
    inbox.answers = {"HEAD": [Response("nobody home", status_code=404)]}
    await send(job, inbox)
    (stored,) = inbox.uploads.values()
    assert bytes(stored.data) == BUNDLE

    gone, busy = (Response("?", status_code=status) for status in (404, 503))
    inbox.uploads.clear()
    inbox.answers = {"HEAD": [gone, busy, gone]}
    await send(job, inbox, patience=replace(PATIENCE, tries=5))
    inbox.answers = {"POST": [gone] * 9}
    with pytest.raises(UploadInterrupted, match="404"):
        await send(job, inbox)


async def test_an_upload_needs_no_client_of_the_callers(job: UploadJob, monkeypatch: pytest.MonkeyPatch) -> None:
    """It makes one of its own, which believes no proxy of the environment: here it finds nobody at the address."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://user:pw@proxy.invalid:1")
    with pytest.raises(UploadInterrupted, match="ConnectError All connection attempts failed"):
        await upload_bundle(
            replace(job, inbox_url=f"http://127.0.0.1:{port}/inbox"),
            owner_key=public_bytes(OWNER),
            patience=replace(PATIENCE, tries=1),
        )


async def test_addresses_that_are_none_are_refused_before_anything(job: UploadJob, inbox: InboxSimulator) -> None:
    """The inbox's address comes from settings; what can't be one is a final no, in words, without the password."""
    for url in (
        "inbox.example",
        "ftp://inbox.example/",
        "https://user:pw@inbox.example/",
        "https://inbox.example/?x=1",
        "https://inbox.example/#x",
        "https://inbox.example:99999/",
        "https://[::1/",
        "https://inbox.example/a b",
        "https://",
        "",
    ):
        with pytest.raises(UploadRefused, match="no inbox address") as caught:
            await send(replace(job, inbox_url=url), inbox)
        assert "pw" not in str(caught.value)
    assert inbox.said == []


async def test_the_seed_is_not_in_what_is_printed(job: UploadJob) -> None:
    """A log line that shows the job does not show the key."""
    assert "one time" not in repr(job)


async def test_a_cut_network_is_retried_through_real_sockets(job: UploadJob, inbox: InboxSimulator) -> None:
    """Transport errors of every kind end in UploadInterrupted, with the kind in its line."""

    def broken(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectTimeout("too slow")

    async with httpx.AsyncClient(transport=httpx.MockTransport(broken)) as client:
        with pytest.raises(UploadInterrupted, match="ConnectTimeout too slow"):
            await send(job, inbox, client=client)
