"""What is kept: properties of the recorder over whatever may come."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.video.motion.detector import MotionReading
from device.video.outputs import ClipEnded, ClipStarted, EventPhase, Recorded, SegmentReady
from device.video.recorder import Recorder, RecorderSettings
from device.video.segments import Segment, SegmentSettings
from tests.video.support import CONFIG, OTHER_CONFIG, START_US, Ids, fake_packet

S = 1_000_000


@dataclass
class Story:
    """Drives a recorder picture by picture, ten a second, a keyframe each second; collects what comes out."""

    settings: RecorderSettings = field(
        default_factory=lambda: RecorderSettings(pre_roll_s=2, post_roll_s=3, max_clip_s=20)
    )
    out: list[Recorded] = field(default_factory=list)
    number: int = 0
    most_held: int = 0

    def __post_init__(self) -> None:
        self.recorder = Recorder(self.settings, new_id=Ids())

    @property
    def now_us(self) -> int:
        return START_US + self.number * 100_000

    def play(
        self, pictures: int, *, active: Iterable[int] = (), gop: int = 10, size: int = 20, other: bool = False
    ) -> None:
        """So many pictures; those in `active` move."""
        moving = set(active)
        for index in range(pictures):
            config = OTHER_CONFIG if other else CONFIG
            packet = fake_packet(self.number, keyframe=self.number % gop == 0, size=size, config=config)
            reading = MotionReading(at_us=packet.at_us, active=index in moving, score=50 if index in moving else 0)
            self.out += self.recorder.packet(packet)
            self.out += self.recorder.motion(reading)
            self.number += 1
            self.most_held = max(self.most_held, self.recorder.held_bytes)

    def finish(self) -> None:
        """The camera ends."""
        self.out += self.recorder.lost(self.now_us)

    def of(self, kind: type) -> list[Recorded]:
        return [output for output in self.out if isinstance(output, kind)]

    def phases(self) -> list[tuple[str, str, str]]:
        return [(o.event, o.kind, o.phase) for o in self.out if isinstance(o, EventPhase)]


def check_clips(out: list[Recorded]) -> dict[str, list[Segment]]:
    """Hold the order and the promises of clips against what came out; gives their segments."""
    clips: dict[str, list[Segment]] = {}
    open_clip: str | None = None
    seen: set[bytes] = set()
    for output in out:
        if isinstance(output, ClipStarted):
            assert open_clip is None
            assert output.clip not in clips
            open_clip, clips[output.clip] = output.clip, []
            start_us = output.start_us
        elif isinstance(output, SegmentReady):
            assert output.clip == open_clip
            segment = output.segment
            held = clips[output.clip]
            assert segment.start_us == (held[-1].end_us if held else start_us)
            assert segment.units[0].keyframe
            assert not held or held[0].config == segment.config
            data = {unit.data for unit in segment.units}
            assert not data & seen
            seen |= data
            held.append(segment)
        elif isinstance(output, ClipEnded):
            assert output.clip == open_clip
            assert output.end_us == clips[output.clip][-1].end_us
            open_clip = None
    assert open_clip is None
    return clips


def check_events(out: list[Recorded]) -> None:
    """Each event starts once, ends once, speaks at most once a second in between, under one id."""
    told: dict[str, list[EventPhase]] = {}
    for output in out:
        if isinstance(output, EventPhase):
            told.setdefault(output.event, []).append(output)
    for phases in told.values():
        assert [p.phase for p in phases] == ["start", *["update"] * (len(phases) - 2), "end"]
        assert len({(p.kind, p.start_us) for p in phases}) == 1
        assert all(p.end_us is None for p in phases[:-1])
        assert phases[-1].end_us is not None
        assert phases[-1].end_us >= phases[0].start_us
        times = [p.at_us for p in phases[:-1]]
        assert all(b - a >= S for a, b in pairwise(times))
        assert all(0 <= p.score <= 100 for p in phases)


# Stretches of film: pictures, which part of them moves, the group's length, and what happens after it.
STRETCH = st.tuples(
    st.integers(1, 90),
    st.tuples(st.integers(0, 90), st.integers(0, 90)),
    st.sampled_from([1, 3, 10, 25]),
    st.sampled_from(["", "", "ring", "private", "open", "lost", "other"]),
)


@given(st.lists(STRETCH, max_size=10), st.sampled_from(["events", "continuous"]))
@settings(max_examples=150)
def test_clips_and_events_keep_their_promises(
    stretches: list[tuple[int, tuple[int, int], int, str]], mode: str
) -> None:
    """Whatever happens, clips are ordered, contiguous and disjoint, events are whole, and memory is bounded."""
    bound = 3_000
    story = Story(
        settings=RecorderSettings(
            mode="continuous" if mode == "continuous" else "events",
            pre_roll_s=2,
            post_roll_s=3,
            max_clip_s=8,
            max_pre_roll_bytes=bound,
        )
    )
    other = False
    for pictures, (low, high), gop, then in stretches:
        story.play(pictures, active=range(low, high), gop=gop, other=other)
        other = other != (then == "other")
        if then == "ring":
            story.out += story.recorder.ring(story.now_us)
        if then in ("private", "open"):
            story.out += story.recorder.privacy(then == "private", story.now_us)
        if then == "lost":
            story.out += story.recorder.lost(story.now_us)
    story.finish()
    clips = check_clips(story.out)
    check_events(story.out)
    assert story.most_held <= bound
    assert all(s[-1].end_us - s[0].start_us <= 8 * S or len(s) == 1 for s in clips.values())


@given(st.integers(0, 120), st.integers(1, 60), st.sampled_from([2, 5, 10, 15]))
def test_a_clip_covers_its_event(quiet: int, moving: int, gop: int) -> None:
    """A clip reaches from pre-roll before the event's start to post-roll after its end."""
    story = Story()
    story.play(quiet)
    begin = story.now_us
    story.play(moving, active=range(moving), gop=gop)
    end = story.now_us - 100_000
    story.play(120, gop=gop)
    story.finish()
    (segments,) = check_clips(story.out).values()
    assert segments[0].start_us <= max(START_US + (-quiet % gop) * 100_000, begin - 2 * S)
    assert segments[-1].end_us >= end + 3 * S
    # To the group of pictures, and no further than a group and a segment.
    assert segments[0].start_us > begin - 2 * S - 2 * S - gop * 100_000
    assert segments[-1].end_us <= end + 3 * S + 2 * S + gop * 100_000


