"""Addresses and files as sources."""

import contextlib
import subprocess
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from device.video.errors import SourceError
from device.video.packets import Packet, Watched
from device.video.source.capture import CaptureSettings, SourceSpec, parse_source
from device.video.source.file import FileSource
from device.video.source.packet_queue import PacketQueue
from tests.conftest import need
from tests.video.support import START_US, VTEST, coded, demuxed, fake_packet, picture, write_film


def packets_in(path: Path, *, settings: CaptureSettings | None = None, most: int = 10_000) -> list[Packet]:
    """Packets of a file, at most so many."""
    source = FileSource(path, settings=settings or CaptureSettings(), start_us=START_US)
    found: list[Packet] = []
    for item in source.items():
        if isinstance(item, Packet):
            found.append(item)
        if len(found) >= most:
            source.close()
    return found


@pytest.mark.parametrize(
    ("text", "kind", "location"),
    [
        ("file:film.mp4", "file", "/base/film.mp4"),
        ("file:/a/film.mp4", "file", "/a/film.mp4"),
        ("rtsp://user:secret@camera.local:554/s?x=1", "rtsp", "rtsp://user:secret@camera.local:554/s?x=1"),
        ("v4l2:/dev/video2", "v4l2", "/dev/video2"),
        ("v4l2:0", "v4l2", "/dev/video0"),
        ("RTSP://User:Secret@Camera.local/S", "rtsp", "rtsp://User:Secret@Camera.local/S"),
        ("rtsps://camera.local/s", "rtsp", "rtsps://camera.local/s"),
        ("FILE:/a/Film.mp4", "file", "/a/Film.mp4"),
        ("scene:mine.toml", "scene", "/base/mine.toml"),
    ],
)
def test_addresses_are_understood(text: str, kind: str, location: str) -> None:
    """Each kind of source has its address; relative paths start at the base."""
    spec = parse_source(text, base=Path("/base"))
    assert (spec.kind, spec.location, spec.live) == (kind, location, kind in ("rtsp", "v4l2"))


@pytest.mark.parametrize(
    "text", ["", "film.mp4", "http://x/", "file:", "v4l2:", "rtsp:", "rtsp://", "rtsp://h:99999/", "file:a\0b"]
)
def test_other_addresses_are_refused(text: str) -> None:
    """What is no source is told in one line."""
    with pytest.raises(SourceError) as caught:
        parse_source(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("rtsp://user:secret@camera.local:554/s?token=secret", "rtsp://camera.local:554"),
        ("RTSP://user:secret@camera.local/s", "rtsp://camera.local"),
        ("rtsp://user:12/secret@camera.local/s", "rtsp://…"),
        ("rtsp://user:1?secret@camera.local/s", "rtsp://…"),
        ("rtsp://user:1#secret@camera.local/s", "rtsp://…"),
        ("rtsp://user:se@cret@camera.local/s", "rtsp://camera.local"),
        ("rtsp://camera.local/user=admin_password=secret_channel=1.sdp", "rtsp://camera.local"),
        ("rtsp://[fe80::1]:554/s", "rtsp://[fe80::1]:554"),
    ],
)
def test_a_password_is_not_shown(location: str, shown: str) -> None:
    """What stands in logs is host and port alone, however the password was written; a repr has not even that."""
    for spec in (SourceSpec(kind="rtsp", location=location), parse_source(location)):
        assert spec.shown == shown
        assert "secret" not in repr(spec)


@pytest.mark.parametrize(
    "text",
    [
        "http://me:secret@camera/s",
        "http://me:1@secret@camera/s",
        "http://me:1?secret@camera/s?token=secret",
        "me:secret@camera",
        "rtsp://me:secret@:x/",
        "RTSP://me:secret@",
        "RTSP:me:secret@camera",
        "file\0://me:secret@camera/",
        "v4l2:me:secret@\0",
    ],
)
def test_a_password_in_what_is_no_source_is_not_shown(text: str) -> None:
    """The refusal of an address names it without its login."""
    with pytest.raises(SourceError) as caught:
        parse_source(text)
    assert "secret" not in str(caught.value)


