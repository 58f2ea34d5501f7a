"""The owner's side: open sealed segments, cut a clip at segment bounds, build the bundle and sign the approval.

Runs in the review process, the only one that ever holds the owner's key. Plaintext stays in memory.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

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
from .release import Bundle, ClipMaterial, DeviceFacts, build_bundle
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


def open_clip(chosen: Sequence[tuple[SegmentStatement, SealedSegment]], owner: OwnerKey) -> ClipMaterial:
    """Open the segments and copy their packets into an MP4; raises ConsentError naming the segment that is damaged."""
    if not chosen:
        raise ConsentError("nothing of this clip lies in that range")
    opened = [_open_segment(statement, segment, owner) for statement, segment in chosen]
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
    )


def prepare(
    verified: VerifiedRequest,
    device: DeviceFacts,
    clips: Sequence[ClipMaterial],
    *,
    sign_release: Callable[[Release], bytes],
    now_us: int,
) -> Bundle:
    """Build the bundle that the owner is shown and then approves or not."""
    if len(clips) > Limits().clips_per_share:
        raise ConsentError(f"a share holds at most {Limits().clips_per_share} clips; choose some")
    return build_bundle(verified, device, clips, sign_release=sign_release, seal=seal, now_us=now_us)


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


def _open_segment(statement: SegmentStatement, sealed: SealedSegment, owner: OwnerKey) -> Segment:
    try:
        plaintext = unseal(sealed.read(), owner.identity)
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
