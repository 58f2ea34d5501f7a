"""Records with fixed keys, for the tests of the wire."""

import hashlib
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.wire.encoding import parse_time
from broker.wire.envelopes import public_bytes
from broker.wire.records import EXCLUDED_PURPOSES, Agency, Request
from broker.wire.rules import DAY_US, HOUR_US

NOW_US = parse_time("2026-05-04T12:00:00.000000Z")


def key_of(name: str) -> Ed25519PrivateKey:
    """The same key for the same name, in every run."""
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())


def agency(**changes: Any) -> Agency:
    values: dict[str, Any] = {
        "agency": "springfield-pd",
        "name": "Springfield Police Department",
        "domain": "springfield.example.gov",
        "contact": "records@springfield.example.gov",
        "key": public_bytes(key_of("police")),
        "admitted_at": NOW_US,
        "admitted_by": "The neighbourhood operator",
        "evidence": "letterhead",
    }
    return Agency.model_validate(values | changes)


def request(**changes: Any) -> Request:
    values: dict[str, Any] = {
        "agency": "springfield-pd",
        "case": "26-001234",
        "incident": "package-theft",
        "description": "A parcel was taken from a porch.",
        "contact": "detective@springfield.example.gov",
        "area": {"lat_e7": 525_163_000, "lon_e7": 133_777_000, "radius_m": 300},
        "start": NOW_US - 5 * HOUR_US,
        "end": NOW_US - 2 * HOUR_US,
        "devices": ("camera", "doorbell"),
        "recipient": "age1" + "q" * 58,
        "purpose": "Identify who took the parcel",
        "retention_days": 90,
        "sharing": (),
        "excludes": tuple(EXCLUDED_PURPOSES),
        "posted_at": NOW_US,
        "expires_at": NOW_US + 14 * DAY_US,
    }
    return Request.model_validate(values | changes)
