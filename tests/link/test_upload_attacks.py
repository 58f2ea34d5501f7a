"""Attacks on the one door: what was not approved does not get out, whoever tries."""

import os
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.responses import Response

from broker.wire.encoding import canonical, parse_json
from broker.wire.records import Receipt
from device.link.bundle import CHUNK_BYTES
from device.link.errors import NotApproved, UploadInterrupted, UploadRefused
from device.link.upload import UploadJob
from tests.link.inbox_simulator import ORIGIN, InboxSimulator
from tests.link.upload_support import BUNDLE, OWNER, PATIENCE, REQUEST, approve, send


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