@given(st.text(max_size=60))
def test_no_text_breaks_the_address_parser(text: str) -> None:
    """Any text is a source or a SourceError."""
    with contextlib.suppress(SourceError):
        parse_source(text)


@pytest.mark.parametrize(("name", "options"), [("a.mp4", {"bf": "0"}), ("b.mp4", {"bf": "3"}), ("c.mkv", {"bf": "0"})])
def test_h264_is_kept_as_it_is(tmp_path: Path, name: str, options: dict[str, str]) -> None:
    """A file with an avcC record gives the demuxer's own bytes, times and keyframes, nothing encoded."""
    path = write_film(tmp_path / name, options=options)
    packets, expected = packets_in(path), demuxed(path)
    assert [p.unit.data for p in packets] == [data for data, *_ in expected]
    assert [p.unit.keyframe for p in packets] == [keyframe for *_, keyframe in expected]
    shift = packets[0].unit.dts - expected[0][1]
    assert [(p.unit.dts - shift, p.unit.pts - shift) for p in packets] == [(dts, pts) for _, dts, pts, _ in expected]
    assert min(p.at_us for p in packets) == START_US
    assert all(p.luma is None for p in packets)


def test_missing_dts_are_guessed(tmp_path: Path) -> None:
    """Matroska's first packets have no dts when there are B-frames: nothing is lost, each picture keeps its time."""
    path = write_film(tmp_path / "b.mkv", options={"bf": "2"})
    packets = packets_in(path)
    assert sorted(round((p.at_us - START_US) / 1000) for p in packets) == [round(i * 1000 / 15) for i in range(45)]
    assert all(b.unit.dts > a.unit.dts for a, b in pairwise(packets))


def test_annexb_files_come_to_the_same_form(tmp_path: Path) -> None:
    """The same film as MPEG-TS gives units with lengths, an avcC record, and the MP4's pictures."""
    ts, mp4 = (packets_in(write_film(tmp_path / name, options={"bf": "0"})) for name in ("a.ts", "a.mp4"))
    assert ts[0].config.width == mp4[0].config.width == 160
    assert [p.unit.keyframe for p in ts] == [p.unit.keyframe for p in mp4]
    # The first unit of the MP4 carries x264's note; the others are the very same.
    assert [p.unit.data for p in ts[1:]] == [p.unit.data for p in mp4[1:]]


def test_other_codecs_are_encoded_once(tmp_path: Path) -> None:
    """An MPEG-4 AVI gives H.264 with a keyframe each second, and the luma that motion wants."""
    packets = packets_in(write_film(tmp_path / "old.avi", codec="mpeg4", frames=40))
    assert len(packets) == 40
    assert [i for i, p in enumerate(packets) if p.unit.keyframe] == [0, 15, 30]
    assert all(p.luma is not None and p.luma.shape == (96, 160) for p in packets)
    assert packets[1].at_us - packets[0].at_us == 66_666


def test_odd_sizes_are_cut_to_even(tmp_path: Path) -> None:
    """A picture of odd size, which H.264 can't have here, loses a row and a column."""
    path = tmp_path / "odd.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 101, 75, "gray"
        for _ in range(12):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((75, 101), np.uint8), format="gray")))
        container.mux(stream.encode(None))
    packets = packets_in(path)
    assert (packets[0].config.width, packets[0].config.height, len(packets)) == (100, 74, 12)


@pytest.mark.skipif(not VTEST.exists(), reason="Debian's opencv-doc is not installed")
def test_real_footage_is_read() -> None:
    """Debian's vtest.avi, people walking, gives its pictures at ten a second."""
    packets = packets_in(VTEST, most=25)
    assert packets[20].at_us - packets[0].at_us == 2_000_000
    assert (packets[0].config.width, packets[0].config.height) == (768, 576)


