"""A film from its source to the sink."""

import threading
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from structlog.testing import capture_logs

from device.video.clock import SystemClock
from device.video.codec.decoder import LumaDecoder
from device.video.codec.mux import mux_mp4, read_mp4
from device.video.film import Film
from device.video.film_settings import FilmSettings
from device.video.outputs import (
    ClipEnded,
    ClipStarted,
    EventPhase,
    Output,
    SegmentReady,
    SourceEnded,
    Thumbnail,
)
from device.video.recorder import RecorderSettings
from device.video.source.capture import CaptureSettings, SourceSpec, parse_source
from tests.video.film_support import CONTINUOUS, FAST, filmed, until
from tests.video.support import START_US, Ids, LeapingClock, coded, segments_in, write_film


def scene_film(name: str, out: list[Output]) -> Film:
    """A film of a scene, as fast as it can be drawn."""
    return Film(parse_source(f"scene:{name}"), settings=FAST, new_id=Ids(), sink=out.append, clock=LeapingClock())


def test_a_visitor_becomes_events_and_a_clip() -> None:
    """The doorbell scene: motion start to end, a ring, one clip with a thumbnail, in order, that plays."""
    out: list[Output] = []
    film = scene_film("doorbell-visitor", out)
    filmed(film)
    phases = [(o.kind, o.phase) for o in out if isinstance(o, EventPhase)]
    assert phases[0] == ("motion", "start")
    assert ("ring", "start") in phases
    assert phases.count(("motion", "end")) == phases.count(("ring", "end")) == 1
    (clip,) = segments_in(out).values()
    assert 10 < (clip[-1].end_us - clip[0].start_us) / 1_000_000 <= 15
    config, units = read_mp4(mux_mp4(clip))
    assert (config.width, config.height) == (640, 360)
    assert [unit.data for unit in units] == [unit.data for segment in clip for unit in segment.units]
    kinds = [type(o) for o in out if not isinstance(o, EventPhase)]
    assert (kinds[0], kinds[-3:]) == (ClipStarted, [Thumbnail, ClipEnded, SourceEnded])
    health = film.health()
    assert (health.state, health.frames, health.dropped, health.recording) == ("ended", 225, 0, False)


