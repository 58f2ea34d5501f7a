"""The bundle: a tar of exactly what the owner saw, sealed to the agency. Bytes in, bytes out.

Files, in this order: `clip-N.mp4`, `request.dsse.json`, `request.tlog-proof`, `segments.json`, `release.dsse.json`.
The tar is plain ustar with fixed times and owners: the same parts give the same bytes, and `age -d | tar x` opens it.
"""

import hashlib
import io
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from broker.wire.encoding import canonical, to_base64
from broker.wire.records import FileDigest, Release, SharedClip

from .errors import ConsentError
from .trust import VerifiedRequest


@dataclass(frozen=True, slots=True)
class ClipMaterial:
    """One clip as it will leave: the MP4, its range, and the device's statements on its segments (envelopes)."""

    mp4: bytes
    start_us: int
    end_us: int
    statements: tuple[bytes, ...]
    first_seq: int
    last_seq: int
    transformations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Bundle:
    """A sealed bundle and what is in it."""

    sealed: bytes
    sha256: str
    clips: tuple[SharedClip, ...]
    files: tuple[FileDigest, ...]


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """What a release says of the device."""

    name: str
    key: bytes
    camera: str
    kind: Literal["camera", "doorbell"]


def build_bundle(
    verified: VerifiedRequest,
    device: DeviceFacts,
    clips: Sequence[ClipMaterial],
    *,
    sign_release: Callable[[Release], bytes],
    seal: Callable[[bytes, Sequence[str]], bytes],
    now_us: int,
) -> Bundle:
    """Put a bundle together; `sign_release` asks the device to sign. Raises ConsentError if nothing is in it."""
    if not clips:
        raise ConsentError("a bundle needs at least one clip")
    shared = tuple(
        SharedClip(
            file=f"clip-{number}.mp4",
            start=clip.start_us,
            end=clip.end_us,
            first_seq=clip.first_seq,
            last_seq=clip.last_seq,
            transformations=clip.transformations,
        )
        for number, clip in enumerate(clips, 1)
    )
    files = {item.file: clip.mp4 for item, clip in zip(shared, clips, strict=True)}
    files["request.dsse.json"] = verified.entry.envelope
    files["request.tlog-proof"] = verified.entry.proof
    files["segments.json"] = _segments(shared, clips)
    release = Release(
        request=verified.leaf,
        device=device.name,
        device_key=device.key,
        camera=device.camera,
        kind=device.kind,
        recipient=verified.request.recipient,
        clips=shared,
        files=digests(files),
        made_at=now_us,
    )
    files["release.dsse.json"] = sign_release(release)
    sealed = seal(pack(files), [verified.request.recipient])
    return Bundle(sealed, hashlib.sha256(sealed).hexdigest(), shared, digests(files))


def digests(files: dict[str, bytes]) -> tuple[FileDigest, ...]:
    """Return name, size and SHA-256 of each file."""
    return tuple(
        FileDigest(name=name, bytes=len(data), sha256=hashlib.sha256(data).hexdigest()) for name, data in files.items()
    )


def pack(files: dict[str, bytes]) -> bytes:
    """Return a deterministic ustar archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.mtime = len(data), 0o600, 0
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def _segments(shared: Sequence[SharedClip], clips: Sequence[ClipMaterial]) -> bytes:
    return canonical(
        {
            "clips": [
                {"file": item.file, "segments": [to_base64(statement) for statement in clip.statements]}
                for item, clip in zip(shared, clips, strict=True)
            ]
        }
    )
