"""The account of a film: what was seen in each picture, and why events began and ended. Pure.

`Accountant` is told, in the order in which the daemon learns of them: packets, readings, phases of events. It decides
nothing by itself; what it tells of is what the watcher and the recorder did.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from device.video.explain.glance import Glance, glance_of
from device.video.explain.levers import around, hull, zone_line
from device.video.explain.refused import Refusals, Refused
from device.video.explain.words import began_words, ended_words, rang_words
from device.video.labels.best import Label
from device.video.motion.detector import MotionBox, MotionReading, MotionSettings
from device.video.outputs import EventPhase
from device.video.packets import Packet
from device.video.recorder import RecorderSettings

Mode = Literal["calm", "alert", "held", "left out"]

# Wall clock, bytes, whether a keyframe, and whether it would be looked at with nothing the matter.
_Packet = tuple[int, int, bool, bool]
# Ages are kept as single floats, which is as good as exact.
_SAME_US = 20
# No group of which pictures are left out is longer than this.
_FAR_BACK = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture of the film. `glance` is None if it was not looked at; `mode` says how much was, around it."""

    at_us: int
    size_bytes: int
    keyframe: bool
    glance: Glance | None
    mode: Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedEvent:
    """An event as the recorder told of it, and why it began and ended, in words; `best_us` is its best moment.

    `where` is around all that counted, from when it was first seen; `zone_line` the setting that would ignore that.
    `clips` says so if a device would start another clip meanwhile; empty if not.
    """

    number: int
    kind: Literal["motion", "ring"]
    start_us: int
    end_us: int
    best_us: int
    before_us: int
    score: int
    began: str
    ended: str
    label: Label | None = None
    where: MotionBox | None = None
    zone_line: str = ""
    clips: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """All that is known of a film. Pictures are in the order in which they are shown; `end_us` is the film's end.

    `refused` are the strongest of what changed and did not count, `refused_whys` how many there were of each kind.
    `decoded_anyway`: every picture came decoded, so that eco had nothing to leave out.
    """

    pictures: tuple[Picture, ...]
    end_us: int
    events: tuple[ExplainedEvent, ...]
    refused: tuple[Refused, ...]
    refused_whys: dict[str, int]
    motion: MotionSettings
    decoded_anyway: bool = False

    @property
    def start_us(self) -> int:
        """Wall clock of the first picture."""
        return self.pictures[0].at_us if self.pictures else self.end_us

    def seconds(self, at_us: int) -> float:
        """Seconds into the film."""
        return (at_us - self.start_us) / 1_000_000

    def at(self, at_us: int) -> int | None:
        """Return the number of the picture that is shown at a moment; None before the first."""
        place = bisect_right(self.pictures, at_us, key=lambda picture: picture.at_us) - 1
        return place if place >= 0 else None

    def looked(self, number: int) -> Picture | None:
        """Return the picture that was looked at last, up to this one."""
        for place in range(number, max(-1, number - _FAR_BACK), -1):
            if self.pictures[place].glance is not None:
                return self.pictures[place]
        return None

    def event_at(self, at_us: int) -> ExplainedEvent | None:
        """Return the event of motion that a moment belongs to."""
        return next((e for e in self.events if e.kind == "motion" and e.start_us <= at_us <= e.end_us), None)


@dataclass(slots=True, kw_only=True)
class _Open:
    """An event under way, as far as it is known."""

    number: int
    phase: EventPhase
    began: str
    before_us: int
    best_us: int
    best_score: int = -1
    last: MotionReading | None = None
    fell_quiet: MotionReading | None = None
    presses: int = 1
    seen_us: int
    where: MotionBox | None = None


