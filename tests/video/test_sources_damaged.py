"""Films as the world damages them: of each come pictures or a SourceError, in bounded memory and few log lines."""

import io
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from device.video.codec.h264 import split_annexb
from device.video.errors import SourceError
from device.video.packets import Packet
from device.video.source.capture import CaptureSettings
from device.video.source.copied import Copier, Demuxed, Place
from device.video.source.damage import Damage
from device.video.source.file import FileSource
from device.video.source.timeline import Timeline
from tests.video.bitstreams import annexb, peak_mb, sps
from tests.video.rtsp_client import check_line, decoded
from tests.video.support import START_US, coded, write_film

MASKED = CaptureSettings(masks=(((0.2, 0.1), (0.6, 0.1), (0.5, 0.8)),))


KINDS = {
    "a.mp4": ("libx264", {"bf": "2"}),
    "b.mp4": ("libx264", {"bf": "0", "movflags": "frag_keyframe"}),
    "c.mkv": ("libx264", {"bf": "2"}),
    "d.ts": ("libx264", {"bf": "2"}),
    "e.h264": ("libx264", {"bf": "0"}),
    "f.h264": ("libx264", {"bf": "2"}),
    "g.flv": ("libx264", {"bf": "0"}),
    "h.avi": ("mpeg4", {}),
    "i.avi": ("mjpeg", {"strict": "unofficial"}),
}


@cache
def film(name: str) -> bytes:
    """A small sound film of each kind."""
    codec, options = KINDS[name]
    with TemporaryDirectory() as folder:
        return write_film(Path(folder) / name, codec=codec, frames=20, gop=5, options=options).read_bytes()


def packets_of(path: Path, settings: CaptureSettings | None = None) -> Iterator[Packet]:
    source = FileSource(path, settings=settings or CaptureSettings(), start_us=START_US)
    return (item for item in source.items() if isinstance(item, Packet))


def read(data: bytes, suffix: str, settings: CaptureSettings | None = None) -> list[Packet]:
    """The packets of a film."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"film{suffix}"
        path.write_bytes(data)
        return list(packets_of(path, settings))


HITS = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=5)), max_size=12)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("settings", [CaptureSettings(), MASKED], ids=["plain", "masked"])
@given(hits=HITS, early=st.booleans(), cut=st.floats(0.05, 1))
def test_no_damage_breaks_the_reader(
    name: str, settings: CaptureSettings, hits: list[tuple[float, bytes]], early: bool, cut: float
) -> None:
    """Overwritten or cut short anywhere, a film gives pictures or a SourceError; no more of them than there were."""
    data = bytearray(film(name))
    before = peak_mb()
    for place, value in hits:
        at = int(place * (min(600, len(data)) if early else len(data)))
        data[at : at + len(value)] = value
    with capture_logs() as logs:
        try:
            packets = read(bytes(data[: round(len(data) * cut)]), Path(name).suffix, settings)
        except SourceError:
            packets = []
    check_line(packets)
    assert len(packets) <= 200
    assert len(logs) <= 1
    assert peak_mb() - before < 150


def with_sps(width: int, height: int, *, suffix: str, fps: int | None = None) -> bytes:
    """A real film whose parameter sets were replaced."""
    raw = film("e.h264")
    nals = [sps(width, height, fps=fps) if nal[0] & 31 == 7 else nal for nal in split_annexb(raw)]
    data = annexb(*nals)
    if suffix == ".h264":
        return data
    out = io.BytesIO()
    with (
        av.open(io.BytesIO(data), "r", format="h264", options={"max_pixels": "1"}) as source,
        av.open(out, "w", format="mpegts") as target,
    ):
        stream = target.add_stream("libx264", rate=25)
        for number, packet in enumerate(source.demux(source.streams.video[0])):
            if packet.size:
                packet.pts = packet.dts = number
                packet.time_base = Fraction(1, 25)
                packet.stream = stream
                target.mux(packet)
    return out.getvalue()


@pytest.mark.parametrize(("width", "height"), [(8192, 8192), (16_384, 16_384), (65_536, 65_536), (8192, 4096)])
@pytest.mark.parametrize("suffix", [".h264", ".ts"])
@pytest.mark.parametrize("settings", [CaptureSettings(), MASKED], ids=["plain", "masked"])
def test_absurd_sizes_get_no_room(width: int, height: int, suffix: str, settings: CaptureSettings) -> None:
    """A parameter set that says enormous pictures is refused with its size, before memory is taken for one."""
    data = with_sps(width, height, suffix=suffix)
    before = peak_mb()
    with capture_logs() as logs, pytest.raises(SourceError):
        read(data, suffix, settings)
    assert peak_mb() - before < 40
    assert len(logs) <= 1


@pytest.mark.parametrize("settings", [CaptureSettings(), MASKED], ids=["plain", "masked"])
def test_absurd_pictures_in_the_middle_get_no_room(settings: CaptureSettings) -> None:
    """A film that becomes enormous for a while loses what is, and goes on with what isn't."""
    sane, absurd = film("e.h264"), with_sps(8192, 4096, suffix=".h264")
    before = peak_mb()
    with capture_logs() as logs:
        packets = read(sane + absurd + sane, ".h264", settings)
    assert [packet.config.width for packet in packets] == [160] * 40
    assert len(decoded(packets)) == 40
    assert peak_mb() - before < 40
    assert [entry["event"] for entry in logs] == ["file_damaged"]