@pytest.mark.slow
def test_a_thumbnail_is_a_small_picture_of_the_event() -> None:
    """It is a JPEG of at most 320 pixels width, from within the clip."""
    out: list[Output] = []
    filmed(scene_film("driveway-walker", out))
    (thumbnail,) = [o for o in out if isinstance(o, Thumbnail)]
    image = cv2.imdecode(np.frombuffer(thumbnail.jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert image is not None
    assert image.shape == (180, 320)
    (clip,) = segments_in(out).values()
    assert clip[0].start_us <= thumbnail.at_us < clip[-1].end_us


@pytest.mark.slow
@pytest.mark.parametrize("name", ["empty-porch", "swaying-tree"])
def test_nothing_is_kept_where_nothing_happens(name: str) -> None:
    """The negative scenes give no event and no clip."""
    out: list[Output] = []
    filmed(scene_film(name, out))
    assert [type(o) for o in out] == [SourceEnded]


@pytest.mark.slow
def test_a_file_of_a_scene_gives_the_same_event(tmp_path: Path) -> None:
    """The same film as an H.264 file, decoded for motion in batches: its packets are kept as they are."""
    direct: list[Output] = []
    settings = replace(FAST, recorder=RecorderSettings(mode="continuous"))
    spec = parse_source("scene:driveway-walker")
    filmed(Film(spec, settings=settings, new_id=Ids(), sink=direct.append, clock=LeapingClock()))
    (segments,) = segments_in(direct).values()
    path = tmp_path / "walker.mp4"
    path.write_bytes(mux_mp4(segments))
    again: list[Output] = []
    film = Film(parse_source(f"file:{path}"), settings=FAST, new_id=Ids(), sink=again.append, clock=LeapingClock())
    filmed(film)
    start = next(o for o in again if isinstance(o, EventPhase))
    assert 3.4 <= (start.start_us - START_US) / 1_000_000 <= 4.4
    (clip,) = segments_in(again).values()
    kept = [unit.data for segment in clip for unit in segment.units]
    whole = [unit.data for segment in segments for unit in segment.units]
    assert kept == whole[-len(kept) :] or kept == whole[: len(kept)]
    assert film.health().decode_ms > 0


def test_films_keep_their_own_pace(tmp_path: Path) -> None:
    """At speed 2 a film of three seconds takes one and a half of the wall clock."""
    path = write_film(tmp_path / "a.mp4", options={"bf": "0"})
    clock = LeapingClock()
    film = Film(
        parse_source(f"file:{path}"), settings=FilmSettings(speed=2), new_id=Ids(), sink=lambda _: None, clock=clock
    )
    filmed(film)
    # The last packets may wait for one another, as long as nothing is urgent.
    assert 0 <= clock.now_us() - START_US - 44 / 15 / 2 * 1_000_000 <= 300_000


def test_an_unusable_file_ends_with_its_reason(tmp_path: Path) -> None:
    """One line in the log, the reason in the output, and the film is over."""
    out: list[Output] = []
    film = Film(
        parse_source(f"file:{tmp_path}/none.mp4"), settings=FAST, new_id=Ids(), sink=out.append, clock=LeapingClock()
    )
    with capture_logs() as logs:
        filmed(film)
    assert [(type(o), o.reason) for o in out if isinstance(o, SourceEnded)] == [(SourceEnded, "doesn't exist")]
    assert [entry["event"] for entry in logs] == ["source_unusable"]
    assert film.health().state == "failed"


def test_a_stirred_film_has_an_event_with_a_clip() -> None:
    """Where nothing moves a motion is made up, and is an event like any other: its clip has a thumbnail."""
    out: list[Output] = []
    film = scene_film("empty-porch", out)
    film.stir()
    filmed(film)
    phases = [o for o in out if isinstance(o, EventPhase)]
    assert [(o.kind, o.phase, o.score) for o in phases] == [("motion", "start", 100), ("motion", "end", 100)]
    (clip,) = segments_in(out)
    assert {o.clip for o in phases} == {clip}
    assert [o.clip for o in out if isinstance(o, Thumbnail)] == [clip]


@pytest.mark.parametrize("there", [True, False])
def test_the_bell_still_rings_when_the_film_is_over(tmp_path: Path, there: bool) -> None:
    """After a file, or without one, a ring is an event from start to end, without a clip; privacy is obeyed."""
    path = tmp_path / "a.mp4"
    if there:
        write_film(path, frames=30, options={"bf": "0"})
    out: list[Output] = []
    film = Film(parse_source(f"file:{path}"), settings=FAST, new_id=Ids(), sink=out.append, clock=LeapingClock())
    with capture_logs():
        film.start()
        assert film.join(10)
        state = film.health().state
        assert state == ("ended" if there else "failed")
        (ended,) = [o for o in out if isinstance(o, SourceEnded)]
        for number in (1, 2):
            out.clear()
            film.ring()
            until(lambda: len(out) == 2)
            start, end = out
            assert isinstance(start, EventPhase)
            assert isinstance(end, EventPhase)
            assert [(o.kind, o.phase, o.clip) for o in (start, end)] == [("ring", "start", None), ("ring", "end", None)]
            assert start.event == end.event
            assert end.at_us - start.at_us >= 4_000_000
            assert start.at_us >= ended.at_us, number
        film.set_privacy(on=True)
        film.ring()
        film.set_privacy(on=False)
        film.set_privacy(on=True)
        until(lambda: film._recorder.private)
        out.clear()
        film.ring()
        until(lambda: not film._wanted)
        film.stop()
        assert film.join(10)
    assert out == []
    assert film.health().state == state


def test_an_event_under_way_at_the_end_of_standing_by_is_ended_by_privacy() -> None:
    """With a clock that takes its time: the ring's event ends at once when privacy comes on."""
    out: list[Output] = []
    spec = SourceSpec(kind="file", location="/none.mp4")
    film = Film(spec, settings=FAST, new_id=Ids(), sink=out.append, clock=SystemClock())
    with capture_logs():
        film.start()
        assert film.join(10)
        film.ring()
        until(lambda: len(out) == 2)
        film.set_privacy(on=True)
        until(lambda: len(out) == 3)
        begun = time.monotonic()
        film.stop()
        assert time.monotonic() - begun < 0.5
    assert [o.phase for o in out if isinstance(o, EventPhase)] == ["start", "end"]


def test_privacy_keeps_nothing_of_a_file(tmp_path: Path) -> None:
    """While privacy is on a file's time passes, but nothing of it comes out."""
    path = write_film(tmp_path / "a.mp4", frames=150, options={"bf": "0"})
    out: list[Output] = []

    def sink(output: Output) -> None:
        out.append(output)
        if sum(isinstance(o, SegmentReady) for o in out) == 3:
            film.set_privacy(on=True)

    film = Film(parse_source(f"file:{path}"), settings=CONTINUOUS, new_id=Ids(), sink=sink, clock=LeapingClock())
    filmed(film)
    (clip,) = segments_in(out).values()
    assert len(clip) == 3
    assert [type(o) for o in out[-3:]] == [Thumbnail, ClipEnded, SourceEnded]


@pytest.mark.slow
def test_a_ring_from_outside_becomes_an_event(tmp_path: Path) -> None:
    """Pressing the button on a film where nothing moves keeps a clip."""
    path = write_film(tmp_path / "a.mp4", frames=30, fps=30, options={"bf": "0"})
    out: list[Output] = []
    spec, settings = parse_source(f"file:{path}"), FilmSettings(speed=1)
    film = Film(spec, settings=settings, new_id=Ids(), sink=out.append, clock=SystemClock())
    film.start()
    until(lambda: film.health().frames > 3)
    film.ring()
    assert film.join(10)
    ring = next(o for o in out if isinstance(o, EventPhase) and o.kind == "ring")
    assert (ring.phase, ring.clip is not None) == ("start", True)
    assert sum(len(segment.units) for segments in segments_in(out).values() for segment in segments) == 30


def test_stopping_is_quick_and_sound(tmp_path: Path) -> None:
    """A paced film stops in the middle well within a second, its clip closed."""
    path = write_film(tmp_path / "a.mp4", frames=150, fps=5, options={"bf": "0"})
    out: list[Output] = []
    settings = FilmSettings(speed=1, recorder=RecorderSettings(mode="continuous"))
    film = Film(parse_source(f"file:{path}"), settings=settings, new_id=Ids(), sink=out.append)
    film.start()
    until(lambda: film.health().frames >= 2)
    begun = time.monotonic()
    film.stop()
    assert time.monotonic() - begun < 0.5
    assert film.health().state == "stopped"
    assert [type(o) for o in out if not isinstance(o, EventPhase)][-2:] == [ClipEnded, SourceEnded]


def test_a_blocked_sink_makes_a_file_wait(tmp_path: Path) -> None:
    """A slow sink loses nothing of a file."""
    path = write_film(tmp_path / "a.mp4", options={"bf": "0"})
    out: list[Output] = []
    held = threading.Event()

    def sink(output: Output) -> None:
        out.append(output)
        if len(out) == 1:
            held.wait(0.3)

    film = Film(parse_source(f"file:{path}"), settings=CONTINUOUS, new_id=Ids(), sink=sink, clock=LeapingClock())
    filmed(film)
    assert sum(len(segment.units) for segments in segments_in(out).values() for segment in segments) == 45
    assert film.health().dropped == 0


def test_luma_is_the_first_plane() -> None:
    """The decoder for motion gives what was encoded, dated by its packet."""
    packets = coded(20)
    decoder = LumaDecoder(packets[0].config)
    seen = [luma for packet in packets for luma in decoder.decode(packet)]
    assert [luma.at_us for luma in seen] == [packet.at_us for packet in packets]
    assert seen[10].plane.shape == (96, 160)
    assert float(seen[10].plane[40:50, 34:46].mean()) > 200
    assert float(seen[10].plane[40:50, 100:140].mean()) < 130


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "codec", "b_frames"),
    [("a.mp4", "libx264", 1), ("a.ts", "libx264", 0), ("a.mkv", "libx264", 2), ("a.avi", "mpeg4", 0)],
)
def test_damage_anywhere_crashes_nothing(tmp_path: Path, name: str, codec: str, b_frames: int) -> None:
    """Damaged and cut copies of a film play to some end or are refused; what is kept makes sound files."""
    whole = write_film(tmp_path / name, codec=codec, options={"bf": str(b_frames)}).read_bytes()
    path = tmp_path / f"hurt-{name}"
    rng = np.random.default_rng(11)
    for number in range(40):
        data = bytearray(whole)
        for at in rng.integers(0, len(data), int(rng.integers(1, 40))):
            data[at] = rng.integers(0, 256)
        path.write_bytes(data[: int(rng.integers(1, len(data)))] if number % 4 == 0 else data)
        out: list[Output] = []
        spec = parse_source(f"file:{path}")
        film = Film(spec, settings=CONTINUOUS, new_id=Ids(), sink=out.append, clock=LeapingClock())
        with capture_logs():
            filmed(film)
        assert isinstance(out[-1], SourceEnded)
        for segments in segments_in(out).values():
            _, units = read_mp4(mux_mp4(segments))
            assert [unit.data for unit in units] == [unit.data for segment in segments for unit in segment.units]


