"""How the agency reads a VP9 clip's file: its own bytes, strictly."""

import contextlib
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.agency.boxes import BoxError, Vp9Entry, read_vp9_entry
from broker.agency.film import FilmError, is_vp9_keyframe, open_track
from broker.agency.seals import AlteredError, check_pictures
from broker.wire.records import SegmentStatement
from broker.wire.segments import encode_segment, segment_digest
from device.video.codec.mux import mux_mp4
from device.video.codec.sample_entry import sample_entry
from device.video.segments import Segment
from tests.video.support import coded, segments_of

SEGMENTS = segments_of(coded(90, codec="vp9"))
CONFIG = SEGMENTS[0].config
MP4 = mux_mp4(SEGMENTS)
ENTRY = sample_entry(CONFIG)
MOOV_END = MP4.index(b"mdat") - 4


def statements(segments: list[Segment]) -> list[SegmentStatement]:
    """What the device signed of these."""
    return [
        SegmentStatement(
            device="porch", camera="main", seq=number, start=segment.start_us, duration_us=segment.duration_us,
            sha256=segment_digest(
                encode_segment(
                    codec="vp9", width=CONFIG.width, height=CONFIG.height, extradata=CONFIG.extradata,
                    units=segment.units,
                )
            ),
            prev="0" * 64,
        )
        for number, segment in enumerate(segments)
    ]  # fmt: skip


def check(folder: Path, mp4: bytes) -> None:
    path = folder / "clip-1.mp4"
    path.write_bytes(mp4)
    check_pictures(path, statements(SEGMENTS))


def forged() -> Iterator[bytes]:
    """Files that a player may well take, and whose pictures are untouched, but which say other things of them."""
    record_at = ENTRY.index(CONFIG.extradata)
    for at in range(len(CONFIG.extradata)):
        changed = bytearray(ENTRY)
        changed[record_at + at] ^= 1
        yield MP4.replace(ENTRY, bytes(changed))
    yield MP4.replace(ENTRY, sample_entry(replace(CONFIG, width=128)))
    yield MP4.replace(ENTRY, sample_entry(replace(CONFIG, height=80)))
    yield MP4.replace(b"vpcC\1", b"vpcC\0")
    yield MP4.replace(b"vp09", b"vp08")
    yield MP4 + MP4[MP4.index(b"moov") - 4 : MOOV_END]


def test_an_entry_is_read() -> None:
    """Size and record are those that the device wrote."""
    assert read_vp9_entry(io.BytesIO(MP4)) == Vp9Entry(CONFIG.width, CONFIG.height, CONFIG.extradata)


def test_the_pictures_are_those_that_were_signed(tmp_path: Path) -> None:
    """A file that was left alone is as it was filmed, and its keyframes are the device's."""
    check(tmp_path, MP4)
    with open_track(tmp_path / "clip-1.mp4") as track:
        flags = [unit.keyframe for unit in track.units]
    assert flags == [unit.keyframe for segment in SEGMENTS for unit in segment.units]


def test_a_forged_description_is_noticed(tmp_path: Path) -> None:
    """Whatever the file says of its pictures was signed with them, or is refused."""
    for mp4 in forged():
        with pytest.raises(AlteredError):
            check(tmp_path, mp4)


@given(at=st.integers(0, len(SEGMENTS) - 1), number=st.integers(0, 14), data=st.data())
def test_any_changed_picture_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, at: int, number: int, data: st.DataObject
) -> None:
    """A bit flipped in any picture, or a picture left out."""
    unit = SEGMENTS[at].units[number]
    bit = data.draw(st.integers(0, 8 * len(unit.data) - 1))
    flipped = bytearray(unit.data)
    flipped[bit // 8] ^= 1 << bit % 8
    units = list(SEGMENTS[at].units)
    units[number : number + 1] = [replace(unit, data=bytes(flipped))] if number == 0 or data.draw(st.booleans()) else []
    changed = [*SEGMENTS[:at], replace(SEGMENTS[at], units=tuple(units)), *SEGMENTS[at + 1 :]]
    with pytest.raises(AlteredError):
        check(tmp_path_factory.mktemp("changed"), mux_mp4(changed))


@given(st.integers(0, MOOV_END - 1))
def test_a_cut_index_is_refused(length: int) -> None:
    """A file that ends within its index is never read as something else."""
    with pytest.raises(BoxError):
        read_vp9_entry(io.BytesIO(MP4[:length]))


@given(st.binary(max_size=200), st.integers(0, MOOV_END))
def test_no_bytes_crash_the_reader(rubbish: bytes, at: int) -> None:
    """Rubbish, also in the midst of a good file, is refused or gives an entry of the right form."""
    for candidate in (rubbish, MP4[:at] + rubbish, MP4[:at] + rubbish + MP4[at + len(rubbish) :]):
        with contextlib.suppress(BoxError):
            assert len(read_vp9_entry(io.BytesIO(candidate)).record) == 8


def test_a_huge_index_is_not_read(tmp_path: Path) -> None:
    """A box that claims to be larger than any index of ours is refused unread; a sparse file costs nothing."""
    path = tmp_path / "huge.mp4"
    with path.open("wb") as file:
        file.write((100_000_000).to_bytes(4) + b"moov")
        file.truncate(100_000_000)
    with path.open("rb") as file, pytest.raises(BoxError, match="too large"):
        read_vp9_entry(file)
    with pytest.raises(FilmError), open_track(path):
        pass


def test_keyframes_are_told_by_their_first_bits() -> None:
    """Of profile 0, not an earlier frame shown again, and no frame between."""
    assert is_vp9_keyframe(SEGMENTS[0].units[0].data)
    for data in (b"", SEGMENTS[0].units[1].data, b"\x88", b"\x90", b"\xa0", b"\x86", b"\x42", b"\xc2"):
        assert not is_vp9_keyframe(data)
