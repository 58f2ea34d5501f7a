"""A small operator and its agencies, with fixed keys and a clock that tests move by hand."""

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.log.admission import admit
from broker.log.errors import NotPublishedError
from broker.log.sequencer import Sequencer
from broker.log.service import LogService
from broker.log.storage.folder import FolderStorage
from broker.wire.encoding import parse_time
from broker.wire.envelopes import public_bytes
from broker.wire.merkle import leaf_hash
from broker.wire.notes import ED25519, VerifierKey
from broker.wire.proofs import Policy
from broker.wire.records import EXCLUDED_PURPOSES, RefusalCount, Refusals, Request, Revocation, Update
from broker.wire.rules import DAY_US, HOUR_US
from broker.wire.tiles import Tile

NOW_US = parse_time("2026-05-04T12:00:00.000000Z")
ORIGIN = "log.example.org/test"
RECIPIENT = "age1" + "q" * 58


def key_of(name: str) -> Ed25519PrivateKey:
    """The same key for the same name, in every run."""
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())


OPERATOR = key_of("operator")
POLICE = key_of("police")
LOG_VERIFIER = VerifierKey(ORIGIN, ED25519, public_bytes(OPERATOR))
POLICY = Policy((LOG_VERIFIER,), {}, {}, None)


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self, now_us: int = NOW_US) -> None:
        self.now_us = now_us

    def __call__(self) -> int:
        return self.now_us


def admission(agency: str = "springfield-pd", *, now_us: int = NOW_US - DAY_US, **changes: Any) -> bytes:
    values: dict[str, Any] = {
        "name": "Springfield Police Department",
        "domain": "springfield.example.gov",
        "contact": "records@springfield.example.gov",
        "agency_key": public_bytes(POLICE),
        "admitted_by": "The neighbourhood operator",
        "evidence": "letterhead, and a call to the published number",
        "key": OPERATOR,
    }
    return admit(agency=agency, now_us=now_us, **(values | changes))


def request(*, now_us: int = NOW_US, **changes: Any) -> Request:
    values: dict[str, Any] = {
        "agency": "springfield-pd",
        "case": "26-001234",
        "incident": "package-theft",
        "description": "A parcel was taken from a porch by a person on a red bicycle.",
        "contact": "detective@springfield.example.gov",
        "area": {"lat_e7": 525_163_000, "lon_e7": 133_777_000, "radius_m": 300},
        "start": now_us - 5 * HOUR_US,
        "end": now_us - 2 * HOUR_US,
        "devices": ("camera", "doorbell"),
        "recipient": RECIPIENT,
        "purpose": "Identify who took the parcel",
        "retention_days": 90,
        "sharing": (),
        "excludes": tuple(EXCLUDED_PURPOSES),
        "posted_at": now_us,
        "expires_at": now_us + 14 * DAY_US,
    }
    return Request.model_validate(values | changes)


def asked(*, key: Ed25519PrivateKey = POLICE, **changes: Any) -> bytes:
    return request(**changes).sign(key)


def update(
    leaf: str, kind: str = "withdrawn", *, now_us: int = NOW_US, key: Ed25519PrivateKey = POLICE, **changes: Any
) -> bytes:
    values: dict[str, Any] = {
        "agency": "springfield-pd",
        "request": leaf,
        "kind": kind,
        "note": "The parcel was found.",
        "at": now_us,
    }
    return Update.model_validate(values | changes).sign(key)


def revocation(agency: str = "springfield-pd", *, now_us: int = NOW_US, key: Ed25519PrivateKey = OPERATOR) -> bytes:
    record = Revocation(agency=agency, at=now_us, revoked_by="The neighbourhood operator", reason="A key was lost.")
    return record.sign(key)


def refusals(
    agency: str = "springfield-pd", *, since_us: int = NOW_US - HOUR_US, until_us: int = NOW_US, **counts: int
) -> bytes:
    counted = tuple(RefusalCount(code=code, count=count) for code, count in sorted((counts or {"area": 2}).items()))
    return Refusals(agency=agency, since=since_us, until=until_us, counts=counted).sign(OPERATOR)


def leaf_of(envelope: bytes) -> str:
    return leaf_hash(envelope).hex()


class Broker:
    """The retained messages of a broker, and the order they came in; `down` makes it refuse."""

    def __init__(self) -> None:
        self.retained: dict[str, bytes] = {}
        self.published: list[tuple[str, bytes]] = []
        self.down = False
        self.arrived = asyncio.Event()

    async def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        if self.down:
            raise NotPublishedError("the broker is down")
        self.published.append((topic, payload))
        self.arrived.set()
        if retain and payload:
            self.retained[topic] = payload
        elif retain:
            self.retained.pop(topic, None)

    def requests(self) -> dict[str, bytes]:
        return {topic: data for topic, data in self.retained.items() if topic.startswith("latchstring/requests/")}


def make_service(
    folder: Path, *, broker: Broker | None = None, clock: Clock | None = None, url: str = ""
) -> LogService:
    return LogService(
        sequencer=Sequencer(FolderStorage(folder), key=OPERATOR, origin=ORIGIN),
        operator=OPERATOR,
        publish=(broker or Broker()).publish,
        now_us=clock or Clock(),
        url=url,
    )


class PowerCutError(OSError):
    """What a test's storage raises where the power goes."""


class CuttingStorage:
    """A storage whose power is cut at its `cut_at`-th write; `done` says whether that write still got through.

    Each object of a `put` counts as a write of its own, since a cut may leave any part of them.
    """

    def __init__(self, inner: FolderStorage, *, cut_at: int, done: bool) -> None:
        self._inner = inner
        self._left = cut_at
        self._done = done

    @property
    def cut(self) -> bool:
        return self._left <= 0

    def claim(self) -> None:
        self._inner.claim()

    def release(self) -> None:
        self._inner.release()

    def get(self, path: str) -> bytes | None:
        return self._inner.get(path)

    def put(self, objects: Mapping[str, bytes]) -> None:
        for path, data in objects.items():
            self._step(lambda path=path, data=data: self._inner.put({path: data}))  # type: ignore[misc]

    def swap_head(self, old: bytes | None, new: bytes) -> None:
        self._step(lambda: self._inner.swap_head(old, new))

    def publish(self, note: bytes) -> None:
        self._step(lambda: self._inner.publish(note))

    def discard_partials(self, tile: Tile) -> None:
        self._step(lambda: self._inner.discard_partials(tile))

    def partials(self) -> list[Tile]:
        return self._inner.partials()

    def discard(self, partials: Sequence[Tile]) -> None:
        self._step(lambda: self._inner.discard(partials))

    def _step(self, write: Callable[[], None]) -> None:
        self._left -= 1
        if self._left == 0:
            if self._done:
                write()
            raise PowerCutError("the power is gone")
        write()