def test_stop_may_be_called_by_the_sink() -> None:
    """A sink that has had enough ends the film from within."""
    out: list[Output] = []

    def sink(output: Output) -> None:
        out.append(output)
        film.stop()

    film = Film(parse_source("scene:driveway-walker"), settings=FAST, new_id=Ids(), sink=sink, clock=LeapingClock())
    filmed(film)
    assert film.health().state == "stopped"
    assert isinstance(out[-1], SourceEnded)


def test_under_privacy_the_second_stream_is_not_looked_at_either() -> None:
    """What is only looked at is looked at as little as the rest is kept."""
    spec = parse_source("scene:driveway-walker")
    for private in (False, True):
        out: list[Output] = []
        settings = replace(FAST, capture=CaptureSettings(detect=spec))
        film = Film(spec, settings=settings, new_id=Ids(), sink=out.append, clock=LeapingClock())
        film.set_privacy(private)
        filmed(film)
        assert (film.health().watched == 0) is private
        assert any(isinstance(output, EventPhase) for output in out) is not private


def test_privacy_lets_go_of_the_pictures_of_an_event() -> None:
    """What was put by to tell who came is gone as soon as nothing may be filmed."""
    out: list[Output] = []

    def sink(output: Output) -> None:
        out.append(output)
        film.set_privacy(on=True)

    settings = replace(FAST, labels="shape")
    film = Film(parse_source("scene:driveway-walker"), settings=settings, new_id=Ids(), sink=sink, clock=LeapingClock())
    filmed(film)
    assert isinstance(out[0], EventPhase)
    best = film._labelling._frames.best()
    assert (best.crops, best.looks) == ((), ())


class CountingClock(LeapingClock):
    """Counts how often the film waits."""

    waits = 0

    def wait(self, wake: threading.Event, seconds: float) -> None:
        self.waits += 1
        super().wait(wake, seconds)


def test_packets_gather_while_nothing_is_urgent(tmp_path: Path) -> None:
    """A film that is not known yet is followed packet by packet; later it wakes up for some at a time."""
    waits = []
    for frames in (30, 300):
        path = write_film(tmp_path / f"{frames}.mp4", frames=frames, options={"bf": "0"})
        clock = CountingClock()
        film = Film(
            parse_source(f"file:{path}"), settings=FilmSettings(), new_id=Ids(), sink=lambda _: None, clock=clock
        )
        filmed(film)
        waits.append(clock.waits)
    assert waits[0] > 0.7 * 30
    assert waits[1] < 0.6 * 300, waits
