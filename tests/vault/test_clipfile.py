"""The clip file: every cut yields a prefix, every flipped byte is seen and costs one record, nothing crashes."""

import tracemalloc
from contextlib import suppress
from io import BytesIO
from struct import pack
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.vault.clipfile import (
    MAGIC,
    MARK,
    MAX_DATA_BYTES,
    MAX_META_BYTES,
    Header,
    RecordType,
    SegmentMeta,
    encode_end,
    encode_record,
    read_meta,
    read_record,
    scan,
)
from device.vault.clipindex import describe
from device.vault.errors import ClipError

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
moments = st.integers(0, 2**53 - 1)
headers = st.builds(
    Header,
    clip=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", fullmatch=True),
    device=texts,
    camera=texts,
    event=texts,
    kind=texts,
    start_us=moments,
    labels=st.lists(texts, max_size=3).map(tuple),
)
metas = st.builds(
    SegmentMeta,
    start_us=moments,
    duration_us=moments,
    sha256=st.binary(min_size=32, max_size=32).map(bytes.hex),
    statement=st.binary(max_size=60),
)
# Sealed bytes may hold anything, also what looks like the beginning of a record.
contents = st.lists(st.tuples(metas, st.binary(max_size=80) | st.just(b"\xf5LSR\x02\0\0\0\1\0\0\0\1????")), max_size=4)


def encode(header: Header, segments: list[tuple[SegmentMeta, bytes]], end_us: int | None) -> bytes:
    data = header.encode()
    for meta, sealed in segments:
        data += encode_record(RecordType.SEGMENT, meta.to_meta(), sealed)
    return data if end_us is None else data + encode_end(end_us)


@given(headers, contents, st.none() | moments)
def test_round_trip(header: Header, segments: list[tuple[SegmentMeta, bytes]], end_us: int | None) -> None:
    """What is written is read back, record by record, and each by its offset."""
    data = encode(header, segments, end_us)
    file = BytesIO(data)
    found = scan(file)
    assert found.damage == ()
    assert found.header == header
    assert found.whole_end == len(data)
    kept = [record for record in found.records if record.type is RecordType.SEGMENT]
    for record, (meta, sealed) in zip(kept, segments, strict=True):
        assert SegmentMeta.parse(record.meta) == SegmentMeta.parse(read_meta(file, record.offset)) == meta
        assert read_record(file, record.offset) == (record, sealed)
        assert data[record.data_offset : record.data_offset + record.data_length] == sealed
        assert record.length == len(encode_record(record.type, record.meta, sealed))
    ends = [record.meta["end_us"] for record in found.records if record.type is RecordType.END]
    assert ends == ([] if end_us is None else [end_us])
    for record in found.records:
        assert scan(file, start=record.end).records == tuple(r for r in found.records if r.offset > record.offset)


@given(headers, contents, st.data())
def test_any_cut_yields_a_prefix_of_whole_records(
    header: Header, segments: list[tuple[SegmentMeta, bytes]], draw: st.DataObject
) -> None:
    """Cut anywhere, the whole records before the cut are there, and nothing else."""
    data = encode(header, segments, 5)
    whole = scan(BytesIO(data)).records
    length = draw.draw(st.integers(0, len(data)))
    found = scan(BytesIO(data[:length]))
    assert found.records == tuple(record for record in whole if record.end <= length)
    assert found.whole_end <= length
    assert bool(found.damage) == (length not in {len(MAGIC), *(record.end for record in whole)})


@pytest.mark.slow
@given(headers, contents, st.data())
@settings(max_examples=300)
def test_any_flipped_byte_is_seen_and_costs_one_record(
    header: Header, segments: list[tuple[SegmentMeta, bytes]], draw: st.DataObject
) -> None:
    """Alter one byte: it is reported, and all records but the one it is in are still there."""
    data = bytearray(encode(header, segments, 5))
    whole = scan(BytesIO(bytes(data))).records
    place = draw.draw(st.integers(0, len(data) - 1))
    data[place] ^= draw.draw(st.integers(1, 255))
    found = scan(BytesIO(bytes(data)))
    assert found.damage
    assert found.records == tuple(record for record in whole if not record.offset <= place < record.end)


@given(st.binary(max_size=300), st.booleans())
def test_noise_never_crashes(data: bytes, magic: bool) -> None:
    """Whatever the bytes, a scan ends, and accounts for all of them."""
    data = MAGIC * magic + data
    found = scan(BytesIO(data))
    counted = sum(record.length for record in found.records) + sum(damage.length for damage in found.damage)
    assert counted in {len(data), len(data) - len(MAGIC)}


