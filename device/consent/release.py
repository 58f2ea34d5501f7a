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

from broker.wire.encoding import WireError, canonical, to_base64
from broker.wire.envelopes import open_envelope
from broker.wire.records import FileDigest, Release, SharedClip

from .errors import ConsentError
from .trust import VerifiedRequest


@dataclass(frozen=True, slots=True)
class HiddenBox:
    """Where a face is hidden at a moment, in fractions of the picture."""

    at_us: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class FaceReport:
    """What was hidden of faces: tracks, in how many pictures, and the boxes several times a second."""

    tracks: int
    pictures: int
    boxes: tuple[HiddenBox, ...]


@dataclass(frozen=True, slots=True)
class ClipMaterial:
    """One clip as it will leave: the MP4, its range, and the device's statements on its segments (envelopes).

    A clip with transformations is derived: its range lies within that of the segments it was made from. `faces` is None
    where none were looked for. Width and height are the picture's, in pixels.
    """

    mp4: bytes
    start_us: int
    end_us: int
    statements: tuple[bytes, ...]
    first_seq: int
    last_seq: int
    width: int
    height: int
    transformations: tuple[str, ...] = ()
    faces: FaceReport | None = None


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle, sealed, and the tar in it that was sealed: what the owner is shown is read out of that."""

    packed: bytes
    sealed: bytes
    sha256: str
    clips: tuple[SharedClip, ...]
    files: tuple[FileDigest, ...]
    rings: tuple[int, ...]  # when somebody rang, as far as it is told


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
    rings: Sequence[int] = (),
) -> Bundle:
    """Put a bundle together; `sign_release` asks the device to sign. Raises ConsentError if nothing is in it.

    `rings`: when somebody rang, where the owner tells it; of these, the bundle tells what its clips show.
    """
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
    told = tuple(at for at in sorted(set(rings)) if any(clip.start_us <= at < clip.end_us for clip in clips))
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
        rings=told,
    )
    files["release.dsse.json"] = _signed(release, sign_release(release))
    packed = pack(files)
    sealed = seal(packed, [verified.request.recipient])
    return Bundle(packed, sealed, hashlib.sha256(sealed).hexdigest(), shared, digests(files), told)


def _signed(release: Release, envelope: bytes) -> bytes:
    """Return what the device signed, if it is this release and not a byte besides; raises ConsentError.

    It comes from the process that faces the network, and the owner answers for what is in the bundle.
    """
    try:
        opened = open_envelope(envelope, payload_type=Release.payload_type(), key=release.device_key)
    except WireError as error:
        raise ConsentError(f"the device did not sign what the bundle says of it: {error}") from error
    if opened != release.payload():
        raise ConsentError("the device signed something else than what was to be said of the clips")
    return envelope


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
