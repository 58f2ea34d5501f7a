"""The owner's side: open sealed segments, make the clips that were chosen, build the bundle and sign the approval.

Runs in the review process, the only one that ever holds the owner's key. Plaintext stays in memory.

A clip that begins and ends at segment bounds and hides nothing keeps its seal: its packets are copied. Anything else is
derived: cut at any picture, re-encoded, and said to be so.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from broker.wire.encoding import WireError
from broker.wire.records import Approval, Release, SegmentStatement
from broker.wire.rules import Limits
from broker.wire.segments import decode_segment, segment_digest
from device.vault.errors import VaultError
from device.vault.keys import OwnerKey
from device.vault.sealing import seal, unseal
from device.video.codec.mux import mux_mp4
from device.video.errors import VideoError
from device.video.packets import AccessUnit, CodecConfig
from device.video.segments import Segment

from .errors import ConsentError
from .redact import Choice, derived_clip
from .release import Bundle, ClipMaterial, DeviceFacts, FaceReport, HiddenBox, build_bundle
from .trust import VerifiedRequest


@dataclass(frozen=True, slots=True)
class SealedSegment:
    """A segment as it lies in the ring: what the device signed of it, and how to read the sealed bytes."""

    statement: bytes
    read: Callable[[], bytes]


def cut(
    segments: Sequence[SealedSegment], *, device_key: bytes, start_us: int, end_us: int, limit_us: int
) -> list[tuple[SegmentStatement, SealedSegment]]:
    """Return the segments that show some of [start_us, end_us), from the first on and at most `limit_us` in all.

    Raises ConsentError if a statement is not the device's.
    """
    chosen: list[tuple[SegmentStatement, SealedSegment]] = []
    for segment in segments:
        try:
            statement = SegmentStatement.open(segment.statement, key=device_key)
        except WireError as error:
            raise ConsentError(f"a segment's statement is not this device's: {error}") from error
        ends_us = statement.start + statement.duration_us
        if statement.start >= end_us or ends_us <= start_us:
            continue
        if chosen and (statement.seq != chosen[-1][0].seq + 1 or ends_us - chosen[0][0].start > limit_us):
            break
        chosen.append((statement, segment))
    return chosen


def open_segments(chosen: Sequence[tuple[SegmentStatement, SealedSegment]], identity: str) -> list[Segment]:
    """Open segments; raises ConsentError naming the one that is damaged, or that is not what the device signed."""
    return [_open_segment(statement, segment, identity) for statement, segment in chosen]


def open_clip(chosen: Sequence[tuple[SegmentStatement, SealedSegment]], identity: str) -> ClipMaterial:
    """Open the segments and copy their packets into an MP4; raises ConsentError naming the segment that is damaged."""
    if not chosen:
        raise ConsentError("nothing of this clip lies in that range")
    opened = open_segments(chosen, identity)
    first, last = chosen[0][0], chosen[-1][0]
    try:
        mp4 = mux_mp4(opened)
    except VideoError as error:
        raise ConsentError(f"the clip can't be cut like this: {error}") from error
    return ClipMaterial(
        mp4=mp4,
        start_us=first.start,
        end_us=last.start + last.duration_us,
        statements=tuple(segment.statement for _, segment in chosen),
        first_seq=first.seq,
        last_seq=last.seq,
        width=opened[0].config.width,
        height=opened[0].config.height,
    )


def material(
    parts: Sequence[tuple[SegmentStatement, SealedSegment]],
    choice: Choice,
    *,
    identity: str,
    progress: Callable[[float], None] = lambda _: None,
) -> ClipMaterial:
    """Return what was chosen of a clip's segments: sealed where it can be, else made. `progress` goes from 0 to 1.

    Raises ConsentError if the range shows nothing of them, if it reaches beyond them, or if one is damaged.
    """
    needed = [
        (statement, sealed)
        for statement, sealed in parts
        if statement.start < choice.end_us and _end_us(statement) > choice.start_us
    ]
    if not needed:
        raise ConsentError("nothing of this clip lies in that range")
    if choice.start_us < parts[0][0].start or choice.end_us > _end_us(parts[-1][0]):
        raise ConsentError("the range reaches beyond the clip's segments")
    start_us, end_us = needed[0][0].start, _end_us(needed[-1][0])
    # What begins or ends where nothing was filmed for a while begins or ends with the pictures.
    choice = replace(choice, start_us=max(choice.start_us, start_us), end_us=min(choice.end_us, end_us))
    if choice.end_us - choice.start_us > Limits().clip_max_us:
        raise ConsentError(f"a clip lasts {Limits().clip_max_us // 1_000_000} s at the most; choose a part of it")
    if not choice.hides and (choice.start_us, choice.end_us) == (start_us, end_us):
        return open_clip(needed, identity)
    return _derived(needed, choice, identity=identity, progress=progress)


def _derived(
    needed: Sequence[tuple[SegmentStatement, SealedSegment]],
    choice: Choice,
    *,
    identity: str,
    progress: Callable[[float], None],
) -> ClipMaterial:
    segments = open_segments(needed, identity)
    mp4, made, transformations = derived_clip(segments, choice, progress=progress)
    found = made.faces
    boxes = [HiddenBox(k.at_us, k.box.x, k.box.y, k.box.width, k.box.height) for k in found.boxes] if found else []
    return ClipMaterial(
        mp4=mp4,
        start_us=made.start_us,
        end_us=made.end_us,
        statements=tuple(sealed.statement for _, sealed in needed),
        first_seq=needed[0][0].seq,
        last_seq=needed[-1][0].seq,
        width=made.width,
        height=made.height,
        transformations=transformations,
        faces=FaceReport(found.tracks, found.pictures, tuple(boxes)) if found else None,
    )


def _end_us(statement: SegmentStatement) -> int:
    return statement.start + statement.duration_us


def prepare(
    verified: VerifiedRequest,
    device: DeviceFacts,
    clips: Sequence[ClipMaterial],
    *,
    sign_release: Callable[[Release], bytes],
    now_us: int,
    rings: Sequence[int] = (),
) -> Bundle:
    """Build the bundle that the owner is shown and then approves or not; `rings` are told where the owner says so."""
    if len(clips) > Limits().clips_per_share:
        raise ConsentError(f"a share holds at most {Limits().clips_per_share} clips; choose some")
    return build_bundle(verified, device, clips, sign_release=sign_release, seal=seal, now_us=now_us, rings=rings)


def approve(bundle: Bundle, verified: VerifiedRequest, *, device: str, owner: OwnerKey, now_us: int) -> bytes:
    """Sign the owner's approval of exactly this bundle; returns the envelope."""
    approval = Approval(
        request=verified.leaf,
        device=device,
        recipient=verified.request.recipient,
        clips=bundle.clips,
        files=bundle.files,
        bundle_bytes=len(bundle.sealed),
        bundle_sha256=bundle.sha256,
        approved_at=now_us,
    )
    return approval.sign(owner.signing)


def _open_segment(statement: SegmentStatement, sealed: SealedSegment, identity: str) -> Segment:
    try:
        plaintext = unseal(sealed.read(), identity)
        if segment_digest(plaintext) != statement.sha256:
            raise ConsentError(f"segment {statement.seq} is not what the device signed when it filmed it")
        decoded = decode_segment(plaintext)
    except (VaultError, WireError) as error:
        raise ConsentError(f"segment {statement.seq} is damaged and can't be shared: {error}") from error
    return Segment(
        config=CodecConfig(
            codec=decoded.codec, width=decoded.width, height=decoded.height, extradata=decoded.extradata
        ),
        start_us=statement.start,
        duration_us=statement.duration_us,
        units=tuple(AccessUnit(unit.dts, unit.pts, unit.keyframe, unit.data) for unit in decoded.units),
    )
