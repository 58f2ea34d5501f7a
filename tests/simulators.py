"""A public log and its parties in memory: signs on demand, and can be bent by the fields a test sets."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.wire.envelopes import public_bytes
from broker.wire.geo import Point
from broker.wire.merkle import inclusion_proof, leaf_hash, node_hash, root_hash
from broker.wire.notes import ED25519, Checkpoint, VerifierKey, sign_note
from broker.wire.proofs import Policy, Proof, make_policy, parse_policy
from broker.wire.records import EXCLUDED_PURPOSES, Agency, Area, Request, Update
from broker.wire.rules import DAY_US, HOUR_US, MINUTE_US
from broker.wire.topics import Announcement, LoggedEntry

NOW_US = 1_790_000_000_000_000
PLACE = Point.from_degrees(52.5200, 13.4050)
RECIPIENT = "age1qrw6crccd0h8jxdvlrx4ftqwqv3xhyqkxjufvhdnt57hup5cddts68lznn"


def signing_key(seed: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)


class LogSimulator:
    """An append-only log whose proofs are always those of the newest checkpoint."""

    def __init__(self, *, origin: str = "log.example/requests", seed: int = 1) -> None:
        self.origin = origin
        self.key = signing_key(seed)
        self.entries: list[bytes] = []

    @property
    def verifier(self) -> VerifierKey:
        return VerifierKey(self.origin, ED25519, public_bytes(self.key))

    @property
    def policy(self) -> Policy:
        return parse_policy(make_policy(self.verifier))

    def append(self, entry: bytes) -> int:
        self.entries.append(entry)
        return len(self.entries) - 1

    def read(self, level: int, index: int) -> bytes:
        if level == 0:
            return leaf_hash(self.entries[index])
        return node_hash(self.read(level - 1, 2 * index), self.read(level - 1, 2 * index + 1))

    def proof(self, index: int) -> bytes:
        size = len(self.entries)
        checkpoint = Checkpoint(self.origin, size, root_hash(size, self.read))
        note = sign_note(checkpoint.text, self.origin, self.key)
        return str(Proof(index, tuple(inclusion_proof(index, size, self.read)), str(note).encode())).encode()

    def logged(self, index: int) -> LoggedEntry:
        return LoggedEntry(self.entries[index], self.proof(index))


class NeighbourhoodSimulator:
    """An operator, one admitted agency and the log between them."""

    def __init__(self, *, now_us: int = NOW_US) -> None:
        self.now_us = now_us
        self.log = LogSimulator()
        self.operator = signing_key(2)
        self.agency_key = signing_key(3)
        self.agency = Agency(
            agency="springfield-pd",
            name="Springfield Police Department",
            domain="police.springfield.example",
            contact="records@police.springfield.example",
            key=public_bytes(self.agency_key),
            admitted_at=now_us - DAY_US,
            admitted_by="The operator",
            evidence="Letter of the city clerk, file 12/2026",
        )
        self.admission = self.log.append(self.agency.sign(self.operator))

    def request(self, **changes: Any) -> Request:
        """Return a request that keeps every rule, changed as told."""
        request = Request(
            agency=self.agency.agency,
            case="2026-0815",
            incident="package-theft",
            description="A parcel was taken from a porch. We look for the person who took it.",
            contact="cases@police.springfield.example",
            area=Area(lat_e7=PLACE.lat_e7, lon_e7=PLACE.lon_e7, radius_m=200),
            start=self.now_us - 2 * HOUR_US,
            end=self.now_us - MINUTE_US,
            devices=("camera", "doorbell"),
            recipient=RECIPIENT,
            purpose="Identify who took the parcel",
            retention_days=90,
            sharing=(),
            excludes=EXCLUDED_PURPOSES,
            posted_at=self.now_us,
            expires_at=self.now_us + 14 * DAY_US,
        )
        return request.model_copy(update=changes)

    def post(self, request: Request) -> int:
        return self.log.append(request.sign(self.agency_key))

    def update(self, leaf: str, kind: str) -> int:
        record = Update(agency=self.agency.agency, request=leaf, kind=kind, note="Closed.", at=self.now_us)  # type: ignore[arg-type]
        return self.log.append(record.sign(self.agency_key))

    def announce(self, index: int, updates: Iterable[int] = ()) -> Announcement:
        return Announcement(
            self.log.logged(index), self.log.logged(self.admission), tuple(self.log.logged(one) for one in updates)
        )

    def announced(self, **changes: Any) -> tuple[str, bytes]:
        """Post a request; return its leaf hash and the announcement's payload."""
        announcement = self.announce(self.post(self.request(**changes)))
        return announcement.request.leaf, announcement.encode()


def with_envelope(announcement: Announcement, envelope: bytes) -> Announcement:
    """Put another envelope where the request was."""
    return replace(announcement, request=replace(announcement.request, envelope=envelope))
