"""`latchstring review approve`: unlock, cut, build, show, ask, sign, and have it sent. The one command with the key."""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console

from broker.terminal import AsJson, say, say_json
from broker.wire.encoding import parse_time
from broker.wire.records import Request
from broker.wire.rules import Limits
from device.consent.release import Bundle, ClipMaterial, DeviceFacts
from device.consent.trust import VerifiedRequest
from device.control import ControlClient
from device.reviewing import device_facts, sealed_segments, sign_release, verify_again
from device.settings import load_settings
from device.vault.disk import read_secret
from device.vault.keys import OwnerKey, unlock_owner

from .common import Home, Leaf, PassphraseFd, PassphraseFile, read_passphrase
from .errors import CommandError
from .shown import show_bundle

MAX_CUT_S = 86_400.0
OwnerKeyFile = Annotated[Path, Parameter(name="--owner-key", help="Your owner.key.json.")]


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
    exact: Annotated[
        bool,
        Parameter(negative="", help="With --from or --to: cut at that very picture. Re-encodes; the seal is lost."),
    ] = False,
    hide_faces: Annotated[
        bool, Parameter(negative="", help="Find faces and hide them for good. Re-encodes; the seal is lost.")
    ] = False,
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
    No detector finds every face: look at a clip with --preview before you send it.
    """
    if exact and start_s is None and end_s is None:
        raise CommandError("--exact goes with --from or --to")
    client = ControlClient(home)
    summary, announcement = client.exchange("request", leaf=leaf)
    if summary["state"] != "offered":
        raise CommandError(f"request {summary['leaf'][:12]} is {summary['state']}; only one that waits can be approved")
    verified = verify_again(home, load_settings(home), summary, announcement)
    owner = unlock_owner(read_secret(owner_key), read_passphrase(passphrase_file, passphrase_fd))
    device = device_facts(client)
    chosen = _chosen(summary, clips, start_s, end_s)
    with _working("opening and sealing", quiet=as_json) as status:
        tell = partial(_tell_progress, status)
        materials = _materials(client, device, owner, chosen, exact=exact, hide_faces=hide_faces, tell=tell)
        bundle = _bundle(client, verified, device, materials)
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


def _materials(
    client: ControlClient,
    device: DeviceFacts,
    owner: OwnerKey,
    chosen: Sequence[tuple[str, int, int]],
    *,
    exact: bool,
    hide_faces: bool,
    tell: Callable[[int, int, float], None],
) -> list[ClipMaterial]:
    """Open what was chosen, and hide in it what is to be hidden; `tell` gets which clip, of how many, and its part."""
    from device.consent import review  # noqa: PLC0415 - cv2 and av take their time
    from device.consent.redact import Choice  # noqa: PLC0415 - as above

    materials = []
    for place, (clip, start_us, end_us) in enumerate(chosen, 1):
        parts = review.cut(
            sealed_segments(client, clip),
            device_key=device.key,
            start_us=start_us,
            end_us=end_us,
            limit_us=Limits().clip_max_us,
        )
        if not parts:
            raise CommandError("nothing of this clip lies in that range")
        first_us, last_us = parts[0][0].start, parts[-1][0].start + parts[-1][0].duration_us
        if exact:
            first_us, last_us = max(first_us, start_us), min(last_us, end_us)
        choice = Choice(first_us, last_us, hide_faces=hide_faces)
        progress = partial(tell, place, len(chosen))
        materials.append(review.material(parts, choice, identity=owner.identity, progress=progress))
    return materials


def _tell_progress(status: Any, number: int, count: int, part: float) -> None:
    if status is not None:
        status.update(f"making clip {number} of {count}: {part:.0%}")


def _bundle(
    client: ControlClient, verified: VerifiedRequest, device: DeviceFacts, materials: Sequence[ClipMaterial]
) -> Bundle:
    from device.consent import review  # noqa: PLC0415 - cv2 and av take their time

    signed = partial(sign_release, client)
    return review.prepare(verified, device, materials, sign_release=signed, now_us=time.time_ns() // 1_000)


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
