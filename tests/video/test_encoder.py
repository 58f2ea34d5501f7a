"""The encoder: what each codec must do alike, so that nothing behind it has to know which one it was."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from device.video.codec.decoder import LumaDecoder
from device.video.codec.encoder import QUALITIES, Encoder, EncoderSettings, Preset
from device.video.codec.mux import mux_mp4, read_mp4
from device.video.errors import BitstreamError
from device.video.packets import TICKS_PER_S, AccessUnit, Codec, Packet
from device.video.source.capture import CaptureSettings
from device.video.source.drawn import SceneSource
from tests.video.support import START_US, coded, picture, segments_of

CODECS: list[Codec] = ["h264", "vp9"]
SUPERFRAME = 0b110


def encode(times: list[int], chosen: EncoderSettings) -> list[AccessUnit]:
    """Pictures at these times, in ticks, encoded anew."""
    encoder = Encoder(width=160, height=96, fps=Fraction(15), settings=chosen)
    return [encoder.encode(picture(number), ticks=ticks) for number, ticks in enumerate(times)]


def decoded(packets: list[Packet] | tuple[Packet, ...]) -> list[NDArray[np.uint8]]:
    """The luma planes that our own decoder gives."""
    decoder = LumaDecoder(packets[0].config)
    return [luma.plane.copy() for packet in packets for luma in decoder.decode(packet)]


@pytest.mark.parametrize("codec", CODECS)
def test_the_same_pictures_give_the_same_bytes(codec: Codec) -> None:
    """No clock and no thread has a say in what is encoded."""
    times = [6_000 * number for number in range(20)]
    assert encode(times, EncoderSettings(codec=codec)) == encode(times, EncoderSettings(codec=codec))


@pytest.mark.parametrize("codec", CODECS)
def test_each_picture_is_one_unit_at_once(codec: Codec) -> None:
    """Nothing waits in the encoder, nothing is reordered, and no frame is hidden in another's unit."""
    units = [packet.unit for packet in coded(45, codec=codec)]
    assert [(unit.dts, unit.pts) for unit in units] == [(6_000 * number, 6_000 * number) for number in range(45)]
    assert [number for number, unit in enumerate(units) if unit.keyframe] == [0, 15, 30]
    if codec == "vp9":
        assert not any(unit.data[-1] >> 5 == SUPERFRAME for unit in units)


@pytest.mark.parametrize("codec", CODECS)
@given(
    steps=st.lists(st.sampled_from([1, 2_950, 3_003, 6_000, 6_050, 45_000, 400_000]), min_size=1, max_size=40),
    gop_s=st.sampled_from([0.5, 1.0, 2.0]),
)
@settings(max_examples=10)
def test_keyframes_come_by_time(codec: Codec, steps: list[int], gop_s: float) -> None:
    """Whatever rate a camera keeps, a group of pictures is never longer than was set, nor much shorter."""
    times = [0]
    for step in steps:
        times.append(times[-1] + step)
    units = encode(times, EncoderSettings(codec=codec, gop_s=gop_s))
    keyframes = [unit.pts for unit in units if unit.keyframe]
    half_a_frame = TICKS_PER_S // 15 // 2
    assert keyframes[0] == 0
    assert all(after - before >= gop_s * TICKS_PER_S - half_a_frame for before, after in pairwise(keyframes))
    for unit in units:
        if not unit.keyframe:
            assert unit.pts - max(at for at in keyframes if at < unit.pts) < gop_s * TICKS_PER_S - half_a_frame


@pytest.mark.parametrize("codec", CODECS)
def test_each_group_decodes_by_itself(codec: Codec) -> None:
    """From any keyframe on, our decoder gives the very pictures that it gives of the whole film, and good ones."""
    packets = coded(45, codec=codec)
    whole = decoded(packets)
    assert len(whole) == 45
    for start in (15, 30):
        assert all(np.array_equal(a, b) for a, b in zip(decoded(packets[start:]), whole[start:], strict=True))
    for number, plane in enumerate(whole):
        error = np.mean((plane.astype(float) - picture(number)[:96]) ** 2)
        assert 10 * np.log10(255**2 / error) > 30


@pytest.mark.parametrize("codec", CODECS)
def test_quality_is_paid_in_bytes(codec: Codec) -> None:
    """Each step of quality makes the same film larger."""
    times = [6_000 * number for number in range(6)]
    films = [encode(times, EncoderSettings(codec=codec, quality=quality)) for quality in QUALITIES]
    sizes = [sum(len(unit.data) for unit in film) for film in films]
    assert sizes == sorted(sizes)
    assert sizes[-1] > 2 * sizes[0]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("preset", ["ultrafast", "superfast", "veryfast"])
def test_every_preset_encodes(codec: Codec, preset: Preset) -> None:
    """Each of the words works with each codec."""
    assert len(encode([0, 6_000], EncoderSettings(codec=codec, preset=preset))) == 2


@pytest.mark.parametrize(("quality", "gop_s"), [(0, 1.0), (11, 1.0), (5, 0.0)])
def test_odd_settings_are_refused(quality: int, gop_s: float) -> None:
    """What no codec could do is refused before it is tried."""
    with pytest.raises(ValueError, match="quality is 1 to 10"):
        EncoderSettings(quality=quality, gop_s=gop_s)


@pytest.mark.parametrize("codec", CODECS)
def test_a_decoded_keyframe_is_no_wish_for_another(codec: Codec) -> None:
    """Frames from a camera whose every picture is a keyframe (MJPEG) don't make all of ours keyframes."""
    encoder = Encoder(width=160, height=96, fps=Fraction(15), settings=EncoderSettings(codec=codec))
    units = []
    for number in range(4):
        frame = av.VideoFrame.from_ndarray(picture(number), format="yuv420p")
        frame.pict_type = av.video.frame.PictureType.I
        units.append(encoder.encode_frame(frame, ticks=6_000 * number))
    assert [unit.keyframe for unit in units] == [True, False, False, False]


@pytest.mark.parametrize("codec", CODECS)
def test_a_damaged_picture_is_told(codec: Codec) -> None:
    """Bytes that are no picture give our own error from the decoder, for each codec."""
    first = coded(codec=codec)[0]
    rubbish = AccessUnit(dts=0, pts=0, keyframe=True, data=b"\xff" * 40)
    with pytest.raises(BitstreamError):
        list(
            LumaDecoder(first.config).decode(
                Packet(config=first.config, unit=rubbish, at_us=START_US, duration_us=66_666)
            )
        )


def test_a_scene_is_filmed_in_either_codec(tmp_path: Path) -> None:
    """The setting reaches the source: the same drawing, the other codec, and an MP4 that can be read again."""
    scene = tmp_path / "empty.toml"
    scene.write_text(
        'title = "Nothing"\nplace = "porch"\nduration_s = 1.0\n[picture]\nwidth = 160\nheight = 90\nfps = 15\n'
    )
    for codec in CODECS:
        chosen = CaptureSettings(encoder=EncoderSettings(codec=codec))
        items = list(SceneSource(scene, settings=chosen, start_us=START_US).items())
        packets = [item for item in items if isinstance(item, Packet)]
        config, units = read_mp4(mux_mp4(segments_of(packets)))
        assert (config.codec, config.width, config.height) == (codec, 160, 90)
        assert [unit.data for unit in units] == [packet.unit.data for packet in packets]
