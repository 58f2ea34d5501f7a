"""What the inbox takes, and what it refuses, over its routes."""

import base64
import hashlib
import logging
import random
from collections.abc import AsyncIterator

import httpx
import pytest
from structlog.testing import capture_logs

from broker.inbox import InboxLimits
from broker.wire.encoding import to_base64
from broker.wire.envelopes import public_bytes
from broker.wire.records import Receipt
from tests.inbox.support import (
    HOUR_US,
    INBOX_KEY,
    TUS,
    World,
    chunk,
    creation,
    error_code,
    key_of,
    make_agency,
    make_request,
)

DATA = random.Random(3).randbytes(5_000)


async def create(client: httpx.AsyncClient, world: World, data: bytes = DATA, *, key: str = "once") -> str:
    made = await client.post("/inbox", headers=creation(world.promise(data, key=key), len(data)))
    assert made.status_code == 201, made.text
    return made.headers["location"]


async def deliver(client: httpx.AsyncClient, world: World, data: bytes = DATA, *, key: str = "once") -> str:
    location = await create(client, world, data, key=key)
    assert (await client.patch(location, headers=chunk(0), content=data)).status_code == 204
    return location


async def test_life_of_an_upload(world: World) -> None:
    """Created, written in two pieces, and answered with a receipt that the inbox's key signed."""
    async with world.client() as client:
        location = await create(client, world)
        head = await client.head(location, headers=TUS)
        assert (head.headers["upload-offset"], head.headers["upload-length"]) == ("0", "5000")
        assert head.headers["cache-control"] == "no-store"
        assert error_code(await client.get(f"{location}/receipt")) == "incomplete"
        first = await client.patch(location, headers=chunk(0), content=DATA[:1_234])
        assert (first.status_code, first.headers["upload-offset"]) == (204, "1234")
        second = await client.patch(location, headers=chunk(1_234), content=DATA[1_234:])
        assert (second.status_code, second.headers["upload-offset"]) == (204, "5000")
        receipt = Receipt.open((await client.get(f"{location}/receipt")).content, key=public_bytes(INBOX_KEY))
        assert receipt.bundle_sha256 == hashlib.sha256(DATA).hexdigest()
        again = await client.patch(location, headers=chunk(5_000), content=b"")
        assert again.status_code == 204


async def test_options(world: World) -> None:
    """OPTIONS tells what is spoken, without a version being asked for."""
    async with world.client() as client:
        answer = await client.options("/inbox")
        assert answer.status_code == 204
        assert answer.headers["tus-version"] == "1.0.0"
        assert answer.headers["tus-extension"] == "creation,checksum"
        assert answer.headers["tus-checksum-algorithm"] == "sha1,sha256"
        assert int(answer.headers["tus-max-size"]) == InboxLimits().max_bundle_bytes


@pytest.mark.parametrize("version", [None, "0.2.2", "1.0.0 ", "1.0"])
async def test_other_versions(world: World, version: str | None) -> None:
    """Another version, or none, gets 412 and the versions there are, on every method."""
    async with world.client() as client:
        location = await create(client, world)
        for method, where in (("POST", "/inbox"), ("HEAD", location), ("PATCH", location)):
            headers = {**creation(world.promise(DATA), len(DATA)), **chunk(0)}
            headers.pop("Tus-Resumable")
            if version is not None:
                headers["Tus-Resumable"] = version
            answer = await client.request(method, where, headers=headers)
            assert answer.status_code == (204 if version == "1.0.0" else 412)
            assert answer.headers["tus-version"] == "1.0.0"


async def test_override(world: World) -> None:
    """A network that knows no PATCH may say it in X-HTTP-Method-Override."""
    async with world.client() as client:
        location = await create(client, world)
        headers = chunk(0, X_HTTP_Method_Override="PATCH")
        assert (await client.post(location, headers=headers, content=DATA)).status_code == 204
        assert (await client.post(location, headers=TUS)).status_code == 405


async def test_same_envelope_same_place(world: World) -> None:
    """The same envelope again finds the same upload, in any state, after the request closed too."""
    async with world.client() as client:
        location = await deliver(client, world)
        world.book.closed.add(world.leaf)
        assert await create(client, world) == location


async def test_no_second_version(world: World) -> None:
    """One key promises one bundle: another under it is refused, sent or not."""
    async with world.client() as client:
        await create(client, world)
        other = await client.post("/inbox", headers=creation(world.promise(b"other"), 5))
        assert (other.status_code, error_code(other)) == (409, "second-version")
        longer = await client.post("/inbox", headers=creation(world.promise(DATA), len(DATA) + 1))
        assert (longer.status_code, error_code(longer)) == (400, "wrong-length")


