"""How a request and a bundle are shown to the owner. An agency's text is text, never markup."""

import time
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from broker.wire.encoding import format_time
from device.consent.release import Bundle
from device.consent.trust import VerifiedRequest
from device.consent.words import deletion_in_words, proof_in_words, record_in_words


def state_in_words(summary: dict[str, Any]) -> str:
    """Return where a request stands; of one that waits, whether the owner wants to be told."""
    muted = summary["muted"] and summary["state"] == "offered"
    return f"{summary['state']}{', muted' if muted else ''}"


def show_request(summary: dict[str, Any]) -> None:
    """Show who asks, for what, on which terms, and which clips match."""
    request, agency = summary["request"], summary["agency"]
    area = request["area"]
    table = Table(show_header=False, box=None, pad_edge=False)
    rows = [
        ("request", summary["leaf"]),
        ("state", state_in_words(summary) + (f": {summary['message']}" if summary["message"] else "")),
        ("agency", f"{agency['name']}, {agency['domain']}"),
        ("in the log", proof_in_words(summary, now_us=time.time_ns() // 1_000)),
        ("its record", record_in_words(summary["record"])),
        ("admitted", f"by {agency['admitted_by']} on {agency['admitted_at'][:10]}: {agency['evidence']}"),
        ("case", f"{request['case']} ({request['incident']})"),
        ("asks", request["description"]),
        ("purpose", request["purpose"]),
        ("where", f"{area['radius_m']} m around {area['lat_e7'] / 1e7:.5f}, {area['lon_e7'] / 1e7:.5f}"),
        ("when", f"{request['start']} to {request['end']}"),
        (
            "kept for",
            f"{request['retention_days']} days; shared onward with: {', '.join(request['sharing']) or 'nobody'}",
        ),
        ("not for", ", ".join(request["excludes"])),
        ("contact", request["contact"]),
        ("expires", request["expires_at"]),
    ]
    if summary["deletion"] is not None:
        rows.append(("deletion", deletion_in_words(summary["deletion"])))
    for name, value in rows:
        table.add_row(name, escape(value))  # an agency's text is text, not markup
    for clip in summary["clips"]:
        seconds = (clip["end_us"] - clip["start_us"]) / 1_000_000
        table.add_row("your clip", f"{clip['clip']}  {format_time(clip['start_us'])}  {seconds:.1f} s")
    Console().print(table)


def show_bundle(bundle: Bundle, verified: VerifiedRequest) -> None:
    """Show what the agency would get: every file, and what it is."""
    request, agency = verified.request, verified.agency
    table = Table("file", "bytes", "what it is", title="This is what they get")
    kinds = {
        "request.dsse.json": "the request, as it stands in the public log",
        "request.tlog-proof": "the proof that it does",
        "segments.json": "the seals of capture",
        "release.dsse.json": "this device's statement: its name, its key, the times",
    }
    clips = {clip.file: clip for clip in bundle.clips}
    for file in bundle.files:
        clip = clips.get(file.name)
        what = kinds.get(file.name, "")
        if clip is not None:
            done = "; ".join(clip.transformations)
            what = f"{(clip.end - clip.start) / 1e6:.1f} s from {format_time(clip.start)}, "
            what += f"derived: {done}" if done else "as filmed"
        table.add_row(file.name, f"{file.bytes:,}", what)
    console = Console()
    console.print(table)
    console.print(
        escape(f"to {agency.name}, for case {request.case}: {request.purpose}; kept {request.retention_days} days")
    )
    console.print(f"sealed to {request.recipient}, {len(bundle.sealed):,} bytes, SHA-256 {bundle.sha256}")
