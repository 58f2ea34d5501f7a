"""What the daemon tells its home.

One call for each thing, from any thread. Joins payloads, outbox and retained table; no network.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from broker.wire import topics
from device.vault.state import Transaction

from . import events
from .home_assistant import discovery_payload
from .outbox import Outbox
from .retained import RetainedTable

RING_LIFE_US = 60 * 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceCard:
    """Who the device is, for Home Assistant."""

    device: str
    name: str
    kind: Literal["camera", "doorbell"]
    version: str


class Reporter:
    """The device's voice at home.

    `tell_reviews` is true only where home and neighbourhood are two brokers: where they are one, nothing that tells of
    a match or a decision is published at all, whatever this object is asked to say.
    """

    def __init__(
        self,
        card: DeviceCard,
        *,
        outbox: Outbox,
        retained: RetainedTable,
        wake: Callable[[], None],
        tell_reviews: bool,
        discoverable: bool = True,
    ) -> None:
        self._device = topics.check_name(card.device)
        self._outbox = outbox
        self._retained = retained
        self._wake = wake
        self._tell_reviews = tell_reviews
        discovery = discovery_payload(
            device=card.device, name=card.name, kind=card.kind, version=card.version, reviews=tell_reviews
        )
        # Empty clears what an earlier start may have left with Home Assistant.
        retained.set(topics.discovery(card.device), discovery if discoverable else b"")
        self.motion(on=False)

    def happened(self, tx: Transaction, happening: events.Happening) -> int:
        """Put one phase of an event into the outbox, within the transaction that keeps the event; returns its seq.

        Each press of the bell, which a ring's start and its updates are, rings as well. The link is woken at once: it
        waits for the transaction's end by itself.
        """
        seq = self._outbox.add_numbered(
            tx,
            events.EVENT,
            lambda epoch, seq: events.event_payload(happening, epoch=epoch, seq=seq),
            droppable=happening.phase == "update",
        )
        if happening.type == "ring" and happening.phase != "end":
            bell = events.ring_payload(event=happening.id, at_us=happening.at_us)
            self._outbox.add(tx, events.RING, bell, droppable=True, until_us=happening.at_us + RING_LIFE_US)
        self._wake()
        return seq

    def motion(self, *, on: bool) -> None:
        """Say whether something moves now."""
        self._set(events.MOTION, events.switch_payload(on=on))

    def privacy(self, *, on: bool) -> None:
        """Say whether privacy is on; say it once it is so, not when it is asked for."""
        self._set(events.PRIVACY, events.switch_payload(on=on))

    def health(self, health: events.Health) -> None:
        """Say how the device is."""
        self._set(events.HEALTH, events.health_payload(health), qos=0)

    def reviews(self, waiting: int) -> None:
        """Say how many requests wait for the owner; does nothing where home and neighbourhood are one broker."""
        if self._tell_reviews:
            self._set(events.REVIEWS, events.reviews_payload(waiting))

    def _set(self, leaf: str, payload: bytes, *, qos: int = 1) -> None:
        if self._retained.set(topics.device(self._device, leaf), payload, qos=qos):
            self._wake()