async def test_requests_that_are_not_open(world: World) -> None:
    """Unknown, withdrawn and expired requests take nothing."""
    async with world.client() as client:
        unknown = await client.post("/inbox", headers=creation(world.promise(DATA, leaf="0" * 64), len(DATA)))
        world.book.closed.add(world.leaf)
        withdrawn = await client.post("/inbox", headers=creation(world.promise(DATA), len(DATA)))
        world.book.closed.clear()
        world.clock.now_us += 24 * HOUR_US
        expired = await client.post("/inbox", headers=creation(world.promise(DATA), len(DATA)))
        for answer in (unknown, withdrawn, expired):
            assert (answer.status_code, error_code(answer)) == (403, "request-not-open")


async def test_request_that_closes_meanwhile(world: World) -> None:
    """A withdrawn request takes no more bytes of an upload that began before."""
    async with world.client() as client:
        location = await create(client, world)
        await client.patch(location, headers=chunk(0), content=DATA[:10])
        world.book.closed.add(world.leaf)
        answer = await client.patch(location, headers=chunk(10), content=DATA[10:])
        assert (answer.status_code, error_code(answer)) == (410, "request-closed")


async def test_bad_envelopes(world: World) -> None:
    """An envelope that another key signed, that is altered, or is none, is refused."""
    good = world.promise(DATA)
    at = good.index(b'"sig":"') + 10
    altered = good[:at] + (b"A" if good[at : at + 1] != b"A" else b"B") + good[at + 1 :]
    theirs = make_request().sign(key_of("once"))
    async with world.client() as client:
        for envelope in (altered, theirs, b"", b"{}", b"[" * 5_000, good + b" ", good[:-1]):
            answer = await client.post("/inbox", headers=creation(envelope, len(DATA)))
            assert (answer.status_code, error_code(answer)) == (400, "bad-envelope")


async def test_lengths(world: World) -> None:
    """The announced length must be the promised one, neither nothing nor too much."""
    world.limits = InboxLimits(max_bundle_bytes=6_000)
    async with world.client() as client:
        short = await client.post("/inbox", headers=creation(world.promise(DATA), len(DATA) - 1))
        assert (short.status_code, error_code(short)) == (400, "wrong-length")
        nothing = await client.post("/inbox", headers=creation(world.promise(b""), 0))
        assert (nothing.status_code, error_code(nothing)) == (400, "wrong-length")
        large = await client.post("/inbox", headers=creation(world.promise(bytes(6_001)), 6_001))
        assert (large.status_code, error_code(large)) == (413, "too-large")
        hidden = await client.post("/inbox", headers=creation(world.promise(DATA, length=6_001), 5_000))
        assert (hidden.status_code, error_code(hidden)) == (400, "wrong-length")


async def test_creation_headers(world: World) -> None:
    """Missing, odd and huge headers, and a body, are refused with a reason."""
    good = creation(world.promise(DATA), len(DATA))
    cases = [
        ({**good, "Upload-Length": "05000"}, 400),
        ({name: value for name, value in good.items() if name != "Upload-Length"}, 400),
        ({name: value for name, value in good.items() if name != "Upload-Metadata"}, 400),
        ({**good, "Upload-Defer-Length": "1", "Upload-Length": ""}, 400),
        ({**good, "Upload-Metadata": "envelope " + "A" * 40_000}, 431),
        ({**good, "Content-Length": "3"}, 400),
    ]
    async with world.client() as client:
        for headers, status in cases:
            answer = await client.post(
                "/inbox", headers=headers, content=b"abc" if "Content-Length" in headers else None
            )
            assert answer.status_code == status, headers
            error_code(answer)


async def test_patch_headers(world: World) -> None:
    """A wrong type gets 415, a wrong offset 409, a malformed one 400, too many bytes 413; nothing is written."""
    async with world.client() as client:
        location = await create(client, world)
        cases = [
            (chunk(0, Content_Type="text/plain"), DATA, 415, "wrong-type"),
            ({**TUS, "Upload-Offset": "0"}, DATA, 415, "wrong-type"),
            (chunk(1), DATA[1:], 409, "offset-mismatch"),
            (chunk(0) | {"Upload-Offset": "+0"}, DATA, 400, "bad-header"),
            (chunk(0), DATA + b"x", 413, "too-many-bytes"),
            (chunk(0, Upload_Checksum="md5 AAAA"), DATA, 400, "bad-header"),
            (chunk(0, Upload_Checksum="sha256 " + to_base64(bytes(32))), DATA, 460, "checksum-mismatch"),
        ]
        for headers, body, status, code in cases:
            answer = await client.patch(location, headers=headers, content=body)
            assert (answer.status_code, error_code(answer)) == (status, code)
            assert (await client.head(location, headers=TUS)).headers["upload-offset"] == "0"
        assert (await client.patch(location, headers=chunk(0), content=DATA)).status_code == 204


async def test_chunked_body_that_is_too_long(world: World) -> None:
    """A body without a length is cut off where the promise ends."""

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield DATA

    async with world.client() as client:
        location = await create(client, world)
        answer = await client.patch(location, headers=chunk(0), content=endless())
        assert (answer.status_code, error_code(answer)) == (413, "too-many-bytes")
        assert (await client.head(location, headers=TUS)).headers["upload-offset"] == "0"
        assert (await client.patch(location, headers=chunk(0), content=DATA)).status_code == 204


