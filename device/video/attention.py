"""Decides how much of each group of pictures is worth decoding. Pure: packet sizes and motion in, counts out.

- **alert**: something stirs, or a packet was suspicious: every picture, at once;
- **held**: an event is under way and sure: the first pictures of each group tell whether it still is;
- **calm**: nothing moves. In eco mode keyframes alone are looked at, otherwise every picture, in batches.

Eco mode needs packets whose size tells something. A camera that pads each to the same size, or whose noise drowns all
else, is looked at whole, unless its keyframes come often enough by themselves.

Pictures are left out only in groups that are short enough: what comes next must be seen soon. When something becomes
suspicious in the middle of a group, the group is gone back through from its keyframe, so nothing before is missed.
"""

from dataclasses import dataclass

from device.video.codec.h264 import split_prefixed
from device.video.errors import BitstreamError
from device.video.packets import Packet

_US_PER_S = 1_000_000

# A packet is weighed in deviations from what is usual; by so many it counts for nothing, as noise.
_ALLOWED = 0.75
# So much on top of it, gathered over consecutive packets or in one, is suspicious.
_ALARM = 5.0
_MOST = 10.0
# Means are learnt over so many packets, ten times as fast at the beginning.
_LEARN_OF = 64
# Deviations are never taken for smaller than this: a still film of a perfect camera has none at all.
_LEAST_SHARE, _LEAST_BYTES = 0.08, 40.0
# Packets of one size say nothing, unless they are so small beside a keyframe that whatever moves must show; nor do
# those nearly as large as a keyframe, nor any of a camera that fills them up: it spends its rate whatever it sees.
_TELLING_DEVIATION, _TELLING_SHARE, _DROWNED_SHARE, _FILLED_SHARE = 0.02, 0.1, 0.5, 0.02
_FILLER_NAL, _PREFIX_BYTES = 12, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionSettings:
    """`eco`: decode keyframes alone while nothing moves.

    `batch_frames`: how many are decoded in a row where nothing is urgent. `burst_frames`: how many of each group while
    an event is held. `longest_group_s`: in groups longer than this nothing is left out, nor in those longer than
    `blind_group_s` while all is calm and packet sizes tell nothing. `look_every_s`: keyframes that
    follow sooner aren't looked at while all is calm. `calm_after_s`: how long a suspicion keeps every picture looked
    at, `settle_s` how long the beginning of a film does.
    """

    eco: bool = True
    batch_frames: int = 5
    burst_frames: int = 3
    longest_group_s: float = 4.5
    blind_group_s: float = 1.1
    look_every_s: float = 0.9
    calm_after_s: float = 1.5
    settle_s: float = 4.0


class PacketSizes:
    """Knows how large the pictures between keyframes usually are, and says which are suspicious."""

    def __init__(self) -> None:
        self._seen = 0
        self._mean = 0.0
        self._deviation = 0.0
        self._gathered = 0.0
        self._filled = 0.0

    def weigh(self, size: int, *, filler: int = 0, moving: bool = False) -> bool:
        """Take a packet's size in bytes, and how many more fill it up; tells whether something must have come.

        While something is known to be moving, sizes say nothing of what is usual, and nothing is learnt from them.
        """
        self._seen += 1
        self._filled += (max(0, filler) / max(1, size + filler) - self._filled) / min(self._seen, _LEARN_OF)
        if self._seen == 1:
            self._mean = float(size)
        usual = self._deviation + _LEAST_SHARE * self._mean + _LEAST_BYTES
        excess = (size - self._mean) / usual
        self._gathered = min(_MOST, max(0.0, self._gathered + excess - _ALLOWED))
        rate = 1 / min(self._seen, _LEARN_OF)
        # What sticks out is learnt slowly: it may be somebody. What stays becomes usual all the same.
        if moving and self._seen > _LEARN_OF:
            return self._gathered >= _ALARM
        off = usual * min(3.0, max(-3.0, excess))
        self._mean += rate * off
        self._deviation += rate * (abs(off) - self._deviation)
        return self._gathered >= _ALARM

    def telling(self, keyframe_bytes: float) -> bool:
        """Whether sizes tell what moves, in a stream whose keyframes are so large."""
        if self._filled > _FILLED_SHARE or self._mean > _DROWNED_SHARE * keyframe_bytes:
            return False
        small = self._mean <= _TELLING_SHARE * keyframe_bytes
        return small or self._deviation >= _TELLING_DEVIATION * self._mean


