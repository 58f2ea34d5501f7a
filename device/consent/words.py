"""What is said to the owner of a request's proof, of its agency's record and of times, on every screen alike. Pure."""

from typing import Any

from broker.wire.encoding import format_time
from broker.wire.rules import DAY_US, HOUR_US, MINUTE_US


def proof_in_words(summary: dict[str, Any], *, now_us: int) -> str:
    """Return what shows that a request is in the public log."""
    log = summary["log"]
    words = f"entry {summary['index']}; this device has itself read it there, among {log['read']:,} entries. "
    if not log["witnessed"]:
        return words + "Unwitnessed: only the operator vouches for that log"
    by = ", ".join(log["cosigned_by"]) or "nobody"
    signed = f"Cosigned by {by}, {ago(log['cosigned_us'], now_us=now_us)}"
    return words + signed + (f". BUT: {log['hold']}" if log["hold"] else "")


def record_in_words(record: dict[str, Any]) -> str:
    """Return an agency's public record in a line."""
    since = "" if record["since_us"] is None else f"admitted since {format_time(record['since_us'])[:10]}; "
    asked = f"asked {record['asked']:,} time{'s' * (record['asked'] != 1)}, took {record['withdrawn']:,} back"
    area = f"; {record['mean_area_m2'] / 1e6:.2f} km² on average" if record["asked"] else ""
    turned_away = f"; {record['turned_away']:,} more turned away at intake" if record["turned_away"] else ""
    back = record["deletions_asked"]
    deletions = f"; {back:,} time{'s' * (back != 1)} asked to delete what it was given" if back else ""
    return since + asked + area + turned_away + deletions


def before_deletion(agency: str) -> list[str]:
    """Return what the owner has to know before they ask an agency (its name) to delete what they gave it."""
    return (
        f"{agency} gets a notice that asks it to delete your bundle. What it has already, nobody can take from it. The"
        " inbox deletes its own copy at once; what is still on its way there is stopped.\n"
        "What becomes public: the log will say that somebody who answered this request has asked for deletion, and on"
        " which day. So everybody will see that somebody shared footage for it. It says neither who nor what, and is"
        " logged after midnight (UTC), together with all who ask on that day.\n"
        f"{agency} learns nothing of you that is not in the bundle. This can't be taken back."
    ).split("\n")


def deletion_in_words(deletion: dict[str, Any]) -> str:
    """Return how far a notice is that asks for deletion."""
    at = format_time(deletion["at_us"])[:16].replace("T", " ")
    match deletion["state"]:
        case "asked":
            return f"asked {at} UTC; the inbox has not signed for it yet, and is told again until it has"
        case "told":
            return f"told {at} UTC: the inbox has signed for your notice, and the agency finds it there"
        case _:
            return f"of no avail ({at} UTC): {deletion['message']}"


def ago(at_us: int, *, now_us: int) -> str:
    """Return how long ago a time is, in its largest unit."""
    past_us = max(0, now_us - at_us)
    for unit_us, name in ((DAY_US, "d"), (HOUR_US, "h"), (MINUTE_US, "min")):
        if past_us >= unit_us:
            return f"{past_us // unit_us} {name} ago"
    return "just now"
