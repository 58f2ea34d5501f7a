"""The one door against the real inbox, over real sockets that break."""

import asyncio
import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.wire.envelopes import public_bytes
from broker.wire.records import Receipt
from device.link.bundle import CHUNK_BYTES
from device.link.errors import UploadRefused
from device.link.settings import Backoff
from device.link.upload import UploadJob, UploadPatience, upload_bundle
from tests.inbox.support import INBOX_KEY, World, served
from tests.link.proxy import Proxy, proxy_to
from tests.link.upload_support import OWNER, SEED, approve

BUNDLE = random.Random(2).randbytes(3 * CHUNK_BYTES + 99)
PATIENCE = UploadPatience(tries=5, timeout_s=5, backoff=Backoff(first_s=0.01, cap_s=0.05))


@pytest.fixture
def world(tmp_path: Path) -> World:
    """The inbox's surroundings."""
    return World(tmp_path / "inbox")


@pytest.fixture
def inbox_port(world: World) -> Iterator[int]:
    """Port of a served inbox."""
    with served(world.open()) as url:
        yield httpx.URL(url).port or 80


def job_to(proxy: Proxy, world: World, folder: Path) -> UploadJob:
    """Return an approved bundle for the world's request, to be sent through the proxy."""
    path = folder / "bundle.age"
    path.write_bytes(BUNDLE)
    return UploadJob(
        approval=approve(BUNDLE, request=world.leaf),
        bundle=path,
        inbox_url=f"http://127.0.0.1:{proxy.port}/inbox",
        inbox_key=public_bytes(INBOX_KEY),
        one_time_seed=SEED,
    )


async def send(job: UploadJob) -> bytes:
    """Upload over a client of its own."""
    async with httpx.AsyncClient(trust_env=False) as client:
        return await upload_bundle(job, owner_key=public_bytes(OWNER), client=client, patience=PATIENCE)


def stored(world: World) -> list[bytes]:
    """Return the digests of all whole bundles in the inbox's folder."""
    files = [path.read_bytes() for path in world.folder.rglob("*") if path.is_file()]
    return [hashlib.sha256(data).digest() for data in files if len(data) == len(BUNDLE)]


async def test_the_real_inbox_takes_a_bundle_through_cuts(tmp_path: Path, world: World, inbox_port: int) -> None:
    """Cut in the announcement, in the middle of a chunk and near the end, the bundle is there once and receipted."""
    async with proxy_to(inbox_port) as proxy:
        job = job_to(proxy, world, tmp_path)
        cuts = iter((CHUNK_BYTES // 2, 2 * CHUNK_BYTES + 5_000, 300, 40_000))
        proxy.cut_after = 100
        sending = asyncio.create_task(send(job))
        while not sending.done():
            if proxy.cut_after is None or proxy.cut_after < 0:
                proxy.cut_after = next(cuts, 1 << 40)
            await asyncio.wait({sending}, timeout=0.001)
        envelope = await sending
        connections = proxy.connections
    receipt = Receipt.open(envelope, key=public_bytes(INBOX_KEY))
    assert (receipt.request, receipt.bundle_bytes) == (world.leaf, len(BUNDLE))
    assert stored(world) == [hashlib.sha256(BUNDLE).digest()]
    assert connections > 3


async def test_a_slow_line_only_takes_longer(tmp_path: Path, world: World, inbox_port: int) -> None:
    """Delay is no failure."""
    async with proxy_to(inbox_port) as proxy:
        proxy.delay_s = 0.002
        await send(job_to(proxy, world, tmp_path))
        assert proxy.connections == 1


async def test_a_withdrawn_request_is_refused_with_the_inboxs_reason(
    tmp_path: Path, world: World, inbox_port: int
) -> None:
    """The line that the owner reads is the inbox's own, not its JSON."""
    world.book.closed.add(world.leaf)
    async with proxy_to(inbox_port) as proxy:
        with pytest.raises(UploadRefused) as caught:
            await send(job_to(proxy, world, tmp_path))
    assert caught.value.status in (403, 404, 410)
    assert "{" not in str(caught.value)


async def test_what_goes_over_the_wire_is_the_bundle_and_names_nobody(
    tmp_path: Path, world: World, inbox_port: int
) -> None:
    """Every byte that leaves: announcement, bundle, three short questions; neither device nor owner is in it."""
    async with proxy_to(inbox_port) as proxy:
        job = job_to(proxy, world, tmp_path)
        await send(job)
        upstream = bytes(proxy.upstream)
    assert upstream.count(BUNDLE[:100]) == 1
    assert len(upstream) - len(BUNDLE) < 4_000
    for secret in (b"porch", public_bytes(OWNER).hex().encode(), job.approval[:60], b"cookie", b"httpx"):
        assert secret not in upstream.lower()
    assert public_bytes(Ed25519PrivateKey.from_private_bytes(SEED)) not in upstream
