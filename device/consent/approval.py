"""The owner's word. Only this module makes an `Approved`, and only from what the owner's key signed. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from broker.wire.encoding import WireError
from broker.wire.records import Approval
from broker.wire.rules import Limits

from .errors import ApprovalError
from .policy import ended
from .trust import VerifiedRequest

_MAKER: Final = object()


@dataclass(frozen=True, slots=True)
class Approved:
    """An approval that holds for a request: what may leave, byte for byte."""

    approval: Approval
    envelope: bytes
    maker: object

    def __post_init__(self) -> None:
        if self.maker is not _MAKER:
            raise TypeError("only consent.approval makes an Approved")


def check_approval(
    envelope: bytes, *, owner_key: bytes, verified: VerifiedRequest, device: str, limits: Limits, now_us: int
) -> Approved:
    """Check an approval against the request it is for; raises ApprovalError saying what does not hold."""
    try:
        approval = Approval.open(envelope, key=owner_key)
    except WireError as error:
        raise ApprovalError(f"this is not the owner's approval: {error}") from error
    problems = [*_addressing(approval, verified, device), *_timing(approval, verified, limits, now_us)]
    problems += _clips(approval, verified, limits)
    if problems:
        raise ApprovalError("; ".join(problems))
    return Approved(approval, envelope, _MAKER)


def _addressing(approval: Approval, verified: VerifiedRequest, device: str) -> Iterator[str]:
    if approval.request != verified.leaf:
        yield "the approval is for another request"
    if approval.device != device:
        yield f"the approval is for device {approval.device}, this is {device}"
    if approval.recipient != verified.request.recipient:
        yield "the approval names another recipient than the request"


def _timing(approval: Approval, verified: VerifiedRequest, limits: Limits, now_us: int) -> Iterator[str]:
    if approval.approved_at > now_us + limits.clock_skew_us:
        yield "the approval is dated in the future"
    if verified.closed_by is not None:
        yield ended(verified.closed_by)
    if verified.request.expires_at <= now_us:
        yield "the request has expired"


def _clips(approval: Approval, verified: VerifiedRequest, limits: Limits) -> Iterator[str]:
    request = verified.request
    names = [item.name for item in approval.files]
    if len(set(names)) != len(names) or not {clip.file for clip in approval.clips} <= set(names):
        yield "the approval does not name each of its files once"
    if len(approval.clips) > limits.clips_per_share:
        yield f"a share holds at most {limits.clips_per_share} clips"
    for clip in approval.clips:
        if not 0 < clip.end - clip.start <= limits.clip_max_us:
            yield f"{clip.file} is longer than {limits.clip_max_us // 1_000_000} s"
        if clip.start >= request.end or clip.end <= request.start:
            yield f"{clip.file} shows nothing of the window that was asked for"