def test_a_film_repeats_without_a_gap(tmp_path: Path) -> None:
    """With loop on, time goes on by one frame where the film begins again."""
    packets = packets_in(
        write_film(tmp_path / "a.mp4", options={"bf": "0"}), settings=CaptureSettings(loop=True), most=100
    )
    steps = {round((b.at_us - a.at_us) / 1000) for a, b in pairwise(packets)}
    assert steps == {67}
    assert packets[45].unit.data == packets[0].unit.data
    assert packets[45].unit.keyframe


def test_sound_is_never_read(tmp_path: Path) -> None:
    """A film with sound gives what it gives without."""
    loud, silent = (
        packets_in(write_film(tmp_path / f"{audio}.mp4", audio=audio, options={"bf": "0"})) for audio in (True, False)
    )
    assert [p.unit for p in loud] == [p.unit for p in silent]


def test_a_truncated_film_ends_after_its_last_good_picture(tmp_path: Path) -> None:
    """A file cut in the middle gives whole pictures up to the cut, and a warning."""
    path = write_film(tmp_path / "a.mp4", frames=90, options={"movflags": "faststart", "bf": "0"})
    with_index = tmp_path / "index-first.mp4"

    with av.open(str(path)) as source, av.open(str(with_index), "w", options={"movflags": "faststart"}) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    expected = demuxed(with_index)
    data = with_index.read_bytes()
    with_index.write_bytes(data[: len(data) * 3 // 4])
    with capture_logs() as logs:
        packets = packets_in(with_index)
    assert 30 < len(packets) < 90
    assert [p.unit.data for p in packets] == [data for data, *_ in expected[: len(packets)]]
    assert [entry["event"] for entry in logs] == ["file_damaged"]


def test_damage_drops_the_rest_of_its_group(tmp_path: Path) -> None:
    """A unit whose lengths don't add up takes the rest of its group with it; the next keyframe goes on."""
    path = write_film(tmp_path / "a.mp4", options={"bf": "0"})
    units = demuxed(path)
    data = path.read_bytes()
    hurt = units[20][0]
    at = data.index(hurt)
    path.write_bytes(data[:at] + b"\xff\xff\xff\xff" + data[at + 4 :])
    with capture_logs() as logs:
        packets = packets_in(path)
    assert [p.unit.data for p in packets] == [unit for i, (unit, *_) in enumerate(units) if not 20 <= i < 30]
    assert logs[0]["dropped"] == 10


@pytest.mark.parametrize("content", [b"", b"no video at all " * 50, b"\0" * 5000, bytes(range(256)) * 20])
def test_what_is_no_video_is_refused(tmp_path: Path, content: bytes) -> None:
    """Empty and alien files get one clear line."""
    path = tmp_path / "x.mp4"
    path.write_bytes(content)
    with pytest.raises(SourceError) as caught:
        packets_in(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_sound_alone_is_refused(tmp_path: Path) -> None:
    """A file without pictures is no source."""
    with pytest.raises(SourceError, match="no video"):
        packets_in(write_film(tmp_path / "a.mp4", audio=True, video=False))


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    """A path that is no file says so."""
    with pytest.raises(SourceError, match="doesn't exist"):
        packets_in(tmp_path / "none.mp4")
    with pytest.raises(SourceError, match="is no file"):
        packets_in(tmp_path)


def number_of(item: Packet | Watched) -> int:
    """Number of a fake packet."""
    return (item.packet if isinstance(item, Watched) else item).unit.dts // 9_000


def taken_from(queue: PacketQueue) -> list[Packet | Watched]:
    """All that a queue holds."""
    taken: list[Packet | Watched] = []
    while item := queue.take(0):
        taken.append(item)
    return taken


def test_a_full_queue_drops_whole_groups() -> None:
    """When nobody takes packets, what finds no room goes, with the rest of its group; what was first stays."""
    queue = PacketQueue(max_bytes=25 * 552)
    for number in range(40):
        queue.put(fake_packet(number, keyframe=number % 10 == 0, size=40))
    assert [number_of(p) for p in taken_from(queue)] == list(range(25))
    assert queue.dropped == 15
    queue.put(fake_packet(41, keyframe=False))
    queue.put(fake_packet(50, keyframe=True))
    queue.put(fake_packet(51, keyframe=False))
    assert [number_of(p) for p in taken_from(queue)] == [50, 51]
    queue.close("gone")
    queue.close("later")
    assert (queue.take(5), queue.closed, queue.reason) == (None, True, "gone")


@given(st.lists(st.tuples(st.sampled_from([0, 1]), st.booleans(), st.integers(4, 6_000)), max_size=120))
def test_neither_stream_crowds_out_the_other(puts: list[tuple[int, bool, int]]) -> None:
    """Whatever comes and nobody takes, each stream is held within its bound, in order, from its first packet on."""
    queue = PacketQueue(max_bytes=10_000, streams=2)
    for number, (stream, keyframe, size) in enumerate(puts):
        queue.put(fake_packet(number, keyframe=keyframe, size=size), stream=stream)
        assert queue.held_bytes <= 20_000
    taken = taken_from(queue)
    assert queue.held_bytes == 0
    assert [number_of(item) for item in taken] == sorted(number_of(item) for item in taken)
    for stream, kind in enumerate((Packet, Watched)):
        ours = [number_of(item) for item in taken if isinstance(item, kind)]
        sent = [number for number, put in enumerate(puts) if put[0] == stream]
        assert ours[:1] == sent[:1]
        assert all(type(item) is kind for item in taken if number_of(item) in sent)


def test_coded_pictures_are_small() -> None:
    """The films of these tests stay small."""
    assert sum(len(packet.unit.data) for packet in coded()) < 200_000
    assert picture(1).nbytes == 160 * 96 * 3 // 2


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.ffconcat", "ffconcat version 1.0\nfile film.ts\n"),
        ("list.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfilm.ts\n#EXT-X-ENDLIST\n"),
    ],
)
def test_a_list_of_films_is_no_film(tmp_path: Path, name: str, text: str) -> None:
    """What only names other files is refused, be they good ones: it might name any file, or an address."""
    film = write_film(tmp_path / "film.ts", frames=20)
    assert packets_in(film)
    (tmp_path / name).write_text(text)
    with pytest.raises(SourceError, match="is no video that can be read") as caught:
        packets_in(tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        ("mp4", "libx264"), ("mov", "libx264"), ("mkv", "libx264"), ("webm", "libvpx-vp9"), ("ts", "libx264"),
        ("avi", "mjpeg"), ("h264", "libx264"), ("mjpeg", "mjpeg"), ("mpg", "mpeg2video"), ("m2v", "mpeg2video"),
        ("m4v", "mpeg4"), ("flv", "libx264"), ("asf", "mpeg4"), ("ivf", "libvpx-vp9"), ("y4m", "rawvideo"),
    ],
)  # fmt: skip
def test_films_of_every_usual_kind_are_read(tmp_path: Path, suffix: str, codec: str) -> None:
    """Each container that a recording may come in."""
    options = {"strict": "unofficial"} if codec == "mjpeg" else {}
    assert packets_in(write_film(tmp_path / f"film.{suffix}", codec=codec, frames=20, options=options))


@pytest.mark.ffmpeg
def test_a_film_in_ogg_is_read(tmp_path: Path) -> None:
    """Theora, which our own libraries read and can't write."""
    film = write_film(tmp_path / "film.mp4", frames=20)
    command: list[str | Path] = [need("ffmpeg"), "-v", "error", "-i", film, "-c:v", "libtheora", tmp_path / "film.ogv"]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    assert packets_in(tmp_path / "film.ogv")