@given(headers, contents, st.lists(st.tuples(st.integers(0), st.integers(0, 40), st.binary(max_size=40)), max_size=6))
def test_mangled_files_never_crash(
    header: Header, segments: list[tuple[SegmentMeta, bytes]], edits: list[tuple[int, int, bytes]]
) -> None:
    """Pieces of a real file cut out, others put in: a scan ends, and each record that it gives reads back as it was."""
    data = encode(header, segments, 5)
    for place, length, put in edits:
        at = place % (len(data) + 1)
        data = data[:at] + put + data[at + length :]
    file = BytesIO(data)
    found = scan(file)
    counted = sum(record.length for record in found.records) + sum(damage.length for damage in found.damage)
    assert counted in {len(data), len(data) - len(MAGIC)}
    for record in found.records:
        assert read_record(file, record.offset)[0] == record
        with suppress(ClipError):
            describe(record)
    with suppress(ClipError):
        assert found.header is None or found.header.clip


def forged_head(meta_bytes: int, data_bytes: int) -> bytes:
    """A head whose own CRC is sound, and whose lengths are whatever somebody likes."""
    fields = pack(">4sBII", MARK, RecordType.SEGMENT, meta_bytes, data_bytes)
    return fields + pack(">I", crc32(fields))


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.binary(max_size=30)), max_size=20))
@settings(deadline=None)
def test_lengths_that_lie_cost_no_memory(heads: list[tuple[int, int, bytes]]) -> None:
    """However large a record claims to be, no more is read than the file holds."""
    data = MAGIC + b"".join(forged_head(meta, body) + rest for meta, body, rest in heads)
    tracemalloc.start()
    try:
        found = scan(BytesIO(data))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.records == ()
    assert peak < 500_000


def test_damage_all_over_is_read_once() -> None:
    """A large file of nothing but broken heads takes time by its size, not by its square."""
    read = 0

    class Counting(BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            nonlocal read
            data = super().read(size)
            read += len(data)
            return data

    bad = forged_head(2, 4) + b"{}" + b"xxxx" + b"????"
    data = MAGIC + (b"......" + bad) * 10_000
    found = scan(Counting(data))
    assert len(found.damage) > 10_000
    assert read < 300 * len(data)


def test_damage_across_a_chunk_of_reading_is_passed() -> None:
    """The next record is found also megabytes behind a damaged head, wherever reads happen to end."""
    header = Header(clip="a", device="d", camera="c", event="e", kind="k", start_us=0)
    for pad in range(1_048_560, 1_048_580, 3):
        big = encode_record(RecordType.THUMBNAIL, {"at_us": 1}, b"\0" * pad)
        data = bytearray(header.encode() + big + encode_end(9))
        data[len(header.encode()) + 6] ^= 1
        found = scan(BytesIO(bytes(data)))
        assert [record.type for record in found.records] == [RecordType.HEADER, RecordType.END]


def test_what_could_not_be_read_back_is_not_written() -> None:
    """Too large a record, or a name that is a path, is refused when it is encoded."""
    with pytest.raises(ClipError, match="too large"):
        encode_record(RecordType.SEGMENT, {"x": "y" * MAX_META_BYTES})
    with pytest.raises(ClipError, match="too large"):
        encode_record(RecordType.SEGMENT, {}, bytes(MAX_DATA_BYTES + 1))
    with pytest.raises(ClipError, match="name"):
        Header(clip="../x", device="d", camera="c", event="e", kind="k", start_us=0).encode()


@pytest.mark.parametrize("change", [{"version": 2}, {"clip": "../x"}, {"start_us": "0"}, {"more": 1}, {"labels": [1]}])
def test_strange_header_is_refused(change: dict[str, object]) -> None:
    """A header with a sound CRC and strange fields is an error of the file, not a crash."""
    meta = dict(
        scan(BytesIO(Header(clip="a", device="", camera="", event="", kind="", start_us=0).encode())).records[0].meta
    )
    with pytest.raises(ClipError):
        Header.parse(meta | change)


def test_reading_where_no_record_is() -> None:
    """A wrong offset is an error with a line."""
    with pytest.raises(ClipError, match="byte 3"):
        read_record(BytesIO(MAGIC * 9), 3)
    with pytest.raises(ClipError, match="byte 3"):
        read_meta(BytesIO(MAGIC * 9), 3)
