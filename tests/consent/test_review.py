"""The owner's side: cutting at segment bounds, opening, and what a damaged or foreign segment does."""

import io
import tarfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.wire.records import Approval, Release, SegmentStatement
from broker.wire.rules import MINUTE_US
from broker.wire.segments import encode_segment, segment_digest
from device.consent.errors import ConsentError
from device.consent.redact import Choice
from device.consent.release import DeviceFacts, digests
from device.consent.review import SealedSegment, approve, cut, material, open_clip, prepare
from device.consent.trust import VerifiedRequest
from device.vault.keys import DeviceKey, OwnerKey
from device.vault.sealing import new_identity, recipient_of, seal, unseal
from device.video.codec.mux import read_mp4
from tests.consent.support import verified_of
from tests.simulators import NOW_US, NeighbourhoodSimulator, signing_key
from tests.video.support import coded, segments_of

OWNER = OwnerKey(new_identity(), signing_key(30))
KEY = DeviceKey.generate()
SEGMENTS = segments_of(coded(90))


def sealed(*, first_seq: int = 0, damage: int | None = None) -> list[SealedSegment]:
    """Return the film's segments as they lie in a ring; one of them damaged where told."""
    found = []
    for number, segment in enumerate(SEGMENTS):
        plaintext = encode_segment(
            codec="h264",
            width=segment.config.width, height=segment.config.height, extradata=segment.config.extradata,
            units=segment.units,
        )  # fmt: skip
        statement = SegmentStatement(
            device="porch", camera="main", seq=first_seq + number, start=segment.start_us,
            duration_us=segment.duration_us, sha256=segment_digest(plaintext), prev="0" * 64,
        )  # fmt: skip
        data = bytearray(seal(plaintext, [OWNER.public.recipient]))
        if number == damage:
            data[-1] ^= 1
        found.append(SealedSegment(statement.sign(KEY.signing), partial(bytes, data)))
    return found


def everything(segments: list[SealedSegment]) -> list[tuple[SegmentStatement, SealedSegment]]:
    """Return all of a clip's segments, as an uncut clip has them."""
    return cut(segments, device_key=KEY.public, start_us=0, end_us=1 << 62, limit_us=MINUTE_US)


def verified() -> VerifiedRequest:
    hood = NeighbourhoodSimulator()
    leaf, payload = hood.announced(start=SEGMENTS[0].start_us - MINUTE_US, end=SEGMENTS[-1].end_us + MINUTE_US)
    return verified_of(hood, payload, leaf=leaf)


@given(st.integers(-2_000_000, 8_000_000), st.integers(1, 8_000_000), st.integers(900_000, 8_000_000))
def test_a_cut_shows_the_range_whole_segments_and_no_more_than_the_limit(start: int, length: int, limit: int) -> None:
    """Every chosen segment shows some of the range; they follow one another; all in all they keep the limit."""
    base = SEGMENTS[0].start_us
    chosen = cut(sealed(), device_key=KEY.public, start_us=base + start, end_us=base + start + length, limit_us=limit)
    statements = [statement for statement, _ in chosen]
    assert all(after.seq == before.seq + 1 for before, after in pairwise(statements))
    for one in statements:
        assert one.start < base + start + length
        assert one.start + one.duration_us > base + start
    if len(statements) > 1:
        assert statements[-1].start + statements[-1].duration_us - statements[0].start <= limit


def test_a_statement_of_another_device_is_refused() -> None:
    """A segment that somebody else signed can't slip into a clip."""
    with pytest.raises(ConsentError, match="not this device's"):
        cut(sealed(), device_key=DeviceKey.generate().public, start_us=0, end_us=1 << 62, limit_us=MINUTE_US)


def test_the_clip_is_the_film_packet_for_packet() -> None:
    """What is opened and put into an MP4 has the very access units that were filmed."""
    clip = open_clip(everything(sealed()), OWNER.identity)
    _, units = read_mp4(clip.mp4)
    assert [unit.data for unit in units] == [unit.data for segment in SEGMENTS for unit in segment.units]
    assert (clip.start_us, clip.end_us) == (SEGMENTS[0].start_us, SEGMENTS[-1].end_us)
    assert (clip.first_seq, clip.last_seq) == (0, len(SEGMENTS) - 1)


def test_a_damaged_segment_is_named_and_the_rest_can_be_shared() -> None:
    """One flipped byte: that segment is refused by its number, and a cut around it opens."""
    segments = sealed(damage=2)
    with pytest.raises(ConsentError, match="segment 2 is damaged"):
        open_clip(everything(segments), OWNER.identity)
    before = cut(segments, device_key=KEY.public, start_us=0, end_us=SEGMENTS[1].end_us - 1, limit_us=MINUTE_US)
    assert open_clip(before, OWNER.identity).last_seq == 1