def test_absurd_pictures_in_a_sane_container_get_no_room() -> None:
    """JPEG pictures that say they are enormous, in an AVI that doesn't, are each lost; those that are sane are kept."""
    data = film("i.avi")
    start = data.index(b"\xff\xc0", len(data) // 2)
    hurt = data[: start + 5] + (60_000).to_bytes(2) + (60_000).to_bytes(2) + data[start + 9 :]
    before = peak_mb()
    with capture_logs() as logs:
        packets = read(hurt, ".avi")
    assert len(packets) == 19
    assert peak_mb() - before < 40
    assert [entry["event"] for entry in logs] == ["file_damaged"]


@pytest.mark.parametrize("fps", [1, 1_000_000, 2**30])
def test_absurd_rates_are_not_believed(fps: int) -> None:
    """Whatever rate a film claims, its pictures come, in order, each with some time of its own."""
    packets = read(with_sps(160, 96, suffix=".h264", fps=fps), ".h264")
    assert len(packets) == 20
    check_line(packets)
    assert all(1_000 < packet.duration_us <= 2_000_000 for packet in packets)


@pytest.mark.parametrize("suffix", [".h264", ".ts"])
def test_films_without_parameter_sets_are_refused(suffix: str) -> None:
    """Pictures alone can't be decoded by anybody, and the error says so."""
    if suffix == ".h264":
        data = annexb(*(nal for nal in split_annexb(film("e.h264")) if nal[0] & 31 not in (7, 8)))
    else:
        data = film("d.ts").replace(b"\0\0\1\x67", b"\0\0\1\x6c").replace(b"\0\0\1\x68", b"\0\0\1\x6c")
    with pytest.raises(SourceError, match="damaged or cut short"):
        read(data, suffix)


@pytest.mark.parametrize("options", [{"bf": "0"}, {"bf": "3", "b_strategy": "0"}])
def test_raw_h264_is_shown_in_order(tmp_path: Path, options: dict[str, str]) -> None:
    """A raw film knows no times. Copied where its order says all, encoded anew where pictures are reordered."""
    path = write_film(tmp_path / "a.h264", frames=30, options=options)
    packets = list(packets_of(path))
    assert len(packets) == 30
    assert (packets[0].luma is None) == (options["bf"] == "0")
    assert [packet.unit.pts for packet in packets] == [number * packets[1].unit.pts for number in range(30)]
    with av.open(str(write_film(tmp_path / "a.mp4", frames=30, options=options))) as container:
        right = [frame.to_ndarray()[:96].astype(int) for frame in container.decode(video=0)]
    for ours, theirs in zip(decoded(packets), right, strict=True):
        assert np.abs(ours - theirs).mean() < 6


@pytest.mark.parametrize("times", [2, 3])
def test_times_that_run_back_are_joined(times: int) -> None:
    """A recording put after itself, so that its clock begins anew, is one film; the seam may cost a group of five."""
    packets = read(film("d.ts") * times, ".ts")
    assert len(packets) >= 20 * times - 5 * (times - 1)
    check_line(packets)
    shown = sorted(packet.at_us for packet in packets)
    assert all(0 < b - a <= 400_000 for a, b in pairwise(shown))


@given(
    st.lists(
        st.tuples(st.one_of(st.none(), st.integers(-(2**62), 2**62), st.integers(0, 400_000)), st.integers(0, 9_000)),
        min_size=1,
        max_size=40,
    )
)
def test_no_stamps_break_a_film(stamps: list[tuple[int | None, int]]) -> None:
    """Missing, repeated, leaping: what is copied keeps its order and loses nothing."""
    timeline = Timeline(frame_ticks=6_000)

    def place(one: Demuxed) -> Place:
        dts, pts = timeline.place(one.dts, one.pts)
        return Place(dts=dts, pts=pts, at_us=pts, duration_us=1)

    small = coded()
    copier = Copier(extradata=small[0].config.extradata, place=place, damage=Damage(source="film", told=False))
    sent = [
        Demuxed(data=small[number % 15].unit.data, dts=dts, pts=None if dts is None else dts + ahead)
        for number, (dts, ahead) in enumerate(stamps)
    ]
    packets = list(copier.packets(sent))
    assert len(packets) == len(sent)
    check_line(packets)


@pytest.mark.parametrize("suffix", [".ts", ".flv"])
def test_a_film_may_change_its_resolution(tmp_path: Path, suffix: str) -> None:
    """Where the picture becomes another, so does the configuration, and each packet decodes with its own."""
    small = write_film(tmp_path / f"a{suffix}", frames=20, gop=5, options={"bf": "0"})
    large = write_film(tmp_path / f"b{suffix}", frames=20, gop=5, options={"bf": "0"}, size=(320, 192))
    skipped = 13 if suffix == ".flv" else 0  # the second film's own header
    joined = tmp_path / f"c{suffix}"
    joined.write_bytes(small.read_bytes() + large.read_bytes()[skipped:])
    packets = list(packets_of(joined))
    widths = [packet.config.width for packet in packets]
    assert widths == sorted(widths)
    assert set(widths) == {160, 320}
    # The seam of a transport stream is told as damage, and costs the rest of a group.
    assert len(decoded(packets)) == len(packets) >= 36
    masked = list(packets_of(joined, MASKED))
    assert {luma.shape for packet in masked if (luma := packet.luma) is not None} == {(96, 160), (192, 320)}
    decoded(masked)


def test_hours_of_black_are_cheap(tmp_path: Path) -> None:
    """Two hours with nothing in them pass in a second or so, and leave nothing behind."""
    path = tmp_path / "night.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=5)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 64, 48, "yuv420p", 50
        stream.options = {"preset": "ultrafast", "bf": "0"}
        frame = av.VideoFrame.from_ndarray(np.full((72, 64), 16, np.uint8), format="yuv420p")
        for number in range(1_500):
            frame.pts, frame.time_base = number, Fraction(1, 5)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    source = FileSource(path, settings=CaptureSettings(loop=True), start_us=START_US)
    before, last_us, seen = peak_mb(), 0, 0
    for item in source.items():
        assert isinstance(item, Packet)
        last_us, seen = item.at_us, seen + 1
        if seen == 36_000:
            source.close()
    assert last_us - START_US == pytest.approx(7_200e6, rel=0.001)
    assert peak_mb() - before < 20