def test_an_event_is_told_at_once_and_ends_when_it_was_last_seen() -> None:
    """One id from start to end; the end says when movement was last seen, and comes a post-roll later."""
    story = Story()
    story.play(50)
    story.play(25, active=range(25))
    story.play(60)
    assert story.phases() == [("id-1", "motion", phase) for phase in ("start", "end")]
    start, *_, end = [o for o in story.out if isinstance(o, EventPhase)]
    assert (start.start_us, start.at_us, start.clip) == (START_US + 5 * S, START_US + 5 * S, "id-2")
    assert end.end_us == START_US + 7_400_000
    assert end.at_us == START_US + 10_400_000
    assert story.out[0] == start


def test_a_ring_is_an_event_of_its_own_in_the_same_clip() -> None:
    """Pressing the bell while somebody moves starts a second event; one clip serves both."""
    story = Story()
    story.play(30)
    story.play(10, active=range(10))
    story.out += story.recorder.ring(story.now_us)
    story.out += story.recorder.ring(story.now_us + 200_000)
    story.play(80)
    assert [phase for phase in story.phases() if phase[1] == "ring"] == [
        ("id-3", "ring", "start"),
        ("id-3", "ring", "end"),
    ]
    assert len(check_clips(story.out)) == 1
    assert {o.clip for o in story.out if isinstance(o, EventPhase)} == {"id-2"}


def test_a_ring_alone_makes_a_clip() -> None:
    """Without any motion, a ring keeps the film around it."""
    story = Story()
    story.play(55)
    story.out += story.recorder.ring(story.now_us)
    story.play(70)
    (segments,) = check_clips(story.out).values()
    assert segments[0].start_us == START_US + 3 * S
    assert segments[-1].end_us == START_US + 9 * S


def test_a_long_event_goes_on_in_another_clip() -> None:
    """At the longest clip another continues without a gap; the event keeps its id and names the clip it is in."""
    story = Story()
    story.play(30)
    story.play(450, active=range(450))
    story.play(80)
    clips = list(check_clips(story.out).values())
    assert len(clips) == 3
    assert all(a[-1].end_us == b[0].start_us for a, b in pairwise(clips))
    assert {o.event for o in story.out if isinstance(o, ClipStarted)} == {"id-1"}


