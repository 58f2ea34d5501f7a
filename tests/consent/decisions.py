"""Approvals for tests: of a bundle that lies ready, for a request that is on offer."""

import hashlib
from typing import Any

from broker.wire.records import Approval, FileDigest, SharedClip
from tests.consent.support import CLIP_START_US, Home
from tests.simulators import NOW_US, RECIPIENT

BUNDLE = b"a sealed bundle"
SHA = hashlib.sha256(BUNDLE).hexdigest()
SEED = bytes(32)


def clip(**changes: Any) -> SharedClip:
    fields: dict[str, Any] = {
        "file": "clip-1.mp4", "start": CLIP_START_US, "end": CLIP_START_US + 5_000_000, "first_seq": 0, "last_seq": 4,
        "transformations": (),
    }  # fmt: skip
    return SharedClip(**{**fields, **changes})


def approval(leaf: str, **changes: Any) -> Approval:
    fields: dict[str, Any] = {
        "request": leaf, "device": "front-door", "recipient": RECIPIENT, "clips": (clip(),),
        "files": (FileDigest(name="clip-1.mp4", bytes=3, sha256="0" * 64),), "bundle_bytes": len(BUNDLE),
        "bundle_sha256": SHA, "approved_at": NOW_US,
    }  # fmt: skip
    return Approval(**{**fields, **changes})


def approve(home: Home, envelope: bytes, *, sha: str = SHA, size: int = len(BUNDLE)) -> None:
    home.desk.approve(envelope, bundle="x.age", bundle_sha256=sha, bundle_bytes=size, upload_seed=SEED)


def offered(home: Home) -> str:
    home.shelf.film("c1")
    leaf, payload = home.hood.announced()
    home.consider((leaf, payload))
    assert home.states() == {leaf: "offered"}
    return leaf
