"""What the owner chose of a clip: sealed where it can be, derived and said to be so where not."""

import io
import json
from dataclasses import replace
from pathlib import Path

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.wire.encoding import WireError
from broker.wire.records import Release, SegmentStatement
from broker.wire.rules import MINUTE_US
from device.consent.errors import ConsentError
from device.consent.redact import Box, Choice, KeyBox, Region
from device.consent.release import ClipMaterial
from device.consent.review import SealedSegment, cut, material, open_clip
from device.video.codec.mux import mux_mp4
from device.video.packets import Codec
from tests.consent.test_codecs import KEY, OWNER, kept, sent
from tests.video.support import coded, segments_of

SEGMENTS = segments_of(coded(90))
START, END = SEGMENTS[0].start_us, SEGMENTS[-1].end_us
REGION = Region((KeyBox(0, Box(0.3, 0.3, 0.3, 0.3)),))


def parts(codec: Codec = "h264") -> list[tuple[SegmentStatement, SealedSegment]]:
    """All segments of six seconds, as the device keeps them."""
    sealed = kept(segments_of(coded(90, codec=codec)))
    return cut(sealed, device_key=KEY.public, start_us=0, end_us=1 << 62, limit_us=MINUTE_US)


PARTS = parts()


def made(choice: Choice) -> ClipMaterial:
    return material(PARTS, choice, identity=OWNER.identity)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 5), st.integers(1, 6))
def test_a_choice_at_segment_bounds_is_sealed_byte_for_byte(first: int, count: int) -> None:
    """Any run of whole segments: the file that its packets alone make, without a word more, and no transformation."""
    chosen = SEGMENTS[first : first + count]
    clip = made(Choice(chosen[0].start_us, chosen[-1].end_us))
    assert clip.mp4 == mux_mp4(chosen)
    assert clip == open_clip(PARTS[first : first + count], OWNER.identity)
    assert (clip.transformations, clip.faces) == ((), None)


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 5_800_000), st.integers(150_000, 6_000_000), st.sampled_from([(), (REGION,)]))
def test_what_is_not_sealed_says_so(late: int, length: int, regions: tuple[Region, ...]) -> None:
    """Cut or hidden: never without its transformations; its times within those of its statements."""
    start, end = START + late, min(START + late + length, END)
    choice = Choice(start, end, regions=regions)
    bounds = {segment.start_us for segment in SEGMENTS} | {END}
    clip = made(choice)
    assert bool(clip.transformations) == (bool(regions) or not {start, end} <= bounds)
    statements = [SegmentStatement.open(one, key=KEY.public) for one in clip.statements]
    assert statements[0].start <= clip.start_us < clip.end_us <= statements[-1].start + statements[-1].duration_us
    assert start <= clip.start_us
    assert clip.end_us <= end
    assert [one.seq for one in statements] == list(range(clip.first_seq, clip.last_seq + 1))


def test_each_thing_that_was_done_has_its_line() -> None:
    """Re-encoded, cut, faces, regions: in the release, and in the file's own words."""
    clip = made(Choice(START + 500_000, END, hide_faces=True, regions=(REGION, REGION)))
    encoded, cut_at, faces, regions = clip.transformations
    assert encoded.startswith("re-encoded as H.264")
    assert cut_at.startswith("cut at 2025-")
    assert faces == "faces looked for by YuNet (libfacedetection 2024-09): none found"
    assert regions == "2 regions hidden by the owner"
    assert clip.faces is not None
    assert clip.faces.tracks == 0
    with av.open(io.BytesIO(clip.mp4)) as container:
        assert container.metadata["comment"] == "derived: " + "; ".join(clip.transformations)


def test_progress_is_told() -> None:
    """From nothing to all."""
    told: list[float] = []
    material(PARTS, Choice(START, END - 1, hide_faces=False), identity=OWNER.identity, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (Choice(START - 1, END), "beyond"),
        (Choice(START, END + 1), "beyond"),
        (Choice(0, START), "nothing of this clip"),
        (Choice(START + 1, START + 2), "no picture lies"),
    ],
)
def test_a_range_that_the_clip_does_not_show_is_refused(choice: Choice, said: str) -> None:
    """Before it, behind it, or between two pictures."""
    with pytest.raises(ConsentError, match=said):
        made(choice)


