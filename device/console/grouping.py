"""Requests as the owner sees them: one for each entry of the log, with how it stands at each device. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from broker.wire.encoding import WireError
from broker.wire.records import Approval, Receipt, Record
from device.consent.words import proof_in_words

DECIDED = frozenset({"approved", "released", "received", "declined", "undelivered"})
CLOSED = frozenset({"expired", "withdrawn"})
R = TypeVar("R", bound=Record)
_ABOUT = ("request", "agency", "record", "updates")


def grouped(listed: Iterable[tuple[str, Mapping[str, Any]]], *, now_us: int) -> list[dict[str, Any]]:
    """Return the requests of several devices, each given as (device, the daemon's summary), newest change first."""
    found: dict[str, dict[str, Any]] = {}
    for device, summary in listed:
        one = found.setdefault(summary["leaf"], {"leaf": summary["leaf"], "request": None, "places": []})
        if one["request"] is None and summary.get("request") is not None:
            one |= {name: summary[name] for name in _ABOUT if name in summary}
            if "log" in summary:
                one["proof"] = proof_in_words(dict(summary), now_us=now_us)
        one["places"].append(place(device, summary))
    for one in found.values():
        one["group"] = group_of(one["places"])
    return sorted(found.values(), key=lambda one: -max(place["changed_us"] for place in one["places"]))


def place(device: str, summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return how a request stands at one device."""
    return {
        "device": device,
        "state": summary["state"],
        "rule": summary["rule"],
        "message": summary["message"],
        "changed_us": summary["changed_us"],
        "muted": summary.get("muted", False),
        "clips": [dict(clip) for clip in summary.get("clips", ())],
        "sent_bytes": summary.get("sent_bytes"),
        "total_bytes": total_bytes(summary),
        "received_us": _received_us(summary),
        "deletion": summary.get("deletion"),
    }


def group_of(places: Iterable[Mapping[str, Any]]) -> str:
    """Return where the owner looks for a request."""
    states = list(places)
    waiting = [one for one in states if one["state"] == "offered"]
    if waiting:
        return "muted" if all(one["muted"] for one in waiting) else "waiting"
    if any(one["state"] in DECIDED for one in states):
        return "decided"
    if any(one["state"] in CLOSED for one in states):
        return "closed"
    return "aside"


def _received_us(summary: Mapping[str, Any]) -> int | None:
    receipt = _read(summary.get("receipt"), Receipt)
    return None if receipt is None else receipt.received_at


def away_summary(leaf: str, why: str) -> dict[str, Any]:
    """Return what is known of a request at a device that does not answer: nothing but that."""
    about = {"leaf": leaf, "state": "away", "rule": "", "message": why, "changed_us": 0}
    return {**about, "approval": None, "receipt": None}


def total_bytes(summary: Mapping[str, Any]) -> int | None:
    """Return how large the bundle is that was approved, if one was."""
    approval = _read(summary.get("approval"), Approval)
    return None if approval is None else approval.bundle_bytes


def _read(envelope: str | None, kind: type[R]) -> R | None:
    try:
        return None if envelope is None else kind.unverified(envelope.encode())
    except WireError:  # the daemon has verified it; a number of it is not worth the page
        return None
