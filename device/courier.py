"""Carries approved bundles to the one door, and owners' notices to the inbox, and keeps what becomes of each.

The desk is asked right before a bundle goes whether it may still; nothing is sent that is not in the ledger first.
"""

import asyncio
import contextlib
from dataclasses import dataclass
from pathlib import Path

import structlog

from device import link
from device.consent.desk import ASKED_BACK, RequestDesk, Sending
from device.consent.requests import StoredRequest
from device.vault.errors import VaultError

log = structlog.get_logger()

AGAIN_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where bundles go; keys are 32 bytes."""

    inbox_url: str
    inbox_key: bytes
    owner_key: bytes


class Courier:
    """Sends what the desk has to send. `wake` it after an approval; `sent` tells how far each upload is, in bytes."""

    def __init__(
        self,
        desk: RequestDesk,
        *,
        destination: Destination,
        outgoing: Path,
    ) -> None:
        self._desk = desk
        self._destination = destination
        self._outgoing = outgoing
        self._wake = asyncio.Event()
        self._uploads: dict[str, asyncio.Task[bytes]] = {}
        self._asked_back: set[str] = set()
        self.sent: dict[str, int] = {}

    def wake(self) -> None:
        """Say that there is something new to send."""
        self._wake.set()

    def deletion_asked(self, leaf: str) -> None:
        """Send nothing more for a request, and tell the inbox."""
        upload = self._uploads.get(leaf)
        self._asked_back.add(leaf)
        if upload is not None:
            upload.cancel()
        self._wake.set()

    def forget_leftovers(self) -> None:
        """Delete what lies ready for nothing: stored when the power went, or for a request that was closed."""
        wanted = {stored.bundle for stored in self._desk.to_send()}
        for path in self._outgoing.iterdir():
            if path.name not in wanted and path.is_file():
                path.unlink()

    async def run(self) -> None:
        """Send for ever; what can't go now goes later."""
        while True:
            self._wake.clear()
            try:
                for stored in await asyncio.to_thread(self._desk.to_send):
                    await self._send(stored.leaf)
                for leaf, notice in await asyncio.to_thread(self._desk.deletions.to_tell):
                    await self._tell(leaf, notice)
                await asyncio.to_thread(self._forget_spent)
            except VaultError as error:  # a full disk, say: nothing is sent that can't be written down first
                log.warning("uploads_wait", error=str(error))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(AGAIN_S):
                    await self._wake.wait()

    def _forget_spent(self) -> None:
        for name in self._desk.spent_bundles():
            (self._outgoing / name).unlink(missing_ok=True)

    async def _send(self, leaf: str) -> None:
        sending = await asyncio.to_thread(self._desk.releasing, leaf)
        if sending is None:
            return
        try:
            receipt = await self._upload(leaf, sending)
        except link.UploadInterrupted as error:
            log.warning("upload_waits", request=leaf[:16], why=str(error))
            return
        except (link.UploadRefused, link.NotApproved) as error:
            why = _in_words(sending.closed_by, str(error))
            log.warning("upload_refused", request=leaf[:16], why=why)
            await asyncio.to_thread(self._desk.failed, leaf, why)
        else:
            if receipt is not None:
                await asyncio.to_thread(self._desk.received, leaf, receipt)
                log.info("bundle_received", request=leaf[:16])
        self.sent.pop(leaf, None)

    async def _upload(self, leaf: str, sending: Sending) -> bytes | None:
        """Return the receipt, None if the upload was stopped."""
        if sending.closed_by is None and leaf in self._asked_back:  # since the desk was asked
            return None
        upload = asyncio.create_task(
            link.upload_bundle(
                self._job(sending.stored),
                owner_key=self._destination.owner_key,
                only_receipt=sending.closed_by is not None,
                progress=lambda sent, _total: self.sent.__setitem__(leaf, sent),
            ),
            name="upload",
        )
        if sending.closed_by is None:
            self._uploads[leaf] = upload
        try:
            await asyncio.wait([upload])
        finally:
            self._uploads.pop(leaf, None)
            upload.cancel()  # changes nothing once it is done
            await asyncio.wait([upload])
        return None if upload.cancelled() else upload.result()

    async def _tell(self, leaf: str, notice: bytes) -> None:
        try:
            receipt = await link.tell_deletion(
                notice, inbox_url=self._destination.inbox_url, inbox_key=self._destination.inbox_key
            )
        except link.NoticeWaits as error:
            log.warning("deletion_waits", request=leaf[:16], why=str(error))
        except link.NoticeRefused as error:
            log.warning("deletion_refused", request=leaf[:16], why=str(error))
            await asyncio.to_thread(self._desk.deletions.failed, leaf, str(error))
        else:
            await asyncio.to_thread(self._desk.deletions.told, leaf, receipt)
            log.info("deletion_told", request=leaf[:16])

    def _job(self, stored: StoredRequest) -> "link.UploadJob":  # quoted: it is loaded when there is something to send
        if stored.approval is None or stored.bundle is None or stored.upload_seed is None:
            raise VaultError(f"request {stored.leaf[:12]} is {stored.state} without its bundle; the state is damaged")
        return link.UploadJob(
            approval=stored.approval,
            bundle=self._outgoing / stored.bundle,
            inbox_url=self._destination.inbox_url,
            inbox_key=self._destination.inbox_key,
            one_time_seed=stored.upload_seed,
        )


def _in_words(closed_by: str | None, error: str) -> str:
    if closed_by is None:
        return error
    return f"{'you asked for it to be deleted' if closed_by == ASKED_BACK else f'the request was {closed_by}'}: {error}"
