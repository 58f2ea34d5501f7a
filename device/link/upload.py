"""The one door: the only code by which anything derived from pixels leaves the device (the README's promises 1, 5, 7).

What holds, whoever calls and with whatever arguments:

1. Nothing is sent before the approval verified under the owner's public key.
2. Nothing is sent of a file that has not the size and SHA-256 that the approval names; each piece is checked again
   right before it goes, so a file that changes meanwhile stops the upload instead of leaving in another version.
3. Bytes go to the origin of the configured inbox and nowhere else: no redirect, no foreign Location.
4. The upload is announced under a key made for this one request; neither the device's key nor the owner's approval is
   sent. The same job gives the same envelope, so that after a power cut the same call finds the same upload and goes
   on.
5. It is done when the inbox's pinned key has signed that this bundle for this request has arrived, and not before.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.wire.encoding import WireError
from broker.wire.envelopes import public_bytes
from broker.wire.inbox import MAX_BUNDLE_BYTES
from broker.wire.records import Approval, Receipt, Upload

from .bundle import ApprovedBundle, open_bundle
from .errors import NotApproved, UploadInterrupted, UploadRefused
from .inbox import Again, Inbox, Vanished, inbox_address
from .settings import Backoff, system_random
from .threads import in_thread

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadJob:
    """What to send where.

    `inbox_key` is the inbox's pinned public key (32 bytes); `one_time_seed` (32 bytes) was made for this request
    alone, and the caller keeps it: for the same call again, and since only it can ask for the bundle's deletion.
    """

    approval: bytes
    bundle: Path
    inbox_url: str
    inbox_key: bytes
    one_time_seed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadPatience:
    """How long to go on. `tries`: so many failures in a row, without a byte of progress between, end the call."""

    tries: int = 8
    timeout_s: float = 30.0
    backoff: Backoff = field(default=Backoff(first_s=0.5, cap_s=60.0))


async def upload_bundle(
    job: UploadJob,
    *,
    owner_key: bytes,
    client: httpx.AsyncClient | None = None,
    progress: Callable[[int, int], None] = lambda _sent, _total: None,
    patience: UploadPatience | None = None,
    only_receipt: bool = False,
    random: Callable[[], float] = system_random,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> bytes:
    """Send an approved bundle and return the inbox's receipt envelope, verified.

    Without `client` it makes one of its own, which takes no proxy and no password from the environment. Raises
    NotApproved (nothing of what is not approved left), UploadRefused (final), UploadInterrupted (call again later; what
    arrived stays). `progress(sent, total)` counts bytes that the inbox has. With `only_receipt` no more bytes are sent:
    it is learnt whether all had arrived before.
    """
    approval = _approved(job.approval, owner_key)
    patience = patience or UploadPatience()
    key = Ed25519PrivateKey.from_private_bytes(job.one_time_seed)
    url = inbox_address(job.inbox_url)
    opened = open_bundle(job.bundle, approval)
    async with AsyncExitStack() as stack:
        if client is None:
            client = await stack.enter_async_context(httpx.AsyncClient(trust_env=False))
        bundle = await in_thread(opened.__enter__)
        stack.push(opened)
        sending = _Sending(
            approval=approval,
            bundle=bundle,
            envelope=_announcement(approval, key),
            inbox=Inbox(url, client=client, timeout_s=patience.timeout_s),
            inbox_key=job.inbox_key,
            progress=progress,
            only_receipt=only_receipt,
        )
        return await _persist(sending, patience, random=random, sleep=sleep)


def _approved(envelope: bytes, owner_key: bytes) -> Approval:
    try:
        approval = Approval.open(envelope, key=owner_key)
    except WireError as error:
        raise NotApproved(f"the owner's approval does not hold: {error}") from error
    if not 0 < approval.bundle_bytes <= MAX_BUNDLE_BYTES:
        raise NotApproved(
            f"a bundle of {approval.bundle_bytes} bytes can't be sent: 1 to {MAX_BUNDLE_BYTES} are allowed"
        )
    return approval


def _announcement(approval: Approval, key: Ed25519PrivateKey) -> bytes:
    record = Upload(
        request=approval.request,
        bundle_bytes=approval.bundle_bytes,
        bundle_sha256=approval.bundle_sha256,
        key=public_bytes(key),
    )
    return record.sign(key)


class _Sending:
    """One upload under way; `arrived` is the furthest offset that the inbox has confirmed.

    `announced`: whether the inbox took the announcement in the attempt made last.
    """

    def __init__(
        self,
        *,
        approval: Approval,
        bundle: ApprovedBundle,
        envelope: bytes,
        inbox: Inbox,
        inbox_key: bytes,
        progress: Callable[[int, int], None],
        only_receipt: bool,
    ) -> None:
        self._only_receipt = only_receipt
        self._approval = approval
        self._bundle = bundle
        self._envelope = envelope
        self._inbox = inbox
        self._inbox_key = inbox_key
        self._progress = progress
        self.arrived = 0
        self.announced = False
        self.total = bundle.size

    async def attempt(self) -> bytes:
        """Announce, ask how much is there, send the rest, and return the verified receipt."""
        self.announced = False
        place = await self._inbox.create(self._envelope, size=self.total)
        self.announced = True
        offset = await self._inbox.offset(place, size=self.total)
        self._note(offset)
        if self._only_receipt and offset < self.total:
            raise UploadRefused(f"{offset} of {self.total} bytes had arrived, and no more may be sent")
        while offset < self.total:
            data = await in_thread(self._bundle.read, offset)
            offset = await self._inbox.append(place, data, offset=offset, size=self.total)
            self._note(offset)
        return self._verified(await self._inbox.receipt(place))

    def _note(self, offset: int) -> None:
        self.arrived = max(self.arrived, offset)
        self._progress(offset, self.total)

    def _verified(self, envelope: bytes) -> bytes:
        try:
            receipt = Receipt.open(envelope, key=self._inbox_key)
        except WireError as error:
            raise UploadRefused(f"the receipt does not hold: {error}") from error
        promised = (self._approval.request, self._approval.bundle_bytes, self._approval.bundle_sha256)
        if (receipt.request, receipt.bundle_bytes, receipt.bundle_sha256) != promised:
            raise UploadRefused("the receipt is for another bundle or another request")
        return envelope


async def _persist(
    sending: _Sending,
    patience: UploadPatience,
    *,
    random: Callable[[], float],
    sleep: Callable[[float], Awaitable[None]],
) -> bytes:
    failures = vanished = 0
    while True:
        before = sending.arrived
        try:
            return await sending.attempt()
        except Again as error:
            # Anything else in between, a dead line or a proxy's 404 to the announcement, says nothing about the upload.
            vanished = vanished + 1 if isinstance(error, Vanished) and sending.announced else 0
            if vanished > 1 and sending.arrived == 0:
                raise UploadRefused(str(error)) from error  # announced twice in a row, and not there twice
            failures = 0 if sending.arrived > before else failures + 1
            if failures >= patience.tries:
                raise UploadInterrupted(str(error), offset=sending.arrived, total=sending.total) from error
            delay_s = patience.backoff.delay_s(failures, random=random)
            log.info("upload_cut", why=str(error), arrived=sending.arrived, total=sending.total, retry_in_s=delay_s)
            await sleep(delay_s)
