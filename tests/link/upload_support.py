"""What uploads are tried with: an approval, a bundle, and a way to send it without waiting."""

import asyncio
import hashlib
import random

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.wire.envelopes import public_bytes
from broker.wire.records import Approval, FileDigest, SharedClip
from device.link.bundle import CHUNK_BYTES
from device.link.settings import Backoff
from device.link.upload import UploadJob, UploadPatience, upload_bundle
from tests.link.inbox_simulator import InboxSimulator

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


async def send(job: UploadJob, inbox: InboxSimulator, **more: object) -> bytes:
    """Upload without waiting for real."""

    async def no_wait(_seconds: float) -> None:
        await asyncio.sleep(0)

    async with inbox.client() as client:
        arguments = {"owner_key": public_bytes(OWNER), "client": client, "patience": PATIENCE, "sleep": no_wait, **more}
        return await upload_bundle(job, **arguments)  # type: ignore[arg-type] # as above
