"""The one door: what was approved gets through any cut, and what was not does not get out, whoever tries."""

import asyncio
import hashlib
import json
import os
import random
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.responses import Response

from broker.wire.encoding import canonical, parse_json
from broker.wire.envelopes import public_bytes
from broker.wire.records import Approval, FileDigest, Receipt, SharedClip
from device.link.bundle import CHUNK_BYTES
from device.link.errors import NotApproved, UploadInterrupted, UploadRefused
from device.link.settings import Backoff
from device.link.upload import UploadJob, UploadPatience, upload_bundle
from tests.link.inbox_simulator import ORIGIN, URL, InboxSimulator

OWNER = Ed25519PrivateKey.from_private_bytes(b"owner".ljust(32, b"-"))
SEED = b"one time".ljust(32, b"-")
REQUEST = "ab" * 32
BUNDLE = random.Random(1).randbytes(2 * CHUNK_BYTES + 4_321)
PATIENCE = UploadPatience(tries=3, timeout_s=5, backoff=Backoff(first_s=1, cap_s=4))


def approve(bundle: bytes, *, key: Ed25519PrivateKey = OWNER, **changes: object) -> bytes:
    """Return an owner's approval of these bytes."""
    digest = hashlib.sha256(bundle).hexdigest()
    fields = {
        "request": REQUEST,
        "device": "porch",
        "recipient": "age1" + "q" * 58,
        "clips": (SharedClip(file="clip-1.mp4", start=1, end=2, first_seq=0, last_seq=1, transformations=()),),
        "files": (FileDigest(name="clip-1.mp4", bytes=1, sha256=digest),),
        "bundle_bytes": len(bundle),
        "bundle_sha256": digest,
        "approved_at": 3,
        **changes,
    }
    return Approval(**fields).sign(key)  # type: ignore[arg-type] # fields are a dict for the tests' changes


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


async def send(job: UploadJob, inbox: InboxSimulator, **more: object) -> bytes:
    """Upload without waiting for real."""

    async def no_wait(_seconds: float) -> None:
        await asyncio.sleep(0)

    async with inbox.client() as client:
        arguments = {"owner_key": public_bytes(OWNER), "client": client, "patience": PATIENCE, "sleep": no_wait, **more}
        return await upload_bundle(job, **arguments)  # type: ignore[arg-type] # as above


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


async def test_attack_an_approval_by_another_key(job: UploadJob, inbox: InboxSimulator) -> None:
    """Only the owner's signature opens the door."""
    stranger = Ed25519PrivateKey.generate()
    with pytest.raises(NotApproved):
        await send(replace(job, approval=approve(BUNDLE, key=stranger)), inbox)
    assert inbox.said == []


async def test_attack_an_approval_with_a_changed_field(job: UploadJob, inbox: InboxSimulator) -> None:
    """Payload of one approval under the signature of another, a flipped byte anywhere, another kind of record.

    All refused.
    """
    other = b"other bytes"
    forged = parse_json(job.approval, max_bytes=100_000)
    forged["payload"] = parse_json(approve(other), max_bytes=100_000)["payload"]
    receipt = Receipt(request=REQUEST, bundle_bytes=len(BUNDLE), bundle_sha256="ab" * 32, received_at=1).sign(OWNER)
    tampered = [canonical(forged), receipt, b"", b"{}", job.approval + b" ", job.approval[:-1]]
    for place in range(0, len(job.approval), 97):
        changed = bytearray(job.approval)
        changed[place] ^= 1
        tampered.append(bytes(changed))
    for approval in tampered:
        with pytest.raises(NotApproved):
            await send(replace(job, approval=approval), inbox)
    assert inbox.said == []


async def test_attack_another_file(job: UploadJob, inbox: InboxSimulator) -> None:
    """One byte other, one byte longer, one shorter, empty, absent, a folder.

    Nothing is sent, not even an announcement.
    """
    flipped = bytearray(BUNDLE)
    flipped[CHUNK_BYTES] ^= 1
    for content in (bytes(flipped), BUNDLE + b"x", BUNDLE[:-1], b""):
        job.bundle.write_bytes(content)
        with pytest.raises(NotApproved):
            await send(job, inbox)
    job.bundle.unlink()
    with pytest.raises(NotApproved, match="No such file"):
        await send(job, inbox)
    with pytest.raises(NotApproved):
        await send(replace(job, bundle=job.bundle.parent), inbox)
    assert inbox.said == []


async def test_attack_a_symbolic_link_or_a_pipe_in_the_files_place(job: UploadJob, inbox: InboxSimulator) -> None:
    """The file is opened as itself, without waiting and without following, wherever the link leads."""
    link = job.bundle.with_name("link")
    link.symlink_to(job.bundle)
    pipe = job.bundle.with_name("pipe")
    os.mkfifo(pipe)
    for path in (link, pipe):
        with pytest.raises(NotApproved):
            await send(replace(job, bundle=path), inbox)
    assert inbox.said == []


async def test_attack_the_file_is_changed_between_hashing_and_sending(job: UploadJob, inbox: InboxSimulator) -> None:
    """What leaves is checked again piece by piece: the changed part does not, and the upload ends."""

    def swap(sent: int, _total: int) -> None:
        if sent == CHUNK_BYTES:
            with job.bundle.open("r+b") as file:
                file.seek(CHUNK_BYTES)
                file.write(b"something else that nobody approved")

    with pytest.raises(NotApproved, match="changed since"):
        await send(job, inbox, progress=swap)
    assert inbox.sent == BUNDLE[:CHUNK_BYTES]


