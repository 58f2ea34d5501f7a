"""MQTT topics, built and parsed in one place; and what an announced request carries. Pure.

The payload of `latchstring/requests/<cell>/<leaf hash>` is canonical JSON:

    {"envelope": base64, "index": n, "proof": tlog-proof text}

What else matters of a request (whether its agency was admitted, what it said of it later) a device reads in the log
itself: nobody can leave it out.
"""

import re
from dataclasses import dataclass

from .encoding import WireError, canonical, from_base64, parse_canonical, to_base64
from .merkle import leaf_hash
from .proofs import parse_proof

ROOT = "latchstring"
CHECKPOINT = f"{ROOT}/log/checkpoint"
HOME_ASSISTANT_STATUS = "homeassistant/status"
MAX_ANNOUNCEMENT_BYTES = 262_144  # an entry in base64, and a proof
NAME_FORM = re.compile(r"[a-z0-9][a-z0-9-]{0,62}", re.ASCII)
RESERVED_NAMES = frozenset({"requests", "log"})  # they are topics of the operator
_CELL_FORM = re.compile(r"[0-9a-f]{15}", re.ASCII)
_HASH_FORM = re.compile(r"[0-9a-f]{64}", re.ASCII)


def check_name(name: str) -> str:
    """Return a device's name if it can stand in a topic; raises WireError else."""
    if not NAME_FORM.fullmatch(name) or name in RESERVED_NAMES:
        raise WireError(f"{name[:70]!r} cannot name a device: use a-z, 0-9 and -, up to 63, not 'requests' or 'log'")
    return name


def device(name: str, leaf: str) -> str:
    """Return `latchstring/<device>/<leaf>`."""
    return f"{ROOT}/{name}/{leaf}"


def discovery(name: str) -> str:
    """Return the Home Assistant discovery topic of a device."""
    return f"homeassistant/device/latchstring_{name}/config"


def request(cell: str, leaf: str) -> str:
    """Return where a request is announced in one cell; `leaf` is the entry's leaf hash in hex."""
    return f"{ROOT}/requests/{cell}/{leaf}"


def requests_in(cell: str) -> str:
    """Return the filter that a device subscribes to."""
    return f"{ROOT}/requests/{cell}/+"


def parse_request_topic(topic: str) -> tuple[str, str]:
    """Return (cell, leaf hash in hex) of a request's topic."""
    parts = topic.split("/")
    if len(parts) != 4 or parts[:2] != [ROOT, "requests"]:  # noqa: PLR2004 - latchstring/requests/cell/hash
        raise WireError(f"{topic[:80]!r} is no request topic")
    if not _CELL_FORM.fullmatch(parts[2]) or not _HASH_FORM.fullmatch(parts[3]):
        raise WireError(f"{topic[:80]!r} is no request topic")
    return parts[2], parts[3]


@dataclass(frozen=True, slots=True)
class Announcement:
    """One entry of the log with the proof that it is there; nothing in it is checked yet."""

    envelope: bytes
    proof: bytes

    @property
    def leaf(self) -> str:
        """The leaf hash in hex: how an entry is named."""
        return leaf_hash(self.envelope).hex()

    def encode(self) -> bytes:
        """Return the payload."""
        index = parse_proof(self.proof).index
        return canonical({"envelope": to_base64(self.envelope), "index": index, "proof": self.proof.decode()})


def parse_announcement(data: bytes) -> Announcement:
    """Parse an announcement strictly; signatures, proofs and rules are not checked here."""
    body = parse_canonical(data, max_bytes=MAX_ANNOUNCEMENT_BYTES, what="announcement")
    if not isinstance(body, dict) or set(body) != {"envelope", "index", "proof"}:
        raise WireError("announcement must have exactly envelope, index and proof")
    if not isinstance(body["envelope"], str) or not isinstance(body["proof"], str):
        raise WireError("an announcement's envelope and proof must be strings")
    announcement = Announcement(from_base64(body["envelope"], what="envelope"), body["proof"].encode())
    if parse_proof(announcement.proof).index != body["index"] or isinstance(body["index"], bool):
        raise WireError("an announcement's index differs from its proof's")
    return announcement
