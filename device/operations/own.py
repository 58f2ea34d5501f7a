"""Operations that concern the device alone: how it is, its switches, its ledger."""

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol

from broker.wire.encoding import WireError, to_base64
from device.consent.docket import DeviceView
from device.consent.errors import ConsentError
from device.control import Answer
from device.vault.ledger import Ledger

from .arguments import take


class Controls(Protocol):
    """What the daemon itself does on request."""

    @property
    def private(self) -> bool:
        """Whether privacy is on."""

    @property
    def simulated(self) -> bool:
        """Whether it films a drawn scene, so that what happens there may be made up."""

    async def status(self) -> dict[str, Any]:
        """Return how everything is."""

    async def set_privacy(self, on: bool) -> None:
        """Stop or resume filming."""

    def ring(self) -> None:
        """Ring the bell."""

    def stir(self) -> None:
        """Act as if something moved."""

    def approved(self) -> None:
        """Begin to send what was approved."""

    def sent_bytes(self, leaf: str) -> int | None:
        """Return how much of a request's bundle the inbox has, if it is on its way."""


class OwnOperations:
    """What concerns the device alone."""

    NAMES = ("status", "privacy", "ring", "test_event", "ledger", "facts")

    def __init__(self, controls: Controls, ledger: Ledger, device: DeviceView) -> None:
        self._controls = controls
        self._ledger = ledger
        self._device = device

    async def status(self, arguments: Mapping[str, Any], body: bytes) -> Answer:
        """Return how everything is."""
        take(arguments, body)
        return await self._controls.status(), b""

    async def privacy(self, arguments: Mapping[str, Any], body: bytes) -> Answer:
        """Stop or resume filming."""
        (on,) = take(arguments, body, on=bool)
        await self._controls.set_privacy(on)
        return {"on": on}, b""

    async def ring(self, arguments: Mapping[str, Any], body: bytes) -> Answer:
        """Ring the bell."""
        take(arguments, body)
        self._ring()
        return {"device": self._device.name}, b""

    async def test_event(self, arguments: Mapping[str, Any], body: bytes) -> Answer:
        """Make an event as if it had happened; only where what is filmed is made up too."""
        (kind,) = take(arguments, body, kind=str)
        if kind not in {"motion", "ring"}:
            raise WireError("a test event's kind is motion or ring")
        name = self._device.name
        if not self._controls.simulated:
            raise ConsentError(f"{name} films what is there; test events are for devices that film a drawn scene")
        if kind == "ring":
            self._ring()
        elif self._controls.private:
            raise ConsentError(f"{name} is private; it sees nothing move")
        else:
            self._controls.stir()
        return {"device": name, "kind": kind}, b""

    async def ledger(self, arguments: Mapping[str, Any], body: bytes) -> Answer:
        """Return the device's public key, and the signed lines."""
        take(arguments, body)
        lines = await asyncio.to_thread(lambda: b"".join(self._ledger.export()))
        return {"key": to_base64(self._device.key)}, lines

    async def facts(self, arguments: Mapping[str, Any], body: bytes) -> Answer:
        """Return what a release says of the device."""
        take(arguments, body)
        device = self._device
        facts = {"device": device.name, "kind": device.kind, "camera": device.camera, "key": to_base64(device.key)}
        return facts, b""

    def _ring(self) -> None:
        if self._device.kind != "doorbell":
            raise ConsentError(f"{self._device.name} is a camera; only a doorbell rings")
        if self._controls.private:
            raise ConsentError(f"{self._device.name} is private; the ring was told to nobody")
        self._controls.ring()
