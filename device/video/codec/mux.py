"""MP4 files from segments, and back: packets are copied, never encoded again.

Plain MP4 (ISO/IEC 14496-12 and -15), index first, one video track with a timescale of 90,000, one chunk a segment,
no dates inside: the same segments give the same bytes. What comes back from the file is what went in: data,
keyframe flags, pts - dts, differences of dts, and the codec's record. Written by hand since a file that is signed must
not change with a library.
"""

import io
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import av
import av.error

from device.video.codec.boxes import box, full_box, u32
from device.video.codec.sample_entry import check_config, is_keyframe, read_sample_entry, sample_entry
from device.video.errors import BitstreamError, MuxError
from device.video.packets import TICKS_PER_S, AccessUnit, CodecConfig, ticks_from_us
from device.video.segments import Segment

# Unity matrix of mvhd and tkhd (8.2.2.2).
_MATRIX = b"".join(value.to_bytes(4) for value in (0x00010000, 0, 0, 0, 0x00010000, 0, 0, 0, 0x40000000))
_LANGUAGE_UNDETERMINED = 0x55C4
_MAX_U32 = 0xFFFFFFFF
# Kind of a comment's data.
_UTF_8 = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Track:
    """Samples of the one track, in decoding order, with the bounds of its chunks."""

    samples: list[AccessUnit]
    chunk_sizes: list[int]
    shown_from: int
    duration: int


def mux_mp4(segments: tuple[Segment, ...] | list[Segment], *, remark: str = "") -> bytes:
    """Segments of one camera, in order, as an MP4 file; a gap between two stays as time, the picture standing still.

    `remark` is a comment that the file carries; without one nothing is there but the film.
    MuxError when there are none, when their configurations differ, or when they don't follow one another.
    """
    if not segments or not all(segment.units for segment in segments):
        raise MuxError("a clip needs at least one segment with pictures in it")
    config = segments[0].config
    if any(segment.config != config for segment in segments):
        raise MuxError("the camera's picture format changes within the clip; cut it there into two")
    track = _lay_out(segments)
    brands = b"isomiso2avc1mp41" if config.codec == "h264" else b"isomiso2mp41"
    ftyp = box(b"ftyp", b"isom", (0x200).to_bytes(4), brands)
    # The index holds absolute offsets of the data behind it; its size doesn't depend on their values.
    moov_bytes = len(_moov(config, track, data_at=0, remark=remark))
    moov = _moov(config, track, data_at=len(ftyp) + moov_bytes + 8, remark=remark)
    return b"".join((ftyp, moov, box(b"mdat", *(unit.data for unit in track.samples))))


def _lay_out(segments: tuple[Segment, ...] | list[Segment]) -> _Track:
    """Place segments on one time line by their wall clock; a first unit keeps its pts - dts."""
    first = segments[0]
    delay = first.units[0].pts - first.units[0].dts
    samples: list[AccessUnit] = []
    for segment in segments:
        head = segment.units[0]
        offset = ticks_from_us(segment.start_us - first.start_us) + delay - head.pts
        if samples and offset + head.dts <= samples[-1].dts:
            # The wall clock was set back; order matters more than the step.
            offset = samples[-1].dts + 1 - head.dts
        samples += [
            AccessUnit(dts=unit.dts + offset, pts=unit.pts + offset, keyframe=unit.keyframe, data=unit.data)
            for unit in segment.units
        ]
    if any(after.dts <= before.dts for before, after in pairwise(samples)):
        raise MuxError("the pictures of a segment are out of order")
    end = max(ticks_from_us(segments[-1].end_us - first.start_us) + delay, max(unit.pts for unit in samples) + 1)
    if end > _MAX_U32 or sum(len(unit.data) for unit in samples) > _MAX_U32 // 2:
        raise MuxError("the clip is too long for one file; cut it")
    chunk_sizes = [len(segment.units) for segment in segments]
    return _Track(samples=samples, chunk_sizes=chunk_sizes, shown_from=delay, duration=end - delay)


def _moov(config: CodecConfig, track: _Track, *, data_at: int, remark: str) -> bytes:
    media_duration = track.shown_from + track.duration
    mvhd = full_box(
        b"mvhd",
        u32(0, 0, TICKS_PER_S, track.duration, 0x00010000),
        (0x0100).to_bytes(2),
        bytes(10),
        _MATRIX,
        bytes(24),
        u32(2),
    )
    tkhd = full_box(
        b"tkhd",
        u32(0, 0, 1, 0, track.duration),
        bytes(16),
        _MATRIX,
        u32(config.width << 16, config.height << 16),
        flags=3,
    )
    elst = full_box(b"elst", u32(1, track.duration, track.shown_from, 0x00010000))
    mdhd = full_box(b"mdhd", u32(0, 0, TICKS_PER_S, media_duration), _LANGUAGE_UNDETERMINED.to_bytes(2), bytes(2))
    hdlr = full_box(b"hdlr", bytes(4), b"vide", bytes(12), b"video\x00")
    url = full_box(b"url ", flags=1)
    dinf = box(b"dinf", full_box(b"dref", u32(1), url))
    minf = box(b"minf", full_box(b"vmhd", bytes(8), flags=1), dinf, _stbl(config, track, data_at=data_at))
    mdia = box(b"mdia", mdhd, hdlr, minf)
    said = (box(b"udta", _comment(remark)),) if remark else ()
    return box(b"moov", mvhd, box(b"trak", tkhd, box(b"edts", elst), mdia), *said)


