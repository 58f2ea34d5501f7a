"""Carries approved bundles to the one door, one after the other, and keeps what becomes of each.

The desk is asked right before a bundle goes whether it may still; nothing is sent that is not in the ledger first.
"""

import asyncio
import contextlib
from dataclasses import dataclass
from pathlib import Path

import structlog

from device import link
from device.consent.desk import RequestDesk
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
        self.sent: dict[str, int] = {}

    def wake(self) -> None:
        """Say that there is something new to send."""
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
        job = self._job(sending.stored)
        try:
            receipt = await link.upload_bundle(
                job,
                owner_key=self._destination.owner_key,
                only_receipt=sending.closed_by is not None,
                progress=lambda sent, _total: self.sent.__setitem__(leaf, sent),
            )
        except link.UploadInterrupted as error:
            log.warning("upload_waits", request=leaf[:16], why=str(error))
            return
        except (link.UploadRefused, link.NotApproved) as error:
            why = str(error) if sending.closed_by is None else f"the request was {sending.closed_by}: {error}"
            log.warning("upload_refused", request=leaf[:16], why=why)
            await asyncio.to_thread(self._desk.failed, leaf, why)
        else:
            await asyncio.to_thread(self._desk.received, leaf, receipt)
            log.info("bundle_received", request=leaf[:16])
        self.sent.pop(leaf, None)

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