class Accountant:
    """Collects the account of one film; tell it all, then `account`."""

    def __init__(self, *, motion: MotionSettings, recorder: RecorderSettings, eco: bool) -> None:
        self._motion = motion
        self._recorder = recorder
        self._eco = eco
        self._packets: list[_Packet] = []
        self._start_us: int | None = None
        self._end_us = 0
        self._decoded_anyway = True
        self._glances: dict[int, Glance] = {}
        self._reading: MotionReading | None = None
        self._refusals = Refusals(motion)
        self._open: dict[str, _Open] = {}
        self._labels: dict[str, Label] = {}
        self._events: list[ExplainedEvent] = []
        self._begun = 0

    def packet(self, packet: Packet) -> None:
        """Take note of a packet that came."""
        # What comes with its luma is looked at anyway, and so is everything without eco.
        usual = packet.unit.keyframe or packet.luma is not None or not self._eco
        self._packets.append((packet.at_us, len(packet.unit.data), packet.unit.keyframe, usual))
        self._decoded_anyway = self._decoded_anyway and packet.luma is not None
        self._start_us = packet.at_us if self._start_us is None else min(self._start_us, packet.at_us)
        self._end_us = max(self._end_us, packet.at_us + packet.duration_us)

    def reading(self, reading: MotionReading) -> None:
        """Take note of what was seen in a picture, before the recorder says what follows from it."""
        self._reading = reading
        self._glances[reading.at_us] = glance_of(reading)
        self._refusals.reading(reading)
        for event in self._open.values():
            if event.phase.kind == "motion":
                _go_on(event, reading)

    def phase(self, phase: EventPhase) -> None:
        """Take note of a phase that the recorder told of."""
        if phase.phase == "start":
            self._begin(phase)
        elif phase.phase == "end":
            self._end(phase)
        elif phase.kind == "ring":
            self._open[phase.event].presses += 1

    def label(self, event: str, label: Label) -> None:
        """Take note of what an event's mover was found to be, at the event's end at the latest."""
        self._labels[event] = label

    def account(self) -> Account:
        """Return the account; nothing can be told after."""
        refused, whys = self._refusals.finish()
        return Account(
            pictures=_pictures(self._packets, self._glances),
            end_us=self._end_us,
            events=tuple(sorted(self._events, key=lambda event: (event.start_us, event.number))),
            refused=refused,
            refused_whys=whys,
            motion=self._motion,
            decoded_anyway=bool(self._packets) and self._decoded_anyway,
        )

    def _begin(self, phase: EventPhase) -> None:
        self._begun += 1
        at_us = phase.start_us
        event = _Open(number=self._begun, phase=phase, began="", before_us=at_us, best_us=at_us, seen_us=at_us)
        reading = self._reading
        if phase.kind == "motion" and reading is not None:
            event.began = began_words(reading.tracks, self._motion)
            oldest_s = max((track.age_s for track in reading.tracks if track.confirmed), default=0.0)
            event.before_us -= round(oldest_s * 1_000_000)
            event.where = hull(self._boxes_before(reading))
            _go_on(event, reading)
        # Far enough from the first sign of it that nothing of it is in the picture.
        event.before_us -= 600_000
        self._open[phase.event] = event

    def _boxes_before(self, reading: MotionReading) -> Iterator[MotionBox]:
        """Give where what counts from now on was before it did."""
        starts = [reading.at_us - track.age_s * 1_000_000 for track in reading.tracks if track.confirmed]
        for at_us, glance in reversed(self._glances.items()):
            if at_us < min(starts, default=reading.at_us) - _SAME_US:
                return
            for track in glance.tracks:
                began_us = at_us - track.age_s * 1_000_000
                if track.seen and any(abs(began_us - start_us) <= _SAME_US for start_us in starts):
                    yield track.box

    def _end(self, phase: EventPhase) -> None:
        event = self._open.pop(phase.event)
        end_us = phase.start_us if phase.end_us is None else phase.end_us
        quiet_s = (phase.at_us - end_us) / 1_000_000
        cut = quiet_s < self._recorder.post_roll_s
        post_roll_s = None if cut else self._recorder.post_roll_s
        if phase.kind == "ring":
            began, ended = rang_words(event.presses, post_roll_s=post_roll_s)
        else:
            began = event.began
            seen_s = (event.seen_us - (self._start_us or 0)) / 1_000_000
            held_s = (end_us - event.seen_us) / 1_000_000
            ended = ended_words(
                event.last, event.fell_quiet, self._motion, seen_s=seen_s, held_s=held_s, post_roll_s=post_roll_s
            )
        where = None if event.where is None else around(event.where)
        self._events.append(
            ExplainedEvent(
                number=event.number,
                kind=phase.kind,
                start_us=phase.start_us,
                end_us=end_us,
                best_us=event.best_us,
                before_us=event.before_us,
                score=phase.score,
                began=began,
                ended=ended,
                label=self._labels.pop(phase.event, None),
                where=where,
                zone_line="" if where is None else zone_line(where, self._motion.ignore),
                clips=self._clips((end_us - phase.start_us) / 1_000_000),
            )
        )

    def _clips(self, lasts_s: float) -> str:
        keep = self._recorder
        if keep.pre_roll_s + lasts_s + keep.post_roll_s <= keep.max_clip_s:
            return ""
        return f"too long for [camera] max_clip_s = {keep.max_clip_s:g}: the device starts another clip meanwhile"


def _go_on(event: _Open, reading: MotionReading) -> None:
    seen = [track.box for track in reading.tracks if track.confirmed and track.seen]
    if seen:
        event.seen_us = reading.at_us
        event.where = hull(seen if event.where is None else [event.where, *seen])
    if reading.active:
        event.last, event.fell_quiet = reading, None
        if reading.score > event.best_score:
            event.best_score, event.best_us = reading.score, reading.at_us
    elif event.fell_quiet is None:
        event.fell_quiet = reading


def _pictures(packets: list[_Packet], glances: dict[int, Glance]) -> tuple[Picture, ...]:
    """Put packets, in decoding order, and what was seen in them together, in the order in which they are shown."""
    out: list[Picture] = []
    for at_us, size, keyframe, usual in sorted(packets, key=lambda packet: packet[0]):
        glance = glances.get(at_us)
        mode: Mode = "left out" if glance is None else _mode(glance, usual=usual)
        out.append(Picture(at_us=at_us, size_bytes=size, keyframe=keyframe, glance=glance, mode=mode))
    return tuple(out)


def _mode(glance: Glance, *, usual: bool) -> Mode:
    """Tell how much was looked at around here, from what was seen: attention itself keeps no record.

    `usual`: it would have been looked at with nothing the matter.
    """
    if glance.holding:
        return "held"
    following = any(track.why != "too small" for track in glance.tracks)
    return "alert" if following or glance.quiet is not None or not usual else "calm"
