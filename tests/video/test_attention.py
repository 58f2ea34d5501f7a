"""How much of a film is decoded."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from device.video.attention import Attention, AttentionSettings, PacketSizes, payload_bytes
from device.video.packets import CodecConfig
from tests.video.support import START_US, fake_packet

GROUP = 20  # packets, two seconds
ECO = AttentionSettings(eco=True)
# Nothing looks inside these packets.
SIZED = CodecConfig(codec="vp9", width=64, height=48, extradata=b"")


def follow(
    attention: Attention, sizes: list[int], *, stirring: bool = False, holding: bool = False, first: int = 0
) -> list[int]:
    """Feed packets, ten a second, a keyframe every GROUP; how far each group was decoded by its end."""
    reached: list[int] = []
    for index, size in enumerate(sizes):
        number = first + index
        key = number % GROUP == 0
        attention.arrived(fake_packet(number, keyframe=key, size=size * 12 if key else size, config=SIZED))
        count = number % GROUP + 1
        reach = attention.reach(count, stirring=stirring, holding=holding, ended=False)
        assert 0 <= reach <= count
        if key:
            reached.append(reach)
        else:
            reached[-1] = max(reached[-1], reach)
    return reached


def calm(settings: AttentionSettings = ECO, *, groups: int = 6) -> Attention:
    """An attention that has seen some quiet groups."""
    attention = Attention(settings)
    follow(attention, [500] * GROUP * groups)
    return attention


def test_while_nothing_moves_keyframes_alone_are_decoded() -> None:
    """In eco mode, once the film is known, one picture of each group is looked at."""
    assert follow(calm(), [500] * GROUP * 5, first=GROUP * 6) == [1] * 5


def test_without_eco_every_picture_is_decoded_in_batches() -> None:
    """Without eco mode nothing is left out while nothing moves, and a whole batch is decoded at once."""
    settings = AttentionSettings(eco=False, batch_frames=5)
    assert follow(calm(settings), [500] * GROUP * 3, first=GROUP * 6) == [GROUP] * 3


def test_the_beginning_of_a_film_is_looked_at_whole() -> None:
    """Until the film is known, nothing is left out in eco mode either."""
    assert follow(Attention(ECO), [500] * GROUP * 2) == [GROUP, GROUP]


def test_a_large_packet_is_gone_back_for() -> None:
    """One packet much larger than usual, and every picture of its group is wanted at once."""
    attention = calm()
    sizes = [500] * 12 + [2_500] + [500] * 7
    assert follow(attention, sizes, first=GROUP * 6) == [GROUP]


def test_somewhat_larger_packets_add_up() -> None:
    """A change that each single packet hides within the noise is noticed by its staying."""
    attention = calm()
    assert follow(attention, [500] * 4 + [640] * 16, first=GROUP * 6) == [GROUP]


def test_a_long_event_does_not_become_usual() -> None:
    """However long somebody is there, what is usual stays as it was; the next one is as suspicious as the first."""
    attention = calm()
    follow(attention, [900] * GROUP * 20, holding=True, first=GROUP * 6)
    follow(attention, [500] * GROUP * 3, first=GROUP * 26)
    assert follow(attention, [500] * 8 + [900] * 12, first=GROUP * 29) == [GROUP]


def test_a_suspicion_lasts_into_the_next_group() -> None:
    """After a suspicion at a group's end the next group is looked at whole as well, and then calm returns."""
    attention = calm()
    sizes = [500] * 19 + [4_000] + [500] * GROUP * 3
    assert follow(attention, sizes, first=GROUP * 6) == [GROUP, GROUP, 1, 1]


def test_a_held_event_needs_the_beginning_of_each_group() -> None:
    """While an event is sure, a few pictures of each group tell whether it still is, whatever the packets' sizes."""
    reached = follow(calm(), [500, 3_000] * GROUP, holding=True, stirring=True, first=GROUP * 6)
    assert reached == [ECO.burst_frames] * 2


def test_what_stirs_is_seen_at_once() -> None:
    """Once something stirs, each packet is decoded as it comes."""
    attention = calm()
    for number in range(GROUP * 6, GROUP * 7):
        attention.arrived(fake_packet(number, keyframe=number % GROUP == 0, size=500, config=SIZED))
        count = number % GROUP + 1
        assert attention.reach(count, stirring=True, holding=False, ended=False) == count


