"""Puts a source's timestamps, which may be missing, repeat, run back or leap, on one line that only grows. Pure."""

from device.video.packets import TICKS_PER_S

_MAX_LEAP_TICKS = 10 * TICKS_PER_S
_MAX_BACK_TICKS = TICKS_PER_S
_MAX_REORDER_TICKS = 2 * TICKS_PER_S
# How many frames a stream with B-frames decodes ahead.
_USUAL_REORDER = 2


class Timeline:
    """Maps dts and pts, in ticks of 90 kHz, to a line on which the first picture is shown at 0.

    Equal or slightly smaller dts are moved one tick on; a step back by more than a second, or ahead by more than
    ten, is taken for a new beginning and joined to what was; `jumps` counts these.
    """

    def __init__(self, *, frame_ticks: int) -> None:
        self.frame_ticks = frame_ticks
        self.jumps = 0
        self._shift: int | None = None
        self._last: int | None = None

    def restart(self) -> None:
        """Say that the next timestamp belongs to a new beginning (a file played again), joined without a gap."""
        self._shift = None

    def place(self, dts: int | None, pts: int | None, *, lead_ticks: int = _MAX_LEAP_TICKS) -> tuple[int, int]:
        """Return the place of a packet: dts greater than all before, pts not before it.

        `lead_ticks`: a step further ahead than this is a leap too, where more is known than the stamps themselves tell.
        """
        if dts is None:
            dts = self._guess(pts)
        reorder = min(max(0, pts - dts), _MAX_REORDER_TICKS) if pts is not None else 0
        if self._shift is None:
            start = -reorder if self._last is None else self._last + self.frame_ticks
            self._shift = dts - start
        elif self._last is not None and not self._follows(dts - self._shift - self._last, lead_ticks):
            self.jumps += 1
            self._shift = dts - (self._last + self.frame_ticks)
        placed = dts - self._shift
        if self._last is not None and placed <= self._last:
            placed = self._last + 1
        shown = max(placed, dts - self._shift + reorder)
        self._last = placed
        return placed, shown

    @staticmethod
    def _follows(step: int, lead_ticks: int) -> bool:
        return -_MAX_BACK_TICKS < step <= min(lead_ticks, _MAX_LEAP_TICKS)

    def _guess(self, pts: int | None) -> int:
        """Return a dts, in the source's own terms, for a packet without: one frame on, and close below its pts."""
        frame = self.frame_ticks
        if self._last is None or self._shift is None:
            return 0 if pts is None else pts - _USUAL_REORDER * frame
        following = self._last + frame + self._shift
        return following if pts is None else min(max(following, pts - 2 * _USUAL_REORDER * frame), pts)
