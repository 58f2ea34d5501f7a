"""What the owner's tools can ask of a running daemon: the handlers behind its control socket.

Each takes the arguments of one request and returns a JSON result and raw bytes. They parse strictly, hand over to the
desk or the ring off the event loop, and decide nothing themselves.
"""

import asyncio
import hashlib
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from broker.wire.encoding import WireError, canonical, to_base64
from broker.wire.envelopes import parse_envelope
from broker.wire.records import Release
from device.asked import Asked
from device.consent.desk import Offer
from device.consent.docket import DeviceView
from device.consent.errors import ConsentError, NotReadYetError, RefusedError
from device.consent.requests import StoredRequest
from device.control import Answer, Handler
from device.logstatus import LogOperations, beside_request
from device.vault.clipring import ClipRing
from device.vault.disk import LocalDisk, sync_folder
from device.vault.errors import StateFullError
from device.vault.keys import DeviceKey
from device.vault.ledger import Ledger

SEED_BYTES = 32


class Controls(Protocol):
    """What the daemon itself does on request."""

    async def status(self) -> dict[str, Any]:
        """Return how everything is."""

    async def set_privacy(self, on: bool) -> None:
        """Stop or resume filming."""

    def ring(self) -> None:
        """Ring the bell."""

    def approved(self) -> None:
        """Begin to send what was approved."""

    def sent_bytes(self, leaf: str) -> int | None:
        """Return how much of a request's bundle the inbox has, if it is on its way."""


def make_operations(
    *,
    controls: Controls,
    asked: Asked | None,
    ring: ClipRing,
    ledger: Ledger,
    device: DeviceView,
    device_key: DeviceKey,
    outgoing: Path,
) -> Mapping[str, Handler]:
    """Return the handlers by name; without a neighbourhood nobody asks, and its operations say so."""
    own = _Own(controls, ledger, device)
    handlers: dict[str, Handler] = {
        "status": own.status,
        "privacy": own.privacy,
        "ring": own.ring,
        "ledger": own.ledger,
        "facts": own.facts,
    }
    if asked is None:
        return handlers | dict.fromkeys((*_Requests.NAMES, *LogOperations.NAMES), _nobody_asks)
    requests = _Requests(controls, asked, ring, device_key, outgoing)
    log = LogOperations(asked.follower, asked.reader)
    return (
        handlers
        | {name: getattr(requests, name) for name in _Requests.NAMES}
        | {name: getattr(log, name) for name in LogOperations.NAMES}
    )


async def _nobody_asks(arguments: Mapping[str, Any], body: bytes) -> Answer:
    del arguments, body
    raise ConsentError("this device takes part in no neighbourhood; its settings have no [neighbourhood] section")


class _Own:
    """What concerns the device alone."""

    def __init__(self, controls: Controls, ledger: Ledger, device: DeviceView) -> None:
        self._controls = controls
        self._ledger = ledger
        self._device = device

    async def status(self, arguments: Mapping[str, Any], body: bytes) -> Answer:
        _nothing_more(arguments, body)
        return await self._controls.status(), b""

    async def privacy(self, arguments: Mapping[str, Any], body: bytes) -> Answer:
        on = _take(arguments, bool, "on")
        _nothing_more({}, body)
        await self._controls.set_privacy(on)
        return {"on": on}, b""

    async def ring(self, arguments: Mapping[str, Any], body: bytes) -> Answer:
        _nothing_more(arguments, body)
        if self._device.kind != "doorbell":
            raise ConsentError(f"{self._device.name} is a camera; only a doorbell rings")
        if (await self._controls.status())["privacy"]:
            raise ConsentError(f"{self._device.name} is private; the ring was told to nobody")
        self._controls.ring()
        return {"device": self._device.name}, b""

    async def ledger(self, arguments: Mapping[str, Any], body: bytes) -> Answer:
        _nothing_more(arguments, body)
        lines = await asyncio.to_thread(lambda: b"".join(self._ledger.export()))
        return {"key": to_base64(self._device.key)}, lines

    async def facts(self, arguments: Mapping[str, Any], body: bytes) -> Answer:
        _nothing_more(arguments, body)
        device = self._device
        facts = {"device": device.name, "kind": device.kind, "camera": device.camera, "key": to_base64(device.key)}
        return facts, b""


