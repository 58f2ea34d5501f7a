"""H.264 copied packet by packet: what a camera may send in which pieces, and what of it is a picture."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from device.video.codec.canonical import Canonical, NoPictureError
from device.video.codec.h264 import join_prefixed, parse_avcc, split_prefixed
from device.video.errors import BitstreamError
from device.video.segments import SegmentSettings
from device.video.source.copied import MAX_PICTURE_BYTES, Copier, Demuxed, Place
from device.video.source.damage import Damage
from tests.video.bitstreams import annexb, peak_mb, sps
from tests.video.support import coded


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


def test_sets_in_band_count_where_a_record_was_given() -> None:
    """An MP4 whose pictures bring parameter sets of their own (avc3) follows those."""
    small = coded()[0]
    _, sets = parse_avcc(small.config.extradata)
    canonical = Canonical(extradata=small.config.extradata)
    data = join_prefixed([sps(320, 192), *sets.pps, *split_prefixed(small.unit.data)])
    assert canonical.unit(data, dts=0, pts=0).data == data
    assert canonical.config is not None
    assert canonical.config.width == 320


def test_damage_is_told_in_few_lines() -> None:
    """A camera that sends rubbish for a day is told of now and then."""
    damage = Damage(source="rtsp://camera", told=True)
    with capture_logs() as logs:
        for _ in range(20_000):
            damage.found("rubbish")
    assert [entry["count"] for entry in logs] == [1, 10, 100, 1_000, 10_000]
