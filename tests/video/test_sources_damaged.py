"""Films as the world damages them: of each come pictures or a SourceError, in bounded memory and few log lines."""

import io
import resource
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

from device.video.codec.canonical import Canonical, NoPictureError
from device.video.codec.h264 import join_prefixed, parse_avcc, split_annexb, split_prefixed
from device.video.errors import BitstreamError, SourceError
from device.video.packets import Packet
from device.video.segments import SegmentSettings
from device.video.source.capture import CaptureSettings
from device.video.source.copied import MAX_PICTURE_BYTES, Copier, Demuxed, Place
from device.video.source.damage import Damage
from device.video.source.file import FileSource
from device.video.source.timeline import Timeline
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


def peak_mb() -> float:
    """The most memory that this process ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


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


class Bits:
    """Writes bits, as 7.2 of H.264 has them."""

    def __init__(self) -> None:
        self._bits = ""

    def u(self, count: int, value: int) -> "Bits":
        self._bits += format(value, f"0{count}b")
        return self

    def ue(self, value: int) -> "Bits":
        code = format(value + 1, "b")
        self._bits += "0" * (len(code) - 1) + code
        return self

    def nal(self, kind: int) -> bytes:
        bits = self._bits + "1"
        bits += "0" * (-len(bits) % 8)
        payload = int(bits, 2).to_bytes(len(bits) // 8)
        out = bytearray([kind])
        for byte in payload:
            if out[-2:] == b"\0\0" and byte <= 3:
                out.append(3)
            out.append(byte)
        return bytes(out)


def sps(width: int, height: int, *, fps: int | None = None) -> bytes:
    """A sequence parameter set of the Baseline profile that says so large a picture, and a rate if asked."""
    bits = Bits().u(8, 66).u(8, 0).u(8, 40).ue(0).ue(0).ue(2).ue(1).u(1, 0)
    bits.ue(width // 16 - 1).ue(height // 16 - 1).u(1, 1).u(1, 1).u(1, 0)
    if fps is None:
        return bits.u(1, 0).nal(0x67)
    bits.u(1, 1).u(1, 0).u(1, 0).u(1, 0).u(1, 0).u(1, 1).u(32, 1).u(32, fps * 2).u(1, 1)
    return bits.u(1, 0).u(1, 0).u(1, 0).u(1, 0).nal(0x67)


def annexb(*nals: bytes) -> bytes:
    return b"".join(b"\0\0\0\1" + nal for nal in nals)


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


def placed(one: Demuxed) -> Place:
    """A place that says its own stamp."""
    stamp = one.pts or 0
    return Place(dts=stamp, pts=stamp, at_us=stamp, duration_us=6_000)


def sent_of(nals: list[tuple[int, list[bytes]]]) -> list[Demuxed]:
    """Packets in Annex B, as a server sends them."""
    return [Demuxed(data=annexb(*group), dts=stamp, pts=stamp) for stamp, group in nals]


def test_parameter_sets_that_come_late_are_enough() -> None:
    """Pictures before the first parameter sets are dropped; from then on the film is whole."""
    small = coded(45)
    _, sets = parse_avcc(small[0].config.extradata)
    units = [list(split_prefixed(packet.unit.data)) for packet in small]
    units[15] = [*sets.sps, *sets.pps, *units[15]]
    copier = Copier(extradata=None, place=placed, damage=Damage(source="film", told=False))
    packets = list(copier.packets(sent_of([(n * 6_000, nals) for n, nals in enumerate(units)])))
    assert [packet.unit.dts // 6_000 for packet in packets] == list(range(15, 45))
    assert copier.dropped == 15


def test_a_picture_in_parts_is_put_together() -> None:
    """A keyframe that comes in two packets is one unit, each time; one that comes whole waits for nobody."""
    small = coded(30)
    _, sets = parse_avcc(small[0].config.extradata)
    key = list(split_prefixed(small[0].unit.data))
    # The same slice, no longer saying that it begins with macroblock 0.
    rest = key[-1][:1] + bytes([key[-1][1] & 0x7F]) + key[-1][2:]
    others = [list(split_prefixed(packet.unit.data)) for packet in small[1:5]]
    group = [(0, [*sets.sps, *sets.pps, key[-1]]), (0, [*sets.sps, *sets.pps, rest])]
    group += [((number + 1) * 6_000, nals) for number, nals in enumerate(others)]
    film_of_three = [(stamp + turn * 90_000, nals) for turn in range(3) for stamp, nals in group]
    copier = Copier(extradata=None, place=placed, damage=Damage(source="camera", told=True))
    packets = list(copier.packets(sent_of(film_of_three)))
    assert [packet.unit.keyframe for packet in packets] == [True, False, False, False, False] * 3
    assert packets[5].unit.data == join_prefixed([key[-1], rest])
    assert copier.dropped == 0


def test_a_part_without_its_beginning_costs_its_group() -> None:
    """What goes on in a picture that never began is damage; the next keyframe goes on, and one line tells of it."""
    small = coded(45)
    units = [list(split_prefixed(packet.unit.data)) for packet in small]
    _, sets = parse_avcc(small[0].config.extradata)
    units[20] = [units[20][0][:1] + bytes([units[20][0][1] & 0x7F]) + units[20][0][2:]]
    with capture_logs() as logs:
        damage = Damage(source="camera", told=True)
        copier = Copier(extradata=annexb(*sets.sps, *sets.pps), place=placed, damage=damage)
        packets = list(copier.packets(sent_of([(n * 6_000, nals) for n, nals in enumerate(units)])))
    assert [packet.unit.dts // 6_000 for packet in packets] == [*range(20), *range(30, 45)]
    assert [entry["reason"] for entry in logs] == ["a picture without its beginning"]


def test_a_picture_whose_parts_never_end_is_damage() -> None:
    """Parts that go on for ever take a segment's bytes and no more, cost their group, and the next keyframe goes on."""
    assert SegmentSettings().max_bytes == MAX_PICTURE_BYTES
    small = coded(45)
    part = join_prefixed([b"\x41\x20" + bytes(39_998)])
    sent = [Demuxed(data=packet.unit.data, dts=n * 6_000, pts=n * 6_000) for n, packet in enumerate(small)]
    sent[16:16] = [Demuxed(data=part, dts=90_000, pts=90_000)] * 1_500
    damage = Damage(source="camera", told=True)
    copier = Copier(extradata=small[0].config.extradata, place=placed, damage=damage)
    # A keyframe that came in two parts before, so that this one waits.
    sent[1:1] = [Demuxed(data=part, dts=0, pts=0)]
    before = peak_mb()
    with capture_logs() as logs:
        packets = list(copier.packets(sent))
    assert [packet.unit.dts // 6_000 for packet in packets] == [*range(15), *range(30, 45)]
    assert packets[0].unit.data == small[0].unit.data + part
    assert peak_mb() - before < 40
    assert copier.dropped == damage.count + 14
    assert logs[0]["reason"] == "a picture of more than 4,500,000 bytes"
    assert len(logs) == 4


@pytest.mark.parametrize("nothing", [b"", b"\0\0\0\1", b"\0\0\0\1\x09\xf0", b"\0\0\0\1\x06\x05\x01\x00\x80", bytes(50)])
def test_packets_with_nothing_in_them_are_nothing(nothing: bytes) -> None:
    """Empty packets, delimiters and remarks alone break no group of pictures."""
    small = coded(15)
    _, sets = parse_avcc(small[0].config.extradata)
    sent = []
    for number, packet in enumerate(small):
        nals = list(split_prefixed(packet.unit.data))
        sent += [
            Demuxed(data=annexb(*nals), dts=number * 6_000, pts=number * 6_000),
            Demuxed(data=nothing, dts=number * 6_000, pts=number * 6_000),
        ]
    copier = Copier(extradata=annexb(*sets.sps, *sets.pps), place=placed, damage=Damage(source="film", told=False))
    assert len(list(copier.packets(sent))) == 15
    assert copier.dropped == 0


@given(st.lists(st.binary(max_size=60), max_size=12))
def test_no_packets_break_the_copier(data: list[bytes]) -> None:
    """Whatever bytes come as packets, sane or not, with parameter sets in between."""
    _, sets = parse_avcc(coded()[0].config.extradata)
    for extradata in (None, annexb(*sets.sps, *sets.pps), coded()[0].config.extradata):
        damage = Damage(source="film", told=False)
        copier = Copier(extradata=extradata, place=placed, damage=damage)
        list(copier.packets([Demuxed(data=one, dts=None, pts=None, extradata=one[:9] or None) for one in data]))


def test_refused_parameter_sets_leave_nothing_valid_behind() -> None:
    """After a set that is refused, pictures are not taken for those of the set before; a sane one makes it good."""
    small = coded()[0]
    _, sets = parse_avcc(small.config.extradata)
    good = annexb(*sets.sps, *sets.pps, *split_prefixed(small.unit.data))
    canonical = Canonical(extradata=None)
    assert canonical.unit(good, dts=0, pts=0).keyframe
    bad = annexb(sps(8192, 8192), *sets.pps, *split_prefixed(small.unit.data))
    for data in (bad, bad, annexb(*split_prefixed(small.unit.data))):
        with pytest.raises(BitstreamError):
            canonical.unit(data, dts=0, pts=0)
    assert canonical.unit(good, dts=0, pts=0).keyframe
    assert canonical.config == small.config


def test_parameter_sets_that_change_for_ever_do_not_pile_up() -> None:
    """A PPS replaces the one of its number: the record stays small."""
    small = coded()[0]
    _, sets = parse_avcc(small.config.extradata)
    canonical = Canonical(extradata=annexb(*sets.sps, *sets.pps))
    for number in range(600):
        with pytest.raises(NoPictureError):
            canonical.unit(annexb(sets.pps[0][:2] + number.to_bytes(2) + b"\x80"), dts=0, pts=0)
    assert canonical.config is not None
    assert len(canonical.config.extradata) < 100


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


def test_sets_in_band_count_where_a_record_was_given() -> None:
    """An MP4 whose pictures bring parameter sets of their own (avc3) follows those."""
    small = coded()[0]
    _, sets = parse_avcc(small.config.extradata)
    canonical = Canonical(extradata=small.config.extradata)
    data = join_prefixed([sps(320, 192), *sets.pps, *split_prefixed(small.unit.data)])
    assert canonical.unit(data, dts=0, pts=0).data == data
    assert canonical.config is not None
    assert canonical.config.width == 320


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


def test_damage_is_told_in_few_lines() -> None:
    """A camera that sends rubbish for a day is told of now and then."""
    damage = Damage(source="rtsp://camera", told=True)
    with capture_logs() as logs:
        for _ in range(20_000):
            damage.found("rubbish")
    assert [entry["count"] for entry in logs] == [1, 10, 100, 1_000, 10_000]
