"""The whole way of a clip, for each codec: encoded, sealed, signed, opened by its owner, sent, checked by an agency."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from broker.agency import OpenedBundle, open_bundle
from broker.wire.records import Release, SegmentStatement
from broker.wire.rules import MINUTE_US
from broker.wire.segments import encode_segment, segment_digest
from device.consent.release import ClipMaterial, DeviceFacts
from device.consent.review import SealedSegment, cut, open_clip, prepare
from device.vault.keys import DeviceKey, OwnerKey
from device.vault.sealing import new_identity, recipient_of, seal
from device.video.codec.mux import read_mp4
from device.video.packets import Codec
from device.video.pictures import clip_frames
from device.video.segments import Segment
from tests.consent.support import verified_of
from tests.simulators import NOW_US, NeighbourhoodSimulator, signing_key
from tests.video.support import coded, segments_of

CODECS: list[Codec] = ["h264", "vp9"]
AGENCY = new_identity()
OWNER = OwnerKey(new_identity(), signing_key(30))
KEY = DeviceKey.generate()
HOOD = NeighbourhoodSimulator()


def kept(segments: list[Segment]) -> list[SealedSegment]:
    """What a device keeps of its film: segments sealed to the owner, their statements one chain."""
    found = []
    prev = "0" * 64
    for number, segment in enumerate(segments):
        config = segment.config
        plaintext = encode_segment(
            codec=config.codec, width=config.width, height=config.height, extradata=config.extradata,
            units=segment.units,
        )  # fmt: skip
        statement = SegmentStatement(
            device="porch", camera="main", seq=number, start=segment.start_us, duration_us=segment.duration_us,
            sha256=segment_digest(plaintext), prev=prev,
        )  # fmt: skip
        prev = hashlib.sha256(statement.payload()).hexdigest()
        sealed = seal(plaintext, [OWNER.public.recipient])
        found.append(SealedSegment(statement.sign(KEY.signing), partial(bytes, sealed)))
    return found


def opened_by_owner(codec: Codec, *, start_us: int = 0, end_us: int = 1 << 62) -> ClipMaterial:
    """A clip of six seconds, or of a part of it, as the owner sees and approves it."""
    sealed = kept(segments_of(coded(90, codec=codec)))
    return open_clip(
        cut(sealed, device_key=KEY.public, start_us=start_us, end_us=end_us, limit_us=MINUTE_US), OWNER.identity
    )


def sent(clips: list[ClipMaterial], out: Path, *, rings: Sequence[int] = ()) -> OpenedBundle:
    """Put clips into a bundle, and open it as the agency."""
    first, last = clips[0], clips[-1]
    leaf, payload = HOOD.announced(start=first.start_us - MINUTE_US, end=last.end_us + MINUTE_US)
    verified = verified_of(HOOD, payload, leaf=leaf)
    to_us = replace(verified, request=verified.request.model_copy(update={"recipient": recipient_of(AGENCY)}))
    facts = DeviceFacts(name="porch", key=KEY.public, camera="main", kind="doorbell")
    sign: Callable[[Release], bytes] = lambda release: release.sign(KEY.signing)  # noqa: E731 - one line with its type
    bundle = prepare(to_us, facts, clips, sign_release=sign, now_us=NOW_US, rings=rings)
    return open_bundle(bundle.sealed, AGENCY, out, request_leaf=leaf, policy=HOOD.log.policy, sha256=bundle.sha256)


@pytest.mark.parametrize("codec", CODECS)
def test_what_was_filmed_arrives_sealed_as_filmed(codec: Codec, tmp_path: Path) -> None:
    """The agency finds the very units of the camera, and the chain of their capture proves it."""
    opened = sent([opened_by_owner(codec)], tmp_path / "out")
    assert [clip.seal for clip in opened.clips] == ["sealed as filmed"]
    mp4 = (opened.folder / "clip-1.mp4").read_bytes()
    config, units = read_mp4(mp4)
    assert config == coded(90, codec=codec)[0].config
    assert [unit.data for unit in units] == [packet.unit.data for packet in coded(90, codec=codec)]
    assert len(clip_frames(mp4, count=5)) == 5


@pytest.mark.parametrize("codec", CODECS)
def test_a_clip_cut_at_its_segments_keeps_its_seal(codec: Codec, tmp_path: Path) -> None:
    """The middle alone is proven as well as the whole."""
    segments = segments_of(coded(90, codec=codec))
    part = opened_by_owner(codec, start_us=segments[2].start_us, end_us=segments[4].end_us)
    assert (part.first_seq, part.last_seq) == (2, 4)
    assert [clip.seal for clip in sent([part], tmp_path / "out").clips] == ["sealed as filmed"]


def test_one_bundle_may_hold_both(tmp_path: Path) -> None:
    """A camera whose codec was changed between two clips can share both."""
    opened = sent([opened_by_owner(codec) for codec in CODECS], tmp_path / "out")
    assert [clip.seal for clip in opened.clips] == ["sealed as filmed"] * 2


@pytest.mark.parametrize("codec", CODECS)
def test_other_pictures_are_noticed(codec: Codec, tmp_path: Path) -> None:
    """A bit of a picture, of the record or of the size, flipped after capture: the clip is altered."""
    clip = opened_by_owner(codec)
    config = coded(codec=codec)[0].config
    record_at = clip.mp4.index(config.extradata)
    last = len(clip.mp4) - 1
    for number, (at, bit) in enumerate([(last - 20, 0), (record_at + 1, 2), (record_at + 2, 0), (last, 7)]):
        changed = bytearray(clip.mp4)
        changed[at] ^= 1 << bit
        opened = sent([replace(clip, mp4=bytes(changed))], tmp_path / str(number))
        assert opened.clips[0].seal == "altered", (at, bit)
