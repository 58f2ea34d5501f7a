"""Records with fixed keys, and the tiles of the specification, for the tests of the wire."""

import hashlib
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.wire.encoding import parse_time
from broker.wire.envelopes import public_bytes
from broker.wire.records import EXCLUDED_PURPOSES, Agency, Request
from broker.wire.rules import DAY_US, HOUR_US
from broker.wire.tiles import TILE_HEIGHT, TILE_WIDTH, Tile

_FIELD = 2**255 - 19
# The eight points of small order, and spellings beyond the field of two of them: y, and the sign of x in the top bit.
_SMALL_ORDER = (
    0, 1, _FIELD - 1,
    0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
    0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,
    _FIELD, _FIELD + 1,
)  # fmt: skip
WEAK_KEYS = [(y | sign << 255).to_bytes(32, "little") for y in _SMALL_ORDER for sign in (0, 1)]
FORGED = (1).to_bytes(32, "little") + bytes(32)
"""A signature that nobody made: under the neutral element it is one of any message, under the others of some."""

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


def tiles_for_growth(old_size: int, size: int) -> list[Tile]:
    """Return every hash tile that tlog-tiles has a log write which grows from `old_size` to `size` entries."""
    found: list[Tile] = []
    level = 0
    while size >> (TILE_HEIGHT * level):
        before, now = old_size >> (TILE_HEIGHT * level), size >> (TILE_HEIGHT * level)
        if now > before:
            indices = range(before // TILE_WIDTH, (now - 1) // TILE_WIDTH + 1)
            found.extend(Tile(level, index, min(TILE_WIDTH, now - index * TILE_WIDTH)) for index in indices)
        level += 1
    return found