async def test_other_bytes_than_promised(world: World) -> None:
    """A full upload that hashes otherwise is discarded, says so, and may be sent again."""
    async with world.client() as client:
        location = await create(client, world)
        answer = await client.patch(location, headers=chunk(0), content=bytes(5_000))
        assert (answer.status_code, error_code(answer)) == (460, "digest-mismatch")
        assert (await client.head(location, headers=TUS)).headers["upload-offset"] == "0"
        assert error_code(await client.get(f"{location}/receipt")) == "incomplete"
        assert (await client.patch(location, headers=chunk(0), content=DATA)).status_code == 204
        assert (await client.get(f"{location}/receipt")).status_code == 200


@pytest.mark.parametrize(
    "name", ["..", "%2e%2e", "x" * 32, "A" * 32, "0" * 31, "0" * 33, "..%2f..%2fetc%2fpasswd", "%00" * 32]
)
async def test_odd_ids(world: World, name: str) -> None:
    """A name that is no id finds nothing, whatever it looks like."""
    async with world.client() as client:
        await deliver(client, world)
        for method, where in (("HEAD", f"/inbox/uploads/{name}"), ("PATCH", f"/inbox/uploads/{name}")):
            assert (await client.request(method, where, headers=chunk(0))).status_code in {404, 405}
        assert (await client.get(f"/inbox/uploads/{name}/receipt")).status_code in {404, 405}
        claim = {"Authorization": world.claim()}
        assert (await client.get(f"/inbox/bundles/{name}", headers=claim)).status_code in {404, 405}


async def test_bounds(world: World) -> None:
    """Bundles for one request, its bytes, and all bytes are bounded; promised ones count."""
    for limits, status, code in (
        (InboxLimits(max_uploads_per_request=2), 429, "request-full"),
        (InboxLimits(max_request_bytes=2 * len(DATA)), 429, "request-full"),
        (InboxLimits(max_total_bytes=2 * len(DATA)), 507, "inbox-full"),
    ):
        fresh = World(world.folder.with_name(code + str(limits.max_uploads_per_request)), limits=limits)
        async with fresh.client() as client:
            for key in ("one", "two"):
                await create(client, fresh, key=key)
            answer = await client.post("/inbox", headers=creation(fresh.promise(DATA, key="three"), len(DATA)))
            assert (answer.status_code, error_code(answer)) == (status, code)


async def test_one_request_does_not_crowd_out_another(world: World) -> None:
    """The bound of one request leaves the next one its own."""
    world.limits = InboxLimits(max_uploads_per_request=1)
    other = world.book.add(make_request(case="26-0002"), make_agency())
    async with world.client() as client:
        await create(client, world)
        envelope = world.promise(DATA, key="two", leaf=other)
        assert (await client.post("/inbox", headers=creation(envelope, len(DATA)))).status_code == 201


async def test_stale_uploads_make_room(world: World) -> None:
    """What nobody goes on with is deleted when room is needed; what is whole stays."""
    world.limits = InboxLimits(max_uploads_per_request=2)
    world.clock.now_us = 10 * HOUR_US  # long before the files were made: nothing is stale by this clock
    async with world.client() as client:
        whole = await deliver(client, world, key="one")
        begun = await create(client, world, key="two")
        third = creation(world.promise(DATA, key="three"), len(DATA))
        assert (await client.post("/inbox", headers=third)).status_code == 429
        world.clock.now_us = 4_000_000_000_000_000
        world.book.requests[world.leaf] = (
            make_request().model_copy(update={"expires_at": 5_000_000_000_000_000}),
            make_agency(),
        )
        assert (await client.post("/inbox", headers=third)).status_code == 201
        assert (await client.head(begun, headers=TUS)).status_code == 404
        assert (await client.get(f"{whole}/receipt")).status_code == 200


async def test_sweep_after_closing(world: World) -> None:
    """Unfinished uploads of a closed request are swept; finished ones stay for the agency."""
    inbox = world.open()
    async with world.client(inbox) as client:
        await deliver(client, world, key="one")
        await create(client, world, key="two")
        assert inbox.sweep() == 0
        world.book.closed.add(world.leaf)
        assert inbox.sweep() == 1
        assert len(inbox.bundles(world.leaf)) == 1
    assert len(list((world.folder / "uploads").iterdir())) == 1


async def test_nothing_is_logged_of_the_sender(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """No log line holds an address, a key or an id that a sender could be found by."""
    with capture_logs() as lines, caplog.at_level(logging.INFO):
        app = world.client()
        async with app as client:
            location = await deliver(client, world)
            await client.patch(location, headers=chunk(9), content=b"x")
    said = repr(lines)
    assert {line["event"] for line in lines} == {"upload_created", "upload_received"}
    for secret in ("127.0.0.1", location.rpartition("/")[2], base64.b64encode(public_bytes(key_of("once"))).decode()):
        assert secret not in said
