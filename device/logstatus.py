"""The public log as the owner's tools see it: how far it was read, who vouches for it, and what contradicts it."""

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from broker.wire.encoding import WireError, canonical, to_base64
from device.consent.reading.follower import Follower
from device.consent.reading.heads import SECOND_US
from device.consent.reading.told import tell
from device.consent.trust import VerifiedRequest
from device.control import Answer
from device.logreader import LogReader


def log_status(follower: Follower, reader: LogReader) -> dict[str, Any]:
    """Return how far the public log was read, how fresh that is, and who vouches for it and serves it."""
    kept = follower.kept
    head = kept.head
    return {
        "origin": follower.origin,
        "read": kept.size,
        "size": 0 if head is None else head.size,
        "root": None if head is None else to_base64(head.root),
        "witnessed": follower.witnessed,
        "needs_mirror": follower.needs_mirror,
        "cosigned_us": None if kept.at_s is None else kept.at_s * SECOND_US,
        "cosigners": follower.cosigners(),
        "sources": reader.status(),
        "hold": follower.hold(),
        "contradiction": None if follower.contradiction is None else follower.contradiction.message,
        "void": kept.void,
        "refused_heads": follower.refused,
    }


def beside_request(follower: Follower, verified: VerifiedRequest) -> dict[str, Any]:
    """Return what the owner may want to know beside a request: what it is judged by, and its agency's record."""
    kept = follower.kept
    return {
        "read": tell(size=follower.size, admission=verified.admission, logged=verified.logged),
        "record": asdict(follower.record(verified.agency.agency)),
        "log": {
            "origin": follower.origin,
            "read": follower.size,
            "witnessed": follower.witnessed,
            "cosigned_us": None if kept.at_s is None else kept.at_s * SECOND_US,
            "cosigned_by": [one["name"] for one in follower.cosigners() if one["cosigned_us"] is not None],
            "hold": follower.hold(),
        },
    }


class LogOperations:
    """What the owner's tools can ask of the log."""

    NAMES = ("log", "log_evidence", "log_read_again")

    def __init__(self, follower: Follower, reader: LogReader) -> None:
        self._follower = follower
        self._reader = reader

    async def log(self, arguments: Mapping[str, Any], body: bytes) -> Answer:
        """Return all that is known of the log."""
        _nothing(arguments, body)

        def read() -> dict[str, Any]:
            follower = self._follower
            listed = [
                {"number": one.number, "kind": one.kind, "message": one.message, "found_us": one.found_us}
                | {"accepted_us": one.accepted_us}
                for one in follower.evidence()
            ]
            return {**log_status(follower, self._reader), "kept": follower.counts(), "evidence": listed}

        return await asyncio.to_thread(read), b""

    async def log_evidence(self, arguments: Mapping[str, Any], body: bytes) -> Answer:
        """Return the evidence, whole."""
        _nothing(arguments, body)
        found = await asyncio.to_thread(self._follower.evidence)
        return {}, canonical(
            [
                {"number": one.number, "first": one.first_note.decode(), "second": one.second_note.decode()}
                | {"proof": one.proof.decode()}
                for one in found
            ]
        )

    async def log_read_again(self, arguments: Mapping[str, Any], body: bytes) -> Answer:
        """Believe the log again, as it is shown now."""
        _nothing(arguments, body)
        await self._reader.read_again()
        return {}, b""


def _nothing(arguments: Mapping[str, Any], body: bytes) -> None:
    if arguments or body:
        raise WireError("the operation takes no arguments")
