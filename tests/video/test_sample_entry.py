"""Boxes, and what an MP4 says of its pictures."""

import contextlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.video.codec.boxes import box, boxes, full_box, only_box, u32
from device.video.codec.mux import mux_mp4, read_mp4
from device.video.codec.sample_entry import read_sample_entry, sample_entry
from device.video.errors import MuxError
from device.video.packets import Codec, CodecConfig
from tests.video.support import coded, segments_of

CODECS: list[Codec] = ["h264", "vp9"]
KINDS = st.binary(min_size=4, max_size=4)
CONFIGS = st.builds(
    CodecConfig,
    codec=st.sampled_from(CODECS),
    width=st.integers(0, 65_535),
    height=st.integers(0, 65_535),
    extradata=st.binary(max_size=60),
)


def file_of(config: CodecConfig) -> bytes:
    """As much of an MP4 as tells what its pictures are."""
    stsd = full_box(b"stsd", u32(1), sample_entry(config))
    mdia = box(b"mdia", box(b"hdlr"), box(b"minf", box(b"stbl", stsd, full_box(b"stts", u32(0)))))
    return box(b"ftyp", b"isom") + box(b"moov", box(b"mvhd"), box(b"trak", box(b"tkhd"), mdia))


def clip(codec: Codec) -> bytes:
    """A clip of three seconds."""
    return mux_mp4(segments_of(coded(45, codec=codec)))


@given(st.lists(st.tuples(KINDS, st.binary(max_size=30)), max_size=5))
def test_boxes_come_back(parts: list[tuple[bytes, bytes]]) -> None:
    """What was written is found, in order; cut anywhere but between two, it is refused."""
    data = b"".join(box(kind, body) for kind, body in parts)
    assert list(boxes(data)) == parts
    whole = {sum(8 + len(body) for _, body in parts[:count]) for count in range(len(parts) + 1)}
    for length in range(len(data)):
        if length not in whole:
            with pytest.raises(MuxError, match="cut short"):
                list(boxes(data[:length]))


def test_a_box_must_be_the_only_one() -> None:
    """None, or two of a kind, leave open which one counts."""
    two = box(b"moov", box(b"trak"), box(b"trak"))
    for data in (b"", two, box(b"free")):
        with pytest.raises(MuxError, match="one "):
            only_box(data, b"moov", b"trak")


@given(CONFIGS)
def test_an_entry_comes_back(config: CodecConfig) -> None:
    """Codec, size and record are read as they were written."""
    assert read_sample_entry(file_of(config)) == config


@given(CONFIGS, st.data())
def test_a_cut_entry_is_refused(config: CodecConfig, data: st.DataObject) -> None:
    """A file that ends too early is never taken for another configuration."""
    whole = file_of(config)
    with pytest.raises(MuxError):
        read_sample_entry(whole[: data.draw(st.integers(0, len(whole) - 1))])


@given(CONFIGS, st.binary(max_size=200), st.data())
def test_no_bytes_crash_the_reader(config: CodecConfig, rubbish: bytes, data: st.DataObject) -> None:
    """Rubbish, also in the midst of a good file, is refused or reads as a file that writes itself again."""
    whole = file_of(config)
    at = data.draw(st.integers(0, len(whole)))
    for candidate in (rubbish, whole[:at] + rubbish, whole[:at] + rubbish + whole[at + len(rubbish) :]):
        with contextlib.suppress(MuxError):
            assert sample_entry(read_sample_entry(candidate)) in candidate


@pytest.mark.parametrize(
    "entries",
    [
        b"",
        box(b"hvc1", bytes(78)),
        sample_entry(coded()[0].config) * 2,
        box(b"vp09", bytes(78)),
        sample_entry(coded(codec="vp9")[0].config).replace(b"vpcC\1", b"vpcC\0"),
        sample_entry(coded(codec="vp9")[0].config).replace(b"VPC Coding", b"AVC Coding"),
    ],
)
def test_other_entries_are_refused(entries: bytes) -> None:
    """Another codec, two entries, none, or one with anything else in it than we write."""
    stsd = full_box(b"stsd", u32(1), entries)
    data = box(b"moov", box(b"trak", box(b"mdia", box(b"minf", box(b"stbl", stsd)))))
    with pytest.raises(MuxError):
        read_sample_entry(data)


@pytest.mark.parametrize("codec", CODECS)
def test_a_file_that_describes_other_pictures_is_refused(codec: Codec) -> None:
    """A size or a record in the index that is not the pictures' own: refused, though a player may play it."""
    whole = clip(codec)
    entry = sample_entry(coded(codec=codec)[0].config)
    assert whole.count(entry) == 1
    wide = entry.replace((160).to_bytes(2) + (96).to_bytes(2), (128).to_bytes(2) + (96).to_bytes(2), 1)
    with pytest.raises(MuxError, match="another size"):
        read_mp4(whole.replace(entry, wide))
    record = coded(codec=codec)[0].config.extradata
    for forged in (record[:-1] + b"\1" if codec == "vp9" else b"\2" + record[1:], b"\1" + record[1:]):
        if forged != record:
            with pytest.raises(MuxError, match="unreadable"):
                read_mp4(whole.replace(entry, entry.replace(record, forged)))


def test_pictures_of_one_codec_are_not_taken_for_anothers() -> None:
    """An index that says VP9 over H.264 pictures, or the other way round, is refused."""
    for codec, other in zip(CODECS, reversed(CODECS), strict=True):
        lie = coded(codec=other)[0].config
        mixed = [replace(segment, config=lie) for segment in segments_of(coded(codec=codec))]
        with pytest.raises(MuxError):
            read_mp4(mux_mp4(mixed))
