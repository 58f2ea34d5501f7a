"""Packets into segments."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from device.video.packets import Packet
from device.video.segments import Segment, Segmenter, SegmentSettings
from tests.video.support import CONFIG, OTHER_CONFIG, START_US, coded, fake_packet, segments_of

# Groups of pictures: how many pictures, and how large each is.
GROUPS = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 400)), min_size=1, max_size=12)


def packets_of(groups: list[tuple[int, int]]) -> list[Packet]:
    """Fake packets, each group starting with a keyframe."""
    packets: list[Packet] = []
    for length, size in groups:
        packets += [fake_packet(len(packets) + i, keyframe=i == 0, size=size) for i in range(length)]
    return packets


@given(GROUPS)
def test_nothing_is_lost_within_bounds(groups: list[tuple[int, int]]) -> None:
    """Segments hold every packet once, in order, each segment starts with a keyframe and joins the next."""
    packets = packets_of(groups)
    segments = segments_of(packets)
    assert [unit.data for segment in segments for unit in segment.units] == [packet.unit.data for packet in packets]
    assert all(segment.units[0].keyframe and segment.units[0].dts == 0 for segment in segments)
    assert all(a.end_us == b.start_us for a, b in pairwise(segments))
    assert segments[0].start_us == START_US
    assert segments[-1].end_us == packets[-1].at_us + packets[-1].duration_us
    assert all(segment.duration_us >= 950_000 for segment in segments[:-1])


@given(GROUPS)
def test_no_segment_exceeds_its_bounds(groups: list[tuple[int, int]]) -> None:
    """Whatever comes, a segment stays below its bounds; what doesn't fit is counted, and all that is kept decodes."""
    settings = SegmentSettings(max_bytes=3_000, max_units=15)
    segmenter = Segmenter(settings)
    packets = packets_of(groups)
    segments = [segment for packet in packets for segment in segmenter.push(packet)] + segmenter.flush()
    assert all(segment.size_bytes <= 3_000 and len(segment.units) <= 15 for segment in segments)
    assert sum(len(segment.units) for segment in segments) + segmenter.dropped == len(packets)
    # Within a segment no picture is missing between two that are there.
    for segment in segments:
        assert [unit.dts for unit in segment.units] == [9_000 * i for i in range(len(segment.units))]


def test_pictures_before_the_first_keyframe_are_dropped() -> None:
    """What can't be decoded is not kept, but counted."""
    segmenter = Segmenter(SegmentSettings())
    for number in range(5):
        assert segmenter.push(fake_packet(number, keyframe=False)) == []
    assert (segmenter.dropped, segmenter.flush()) == (5, [])


def test_a_gap_is_no_part_of_a_segment() -> None:
    """When the camera was silent for long, the segment before ends with its own last picture."""
    before = [fake_packet(i, keyframe=i == 0) for i in range(10)]
    after = [fake_packet(i, keyframe=i == 100) for i in range(100, 110)]
    first, second = segments_of(before + after)
    assert first.end_us == START_US + 1_000_000
    assert second.start_us == START_US + 10_000_000


def test_a_new_configuration_begins_a_segment() -> None:
    """A segment is of one configuration, however short it is."""
    packets = [fake_packet(0, keyframe=True), fake_packet(1, keyframe=True, config=OTHER_CONFIG)]
    assert [segment.config for segment in segments_of(packets)] == [CONFIG, OTHER_CONFIG]


def test_real_packets_make_segments_of_a_second() -> None:
    """Our own encoder's groups are one second, exactly."""
    segments: list[Segment] = segments_of(coded(45))
    assert [(len(segment.units), segment.duration_us) for segment in segments[:-1]] == [(15, 1_000_000)] * 2
