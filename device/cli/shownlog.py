"""How the public log is shown to the owner: what was read, and who vouches for it."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from broker.wire.encoding import format_time
from device.consent.words import ago

_KEPT = {"agencies": "agency", "requests": "request", "cases": "case"}
HOW_TO_CHECK = """\
Each pair of heads was signed by one log, and an honest log can't have signed both.

    N-first.note, N-second.note   the two signed heads, byte for byte
    N-proof.json                  hashes by which the two can be compared

In the proof, "edge" holds the roots of the complete subtrees, left to right, that make up the tree of "size" entries.
"then" holds the subtrees (level, hash) that follow, up to the larger head. A node is SHA-256 of 0x01, left and right
(RFC 6962). Two heads of one size with two roots need no hashes.

Send these files to the witnesses, and to anybody who reads the log.
"""


def log_rows(log: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (name, line) of what the owner should see of the log first."""
    behind = f" of {log['size']:,}" if log["read"] < log["size"] else ""
    yield "public log", f"{log['read']:,}{behind} entries read of {log['origin']}"
    yield "vouched for", vouched_in_words(log)
    if log["contradiction"] is not None:
        yield "CONTRADICTION", f"{log['contradiction']}: nothing of this log counts until you say so"


def vouched_in_words(log: dict[str, Any]) -> str:
    """Return who vouches for the log, and since when nothing newer was heard."""
    if not log["witnessed"]:
        return "unwitnessed: only its operator says what the log is, and nobody says how fresh that is"
    names = ", ".join(one["name"] for one in log["cosigners"] if one["cosigned_us"] is not None)
    by = "by nobody yet" if log["cosigned_us"] is None else f"by {names}, {_ago(log['cosigned_us'])}"
    return by + ("" if log["needs_mirror"] else "; unwitnessed by any mirror")


def show_log(log: dict[str, Any]) -> None:
    """Show everything that is known of the log."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column()
    table.add_column(overflow="fold")  # an address or a root is of use whole
    for name, line in log_rows(log):
        table.add_row(name, escape(line))
    table.add_row("root", log["root"] or "")
    for one in log["cosigners"]:
        signed = "has not signed the newest head" if one["cosigned_us"] is None else _ago(one["cosigned_us"])
        table.add_row(one["kind"], escape(f"{one['name']}: {signed}"))
    for one in log["sources"]:
        how = one["error"] or ("not asked yet" if one["size"] is None else f"{one['size']:,} entries")
        table.add_row("read from", escape(f"{one['name']} ({one['url']}): {how}"))
    kept = log["kept"]
    counts = [f"{kept[what]:,} {one if kept[what] == 1 else what}" for what, one in _KEPT.items()]
    if kept["revoked"]:
        counts[0] += ", revoked" if kept["agencies"] == 1 else f" ({kept['revoked']:,} revoked)"
    table.add_row("kept of it", ", ".join(counts))
    table.add_row("void", f"entries that count for nothing: {log['void']:,}; heads refused: {log['refused_heads']:,}")
    if log["hold"] is not None:
        table.add_row("now", escape(log["hold"]))
    for one in log["evidence"]:
        answered = "" if one["accepted_us"] is None else f"; answered {format_time(one['accepted_us'])[:16]}"
        table.add_row(
            f"evidence {one['number']}",
            escape(f"{format_time(one['found_us'])[:16]} {one['kind']}: {one['message']}{answered}"),
        )
    Console().print(table)


def export_evidence(folder: Path, evidence: list[dict[str, Any]]) -> None:
    """Write the evidence into a folder, with how to check it."""
    folder.mkdir(parents=True, exist_ok=True)
    for one in evidence:
        for name, key in (("first.note", "first"), ("second.note", "second"), ("proof.json", "proof")):
            (folder / f"{one['number']}-{name}").write_text(one[key], encoding="utf-8")
    (folder / "README.txt").write_text(HOW_TO_CHECK, encoding="utf-8")


def _ago(at_us: int) -> str:
    return ago(at_us, now_us=time.time_ns() // 1_000)