def _comment(text: str) -> bytes:
    """Return a comment as players read it: a list of one item (ISO/IEC 14496-12, 8.11, handler "mdir")."""
    hdlr = full_box(b"hdlr", bytes(4), b"mdirappl", bytes(9))
    data = box(b"data", u32(_UTF_8, 0), text.encode())
    return full_box(b"meta", hdlr, box(b"ilst", box(b"\xa9cmt", data)))


def _stbl(config: CodecConfig, track: _Track, *, data_at: int) -> bytes:
    samples = track.samples
    media_end = track.shown_from + track.duration
    ends = [*(unit.dts for unit in samples[1:]), max(media_end, samples[-1].dts + 1)]
    deltas = [end - unit.dts for unit, end in zip(samples, ends, strict=True)]
    shifts = [unit.pts - unit.dts for unit in samples]
    boxes = [full_box(b"stsd", u32(1), sample_entry(config)), full_box(b"stts", _runs(deltas))]
    if any(shifts):
        boxes.append(full_box(b"ctts", _runs(shifts), version=1 if min(shifts) < 0 else 0))
    syncs = [number for number, unit in enumerate(samples, 1) if unit.keyframe]
    boxes += [
        full_box(b"stss", u32(len(syncs), *syncs)),
        full_box(b"stsc", _chunk_runs(track.chunk_sizes)),
        full_box(b"stsz", u32(0, len(samples), *(len(unit.data) for unit in samples))),
        full_box(b"stco", _chunk_offsets(track, data_at=data_at)),
    ]
    return box(b"stbl", *boxes)


def _runs(values: list[int]) -> bytes:
    """Run-length table of stts and ctts: a count, then (how many, value); negative values as two's complement."""
    runs: list[list[int]] = []
    for value in values:
        if runs and runs[-1][1] == value:
            runs[-1][0] += 1
        else:
            runs.append([1, value])
    return u32(len(runs), *(number & _MAX_U32 for run in runs for number in run))


def _chunk_runs(sizes: list[int]) -> bytes:
    """Return the stsc table: first chunk, samples in each, description, for each run of equal chunks."""
    rows = [(number, size, 1) for number, size in enumerate(sizes, 1) if number == 1 or size != sizes[number - 2]]
    return u32(len(rows), *(value for row in rows for value in row))


def _chunk_offsets(track: _Track, *, data_at: int) -> bytes:
    offsets: list[int] = []
    sample = 0
    for size in track.chunk_sizes:
        offsets.append(data_at)
        data_at += sum(len(unit.data) for unit in track.samples[sample : sample + size])
        sample += size
    return u32(len(offsets), *offsets)


def read_mp4(data: bytes) -> tuple[CodecConfig, tuple[AccessUnit, ...]]:
    """Return configuration and access units of an MP4 file that `mux_mp4` wrote; the first dts is 0.

    MuxError if it isn't one, or if it describes other pictures than it holds.
    """
    config = read_sample_entry(data)
    units: list[AccessUnit] = []
    expected, corrupt = 0, False
    try:
        with av.open(io.BytesIO(data), "r", format="mov", metadata_errors="replace") as container:
            if len(container.streams) != 1 or len(container.streams.video) != 1:
                raise MuxError("one video track was expected and nothing else")
            stream = container.streams.video[0]
            if stream.time_base != Fraction(1, TICKS_PER_S):
                raise MuxError("not written by Latchstring")
            expected = stream.frames
            for packet in container.demux(stream):
                corrupt = corrupt or packet.is_corrupt
                if packet.dts is None or packet.pts is None:
                    continue
                unit = bytes(packet)
                # Not the file's sync flag, which a library may also set at other recovery points.
                keyframe = is_keyframe(config.codec, unit)
                units.append(AccessUnit(dts=packet.dts, pts=packet.pts, keyframe=keyframe, data=unit))
        if units:
            check_config(config, units[0].data)
    except (av.error.FFmpegError, BitstreamError) as error:
        raise MuxError(f"unreadable ({error})") from error
    if not units or len(units) != expected or corrupt:
        raise MuxError("it is cut short or damaged")
    base = units[0].dts
    shifted = (AccessUnit(dts=u.dts - base, pts=u.pts - base, keyframe=u.keyframe, data=u.data) for u in units)
    return config, tuple(shifted)