async def test_attack_the_file_is_replaced_or_cut_short_while_it_is_sent(job: UploadJob, inbox: InboxSimulator) -> None:
    """Another file under the name changes nothing, for the first stays open; a truncated one ends the upload."""

    def replace_it(sent: int, _total: int) -> None:
        if sent == CHUNK_BYTES:
            other = job.bundle.with_name("other")
            other.write_bytes(b"x" * len(BUNDLE))
            other.replace(job.bundle)

    await send(job, inbox, progress=replace_it)
    (stored,) = inbox.uploads.values()
    assert bytes(stored.data) == BUNDLE

    job.bundle.write_bytes(BUNDLE)
    second = InboxSimulator()

    def truncate(sent: int, _total: int) -> None:
        if sent == CHUNK_BYTES:
            os.truncate(job.bundle, CHUNK_BYTES + 10)

    with pytest.raises(NotApproved, match="changed since"):
        await send(replace(job, inbox_key=second.public_key), second, progress=truncate)
    assert second.sent == BUNDLE[:CHUNK_BYTES]


@pytest.mark.parametrize(
    "location",
    [
        "https://elsewhere.example/inbox/1",
        "//elsewhere.example/inbox/1",
        "http://inbox.example/inbox/1",
        "https://inbox.example:8443/inbox/1",
        "https://inbox.example@elsewhere.example/1",
        "https://user@inbox.example/inbox/1",
        "/inbox/1?token=2",
        "file:///etc/passwd",
        "https://[",
        "x" * 5_000,
        "",
    ],
)
async def test_attack_a_location_at_another_place(job: UploadJob, inbox: InboxSimulator, location: str) -> None:
    """Bytes go to the configured origin or nowhere."""
    inbox.answers = {"POST": [Response(status_code=201, headers={"Location": location})]}
    with pytest.raises(UploadRefused, match=r"Location|origin"):
        await send(job, inbox)
    assert [said.method for said in inbox.said] == ["POST"]


@pytest.mark.parametrize("method", ["POST", "HEAD", "PATCH", "GET"])
@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_attack_a_redirect(job: UploadJob, inbox: InboxSimulator, method: str, status: int) -> None:
    """A redirect, a captive portal's say, is followed by nothing and ends nothing: the inbox itself is asked again."""
    inbox.answers = {method: [Response(status_code=status, headers={"Location": f"{ORIGIN}/inbox/other"})]}
    await send(job, inbox)
    assert all("other" not in said.url for said in inbox.said)
    assert sum(said.method == method for said in inbox.said) > 1


async def test_only_the_receipt_is_asked_for_when_no_more_may_be_sent(job: UploadJob, inbox: InboxSimulator) -> None:
    """A request that closed meanwhile: not a byte more leaves; if all had arrived, the receipt says so."""
    with pytest.raises(UploadRefused, match="0 of"):
        await send(job, inbox, only_receipt=True)
    assert not any(said.method == "PATCH" for said in inbox.said)
    await send(job, inbox)
    sent = sum(said.method == "PATCH" for said in inbox.said)
    assert await send(job, inbox, only_receipt=True)
    assert sum(said.method == "PATCH" for said in inbox.said) == sent


async def test_attack_a_receipt_that_is_not_the_inboxs(job: UploadJob, inbox: InboxSimulator) -> None:
    """Signed by another key, for another request, size or digest, or no receipt at all: it does not count."""
    inbox.sign_with = Ed25519PrivateKey.generate()
    with pytest.raises(UploadRefused, match="receipt does not hold"):
        await send(job, inbox)
    inbox.sign_with = inbox.key
    for field, wrong in (("request", "cd" * 32), ("bundle_bytes", 1), ("bundle_sha256", "cd" * 32)):
        inbox.receipt_for = {field: wrong}
        with pytest.raises(UploadRefused, match="another bundle or another request"):
            await send(job, inbox)
    for nonsense in (b"{}", b"\xff", b"x" * 70_000):
        inbox.receipt_is = nonsense
        with pytest.raises(UploadRefused):
            await send(job, inbox)


async def test_attack_an_offset_that_can_not_be(job: UploadJob, inbox: InboxSimulator) -> None:
    """More than there is, less than it was, no number.

    Refused. And all there at once helps nobody without the receipt.
    """
    for strange in (len(BUNDLE) + 1, -1, "1_0", "", "0x10", "1" * 50):
        inbox.head_says = strange
        with pytest.raises(UploadRefused, match=r"Upload-Offset|have arrived"):
            await send(job, inbox)
    assert inbox.sent == b""
    inbox.head_says = len(BUNDLE)
    with pytest.raises(UploadInterrupted, match="409"):
        await send(job, inbox)
    assert inbox.sent == b""
    inbox.head_says = None
    inbox.patch_says = 0
    with pytest.raises(UploadInterrupted, match="took none"):
        await send(job, inbox, patience=replace(PATIENCE, tries=1))
    inbox.patch_says = len(BUNDLE)
    inbox.uploads.clear()
    with pytest.raises(UploadRefused, match="bytes after"):
        await send(job, inbox)


async def test_attack_an_answer_without_end(job: UploadJob, inbox: InboxSimulator) -> None:
    """Answers are read up to a cap, whatever they answer."""
    given = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal given
        while given < 1 << 24:
            given += 65_536
            yield b"x" * 65_536

    def answer(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(503, content=endless())

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        with pytest.raises(UploadRefused, match="more than"):
            await send(job, inbox, client=client)
    assert given < 1 << 20


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
