"""MP4 files: the same access units come back, and other programs play them."""

import base64
import hashlib
import json
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.video.codec.mux import mux_mp4, read_mp4
from device.video.errors import MuxError
from device.video.packets import AccessUnit, Codec, CodecConfig, Packet
from device.video.segments import Segment
from device.video.source.capture import CaptureSettings
from device.video.source.file import FileSource
from tests.conftest import need
from tests.video.browser import evaluated
from tests.video.support import OTHER_CONFIG, START_US, coded, segments_of, write_film

CODECS: list[Codec] = ["h264", "vp9"]
FIRST_RELEASE = "ff8d9bedb12b66118dae555f45d517b24d41421ad9b2d742412d675c81c6fed3"


def packets_in(path: Path) -> list[Packet]:
    """All packets of a film."""
    source = FileSource(path, settings=CaptureSettings(), start_us=START_US)
    return [item for item in source.items() if isinstance(item, Packet)]


def shape(units: list[AccessUnit]) -> list[tuple[bytes, int, bool]]:
    """What must be the same on the way through a file, apart from the differences of dts."""
    return [(unit.data, unit.pts - unit.dts, unit.keyframe) for unit in units]


def deltas(units: list[AccessUnit]) -> list[int]:
    """Differences of dts."""
    return [after.dts - before.dts for before, after in pairwise(units)]


def assert_round_trip(segments: list[Segment]) -> None:
    """Everything a signature covers survives the file; so do the segments' own bounds."""
    config, units = read_mp4(mux_mp4(segments))
    flat = [unit for segment in segments for unit in segment.units]
    assert config == segments[0].config
    assert shape(list(units)) == shape(flat)
    at = 0
    for segment in segments:
        part = list(units[at : at + len(segment.units)])
        assert deltas(part) == deltas(list(segment.units))
        at += len(segment.units)


@pytest.mark.parametrize("codec", CODECS)
def test_round_trip_of_our_encoder(codec: Codec) -> None:
    """Our own segments come back byte for byte, tick for tick."""
    assert_round_trip(segments_of(coded(60, codec=codec)))


