"""Another film from segments: exact cuts, flat boxes, honest remarks, right times."""

import io
from dataclasses import replace

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.video.codec.mux import mux_mp4, read_mp4
from device.video.errors import BitstreamError, MuxError, VideoError
from device.video.packets import AccessUnit, Codec, us_from_ticks
from device.video.redact.derive import Hiding, Made, derive
from device.video.redact.hiding import CHROMA, LUMA, pixels_of
from device.video.redact.pictures import times
from device.video.redact.regions import Box, KeyBox, Region
from device.video.segments import Segment
from tests.redact.support import SquareFinder, lumas, planes_of
from tests.video.support import coded, segments_of

CODECS: list[Codec] = ["h264", "vp9"]
SEGMENTS = segments_of(coded(60))
BOX = Box(0.25, 0.25, 0.3, 0.4)


def reopened(mp4: bytes, made: Made) -> list[Segment]:
    """A made film as a segment again, to be decoded."""
    config, units = read_mp4(mp4)
    return [Segment(config=config, start_us=made.start_us, duration_us=made.end_us - made.start_us, units=units)]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 3_900_000), st.integers(70_000, 4_000_000))
def test_a_cut_has_exactly_the_pictures_of_its_range_at_their_times(late: int, length: int) -> None:
    """From the first picture at or after the beginning to the last before the end; wall clocks stay what they were."""
    start_us = SEGMENTS[0].start_us + late
    wanted = [at_us for at_us in times(SEGMENTS) if start_us <= at_us < start_us + length]
    mp4, made = derive(SEGMENTS, start_us=start_us, end_us=start_us + length, hiding=Hiding())
    assert (made.start_us, made.pictures) == (wanted[0], len(wanted))
    assert made.end_us == min(start_us + length, SEGMENTS[-1].end_us)
    _, units = read_mp4(mp4)
    assert [made.start_us + us_from_ticks(unit.pts) for unit in units] == pytest.approx(wanted, abs=12)


@pytest.mark.parametrize("codec", CODECS)
def test_a_cut_shows_what_was_filmed(codec: Codec) -> None:
    """The pictures look like those of the source, each at its place."""
    segments = segments_of(coded(60, codec=codec))
    start_us = segments[0].start_us + 1_500_000
    mp4, made = derive(segments, start_us=start_us, end_us=start_us + 1_000_000, hiding=Hiding())
    was = dict(lumas(segments))
    shown = lumas(reopened(mp4, made))
    assert len(shown) == 15
    for (_, picture), at_us in zip(shown, [at for at in was if start_us <= at < start_us + 1_000_000], strict=True):
        assert np.abs(picture.astype(int) - was[at_us]).mean() < 4


