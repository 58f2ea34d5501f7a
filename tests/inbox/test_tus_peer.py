"""Our server under an independent tus client, tuspy, over a real socket."""

import hashlib
import io
import random
import socket
from urllib.parse import urlsplit

import httpx
import pytest
from tusclient.client import TusClient
from tusclient.uploader.uploader import Uploader

from broker.inbox import InboxLimits
from broker.inbox.disk import LocalDisk
from broker.wire.envelopes import public_bytes
from broker.wire.records import Receipt
from tests.inbox.support import INBOX_KEY, NOW_US, TUS, World, chunk, creation, key_of, served

DATA = random.Random(7).randbytes(700_001)


def uploader(at: str, world: World, data: bytes = DATA, **more: object) -> Uploader:
    envelope = world.promise(data).decode("ascii")
    return TusClient(at).uploader(file_stream=io.BytesIO(data), metadata={"envelope": envelope}, **more)


def check_receipt(url: str | None, world: World, data: bytes = DATA) -> None:
    receipt = Receipt.open(httpx.get(f"{url}/receipt").content, key=public_bytes(INBOX_KEY))
    assert receipt.bundle_sha256 == hashlib.sha256(data).hexdigest()
    assert (receipt.request, receipt.bundle_bytes, receipt.received_at) == (world.leaf, len(data), NOW_US)


def test_whole_upload(world: World) -> None:
    """The peer uploads in one piece, and the receipt names the bundle."""
    with served(world.open(LocalDisk())) as url:
        sender = uploader(url, world)
        sender.upload()
        check_receipt(sender.url, world)


def test_chunks_with_checksums(world: World) -> None:
    """The peer uploads in pieces that carry SHA-1 checksums."""
    with served(world.open()) as url:
        sender = uploader(url, world, chunk_size=200_000, upload_checksum=True)
        sender.upload()
        check_receipt(sender.url, world)


def test_resumed_after_a_cut_and_a_restart(world: World) -> None:
    """An upload cut in the middle goes on where it stood, after the server was started anew."""
    with served(world.open()) as url:
        first = uploader(url, world, chunk_size=150_000)
        first.upload(stop_at=300_000)
        location = urlsplit(first.url).path
    with served(world.open()) as url:
        again = uploader(url, world)
        assert urlsplit(again.create_url()).path == location
        second = uploader(url, world, url=again.create_url())
        assert second.offset == 300_000
        second.upload()
        check_receipt(second.url, world)


def test_bytes_before_a_cut_count(world: World) -> None:
    """When the connection dies within a body, what arrived is kept and the upload can be written again at once."""
    with served(world.open()) as url:
        made = httpx.post(url, headers=creation(world.promise(DATA), len(DATA)))
        location = f"{url}/uploads/{made.headers['location'].rpartition('/')[2]}"
        parts = urlsplit(location)
        with socket.create_connection((parts.hostname or "", parts.port or 0)) as raw:
            head = [f"PATCH {parts.path} HTTP/1.1", "Host: inbox", f"Content-Length: {len(DATA)}"]
            head += [f"{name}: {value}" for name, value in chunk(0).items()]
            raw.sendall("\r\n".join([*head, "", ""]).encode() + DATA[:400_000])
            raw.shutdown(socket.SHUT_WR)
            while raw.recv(4_096):
                pass
        offset = int(httpx.head(location, headers=TUS).headers["upload-offset"])
        assert offset == 400_000
        sent = httpx.patch(location, headers=chunk(offset), content=DATA[offset:])
        assert sent.status_code == 204
        check_receipt(location, world)


def test_second_writer_and_silent_sender(world: World) -> None:
    """While one connection writes, another gets 423; a sender that falls silent loses the upload to the next."""
    world.limits = InboxLimits(idle_s=0.4)
    with served(world.open()) as url:
        made = httpx.post(url, headers=creation(world.promise(DATA), len(DATA)))
        location = f"{url}/uploads/{made.headers['location'].rpartition('/')[2]}"
        parts = urlsplit(location)
        with socket.create_connection((parts.hostname or "", parts.port or 0)) as raw:
            head = [
                f"PATCH {parts.path} HTTP/1.1",
                "Host: inbox",
                f"Content-Length: {len(DATA)}",
                "Expect: 100-continue",
            ]
            head += [f"{name}: {value}" for name, value in chunk(0).items()]
            raw.sendall("\r\n".join([*head, "", ""]).encode())
            assert raw.recv(4_096).startswith(b"HTTP/1.1 100")  # the server reads the body now
            raw.sendall(DATA[:1_000])
            assert httpx.patch(location, headers=chunk(0), content=DATA).status_code == 423
            assert raw.recv(4_096).startswith(b"HTTP/1.1 204")  # told what counts when it was given up
        assert httpx.head(location, headers=TUS).headers["upload-offset"] == "1000"
        assert httpx.patch(location, headers=chunk(1_000), content=DATA[1_000:]).status_code == 204


def test_another_key_is_another_upload(world: World) -> None:
    """Two devices that answer one request don't meet."""
    with served(world.open()) as url:
        one, other = world.promise(DATA), world.promise(DATA, key="twice")
        places = {httpx.post(url, headers=creation(sent, len(DATA))).headers["location"] for sent in (one, other, one)}
        assert len(places) == 2
        assert public_bytes(key_of("once")) != public_bytes(key_of("twice"))


@pytest.mark.parametrize("size", [1, 65_536, 3_000_000])
def test_sizes(world: World, size: int) -> None:
    """Small and large bundles arrive alike."""
    data = random.Random(size).randbytes(size)
    with served(world.open()) as url:
        sender = uploader(url, world, data)
        sender.upload()
        check_receipt(sender.url, world, data)
