"""Decides what is kept. Packets, readings, rings and privacy in; event phases, clips and their segments out. Pure.

Invariants:

1. A segment is handed out at most once: within a clip, and from clip to clip. A clip that begins soon after another
   has a shorter pre-roll, and starts where that one ended.
2. The segments of a clip are contiguous as the source was, in order, of one configuration, each beginning with a
   keyframe.
3. A clip reaches from the segment that holds (start - pre-roll) to the one that holds (last activity + post-roll). At
   `max_clip_s` it ends and another continues, for the same event.
4. Memory: the open segment, and a pre-roll bounded in time and in bytes, whatever comes in.
5. Under privacy nothing is held and nothing is handed out but the end of what was under way.

Time is what packets and readings say; a method never looks at a clock.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from device.video.motion.detector import MotionReading
from device.video.outputs import ClipEnded, ClipStarted, EventPhase, Recorded, SegmentReady
from device.video.packets import CodecConfig, Packet
from device.video.segments import Segment, Segmenter, SegmentSettings

_US_PER_S = 1_000_000
# How far readings may trail the packets they were made from, before time passes without them: a group of pictures
# that attention goes back through, or the silence between two groups of which only the beginning is looked at.
_READINGS_TRAIL_US = 5 * _US_PER_S

Kind = Literal["motion", "ring"]
# A press of the bell is told each time, and presses within a second are one. Motion goes on: now and then will do.
_UPDATE_EVERY_US: dict[Kind, int] = {"ring": _US_PER_S, "motion": 5 * _US_PER_S}


@dataclass(frozen=True, slots=True, kw_only=True)
class RecorderSettings:
    """What to keep around an event. An event ends once nothing more happened for `post_roll_s`."""

    mode: Literal["events", "continuous"] = "events"
    pre_roll_s: float = 3.0
    post_roll_s: float = 4.0
    max_clip_s: float = 60.0
    max_pre_roll_bytes: int = 32_000_000
    segment: SegmentSettings = field(default_factory=SegmentSettings)


@dataclass(slots=True, kw_only=True)
class _Event:
    id: str
    kind: Kind
    start_us: int
    last_us: int
    told_us: int
    score: int
    label: str | None = None
    labelled_by: str | None = None


class Recorder:
    """One camera's recorder. Every method returns what follows from its input, in order; ids come from `new_id`."""

    def __init__(self, settings: RecorderSettings, *, new_id: Callable[[], str]) -> None:
        self._settings = settings
        self._new_id = new_id
        self._segmenter = Segmenter(settings.segment)
        self._pre_roll: deque[Segment] = deque()
        self._pre_roll_bytes = 0
        self._events: dict[Kind, _Event] = {}
        self._clip: str | None = None
        self._clip_event: str | None = None
        self._clip_since_us: int | None = None
        self._clip_config: CodecConfig | None = None
        self._clip_end_us = 0
        self._wanted_until_us = 0
        self._private = False
        self._filming = True
        self._now_us = 0

    @property
    def quiet_at_us(self) -> int | None:
        """When the next event ends, if nothing more happens; None if none is under way."""
        last_us = min((event.last_us for event in self._events.values()), default=None)
        return None if last_us is None else last_us + round(self._settings.post_roll_s * _US_PER_S)

    @property
    def dropped(self) -> int:
        """Packets that could not become part of a segment."""
        return self._segmenter.dropped

    @property
    def overfull(self) -> bool:
        """Whether the source gave no keyframe for so long that what it gives now can't be kept."""
        return self._segmenter.full

    @property
    def private(self) -> bool:
        """Whether privacy is on."""
        return self._private

    @property
    def recording(self) -> str | None:
        """Id of the clip under way."""
        return self._clip

    @property
    def motion_event(self) -> str | None:
        """Id of the motion event under way."""
        event = self._events.get("motion")
        return None if event is None else event.id

    @property
    def held_bytes(self) -> int:
        """Bytes of the pre-roll; the open segment comes on top, within its own bound."""
        return self._pre_roll_bytes

    def packet(self, packet: Packet) -> list[Recorded]:
        """Take a packet from the source, in decoding order."""
        if self._private:
            return []
        out: list[Recorded] = []
        for segment in self._segmenter.push(packet):
            out += self._segment(segment)
        return out + self._pass(packet.at_us - _READINGS_TRAIL_US)

    def motion(self, reading: MotionReading) -> list[Recorded]:
        """Take what was seen in a picture whose packet came before."""
        if self._private:
            return []
        out = self._happened("motion", reading.at_us, score=reading.score) if reading.active else []
        return out + self._pass(reading.at_us)

    def label(self, event: str, label: str, *, by: str, at_us: int) -> list[Recorded]:
        """Take what somebody found in the pictures of an event, and tell it. Of one that is over nothing is told."""
        under_way = next((one for one in self._events.values() if one.id == event), None)
        if under_way is None:
            return []
        under_way.label, under_way.labelled_by, under_way.told_us = label, by, at_us
        return [self._phase(under_way, "update", at_us)]

    def ring(self, at_us: int) -> list[Recorded]:
        """Take a press of the bell; presses within a second count as one."""
        return [] if self._private else self._happened("ring", at_us, score=100)

    def over(self) -> None:
        """Take note that no pictures will come any more: events are told of as before, and begin no clip."""
        self._filming = False

    def quiet(self, at_us: int) -> list[Recorded]:
        """Let time pass where no pictures come that tell it."""
        return self._pass(at_us)

    def privacy(self, on: bool, at_us: int) -> list[Recorded]:
        """Switch privacy. On: ends clip and events, forgets the pre-roll and what was not yet a whole segment."""
        if on == self._private:
            return []
        out = self._end_all(at_us) if on else []
        self._private = on
        self._forget()
        return out

    def lost(self, at_us: int) -> list[Recorded]:
        """Take note that the source is gone: keep what it gave, end clip and events. What comes after begins anew."""
        out: list[Recorded] = []
        for segment in self._segmenter.flush():
            out += self._segment(segment)
        out += self._end_all(at_us)
        self._forget()
        return out

    def _forget(self) -> None:
        self._segmenter.drop()
        self._pre_roll.clear()
        self._pre_roll_bytes = 0
        # What comes next may be dated by a clock that was set back.
        self._now_us = self._wanted_until_us = 0

    def _pass(self, now_us: int) -> list[Recorded]:
        """Let time pass: events end that were quiet for the post-roll."""
        self._now_us = max(self._now_us, now_us)
        quiet_us = round(self._settings.post_roll_s * _US_PER_S)
        over = [event for event in self._events.values() if self._now_us - event.last_us >= quiet_us]
        out: list[Recorded] = [self._end_event(event, self._now_us) for event in over]
        return out + self._close_if_over() if over else out

    def _happened(self, kind: Kind, at_us: int, *, score: int) -> list[Recorded]:
        out: list[Recorded] = []
        event = self._events.get(kind)
        self._wanted_until_us = max(self._wanted_until_us, at_us + round(self._settings.post_roll_s * _US_PER_S))
        if event is None:
            event = _Event(id=self._new_id(), kind=kind, start_us=at_us, last_us=at_us, told_us=at_us, score=score)
            self._events[kind] = event
            opened = self._open_clip(at_us, event=event.id)
            out += [self._phase(event, "start", at_us), *opened]
        event.last_us = max(event.last_us, at_us)
        event.score = max(event.score, score)
        if at_us - event.told_us >= _UPDATE_EVERY_US[kind]:
            event.told_us = at_us
            out.append(self._phase(event, "update", at_us))
        return out

    def _phase(self, event: _Event, phase: Literal["start", "update", "end"], at_us: int) -> EventPhase:
        return EventPhase(
            event=event.id,
            kind=event.kind,
            phase=phase,
            start_us=event.start_us,
            end_us=event.last_us if phase == "end" else None,
            at_us=at_us,
            score=event.score,
            clip=self._clip,
            label=event.label,
            labelled_by=event.labelled_by,
        )

    def _end_event(self, event: _Event, at_us: int) -> EventPhase:
        del self._events[event.kind]
        return self._phase(event, "end", at_us)

    def _end_all(self, at_us: int) -> list[Recorded]:
        """End events and clip at once; an event ends when it was last seen, not when the camera went away."""
        out: list[Recorded] = [self._end_event(event, at_us) for event in list(self._events.values())]
        return out + self._close_clip()

    def _open_clip(self, at_us: int, *, event: str | None) -> list[Recorded]:
        """Begin a clip with what the pre-roll holds from (at - pre-roll) on; not if one is under way, or no film."""
        if self._clip is not None or not self._filming:
            return []
        self._clip, self._clip_event, self._clip_since_us = self._new_id(), event, None
        from_us = at_us - round(self._settings.pre_roll_s * _US_PER_S)
        held = [segment for segment in self._pre_roll if segment.end_us > from_us]
        self._pre_roll.clear()
        self._pre_roll_bytes = 0
        out: list[Recorded] = []
        for segment in held:
            out += self._keep(segment)
        return out

    def _close_clip(self) -> list[Recorded]:
        """End the clip; one without any segment was never told of and just goes."""
        clip, since_us = self._clip, self._clip_since_us
        self._clip, self._clip_event, self._clip_since_us = None, None, None
        if clip is None or since_us is None:
            return []
        return [ClipEnded(clip=clip, end_us=self._clip_end_us)]

    def _segment(self, segment: Segment) -> list[Recorded]:
        """Put a finished segment into the clip, or into the pre-roll."""
        out: list[Recorded] = []
        if self._clip is None and self._settings.mode == "continuous":
            out += self._open_clip(segment.start_us, event=None)
        if self._clip is None:
            self._remember(segment)
            return out
        return out + self._keep(segment) + self._close_if_over()

    def _close_if_over(self) -> list[Recorded]:
        """End the clip if it reaches far enough; while an event lasts, what readings have yet to see may extend it."""
        reached = self._clip_since_us is not None and self._clip_end_us >= self._wanted_until_us
        return self._close_clip() if reached and not self._events and self._settings.mode == "events" else []

    def _keep(self, segment: Segment) -> list[Recorded]:
        """Hand out a segment as part of the clip, going over to another when it is full or the format changes."""
        out: list[Recorded] = []
        if self._clip_since_us is not None and self._must_go_over(segment):
            event = next((event.id for event in self._events.values()), self._clip_event)
            out += self._close_clip()
            self._clip, self._clip_event = self._new_id(), event
        clip = self._clip
        if clip is None:
            raise AssertionError("a segment is kept within a clip alone")
        if self._clip_since_us is None:
            self._clip_since_us = segment.start_us
            self._clip_config = segment.config
            out.append(ClipStarted(clip=clip, start_us=segment.start_us, event=self._clip_event))
        self._clip_end_us = segment.end_us
        out.append(SegmentReady(clip=clip, segment=segment))
        return out

    def _must_go_over(self, segment: Segment) -> bool:
        since_us = self._clip_since_us
        if since_us is None:
            return False
        too_long = segment.end_us - since_us > self._settings.max_clip_s * _US_PER_S
        backwards = segment.start_us < self._clip_end_us
        return too_long or backwards or segment.config != self._clip_config

    def _remember(self, segment: Segment) -> None:
        """Into the pre-roll, the oldest leaving once it is too old or the whole too large."""
        self._pre_roll.append(segment)
        self._pre_roll_bytes += segment.size_bytes
        keep_us = round(self._settings.pre_roll_s * _US_PER_S) + _READINGS_TRAIL_US
        while self._pre_roll and (
            self._pre_roll[0].end_us < segment.end_us - keep_us
            or self._pre_roll_bytes > self._settings.max_pre_roll_bytes
        ):
            self._pre_roll_bytes -= self._pre_roll.popleft().size_bytes