def test_nothing_is_left_out_of_long_groups() -> None:
    """A camera with a keyframe a minute is decoded whole, held or calm: its next keyframe would be too late."""
    attention = Attention(AttentionSettings(eco=True, longest_group_s=1.5))
    for holding in (False, True):
        assert follow(attention, [500] * GROUP * 4, holding=holding) == [GROUP] * 4


def test_a_group_that_goes_on_for_too_long_is_taken_up_again() -> None:
    """A camera that stops giving keyframes is decoded whole from the moment that shows."""
    attention = calm()
    late = 0
    for number in range(60):
        attention.arrived(fake_packet(GROUP * 6 + number, keyframe=number == 0, size=500, config=SIZED))
        late = attention.reach(number + 1, stirring=False, holding=False, ended=False)
    assert late == 60


def test_a_camera_that_pads_its_packets_is_looked_at_whole() -> None:
    """Packets of one size beside keyframes of that size say nothing: with those seconds apart none is left out."""
    attention = Attention(ECO)
    reached = []
    for number in range(GROUP * 10):
        attention.arrived(fake_packet(number, keyframe=number % GROUP == 0, size=8_000, config=SIZED))
        reached.append(attention.reach(number % GROUP + 1, stirring=False, holding=False, ended=True))
    assert reached[-GROUP:] == list(range(1, GROUP + 1))


def test_filler_is_no_picture() -> None:
    """What a camera puts in to keep its rate doesn't count as size (H.264 NAL unit type 12)."""
    picture = (40).to_bytes(4) + b"\x41" + bytes(39)
    filler = (900).to_bytes(4) + b"\x0c" + bytes(899)
    packet = fake_packet(1, keyframe=False)
    filled = replace(packet, unit=replace(packet.unit, data=picture + filler))
    assert payload_bytes(filled) == 40


def test_a_camera_that_fills_its_packets_up_is_looked_at_whole() -> None:
    """What spends its rate whatever it sees tells nothing by what it spends, however much that varies."""
    sizes = PacketSizes()
    for number in range(200):
        sizes.weigh(400 + number % 5 * 50, filler=0)
    assert sizes.telling(keyframe_bytes=8_000)
    for number in range(200):
        sizes.weigh(400 + number % 5 * 50, filler=300)
    assert not sizes.telling(keyframe_bytes=8_000)


def test_keyframes_close_together_are_not_all_looked_at() -> None:
    """A camera of keyframes alone, ten a second, is looked at about once a second while all is calm."""
    attention = Attention(ECO)
    looked = 0
    for number in range(200):
        attention.arrived(fake_packet(number, keyframe=True, size=4_000, config=SIZED))
        reach = attention.reach(1, stirring=False, holding=False, ended=False)
        looked += reach if number >= 100 else 0
    assert 9 <= looked <= 12


@given(
    st.lists(st.tuples(st.integers(0, 20_000), st.integers(-3, 12), st.booleans()), min_size=1, max_size=200),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_reach_is_sound_for_any_sizes_and_times(
    packets: list[tuple[int, int, bool]], eco: bool, stirring: bool, holding: bool
) -> None:
    """Whatever comes, no more is asked for than there is, and a group's end leaves nothing of a batch behind."""
    attention = Attention(AttentionSettings(eco=eco))
    at_us, count = START_US, 0
    for number, (size, tenths, keyframe) in enumerate(packets):
        at_us += tenths * 100_000
        count = 1 if keyframe else count + 1
        attention.arrived(fake_packet(number, keyframe=keyframe, size=size, at_us=at_us, config=SIZED))
        now = attention.reach(count, stirring=stirring, holding=holding, ended=False)
        assert 0 <= now <= attention.reach(count, stirring=stirring, holding=holding, ended=True) <= count
        if not attention.leaves_out(stirring=stirring, holding=holding):
            assert attention.reach(count, stirring=stirring, holding=holding, ended=True) == count
            assert count - now < ECO.batch_frames


@given(st.integers(50, 20_000), st.integers(0, 10_000))
def test_a_film_whose_noise_changes_becomes_usual(before: int, more: int) -> None:
    """What stays larger for good, rain say, is suspicious at first and usual after a while."""
    sizes = PacketSizes()
    for _ in range(300):
        sizes.weigh(before)
    assert not sizes.weigh(before)
    for _ in range(3_000):
        last = sizes.weigh(before + more)
    assert not last
