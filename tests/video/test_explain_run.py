"""Films explained: by the daemon's own parts, with what it would have done."""

from dataclasses import replace
from pathlib import Path

import pytest

from device.video.attention import AttentionSettings
from device.video.errors import SourceError
from device.video.explain.report import report
from device.video.explain.run import Explained, as_recorded, run_film
from device.video.film import Film
from device.video.film_settings import FilmSettings
from device.video.outputs import EventPhase, Output
from device.video.source.capture import CaptureSettings, SourceSpec, parse_source
from tests.video.explain_support import empty, walk_then, write_lumas
from tests.video.support import START_US, Ids, LeapingClock, write_film

SETTINGS = FilmSettings(capture=CaptureSettings(seed=1), labels="shape", speed=0)


def explained(spec: SourceSpec, settings: FilmSettings = SETTINGS) -> Explained:
    """The explanation of a film."""
    return run_film(spec, as_recorded(settings), labeller=None, progress=lambda _: None)


def in_file(path: Path) -> SourceSpec:
    return SourceSpec(kind="file", location=str(path))


@pytest.mark.parametrize("eco", [True, False])
def test_it_tells_what_the_daemon_does(tmp_path: Path, eco: bool) -> None:
    """The same events, to the microsecond, as a device that films the same file with the same settings."""
    film = write_lumas(tmp_path / "film.mp4", [empty()] * 75 + walk_then(1, after_s=6))
    settings = replace(SETTINGS, attention=AttentionSettings(eco=eco))
    out: list[Output] = []
    device = Film(in_file(film), settings=settings, new_id=Ids(), sink=out.append, clock=LeapingClock())
    device.start()
    assert device.join(20)
    device.stop()
    assert device.join(20)
    done = explained(in_file(film), settings)
    ends = [one for one in out if isinstance(one, EventPhase) and one.phase == "end"]
    account = done.account
    assert [(one.start_us - START_US, one.end_us and one.end_us - START_US, one.score) for one in ends] == [
        (event.start_us - account.start_us, event.end_us - account.start_us, event.score) for event in account.events
    ]
    assert len(ends) == 1
    assert done.decoded == device.health().decoded


def test_what_eco_leaves_out_is_marked(tmp_path: Path) -> None:
    """Pictures between keyframes of a quiet film are told of, and not looked at; unless all are asked for."""
    film = in_file(write_lumas(tmp_path / "film.mp4", [empty()] * 135))
    modes = [picture.mode for picture in explained(film).account.pictures]
    assert len(modes) == 135
    assert modes.count("left out") > 40
    # The last group is looked at whole: nothing comes after it that would tell.
    assert modes[105:120] == ["calm", *["left out"] * 14]
    every = run_film(film, as_recorded(SETTINGS, every_picture=True), labeller=None, progress=lambda _: None)
    assert all(picture.glance is not None for picture in every.account.pictures)


def test_a_visitor_has_reasons() -> None:
    """The doorbell scene: somebody comes, and rings, and both say why."""
    account = explained(parse_source("scene:doorbell-visitor")).account
    motion, bell = account.events
    assert (motion.kind, bell.kind) == ("motion", "ring")
    assert motion.label is not None
    assert "of the width" in motion.began
    assert motion.ended
    assert bell.began == "somebody rang"


def test_headlights_say_why_they_are_none() -> None:
    """A negative explains its refusal: something came far, and was light, or too fast."""
    account = explained(parse_source("scene:headlights-night")).account
    assert not account.events
    assert account.decoded_anyway
    strongest = max(account.refused, key=lambda one: one.strength)
    assert strongest.why in ("is light", "too fast")
    assert sum(account.refused_whys.values()) >= len(account.refused)


def test_the_report_holds_all_of_it(tmp_path: Path) -> None:
    """Events, refusals, counts and settings, in seconds into the film."""
    film = in_file(write_lumas(tmp_path / "film.mp4", walk_then(1, after_s=6)))
    told = report(explained(film), SETTINGS, film="film.mp4", sensitivity=5)
    (event,) = told["events"]
    assert 2 < event["start_s"] < event["best_s"] <= event["end_s"] < told["duration_s"]
    assert event["label"]["by"] == "shape"
    assert event["where"].keys() == {"left", "top", "right", "bottom"}
    assert event["to_ignore_it"].startswith("ignore_zones = [[[")
    assert all(one["what_to_turn"] for one in told["refused"])
    assert all(one["box"] is None or one["box"].keys() == event["where"].keys() for one in told["refused"])
    assert told["settings"]["eco_of_use"] is True
    assert told["counts"]["pictures"] == 165
    assert told["counts"]["looked_at"] <= told["counts"]["decoded"]
    assert told["settings"]["sensitivity"] == 5


def test_a_loop_is_seen_once(tmp_path: Path) -> None:
    """A device may show a film over and over; its explanation ends."""
    film = in_file(write_film(tmp_path / "film.mp4"))
    looped = replace(SETTINGS, capture=CaptureSettings(loop=True))
    assert len(explained(film, looped).account.pictures) == 45


@pytest.mark.parametrize("data", [b"", b"no film at all", b"\0" * 4_000])
def test_no_film_is_a_source_error(tmp_path: Path, data: bytes) -> None:
    """Whatever the library makes of it."""
    path = tmp_path / "film.mp4"
    path.write_bytes(data)
    with pytest.raises(SourceError):
        explained(in_file(path))
