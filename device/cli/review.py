"""`latchstring review`: the owner's decisions, on the command line. The only commands that unlock the owner key."""

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from broker import logs
from broker.terminal import AsJson, say, say_json
from broker.wire.encoding import format_time, from_base64, parse_time
from broker.wire.records import Approval, Release, Request
from broker.wire.rules import Limits
from device.consent.reading.told import ToldView
from device.consent.release import Bundle, ClipMaterial, DeviceFacts
from device.consent.trust import Trust, VerifiedRequest
from device.control import ControlClient
from device.pinned import log_policy
from device.settings import load_settings
from device.vault.disk import read_secret
from device.vault.keys import OwnerKey, unlock_owner
from device.vault.ledger import LedgerEntry, verify_lines

from .common import Home, PassphraseFd, PassphraseFile, read_passphrase
from .errors import CommandError
from .shown import show_bundle, show_request

logs.configure()  # to standard error, whatever a command imports: standard output is for answers
app = App(name="review", help="See who asks, and decide.")

MAX_CUT_S = 86_400.0
Leaf = Annotated[str, Parameter(name="request", help="The request, by its first six digits or more.")]
OwnerKeyFile = Annotated[Path, Parameter(name="--owner-key", help="Your owner.key.json.")]


@app.command(name="list")
def review_list(
    *,
    home: Home,
    waiting: Annotated[bool, Parameter(negative="", help="Only those that wait for you.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the requests that this device knows, newest first."""
    listed = json.loads(ControlClient(home).exchange("requests")[1])
    found = [one for one in listed if not waiting or one["state"] == "offered"]
    if as_json:
        say_json(found)
        return
    table = Table("request", "state", "agency", "case", "incident", "clips")
    for one in found:
        request = one.get("request")
        if request is None:
            table.add_row(one["leaf"][:12], one["state"], escape(one["message"]), "", "", "")
            continue
        state = f"{one['state']} ({one['rule']})" if one["rule"] else one["state"]
        case, clips = escape(request["case"]), str(len(one["clips"]))
        table.add_row(one["leaf"][:12], state, request["agency"], case, request["incident"], clips)
    Console().print(table if found else "no requests")


@app.command(name="show")
def review_show(leaf: Leaf, *, home: Home, as_json: AsJson = False) -> None:
    """Show one request: who asks, for what, on which terms, and which of your clips match. Nothing is unlocked."""
    summary = ControlClient(home).call("request", leaf=leaf)
    if as_json:
        say_json(summary)
    else:
        show_request(summary)


@app.command(name="approve")
def review_approve(
    leaf: Leaf,
    *,
    home: Home,
    owner_key: OwnerKeyFile,
    clips: Annotated[
        Sequence[str] | None,
        Parameter(name="--clip", help="A matching clip's id; all of them by default. May be repeated."),
    ] = None,
    start_s: Annotated[
        float | None, Parameter(name="--from", help="Begin so many seconds into the clip (one clip only).")
    ] = None,
    end_s: Annotated[
        float | None, Parameter(name="--to", help="End so many seconds into the clip (one clip only).")
    ] = None,
    preview: Annotated[
        bool, Parameter(negative="", help="Unpack the very files into memory to look at before you answer.")
    ] = False,
    yes: Annotated[bool, Parameter(negative="", help="Don't ask again.")] = False,
    wait_s: Annotated[float, Parameter(name="--wait", help="Wait so many seconds for the receipt.")] = 60.0,
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
    as_json: AsJson = False,
) -> None:
    """Approve a request: unlock, cut the clips at segment bounds, build and seal the bundle, sign, and have it sent.

    What you are shown is what is sent, byte for byte. A clip is cut to the window that was asked for and to 60 seconds.
    """
    client = ControlClient(home)
    summary, announcement = client.exchange("request", leaf=leaf)
    if summary["state"] != "offered":
        raise CommandError(f"request {summary['leaf'][:12]} is {summary['state']}; only one that waits can be approved")
    verified = _verified(home, summary, announcement)
    owner = unlock_owner(read_secret(owner_key), read_passphrase(passphrase_file, passphrase_fd))
    facts = client.call("facts")
    device = DeviceFacts(
        name=facts["device"], key=from_base64(facts["key"]), camera=facts["camera"], kind=facts["kind"]
    )
    chosen = _chosen(summary, clips, start_s, end_s)
    with _working("opening and sealing", quiet=as_json):
        bundle, materials = _bundle(client, verified, device, owner, chosen)
    if not as_json:
        show_bundle(bundle, verified)
        if not (yes or preview):
            say("to look at the very clips first: answer no, and use --preview")
    if not yes:
        with _previewed(materials, bundle) if preview else _nothing():
            _ask()
    from device.consent.review import approve  # noqa: PLC0415 - cv2 and av take their time

    envelope = approve(bundle, verified, device=device.name, owner=owner, now_us=time.time_ns() // 1_000)
    client.call("approve", bundle.sealed, approval=envelope.decode())
    final = _wait_for_receipt(client, verified.leaf, len(bundle.sealed), wait_s, quiet=as_json)
    if as_json:
        say_json(_released(final, bundle, verified.request))
    else:
        say(
            {"received": "received: the inbox has signed for it", "released": "on its way"}.get(
                final["state"], final["state"]
            )
        )
    if final["state"] not in {"received", "released", "approved"}:
        raise CommandError(f"the bundle was not received: {final['message']}")


@app.command(name="decline")
def review_decline(leaf: Leaf, *, home: Home) -> None:
    """Decline a request. Nothing is sent: to whoever asks, a no looks like a device that is off."""
    declined = ControlClient(home).call("decline", leaf=leaf)["request"]
    say(f"declined {declined[:12]}; nothing was sent, and nobody is told")


@app.command(name="ledger")
def review_ledger(*, home: Home, as_json: AsJson = False) -> None:
    """Show every decision and what left, and verify the chain. With --json: the signed entries, a line each."""
    facts, lines = ControlClient(home).exchange("ledger")
    envelopes = lines.splitlines()
    problems = verify_lines(iter(envelopes), from_base64(facts["key"]))
    if as_json:
        say(*(line.decode() for line in envelopes))
    else:
        table = Table("no.", "when (UTC)", "what", "request", "")
        for entry in map(LedgerEntry.parse, envelopes):
            request = str(entry.body.get("request", ""))[:12]
            table.add_row(str(entry.seq), format_time(entry.at_us)[:19], entry.kind, request, _what_left(entry))
        Console().print(table)
        say(f"{len(envelopes)} entries; " + ("the chain holds" if not problems else "THE CHAIN DOES NOT HOLD"))
    if problems:
        raise CommandError(f"the ledger does not hold: {problems[0]}")


def _verified(home: Path, summary: dict[str, Any], announcement: bytes) -> VerifiedRequest:
    """Verify the request in this process too: what can be checked is not taken on the daemon's word."""
    section = load_settings(home).neighbourhood
    if section is None:
        raise CommandError(f"the settings in {home} have no [neighbourhood]")
    leaf = summary["leaf"]
    told = ToldView(summary["read"], leaf=leaf, operator_key=from_base64(section.operator_key))
    return Trust(policy=log_policy(home, section), view=told).verify(announcement, leaf=leaf)


def _chosen(
    summary: dict[str, Any], wanted: Sequence[str] | None, start_s: float | None, end_s: float | None
) -> list[tuple[str, int, int]]:
    """Return (clip, start_us, end_us) of what to open."""
    by_id = {clip["clip"]: clip for clip in summary["clips"]}
    for clip in wanted or ():
        if clip not in by_id:
            raise CommandError(f"{clip} does not match this request; matching: {', '.join(by_id)}")
    found = [by_id[clip] for clip in dict.fromkeys(wanted)] if wanted else summary["clips"]
    if (start_s is not None or end_s is not None) and len(found) != 1:
        raise CommandError("--from and --to cut one clip; choose it with --clip")
    for seconds in (start_s, end_s):
        if seconds is not None and not 0 <= seconds < MAX_CUT_S:
            raise CommandError("--from and --to are seconds into the clip, from 0 on")
    window_us = parse_time(summary["request"]["start"]), parse_time(summary["request"]["end"])
    cuts = []
    for clip in found:
        # By default no more than what was asked for, to the segment.
        begin_us, until_us = max(clip["start_us"], window_us[0]), min(clip["end_us"], window_us[1])
        start_us = begin_us if start_s is None else clip["start_us"] + int(start_s * 1_000_000)
        end_us = until_us if end_s is None else clip["start_us"] + int(end_s * 1_000_000)
        if not start_us < end_us:
            raise CommandError("--from must lie before --to")
        cuts.append((clip["clip"], start_us, end_us))
    most = Limits().clips_per_share
    if wanted and len(cuts) > most:
        raise CommandError(f"a share holds at most {most} clips; you chose {len(cuts)}")
    return cuts[:most]


def _bundle(
    client: ControlClient,
    verified: VerifiedRequest,
    device: DeviceFacts,
    owner: OwnerKey,
    chosen: Sequence[tuple[str, int, int]],
) -> tuple[Bundle, list[ClipMaterial]]:
    from device.consent import review  # noqa: PLC0415 - cv2 and av take their time

    materials = []
    for clip, start_us, end_us in chosen:
        statements = [from_base64(text) for text in client.call("segments", clip=clip)]
        segments = [
            review.SealedSegment(statement, partial(_read_segment, client, clip, number))
            for number, statement in enumerate(statements)
        ]
        parts = review.cut(
            segments, device_key=device.key, start_us=start_us, end_us=end_us, limit_us=Limits().clip_max_us
        )
        materials.append(review.open_clip(parts, owner))

    def sign_release(release: Release) -> bytes:
        return client.exchange("sign_release", release.payload())[1]

    now_us = time.time_ns() // 1_000
    return review.prepare(verified, device, materials, sign_release=sign_release, now_us=now_us), materials


def _read_segment(client: ControlClient, clip: str, number: int) -> bytes:
    return client.exchange("read_segment", clip=clip, number=number)[1]


def _wait_for_receipt(client: ControlClient, leaf: str, size: int, wait_s: float, *, quiet: bool) -> dict[str, Any]:
    until = time.monotonic() + wait_s
    with _working("sending", quiet=quiet) as status:
        while True:
            summary: dict[str, Any] = client.call("request", leaf=leaf)
            if summary["state"] not in {"approved", "released"} or time.monotonic() > until:
                return summary
            if status is not None:
                status.update(f"sending: {summary['sent_bytes'] or 0:,} of {size:,} bytes")
            time.sleep(0.1)


@contextmanager
def _previewed(materials: Sequence[ClipMaterial], bundle: Bundle) -> Iterator[None]:
    """Show the very clips from memory that has no name in any folder and ends with this process."""
    with contextlib.ExitStack() as stack:
        for clip, material in zip(bundle.clips, materials, strict=True):
            memory = stack.enter_context(os.fdopen(os.memfd_create(clip.file), "wb"))
            memory.write(material.mp4)
            memory.flush()
            say(f"{clip.file}: look at it with any player, as /proc/{os.getpid()}/fd/{memory.fileno()}")
        say("it is gone once you have answered")
        yield


@contextmanager
def _nothing() -> Iterator[None]:
    yield


@contextmanager
def _working(what: str, *, quiet: bool) -> Iterator[Any]:
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield None
        return
    with console.status(what) as status:
        yield status


def _ask() -> None:
    if not sys.stdin.isatty():
        raise CommandError("not approved: no terminal to ask on; look with 'review show' and use --yes")
    answer = input("Send exactly this? Type yes: ").strip().lower()
    if answer == "y":
        answer = input("Type the whole word yes: ").strip().lower()
    if answer != "yes":
        raise CommandError("not approved; nothing was sent")


def _released(final: dict[str, Any], bundle: Bundle, request: Request) -> dict[str, Any]:
    return {
        "request": final["leaf"],
        "state": final["state"],
        "bundle_sha256": bundle.sha256,
        "bundle_bytes": len(bundle.sealed),
        "recipient": request.recipient,
        "clips": [clip.model_dump(mode="json") for clip in bundle.clips],
        "files": [file.model_dump(mode="json") for file in bundle.files],
        "receipt": final["receipt"],
    }


def _what_left(entry: LedgerEntry) -> str:
    if entry.kind == "approved":
        approval = Approval.unverified(str(entry.body["approval"]).encode())
        clips = len(approval.clips)
        return f"{clips} clip{'s' * (clips != 1)}, {approval.bundle_bytes:,} bytes, to {approval.recipient[:16]}…"
    return escape(str(entry.body.get("reason", "nothing was sent" if entry.kind == "declined" else "")))
