"""Operations by which the owner decides: the device signs a release, keeps an approval, keeps a no."""

import asyncio
import hashlib
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from broker.wire.envelopes import parse_envelope
from broker.wire.records import Release
from device.asked import Asked
from device.consent.errors import ConsentError
from device.control import Answer
from device.vault.disk import LocalDisk, sync_folder
from device.vault.errors import StateFullError
from device.vault.keys import DeviceKey

from .arguments import take
from .own import Controls

SEED_BYTES = 32


class DecidingOperations:
    """The owner's decisions."""

    NAMES = ("sign_release", "approve", "decline")

    def __init__(self, controls: Controls, asked: Asked, device_key: DeviceKey, outgoing: Path) -> None:
        self._controls = controls
        self._desk = asked.desk
        self._key = device_key
        self._outgoing = outgoing
        self._approving = asyncio.Lock()

    async def sign_release(self, arguments: Mapping[str, Any], body: bytes) -> Answer:
        """Return a release with the device's signature, if it says only what this device filmed."""
        take(arguments, b"")
        release = Release.from_payload(body)
        await asyncio.to_thread(self._desk.check_release, release)
        return {}, release.sign(self._key.signing)

    async def approve(self, arguments: Mapping[str, Any], body: bytes) -> Answer:
        """Keep the owner's approval of the sealed bundle that comes with it, and begin to send it."""
        (text,) = take(arguments, b"", approval=str)
        envelope = text.encode()
        parse_envelope(envelope, what="approval")

        def keep() -> str:
            digest = hashlib.sha256(body).hexdigest()
            name = f"{digest}.age"
            path = self._outgoing / name
            _store(path, body)
            try:
                approved = self._desk.approve(
                    envelope,
                    bundle=name,
                    bundle_sha256=digest,
                    bundle_bytes=len(body),
                    upload_seed=secrets.token_bytes(SEED_BYTES),
                )
            except ConsentError:
                if name not in {stored.bundle for stored in self._desk.to_send()}:
                    path.unlink(missing_ok=True)
                raise
            return approved.approval.request

        async with self._approving:  # one after the other: a refused one may not take the file of another
            leaf = await asyncio.to_thread(keep)
        self._controls.approved()
        return {"request": leaf}, b""

    async def decline(self, arguments: Mapping[str, Any], body: bytes) -> Answer:
        """Keep the owner's no."""
        (leaf,) = take(arguments, body, leaf=str)
        return {"request": await asyncio.to_thread(self._desk.decline, leaf)}, b""


def _store(path: Path, data: bytes) -> None:
    """Write a sealed bundle so that it is there whole after a power cut, name included."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        LocalDisk().create(temporary, data)
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise StateFullError(f"the bundle could not be stored: {error.strerror}; nothing was approved") from error
    finally:
        temporary.unlink(missing_ok=True)
