"""A draft as the page gets it: what can be chosen, what was chosen, and what they would get."""

from dataclasses import asdict
from typing import Any

from broker.wire.rules import Limits
from device.consent.errors import ConsentError
from device.consent.release import ClipMaterial
from device.control import ControlError
from device.vault.errors import VaultError
from device.video.errors import VideoError

from . import words
from .cell import Cell
from .drafts import Draft, Made, frame_us, seams

FOREVER_US = (1 << 53) - 1
STRIP_US = 3_600 * 1_000_000  # a strip is drawn again and again while one reviews


def shown(cell: Cell, draft: Draft) -> dict[str, Any]:
    """Return a draft for the page. Opens its clips: blocking."""
    limits = Limits()
    start_us, end_us = draft.window_us
    made = draft.made
    told: dict[str, Any] = {
        "draft": draft.id,
        "leaf": draft.verified.leaf,
        "device": draft.device.name,
        "state": draft.state,
        "error": draft.error,
        "progress": draft.progress,
        "what": draft.what,
        "limits": {"clips": limits.clips_per_share, "clip_us": limits.clip_max_us},
        "window": {"start_us": start_us, "end_us": end_us},
        "rings": list(draft.summary["rings"]),
        "choice": draft.told,
        "bundle": None if made is None else _bundle(cell, draft, made),
    }
    return told | {"clips": [] if draft.state == "approved" else _clips(cell, draft)}


def _clips(cell: Cell, draft: Draft) -> list[dict[str, Any]]:
    return [_clip(cell, draft, clip) for clip, _, _ in draft.clips]


def _clip(cell: Cell, draft: Draft, clip: str) -> dict[str, Any]:
    unlocked = cell.unlocked
    try:
        opened = unlocked.films.clip(draft.device, clip)
        strip = unlocked.films.strip(draft.device, clip)
    except (ConsentError, ControlError, VaultError, VideoError) as error:
        # It had to make room, say; the others are there still.
        return {"clip": clip, "gone": str(error)}
    start_us, end_us = draft.window_us
    config = opened.segments[0].config
    show = {"device": draft.device.name, "clip": clip}
    addresses, now_us = unlocked.addresses, cell.now_us()
    return {
        "clip": clip,
        "gone": None,
        "start_us": opened.start_us,
        "end_us": opened.end_us,
        "width": config.width,
        "height": config.height,
        "frame_us": frame_us(opened),
        "cuts": seams(opened),
        "overlap": {"from_us": max(opened.start_us, start_us), "until_us": min(opened.end_us, end_us)},
        "strip": [
            {"at_us": at_us, "url": addresses.make({**show, "what": "strip", "at_us": at_us}, now_us, life_us=STRIP_US)}
            for at_us, _ in strip
        ],
        "url": addresses.make({**show, "what": "clip", "from_us": 0, "until_us": FOREVER_US}, now_us),
    }


def _bundle(cell: Cell, draft: Draft, made: Made) -> dict[str, Any]:
    bundle, request = made.bundle, draft.verified.request
    facts = made.facts
    derived = {clip.file for clip in bundle.clips if clip.transformations}
    return {
        "sha256": bundle.sha256,
        "bytes": len(bundle.sealed),
        "recipient": request.recipient,
        "files": [
            {
                "name": file.name,
                "bytes": file.bytes,
                "sha256": file.sha256,
                "what": words.file_words(file.name, derived=file.name in derived),
            }
            for file in bundle.files
        ],
        "clips": [_made_clip(cell, draft, made, number) for number in range(len(bundle.clips))],
        "rings": list(bundle.rings),
        "reveals": words.reveals(bundle, facts, bundle.rings),
        "withholds": words.withholds(draft.verified, facts, rings=bool(bundle.rings)),
        "terms": {
            "purpose": request.purpose,
            "retention_days": request.retention_days,
            "sharing": list(request.sharing),
            "excludes": list(request.excludes),
        },
    }


def _made_clip(cell: Cell, draft: Draft, made: Made, number: int) -> dict[str, Any]:
    bundle, clip, material = made.bundle, made.bundle.clips[number], made.materials[number]
    file = next(one for one in bundle.files if one.name == clip.file)
    show = {"what": "draft", "draft": draft.id, "sha256": bundle.sha256, "file": clip.file}
    return {
        "file": clip.file,
        "url": cell.unlocked.addresses.make(show, cell.now_us()),
        "start_us": clip.start,
        "end_us": clip.end,
        "width": material.width,
        "height": material.height,
        "bytes": file.bytes,
        "sha256": file.sha256,
        "origin": "derived" if clip.transformations else "sealed",
        "transformations": list(clip.transformations),
        **_faces(material),
    }


def _faces(material: ClipMaterial) -> dict[str, Any]:
    report = material.faces
    if report is None:
        return {"faces": None, "face_boxes": None}
    faces = {"tracks": report.tracks, "pictures": report.pictures}
    return {"faces": faces, "face_boxes": [asdict(box) for box in report.boxes]}