@pytest.mark.parametrize("codec", CODECS)
def test_a_region_is_flat_while_it_is_there(codec: Codec) -> None:
    """Within its times every pixel inside is of one colour, in luma and chroma; before and after, the film is seen."""
    segments = segments_of(coded(60, codec=codec))
    start = segments[0].start_us
    region = Region((KeyBox(start + 1_000_000, BOX), KeyBox(start + 2_500_000, BOX.moved(0.2, 0.0))))
    mp4, made = derive(segments, start_us=start, end_us=segments[-1].end_us, hiding=Hiding(regions=(region,)))
    for at_us, i420 in planes_of(reopened(mp4, made)):
        box = region.at(at_us)
        left, top, right, bottom = pixels_of(box or BOX, width=160, height=96) or (0, 0, 0, 0)
        # A codec smooths over the edges of blocks, where it has seen nothing but the flat side of them.
        inner = i420[top + 8 : bottom - 8, left + 8 : right - 8].astype(int)
        chroma = i420[96:].reshape(2, 48, 80)[:, top // 2 + 4 : bottom // 2 - 4, left // 2 + 4 : right // 2 - 4]
        # Where it has just moved to, a trace of what was shown before may stay: never of what was hidden.
        assert (np.abs(inner - LUMA).max() <= 12) == (box is not None), at_us
        if box is not None:
            assert np.abs(chroma.astype(int) - CHROMA).max() <= 2


def test_a_face_that_is_missed_now_and_then_is_hidden_in_every_picture() -> None:
    """The finder sees it in one look of three: no picture shows any of it."""
    finder = SquareFinder(blind={look for look in range(60) if look % 3})
    start = SEGMENTS[0].start_us
    mp4, made = derive(SEGMENTS, start_us=start, end_us=start + 3_000_000, hiding=Hiding(faces=True), finder=finder)
    assert made.faces is not None
    assert (made.faces.tracks, made.faces.pictures) == (1, 45)
    assert all(luma.max() < 190 for _, luma in lumas(reopened(mp4, made)))
    assert all(luma.max() > 220 for _, luma in lumas(SEGMENTS))
    looked = {key.at_us for key in made.faces.boxes}
    assert 10 < len(looked) <= finder.looks < 20
    assert looked <= set(times(SEGMENTS))


def test_no_face_found_is_no_picture_hidden() -> None:
    """Nothing is hidden for nothing, and the report says that it was looked for."""
    finder = SquareFinder(blind=set(range(100)))
    start = SEGMENTS[0].start_us
    _, made = derive(SEGMENTS, start_us=start, end_us=start + 500_000, hiding=Hiding(faces=True), finder=finder)
    assert made.faces is not None
    assert (made.faces.tracks, made.faces.pictures, made.faces.boxes) == (0, 0, ())


def test_a_film_says_what_was_done_and_nothing_else() -> None:
    """Its remark is there for every player; without one the file has no such box."""
    start = SEGMENTS[0].start_us
    mp4, _ = derive(
        SEGMENTS,
        start_us=start,
        end_us=start + 500_000,
        hiding=Hiding(),
        remark=lambda made: f"derived: {made.pictures} pictures, “cut”",
    )
    with av.open(io.BytesIO(mp4)) as container:
        assert container.metadata["comment"] == "derived: 8 pictures, “cut”"
    assert b"udta" not in mux_mp4(SEGMENTS)


def test_the_same_choice_makes_the_same_bytes() -> None:
    """What the owner sees can be made again and compared."""
    start = SEGMENTS[0].start_us
    hiding = Hiding(faces=True, regions=(Region((KeyBox(0, BOX),)),))
    made = {
        derive(SEGMENTS, start_us=start, end_us=start + 900_000, hiding=hiding, finder=SquareFinder())[0]
        for _ in range(2)
    }
    assert len(made) == 1


def test_progress_goes_from_nothing_to_all_and_never_back() -> None:
    """Both passes count."""
    told: list[float] = []
    start = SEGMENTS[0].start_us
    derive(
        SEGMENTS,
        start_us=start,
        end_us=start + 2_000_000,
        hiding=Hiding(faces=True),
        finder=SquareFinder(),
        progress=told.append,
    )
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1.0)
    assert len(told) == 60


def test_a_range_without_a_picture_is_refused() -> None:
    """Before the film, behind it, or between two of its pictures."""
    for start_us in (0, SEGMENTS[-1].end_us, SEGMENTS[0].start_us + 1):
        with pytest.raises(VideoError, match="no picture lies"):
            derive(SEGMENTS, start_us=start_us, end_us=start_us + 50, hiding=Hiding())


def test_a_change_of_format_is_refused() -> None:
    """One film has one format; the owner is told to cut there."""
    other = segments_of(coded(20, codec="vp9"))
    later = replace(other[0], start_us=SEGMENTS[-1].end_us)
    with pytest.raises(MuxError, match="format changes"):
        derive([*SEGMENTS, later], start_us=SEGMENTS[0].start_us, end_us=later.end_us, hiding=Hiding())


def test_a_damaged_picture_is_told() -> None:
    """Nothing is made of what can't be decoded."""
    broken = [AccessUnit(unit.dts, unit.pts, unit.keyframe, b"\0\0\0\x02\x65\xff") for unit in SEGMENTS[0].units]
    with pytest.raises(BitstreamError):
        derive(
            [replace(SEGMENTS[0], units=tuple(broken))],
            start_us=SEGMENTS[0].start_us,
            end_us=SEGMENTS[0].end_us,
            hiding=Hiding(),
        )


def test_a_clock_that_was_set_back_stands_still() -> None:
    """Pictures stay in the order in which they were filmed, and none is lost."""
    back = replace(SEGMENTS[1], start_us=SEGMENTS[1].start_us - 500_000)
    segments = [SEGMENTS[0], back, SEGMENTS[2]]
    assert len(times(segments)) == sum(len(segment.units) for segment in segments)
    shown = [at_us for at_us, _ in lumas(segments)]
    assert shown == times(segments) == sorted(set(shown))