def test_more_than_a_minute_is_refused() -> None:
    """Derived or not, a clip has its limit."""
    minute = kept([replace(SEGMENTS[0], start_us=START + n * 1_000_000, duration_us=1_000_000) for n in range(62)])
    whole = cut(minute, device_key=KEY.public, start_us=0, end_us=1 << 62, limit_us=10 * MINUTE_US)
    with pytest.raises(ConsentError, match="60 s at the most"):
        material(whole, Choice(START, START + 61_000_000), identity=OWNER.identity)


def test_a_choice_that_ends_before_it_begins_is_refused() -> None:
    """Times in the wrong order are a mistake, not an empty clip."""
    with pytest.raises(ConsentError, match="must begin before"):
        Choice(5, 5)


@pytest.mark.parametrize("codec", ["h264", "vp9"])
def test_an_agency_is_told_what_is_derived(codec: Codec, tmp_path: Path) -> None:
    """The sealed clip is proven, the derived one is called so: chain and times hold, its pictures prove nothing."""
    segments = parts(codec)
    start, end = segments[0][0].start, segments[-1][0].start
    clips = [
        material(segments, Choice(start, end), identity=OWNER.identity),
        material(segments, Choice(start + 300_000, end, regions=(REGION,)), identity=OWNER.identity),
    ]
    opened = sent(clips, tmp_path / "out")
    assert opened.verified
    assert [clip.seal for clip in opened.clips] == ["sealed as filmed", "derived"]
    assert opened.clips[1].transformations == clips[1].transformations
    assert "can't be checked against them" in opened.clips[1].note
    listed = json.loads((opened.folder / "segments.json").read_bytes())["clips"]
    assert [len(clip["segments"]) for clip in listed] == [5, 5]


def test_a_derived_clip_that_is_called_sealed_is_found_out(tmp_path: Path) -> None:
    """A liar leaves the transformations empty: the pictures are not those that were signed."""
    clip = made(Choice(START, END, regions=(REGION,)))
    assert (clip.start_us, clip.end_us) == (START, END)
    (report,) = sent([replace(clip, transformations=())], tmp_path / "out").clips
    assert report.seal == "altered"


def test_a_bundle_tells_the_rings_that_its_clips_show(tmp_path: Path) -> None:
    """Told by the owner's wish alone, once each, in order, and none that lies outside; the agency reads them."""
    clip = made(Choice(START, SEGMENTS[1].end_us))
    rings = [START + 1_500_000, START + 500_000, START + 500_000, END - 1, START - 1]
    assert sent([clip], tmp_path / "told", rings=rings).rings == (START + 500_000, START + 1_500_000)
    assert sent([clip], tmp_path / "untold").rings == ()


def test_a_release_without_rings_is_as_it_always_was() -> None:
    """Byte for byte, so that old ones still hold; and one that says it has none is not a second spelling."""
    release = Release.model_validate(
        {
            "request": "0" * 64, "device": "porch", "device_key": KEY.public, "camera": "main", "kind": "doorbell",
            "recipient": "age1" + "q" * 58, "made_at": START,
            "clips": ({"file": "clip-1.mp4", "start": START, "end": END, "first_seq": 0, "last_seq": 5,
                       "transformations": ()},),
            "files": ({"name": "clip-1.mp4", "bytes": 1, "sha256": "0" * 64},),
        }
    )  # fmt: skip
    payload = release.payload()
    assert b"rings" not in payload
    assert Release.from_payload(payload) == release
    asks = f'"request":"{"0" * 64}"'.encode()
    with pytest.raises(WireError, match="not spelled"):
        Release.from_payload(payload.replace(asks, asks + b',"rings":[]'))
    told = release.model_copy(update={"rings": (START, START + 1)})
    assert Release.from_payload(told.payload()) == told
    back = release.model_copy(update={"rings": (START + 1, START)})
    with pytest.raises(WireError, match="in order of time"):
        Release.from_payload(back.payload())