@pytest.mark.parametrize("fps", [15, 25, 30])
def test_round_trip_with_b_frames(tmp_path: Path, fps: int) -> None:
    """A camera's file with B-frames comes back the same, its dts continuous across segments."""
    film = write_film(tmp_path / "b.mp4", fps=fps, frames=fps * 3, gop=fps, options={"bf": "3", "b-pyramid": "normal"})
    packets = packets_in(film)
    assert any(packet.unit.pts != packet.unit.dts for packet in packets)
    segments = segments_of(packets)
    assert len(segments) == 3
    assert_round_trip(segments)
    _, units = read_mp4(mux_mp4(segments))
    assert set(deltas(list(units))) == {90_000 // fps}


@given(
    st.lists(st.tuples(st.integers(1, 9_000), st.integers(0, 30_000)), min_size=1, max_size=12),
    st.lists(st.integers(-2_000_000, 30_000_000), max_size=4),
    st.sampled_from(CODECS),
)
@settings(max_examples=40)
def test_round_trip_of_odd_times(steps: list[tuple[int, int]], gaps: list[int], codec: Codec) -> None:
    """Uneven steps, reordering, gaps and a clock set back between segments: each segment's units come back the same."""
    real = [packet.unit for packet in coded(45, codec=codec)[:15]]
    units: list[AccessUnit] = []
    for (step, reorder), unit in zip(steps, real, strict=False):
        dts = units[-1].dts + step if units else 0
        units.append(AccessUnit(dts=dts, pts=dts + reorder, keyframe=unit.keyframe, data=unit.data))
    start_us, segments = START_US, []
    for gap in [0, *gaps]:
        start_us += gap
        config = coded(45, codec=codec)[0].config
        segment = Segment(config=config, start_us=start_us, duration_us=1_000_000, units=tuple(units))
        segments.append(segment)
    assert_round_trip(segments)


def test_the_same_segments_give_the_same_file() -> None:
    """No date, no chance: the file is a function of its segments."""
    segments = segments_of(coded(45))
    assert mux_mp4(segments) == mux_mp4(tuple(segments))


def test_the_files_of_issued_clips_stay_the_same() -> None:
    """Files of H.264 are signed by their digest: the bytes for given units are those of the first release."""
    units = tuple(
        AccessUnit(
            dts=3_000 * number, pts=3_000 * (number + number % 2), keyframe=number == 0, data=bytes((number,)) * 9
        )
        for number in range(5)
    )
    config = CodecConfig(width=320, height=240, extradata=b"\1an avcC record")
    segments = [
        Segment(config=config, start_us=START_US + start_us, duration_us=200_000, units=units)
        for start_us in (0, 700_000)
    ]
    assert hashlib.sha256(mux_mp4(segments)).hexdigest() == FIRST_RELEASE


@pytest.mark.parametrize("segments", [[], [Segment(config=OTHER_CONFIG, start_us=0, duration_us=1, units=())]])
def test_an_empty_clip_is_refused(segments: list[Segment]) -> None:
    """There is no file without pictures."""
    with pytest.raises(MuxError, match="at least one segment"):
        mux_mp4(segments)


def test_two_formats_are_refused() -> None:
    """A file has one configuration."""
    first = segments_of(coded(45))[0]
    other = Segment(config=OTHER_CONFIG, start_us=START_US, duration_us=1, units=first.units)
    with pytest.raises(MuxError, match="format changes"):
        mux_mp4([first, other])


@given(st.binary(max_size=300))
@settings(max_examples=30)
def test_reading_rubbish_is_refused(data: bytes) -> None:
    """Bytes that are no MP4 of ours give one clear error."""
    with pytest.raises(MuxError):
        read_mp4(data)


@pytest.mark.parametrize("codec", CODECS)
def test_a_cut_file_is_refused(codec: Codec) -> None:
    """A file without its end is not taken for the clip."""
    whole = mux_mp4(segments_of(coded(45, codec=codec)))
    for length in (len(whole) - 1, len(whole) * 2 // 3, whole.index(b"stsz"), whole.index(b"moov") + 4, 8):
        with pytest.raises(MuxError):
            read_mp4(whole[:length])


@pytest.mark.ffmpeg
@pytest.mark.parametrize("codec", CODECS)
def test_ffprobe_and_ffmpeg_take_it(tmp_path: Path, codec: Codec) -> None:
    """A stock ffprobe tells the exact duration and count, with the gap as time; a stock ffmpeg decodes it cleanly."""
    segments = segments_of(coded(60, codec=codec))
    del segments[1]
    path = tmp_path / "clip.mp4"
    path.write_bytes(mux_mp4(segments))
    fields = "format=duration:stream=nb_frames,duration,codec_name,width,height,start_time"
    told = json.loads(
        subprocess.run(
            [need("ffprobe"), "-v", "error", "-of", "json", "-show_entries", fields, str(path)],
            capture_output=True,
            check=True,
        ).stdout
    )
    assert float(told["format"]["duration"]) == pytest.approx(4.0, abs=0.0005)
    (stream,) = told["streams"]
    assert float(stream.pop("duration")) == pytest.approx(4.0, abs=0.0005)
    assert stream == {
        "codec_name": codec,
        "width": 160,
        "height": 96,
        "start_time": "0.000000",
        "nb_frames": "45",
    }
    command = [need("ffmpeg"), "-v", "error", "-xerror", "-i", str(path), "-f", "null", "-"]
    assert subprocess.run(command, capture_output=True, check=True).stderr == b""


@pytest.mark.ffmpeg
def test_ffprobe_tells_the_duration_with_b_frames(tmp_path: Path) -> None:
    """Reordered pictures lengthen nothing: the first is shown at 0, the last ends with the clip."""
    film = write_film(tmp_path / "b.mp4", frames=45, options={"bf": "2"})
    path = tmp_path / "clip.mp4"
    path.write_bytes(mux_mp4(segments_of(packets_in(film))))
    command = [
        need("ffprobe"),
        "-v",
        "error",
        "-of",
        "csv=p=0",
        "-show_entries",
        "format=duration,start_time",
        str(path),
    ]
    start, duration = subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip().split(",")
    assert (float(start), float(duration)) == (0.0, 3.0)


@pytest.mark.chromium
@pytest.mark.slow
@pytest.mark.parametrize("codec", CODECS)
def test_chromium_plays_and_seeks(tmp_path: Path, codec: Codec) -> None:
    """In a browser the clip has its exact duration, and a seek shows the picture of that moment."""
    segments = segments_of(coded(60, codec=codec))
    film = base64.b64encode(mux_mp4(segments)).decode()
    page_path = tmp_path / "page.html"
    page_path.write_text(f'<video id="v" muted preload="auto" src="data:video/mp4;base64,{film}"></video>')
    script = """async () => {
        const video = document.getElementById('v');
        const until = (name) => new Promise((done, fail) => {
            video.addEventListener(name, done, {once: true});
            video.addEventListener('error', () => fail(video.error.message), {once: true});
        });
        if (video.readyState < 2) await until('loadeddata');
        const canvas = document.createElement('canvas');
        canvas.width = video.videoWidth; canvas.height = video.videoHeight;
        const bright = () => {
            const context = canvas.getContext('2d');
            context.drawImage(video, 0, 0);
            const row = context.getImageData(0, 45, canvas.width, 1).data;
            const lit = [];
            for (let x = 0; x < canvas.width; x++) if (row[4 * x] > 190) lit.push(x);
            return lit.reduce((a, b) => a + b, 0) / lit.length;
        };
        const first = bright();
        const seeked = until('seeked');
        video.currentTime = 2.034;
        await seeked;
        return {duration: video.duration, width: video.videoWidth, at: video.currentTime, first, later: bright()};
    }"""
    told = evaluated(page_path, script)
    assert told["duration"] == pytest.approx(4.0, abs=0.001)
    assert told["width"] == 160
    assert told["first"] == pytest.approx(10, abs=4)
    # Picture 30 is shown from 2.0 s: its square begins at 90.
    assert told["later"] == pytest.approx(100, abs=4)