class _Requests:
    """What concerns requests."""

    NAMES = ("requests", "request", "segments", "read_segment", "sign_release", "approve", "decline")

    def __init__(self, controls: Controls, asked: Asked, ring: ClipRing, device_key: DeviceKey, outgoing: Path) -> None:
        self._controls = controls
        self._desk = asked.desk
        self._follower = asked.follower
        self._ring = ring
        self._key = device_key
        self._outgoing = outgoing
        self._approving = asyncio.Lock()

    async def requests(self, arguments: Mapping[str, Any], body: bytes) -> Answer:
        _nothing_more(arguments, body)
        known = await asyncio.to_thread(self._desk.requests)
        found = [await asyncio.to_thread(self._listed, stored) for stored in known]
        return {}, canonical(found)  # as the payload, since a line has a limit

    async def request(self, arguments: Mapping[str, Any], body: bytes) -> Answer:
        leaf = _take(arguments, str, "leaf")
        _nothing_more({}, body)

        def read() -> Answer:
            offer = self._desk.offer(leaf)
            return self._summary(offer) | beside_request(self._follower, offer.verified), offer.stored.announcement

        return await asyncio.to_thread(read)

    async def segments(self, arguments: Mapping[str, Any], body: bytes) -> Answer:
        clip = _take(arguments, str, "clip")
        _nothing_more({}, body)
        found = await asyncio.to_thread(self._ring.segments, clip)
        return [to_base64(segment.statement) for segment in found], b""

    async def read_segment(self, arguments: Mapping[str, Any], body: bytes) -> Answer:
        clip, number = _take(arguments, str, "clip", more=1), _take(arguments, int, "number", more=1)
        _nothing_more({}, body)

        def read() -> bytes:
            segments = self._ring.segments(clip)
            if not 0 <= number < len(segments):
                raise ConsentError(f"clip {clip[:40]} has no segment {number}")
            return self._ring.read_sealed(segments[number])

        return {}, await asyncio.to_thread(read)

    async def sign_release(self, arguments: Mapping[str, Any], body: bytes) -> Answer:
        _nothing_more(arguments, b"")
        release = Release.from_payload(body)
        await asyncio.to_thread(self._desk.check_release, release)
        return {}, release.sign(self._key.signing)

    async def approve(self, arguments: Mapping[str, Any], body: bytes) -> Answer:
        envelope = _take(arguments, str, "approval").encode()
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
        leaf = _take(arguments, str, "leaf")
        _nothing_more({}, body)
        return {"request": await asyncio.to_thread(self._desk.decline, leaf)}, b""

    def _listed(self, stored: StoredRequest) -> dict[str, Any]:
        try:
            return self._summary(self._desk.offer(stored.leaf))
        except NotReadYetError as error:
            return {**_where_it_stands(stored), "message": str(error)}
        except RefusedError as error:  # it never did, or the pinned keys or the log were changed since
            return {**_where_it_stands(stored), "message": stored.message or f"no longer verifies: {error.message}"}

    def _summary(self, offer: Offer) -> dict[str, Any]:
        stored, verified = offer.stored, offer.verified
        return {
            **_where_it_stands(stored),
            "index": verified.index,
            "request": verified.request.model_dump(mode="json"),
            "agency": verified.agency.model_dump(mode="json"),
            "updates": [update.model_dump(mode="json") for update in verified.updates],
            "clips": [{"clip": clip, "start_us": start, "end_us": end} for clip, start, end in offer.clips],
            "sent_bytes": self._controls.sent_bytes(stored.leaf),
        }


def _where_it_stands(stored: StoredRequest) -> dict[str, Any]:
    return {
        "leaf": stored.leaf,
        "state": str(stored.state),
        "rule": stored.rule,
        "message": stored.message,
        "changed_us": stored.changed_us,
        "approval": None if stored.approval is None else stored.approval.decode(),
        "receipt": None if stored.receipt is None else stored.receipt.decode(),
    }


def _take(arguments: Mapping[str, Any], kind: type, name: str, *, more: int = 0) -> Any:
    value = arguments.get(name)
    if type(value) is not kind or len(arguments) != 1 + more:
        raise WireError(f"the operation takes {name}, a {kind.__name__}")
    return value


def _nothing_more(arguments: Mapping[str, Any], body: bytes) -> None:
    if arguments or body:
        raise WireError("the operation takes no such arguments")


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
