"""Operations that show requests: who asks, for what, where each stands, and what of ours matches."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from broker.wire.encoding import canonical
from device.asked import Asked
from device.consent.desk import Offer
from device.consent.errors import NotReadYetError, RefusedError
from device.consent.requests import StoredRequest
from device.control import Answer
from device.eventlog import EventLog
from device.logstatus import beside_request

from .arguments import take
from .own import Controls

Muted = Callable[[StoredRequest], bool]


class RequestOperations:
    """What is known of requests."""

    NAMES = ("requests", "request")

    def __init__(self, controls: Controls, asked: Asked, events: EventLog) -> None:
        self._controls = controls
        self._desk = asked.desk
        self._mutes = asked.mutes
        self._follower = asked.follower
        self._events = events

    async def requests(self, arguments: Mapping[str, Any], body: bytes) -> Answer:
        """Return every request that is known, newest change first, as the payload: a line has a limit."""
        take(arguments, body)

        def read() -> bytes:
            muted = self._mutes.muted()
            return canonical([self._listed(stored, muted) for stored in self._desk.requests()])

        return {}, await asyncio.to_thread(read)

    async def request(self, arguments: Mapping[str, Any], body: bytes) -> Answer:
        """Return one request with the log's word on it, and its announcement as it came."""
        (leaf,) = take(arguments, body, leaf=str)

        def read() -> Answer:
            offer = self._desk.offer(leaf)
            summary = self._summary(offer, self._mutes.muted())
            return summary | beside_request(self._follower, offer.verified), offer.stored.announcement

        return await asyncio.to_thread(read)

    def _listed(self, stored: StoredRequest, muted: Muted) -> dict[str, Any]:
        try:
            offer = self._desk.offer(stored.leaf)
            beside = beside_request(self._follower, offer.verified)
            return self._summary(offer, muted) | {"record": beside["record"], "log": beside["log"]}
        except NotReadYetError as error:
            return {**self._where_it_stands(stored, muted), "message": str(error)}
        except RefusedError as error:  # it never did, or the pinned keys or the log were changed since
            message = stored.message or f"no longer verifies: {error.message}"
            return {**self._where_it_stands(stored, muted), "message": message}

    def _summary(self, offer: Offer, muted: Muted) -> dict[str, Any]:
        stored, verified = offer.stored, offer.verified
        return {
            **self._where_it_stands(stored, muted),
            "index": verified.index,
            "request": verified.request.model_dump(mode="json"),
            "agency": verified.agency.model_dump(mode="json"),
            "updates": [update.model_dump(mode="json") for update in verified.updates],
            "clips": [{"clip": clip, "start_us": start, "end_us": end} for clip, start, end in offer.clips],
            "rings": self._events.rings([(start, end) for _, start, end in offer.clips]),
            "sent_bytes": self._controls.sent_bytes(stored.leaf),
        }

    def _where_it_stands(self, stored: StoredRequest, muted: Muted) -> dict[str, Any]:
        deletion = self._desk.deletions.of(stored.leaf)
        return {
            "leaf": stored.leaf,
            "state": str(stored.state),
            "rule": stored.rule,
            "message": stored.message,
            "changed_us": stored.changed_us,
            "muted": muted(stored),
            "approval": None if stored.approval is None else stored.approval.decode(),
            "receipt": None if stored.receipt is None else stored.receipt.decode(),
            "deletion": None if deletion is None else deletion.summary(),
        }