def test_two_events_close_together_share_no_segment() -> None:
    """The second clip's pre-roll stops where the first clip ended."""
    story = Story()
    story.play(30)
    story.play(5, active=range(5))
    story.play(50)
    story.play(5, active=range(5))
    story.play(60)
    first, second = check_clips(story.out).values()
    assert first[-1].end_us <= second[0].start_us


def test_continuous_keeps_everything_in_clips_of_bounded_length() -> None:
    """In continuous mode all is kept, whatever moves, in clips that join."""
    story = Story(settings=RecorderSettings(mode="continuous", max_clip_s=10))
    story.play(350, active=range(20, 30))
    story.finish()
    clips = list(check_clips(story.out).values())
    assert len(clips) == 4
    assert sum(len(segment.units) for clip in clips for segment in clip) == 350
    assert next(o.clip for o in story.out if isinstance(o, EventPhase)) == "id-1"


def test_privacy_ends_everything_and_keeps_nothing() -> None:
    """Privacy on ends event and clip at once; nothing from under it is ever handed out, nor what came just before."""
    story = Story()
    story.play(30)
    story.play(15, active=range(15))
    story.out += story.recorder.privacy(True, story.now_us)
    assert [type(o) for o in story.out[-2:]] == [EventPhase, ClipEnded]
    told = len(story.out)
    story.play(100, active=range(100))
    story.out += story.recorder.ring(story.now_us)
    assert len(story.out) == told
    assert story.recorder.held_bytes == 0
    off_us = story.now_us
    story.out += story.recorder.privacy(False, off_us)
    story.play(15, active=range(15))
    story.play(60)
    _, after = check_clips(story.out).values()
    assert after[0].start_us >= off_us


def test_a_lost_camera_leaves_a_sound_clip() -> None:
    """What a vanished camera gave is kept to its last whole picture."""
    story = Story()
    story.play(30)
    story.play(17, active=range(17))
    story.finish()
    (segments,) = check_clips(story.out).values()
    assert segments[-1].end_us == START_US + 4_700_000
    assert story.phases()[-1][2] == "end"


def test_a_flood_of_large_groups_stays_within_memory() -> None:
    """Huge pictures fill no more than the bounds say."""
    story = Story(settings=RecorderSettings(max_pre_roll_bytes=100_000, segment=SegmentSettings(max_bytes=50_000)))
    story.play(600, size=9_000, gop=30)
    assert story.most_held <= 100_000
    assert story.recorder.dropped > 0


@pytest.mark.parametrize("pictures", [0, 1, 5])
def test_an_event_before_any_segment_names_no_clip_that_never_comes(pictures: int) -> None:
    """A ring on a camera that has shown nothing yet is told, without a clip out of nothing."""
    story = Story()
    story.play(pictures)
    story.out += story.recorder.ring(story.now_us)
    story.finish()
    check_events(story.out)
    assert len(check_clips(story.out)) == (1 if pictures else 0)


def test_motion_that_goes_on_is_told_every_five_seconds() -> None:
    """A long event says now and then that it still lasts; each phase costs its reader something."""
    story = Story()
    story.play(50)
    story.play(170, active=range(170))
    phases = [phase for _, _, phase in story.phases()]
    assert phases == ["start", "update", "update", "update"]


def test_a_label_is_told_at_once_and_from_then_on() -> None:
    """What somebody found in an event's pictures is an update of it; of an event that is over it is nothing."""
    story = Story()
    story.play(50)
    story.play(5, active=range(5))
    event = story.recorder.motion_event
    assert event is not None
    (told,) = story.recorder.label(event, "person", by="model", at_us=START_US)
    assert isinstance(told, EventPhase)
    assert (told.phase, told.label, told.labelled_by) == ("update", "person", "model")
    story.play(60)
    ended = [one for one in story.out if isinstance(one, EventPhase)][-1]
    assert (ended.phase, ended.label, ended.labelled_by) == ("end", "person", "model")
    assert story.recorder.label(event, "animal", by="model", at_us=START_US) == []