class Attention:
    """Follows one stream's packets in decoding order."""

    def __init__(self, settings: AttentionSettings) -> None:
        self._settings = settings
        self._sizes = PacketSizes()
        self._group_start_us: int | None = None
        self._group_us: int | None = None
        self._alert_until_us: int | None = None
        self._now_us = 0
        self._hurry = False
        self._due = True
        self._calm_look_us = 0
        self._keyframe_bytes = 0.0
        self._moving = False

    def arrived(self, packet: Packet) -> None:
        """Take note of the next packet."""
        self._now_us = packet.at_us
        if self._alert_until_us is None:
            self._alert_until_us = packet.at_us + round(self._settings.settle_s * _US_PER_S)
        if packet.unit.keyframe:
            if self._group_start_us is not None:
                self._group_us = packet.at_us - self._group_start_us
            self._group_start_us = packet.at_us
            self._keyframe_bytes = payload_bytes(packet)
            self._hurry = False
            self._due = abs(packet.at_us - self._calm_look_us) >= self._settings.look_every_s * _US_PER_S
            if self._due:
                self._calm_look_us = packet.at_us
        elif self._weigh(packet):
            self._hurry = True
            until_us = packet.at_us + round(self._settings.calm_after_s * _US_PER_S)
            self._alert_until_us = max(self._alert_until_us, until_us)

    def _weigh(self, packet: Packet) -> bool:
        size = payload_bytes(packet)
        return self._sizes.weigh(size, filler=len(packet.unit.data) - _PREFIX_BYTES - size, moving=self._moving)

    def reach(self, count: int, *, stirring: bool, holding: bool, ended: bool) -> int:
        """Return how many of the `count` packets that a group has so far should have been decoded by now.

        `ended`: there will be no more of this group.
        """
        settings = self._settings
        self._moving = stirring or holding
        if self.leaves_out(stirring=stirring, holding=holding):
            return min(count, settings.burst_frames if holding else int(self._due))
        if ended or stirring or self._hurry:
            return count
        return count - count % settings.batch_frames

    def leaves_out(self, *, stirring: bool, holding: bool) -> bool:
        """Whether the rest of this group is left out, as it looks now."""
        if not self.short_groups:
            return False
        return holding or (self._settings.eco and not (stirring or self._hurry or self._alert() or self._blind()))

    def relaxed(self, *, stirring: bool, holding: bool) -> bool:
        """Whether there is time: an event that is held goes on, and a quiet picture has no packet that sticks out."""
        return holding or not (stirring or self._hurry)

    def _blind(self) -> bool:
        """Whether the next keyframe is too far away for packets that tell nothing."""
        group_us = self._group_us or 0
        return group_us > self._settings.blind_group_s * _US_PER_S and not self._sizes.telling(self._keyframe_bytes)

    def _alert(self) -> bool:
        return self._alert_until_us is None or self._now_us < self._alert_until_us

    @property
    def short_groups(self) -> bool:
        """Whether this group may be expected to end soon, and so far has not lasted too long: else all is decoded."""
        longest_us = self._settings.longest_group_s * _US_PER_S
        start_us = self._group_start_us
        if self._group_us is None or start_us is None or self._group_us > longest_us:
            return False
        return 0 <= self._now_us - start_us <= longest_us


def payload_bytes(packet: Packet) -> int:
    """Bytes of an access unit without what only fills it up (ITU-T H.264, 7.4.2.7)."""
    data = packet.unit.data
    if packet.config.codec != "h264":
        return len(data)
    try:
        return sum(len(nal) for nal in split_prefixed(data) if nal and nal[0] & 0x1F != _FILLER_NAL)
    except BitstreamError:  # damaged: the decoder will say so
        return len(data)
