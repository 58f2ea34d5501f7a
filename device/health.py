"""How a device is: one place that asks all its parts, for the health topic and for the owner's tools."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from device import link
from device.asked import Asked
from device.eventlog import EventLog
from device.keeper import Keeper
from device.logstatus import log_status
from device.vault.clipring import ClipRing
from device.video.film import Film

SHOWN_EVENTS = 20


class Vitals:
    """Asks the parts and changes nothing. `pauses` holds what a loop of the daemon waits for, by the loop's name."""

    def __init__(
        self,
        *,
        device: str,
        kind: str,
        simulated: bool,
        events: EventLog,
        ring: ClipRing,
        film: Film,
        keeper: Keeper,
        outbox: link.Outbox,
        links: Sequence[link.MqttLink],
        mailbox: link.Mailbox,
        asked: Asked | None,
    ) -> None:
        self._device = device
        self._kind = kind
        self._simulated = simulated
        self._events = events
        self._ring = ring
        self._film = film
        self._keeper = keeper
        self._outbox = outbox
        self._links = links
        self._mailbox = mailbox
        self._asked = asked
        self.pauses: dict[str, str] = {}

    def problem(self) -> str:
        """Return what the owner should know first, or nothing."""
        counters, film = self._keeper.counters, self._film.health()
        if counters.storage_full:
            return "disk full: footage is being lost"
        if counters.source_lost:
            return f"camera {film.state}: {counters.source_lost}"
        if film.overfull:
            return "camera gives no keyframe for too long, so nothing is kept: set its keyframe interval to 1 or 2 s"
        if self.pauses:
            return next(f"{name} waits: {why}" for name, why in self.pauses.items())
        return "" if self._asked is None else self._asked.follower.problem() or ""

    def waiting(self) -> int:
        """Return how many requests wait for the owner, whom no muted one keeps waiting."""
        return 0 if self._asked is None else self._asked.mutes.waiting()

    def health(self) -> link.Health:
        """Return the payload of the health topic. Blocks on the state."""
        film, usage, stats = self._film.health(), self._ring.usage(), self._outbox.stats()
        return link.Health(
            problem=self.problem(),
            frames_per_second=film.fps,
            frames_watched=film.watched,
            frames_decoded=film.decoded,
            frames_dropped=film.dropped,
            decode_ms=film.decode_ms,
            lag_ms=film.lag_ms,
            segments_lost=self._keeper.counters.segments_lost,
            storage_used_bytes=usage.bytes,
            storage_limit_bytes=usage.max_bytes,
            outbox_messages=stats.messages,
            outbox_dropped=stats.dropped,
            outbox_epoch=stats.epoch,
            outbox_oldest_seq=stats.oldest_seq,
            outbox_next_seq=stats.next_seq,
        )

    def status(self, *, private: bool) -> dict[str, Any]:
        """Return everything, for the owner's tools. Blocks on the state."""
        film = self._film.health()
        known = [] if self._asked is None else self._asked.desk.requests()
        rounded = {"fps": round(film.fps, 1), "decode_ms": round(film.decode_ms, 3), "lag_ms": round(film.lag_ms, 1)}
        return {
            "device": self._device,
            "kind": self._kind,
            "simulated": self._simulated,
            "filming": {**asdict(film), **rounded},
            "privacy": private,
            "problem": self.problem(),
            "storage": asdict(self._ring.usage()),
            "kept": asdict(self._keeper.counters),
            "outbox": asdict(self._outbox.stats()),
            "links": [{"broker": str(one.address), **asdict(one.health)} for one in self._links],
            "requests": {
                "known": len(known),
                "waiting": self.waiting(),
                "changed_us": max((one.changed_us for one in known), default=None),
                "unverified": 0 if self._asked is None else self._asked.docket.refused_unverified,
                "dropped": self._mailbox.dropped,
            },
            "log": None if self._asked is None else log_status(self._asked.follower, self._asked.reader),
            "events": self._events.latest(SHOWN_EVENTS),
        }
