"""What a device's topics carry: payloads built, and those that come in parsed strictly. Pure."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from broker.wire.encoding import WireError, canonical, format_time, parse_json

ONLINE = b"online"
OFFLINE = b"offline"
ON = b"ON"
OFF = b"OFF"
MAX_RECEIPT_BYTES = 256
MAX_SWITCH_BYTES = 8
MAX_STATUS_BYTES = 16
MAX_EPOCH_CHARS = 64
MAX_SEQ = 1 << 53

EVENT = "event"
RECEIPT = "receipt"
RING = "ring"
MOTION = "motion"
PRIVACY = "privacy"
PRIVACY_SET = "privacy/set"
HEALTH = "health"
REVIEWS = "reviews"
AVAILABILITY = "availability"

Phase = Literal["start", "update", "end"]
Kind = Literal["motion", "ring"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One phase of an event.

    All phases of one event have one `id`. `end_us` is None until it is known, `clip` where none is kept, `label` until
    somebody looked ("person", "vehicle", "animal" or "unknown"); `labelled_by` says who: a "model" or the "shape" rule.
    """

    id: str
    type: Kind
    phase: Phase
    at_us: int  # the moment that this phase speaks of
    start_us: int
    end_us: int | None
    score: int
    clip: str | None
    label: str | None = None
    labelled_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How the device is.

    Every event numbered below `outbox_oldest_seq` is received or gone, so a reader need not wait for it. `decode_ms` is
    what a frame costs, decoding and motion together; `lag_ms` how far filming is behind its source; of the
    `frames_watched` since the start, `frames_decoded` had to be decoded, some of them twice.
    """

    problem: str  # empty, or what the owner should know: "camera lost: …", "disk full: footage is being lost"
    frames_per_second: float
    frames_watched: int
    frames_decoded: int
    frames_dropped: int
    decode_ms: float
    lag_ms: float
    segments_lost: int
    storage_used_bytes: int
    storage_limit_bytes: int
    outbox_messages: int
    outbox_dropped: int
    outbox_epoch: str
    outbox_oldest_seq: int
    outbox_next_seq: int


def event_payload(happening: Happening, *, epoch: str, seq: int) -> bytes:
    """Return the JSON of `…/event`."""
    return canonical(
        {
            "id": happening.id,
            "epoch": epoch,
            "seq": seq,
            "type": happening.type,
            "phase": happening.phase,
            "start": format_time(happening.start_us),
            "end": None if happening.end_us is None else format_time(happening.end_us),
            "score": happening.score,
            "clip": happening.clip,
            "label": happening.label,
            "labelled_by": happening.labelled_by,
        }
    )


def ring_payload(*, event: str, at_us: int) -> bytes:
    """Return the JSON of `…/ring`, in the form that Home Assistant's event entity reads."""
    return canonical({"event_type": "ring", "id": event, "at": format_time(at_us)})


def switch_payload(*, on: bool) -> bytes:
    """Return `ON` or `OFF`, for motion and privacy."""
    return ON if on else OFF


def health_payload(health: Health) -> bytes:
    """Return the JSON of `…/health`: the fields of Health by their names."""
    body = asdict(health)
    for name, digits in (("frames_per_second", 1), ("decode_ms", 2), ("lag_ms", 0)):
        body[name] = round(body[name], digits)
    return canonical(body)


def reviews_payload(waiting: int) -> bytes:
    """Return the text of `…/reviews`."""
    return b"%d" % waiting


def parse_receipt(payload: bytes) -> tuple[str, int]:
    """Return (epoch, seq) of `…/receipt`.

    Raises WireError. Any JSON spelling will do: collectors are the owner's own scripts.
    """
    body = parse_json(payload, max_bytes=MAX_RECEIPT_BYTES, what="receipt")
    if not isinstance(body, dict) or set(body) != {"epoch", "seq"}:
        raise WireError("receipt must have exactly epoch and seq")
    epoch, seq = body["epoch"], body["seq"]
    if not isinstance(epoch, str) or not 0 < len(epoch) <= MAX_EPOCH_CHARS:
        raise WireError(f"receipt: epoch must be text of 1 to {MAX_EPOCH_CHARS} characters")
    if not _is_count(seq):
        raise WireError("receipt: seq must be a whole number from 0 to 2^53 - 1")
    return epoch, seq


def parse_switch(payload: bytes) -> bool:
    """Return what `…/privacy/set` asks for; only `ON` and `OFF` are words here."""
    if payload not in (ON, OFF):
        raise WireError(f"{payload[:MAX_SWITCH_BYTES]!r} is neither ON nor OFF")
    return payload == ON


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MAX_SEQ
