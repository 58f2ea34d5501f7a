"""From packets to readings: what is decoded, what is seen, in which order."""

from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np
import pytest

from device.video.attention import AttentionSettings
from device.video.codec.canonical import Canonical
from device.video.codec.encoder import Encoder, EncoderSettings
from device.video.motion.detector import MotionReading, MotionSettings
from device.video.packets import TICKS_PER_S, Packet, us_from_ticks
from device.video.watcher import Watcher
from tests.video.support import START_US, write_film

FPS = 15
GOP_S = 2
EVERY = AttentionSettings(eco=False, longest_group_s=0)
ECO = AttentionSettings(eco=True)


@cache
def film(*, seconds: int = 24, walks: tuple[int, int] | None = (14, 19)) -> tuple[Packet, ...]:
    """A still, noisy picture in which a large figure crosses during some seconds."""
    rng = np.random.default_rng(5)
    still = np.full((180 * 3 // 2, 320), 128, np.uint8)
    still[:180] = rng.integers(70, 140, (180, 320))
    encoder = Encoder(width=320, height=180, fps=Fraction(FPS), settings=EncoderSettings(gop_s=GOP_S))
    packets = []
    span = TICKS_PER_S // FPS
    for index in range(seconds * FPS):
        picture = still.copy()
        noise = rng.integers(0, 4, (180, 320), dtype=np.uint8)
        picture[:180] += noise
        if walks is not None and walks[0] * FPS <= index < walks[1] * FPS:
            part = (index / FPS - walks[0]) / (walks[1] - walks[0])
            left = round(part * 290)
            picture[60:150, left : left + 30] = 235
        packets.append(
            Packet(
                config=encoder.config,
                unit=encoder.encode(picture, ticks=index * span),
                at_us=START_US + us_from_ticks(index * span),
                duration_us=us_from_ticks(span),
            )
        )
    return tuple(packets)


def watch(packets: tuple[Packet, ...], attention: AttentionSettings) -> tuple[Watcher, list[MotionReading]]:
    """Everything that is seen in a film."""
    watcher = Watcher(MotionSettings(), attention)
    seen = [seen.reading for packet in packets for seen in watcher.look(packet)]
    return watcher, seen + [one.reading for one in watcher.catch_up()]


def active_s(readings: list[MotionReading]) -> tuple[float, float]:
    """From when to when something was seen, in seconds of the film."""
    times = [reading.at_us for reading in readings if reading.active]
    return (times[0] - START_US) / 1e6, (times[-1] - START_US) / 1e6


def test_readings_come_in_order_and_each_picture_once() -> None:
    """Whatever is left out and gone back for, time only grows."""
    for attention in (EVERY, ECO, replace(ECO, batch_frames=1)):
        _, readings = watch(film(), attention)
        times = [reading.at_us for reading in readings]
        assert times == sorted(set(times))


def test_without_leaving_out_every_picture_is_seen() -> None:
    """With nothing left out there is a reading for each packet."""
    watcher, readings = watch(film(), EVERY)
    assert len(readings) == watcher.decoded == len(film())


def test_eco_sees_the_same_event_with_a_fraction_of_the_pictures() -> None:
    """A walker in a quiet film is seen when he is without leaving anything out, and quiet costs next to nothing."""
    _, every = watch(film(), EVERY)
    watcher, eco = watch(film(), ECO)
    start_s, end_s = active_s(every)
    assert active_s(eco)[0] == pytest.approx(start_s, abs=0.2)
    assert active_s(eco)[1] == pytest.approx(end_s, abs=0.2)
    assert watcher.decoded < len(film()) * 0.6
    quiet, _ = watch(film(walks=None), ECO)
    # The first seconds are looked at whole; then it is one picture of each group.
    assert quiet.decoded <= 6 * FPS + 24 // GOP_S


def test_pictures_in_another_order_are_left_out_and_gone_back_for_as_well(tmp_path: Path) -> None:
    """With B-frames a decoder holds pictures back; calm and bursts don't mix them up, and readings stay in order."""
    path = write_film(tmp_path / "b.mp4", frames=200, gop=30, options={"bf": "2", "b_strategy": "0"}, size=(320, 180))
    packets = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        canonical = Canonical(extradata=stream.codec_context.extradata)
        for coded in container.demux(stream):
            if coded.dts is None or coded.pts is None:
                continue
            base = (stream.time_base or Fraction(1)) * TICKS_PER_S
            unit = canonical.unit(bytes(coded), dts=round(coded.dts * base), pts=round(coded.pts * base))
            assert canonical.config is not None
            at_us = START_US + us_from_ticks(unit.pts)
            packets.append(Packet(config=canonical.config, unit=unit, at_us=at_us, duration_us=66_666))
    assert any(packet.unit.pts != packet.unit.dts for packet in packets)
    for attention in (EVERY, ECO, AttentionSettings(eco=True, settle_s=0, burst_frames=2)):
        watcher, readings = watch(tuple(packets), attention)
        times = [reading.at_us for reading in readings]
        assert times == sorted(set(times))
        assert watcher.undecodable == 0
        if attention is EVERY:
            assert len(readings) == len(packets)


def test_fast_cameras_are_looked_at_no_more_than_fifteen_times_a_second() -> None:
    """A camera of sixty frames a second is decoded whole and looked at every so often: motion is made for that."""
    quick = tuple(replace(packet, at_us=START_US + (packet.at_us - START_US) // 4) for packet in film())
    _, readings = watch(quick, EVERY)
    assert len(quick) / 4 <= len(readings) <= len(quick) / 2


def test_after_a_reset_it_begins_at_a_keyframe() -> None:
    """What comes before a keyframe can't be decoded and gives nothing."""
    watcher = Watcher(MotionSettings(), EVERY)
    packets = film()
    assert not [seen for packet in packets[1:30] for seen in watcher.look(packet)]
    assert [seen for packet in packets[30:60] for seen in watcher.look(packet)]
    watcher.reset()
    assert not [seen for packet in packets[61:90] for seen in watcher.look(packet)]


def test_a_camera_without_further_keyframes_fills_no_memory() -> None:
    """A group that never ends is decoded as it comes, and nothing of it is held for going back."""
    packets = film()
    endless = [packets[0], *(replace(packet, unit=replace(packet.unit, keyframe=False)) for packet in packets[1:])]
    for attention in (EVERY, ECO):
        watcher = Watcher(MotionSettings(), attention)
        held = [len(watcher._group) for packet in endless if not list(watcher.look(packet)) or True]
        assert max(held[FPS * 6 :]) <= attention.batch_frames


def test_a_source_that_has_luma_is_not_decoded() -> None:
    """Where the source has the picture anyway, it is looked at as it is, each one."""
    packets = tuple(replace(packet, luma=np.full((180, 320), 90, np.uint8)) for packet in film()[:30])
    _, readings = watch(packets, ECO)
    assert len(readings) == len(packets)