def test_another_owners_key_opens_nothing() -> None:
    """Only the key to which it was sealed opens a segment."""
    stranger = OwnerKey(new_identity(), signing_key(31))
    with pytest.raises(ConsentError, match="can't be shared"):
        open_clip(everything(sealed()), stranger.identity)


def test_swapped_plaintext_is_noticed() -> None:
    """Bytes that are sealed to the owner but are not what the device signed are refused."""
    segments = sealed()
    swapped = SealedSegment(segments[0].statement, segments[1].read)
    with pytest.raises(ConsentError, match="not what the device signed"):
        open_clip(everything([swapped]), OWNER.identity)


def test_the_bundle_opens_to_what_the_approval_names() -> None:
    """The sealed bundle is a tar of exactly the files whose digests the approval lists, in a fixed form."""
    request = verified()
    agency = new_identity()
    clip = open_clip(everything(sealed()), OWNER.identity)
    facts = DeviceFacts(name="porch", key=KEY.public, camera="main", kind="doorbell")
    releases: list[Release] = []

    def sign(release: Release) -> bytes:
        releases.append(release)
        return release.sign(KEY.signing)

    to_agency = replace(request, request=request.request.model_copy(update={"recipient": recipient_of(agency)}))
    bundle = prepare(to_agency, facts, [clip], sign_release=sign, now_us=NOW_US)
    with tarfile.open(fileobj=io.BytesIO(unseal(bundle.sealed, agency))) as archive:
        members = archive.getmembers()
        assert all(member.isreg() and member.mtime == 0 and member.uid == 0 for member in members)
        files = {member.name: archive.extractfile(member).read() for member in members}  # type: ignore[union-attr]
    assert list(files) == [
        "clip-1.mp4",
        "request.dsse.json",
        "request.tlog-proof",
        "segments.json",
        "release.dsse.json",
    ]
    assert bundle.files == digests(files)
    assert {file.name for file in releases[0].files} == set(files) - {"release.dsse.json"}
    envelope = approve(bundle, to_agency, device="porch", owner=OWNER, now_us=NOW_US)
    approval = Approval.open(envelope, key=OWNER.public.verify_key)
    assert (approval.bundle_sha256, approval.files) == (bundle.sha256, bundle.files)


def test_more_clips_than_a_share_holds_are_refused() -> None:
    """Ten clips are the most."""
    clip = open_clip(everything(sealed()), OWNER.identity)
    facts = DeviceFacts(name="porch", key=KEY.public, camera="main", kind="doorbell")
    with pytest.raises(ConsentError, match="at most 10 clips"):
        prepare(verified(), facts, [clip] * 11, sign_release=lambda release: release.sign(KEY.signing), now_us=NOW_US)


FACTS = DeviceFacts(name="porch", key=KEY.public, camera="main", kind="doorbell")


@pytest.mark.parametrize(
    "lie",
    [
        lambda release: replace_in(release, rings=(release.clips[0].start,)).sign(KEY.signing),
        lambda release: replace_in(release, made_at=release.made_at + 1).sign(KEY.signing),
        lambda release: release.sign(signing_key(31)),
        lambda release: release.sign(KEY.signing) + b" ",
        lambda _: b"{}",
    ],
)
def test_the_device_may_sign_what_was_shown_and_not_a_byte_besides(lie: Callable[[Release], bytes]) -> None:
    """What it answers goes into the bundle that the owner approves: it is compared, not trusted."""
    clip = open_clip(everything(sealed()), OWNER.identity)
    with pytest.raises(ConsentError, match="sign"):
        prepare(verified(), FACTS, [clip], sign_release=lie, now_us=NOW_US)


def replace_in(release: Release, **changes: object) -> Release:
    return release.model_copy(update=changes)


def test_a_cut_where_nothing_was_filmed_is_a_cut_at_the_pictures() -> None:
    """In a gap between two segments a range begins and ends with what there is, and stays sealed."""
    parts = everything(sealed())
    last, moved = parts[-1]
    later = last.model_copy(update={"start": last.start + 3_000_000})
    gap = [*parts[:-1], (later, moved)]
    ends_us = parts[-2][0].start + parts[-2][0].duration_us
    before = material(gap, Choice(parts[0][0].start, ends_us + 1_000_000), identity=OWNER.identity)
    assert (before.start_us, before.end_us, before.transformations) == (parts[0][0].start, ends_us, ())
    with pytest.raises(ConsentError, match="nothing of this clip"):
        material(gap, Choice(ends_us, later.start), identity=OWNER.identity)
    with pytest.raises(ConsentError, match="beyond"):
        material(gap, Choice(parts[0][0].start - 1, ends_us), identity=OWNER.identity)
