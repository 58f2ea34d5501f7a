"""Opening bundles: what is sound is verified, what is not is told file by file, what is damaged gives nothing."""

import hashlib
import json
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pyrage
import pytest

from broker.agency import AgencyError, BundleError, open_bundle
from broker.wire.encoding import to_base64
from broker.wire.envelopes import public_bytes
from broker.wire.records import SegmentStatement
from tests.agency.support import (
    BundleMaker,
    Film,
    TinyLog,
    film,
    flip,
    key_of,
    make_request,
)
from tests.conftest import need


def notes(maker: BundleMaker, out: Path) -> dict[str, str]:
    """Return name -> note of every file that is not verified."""
    return {report.name: report.note for report in maker.open(out).files if not report.verified}


def test_a_sound_bundle(maker: BundleMaker, tmp_path: Path) -> None:
    """Every file is verified, the clip sealed as filmed, and the files are the sender's, private."""
    opened = maker.open(tmp_path / "out")
    assert opened.verified
    assert {report.name: report.note for report in opened.files} == {
        "clip-1.mp4": "sealed as filmed",
        "request.dsse.json": "verified",
        "request.tlog-proof": "verified",
        "segments.json": "verified",
        "release.dsse.json": "verified",
    }
    for name, data in maker.files().items():
        file = opened.folder / name
        assert file.read_bytes() == data
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(opened.folder.stat().st_mode) == 0o700
    (clip,) = opened.clips
    assert (clip.start_us, clip.end_us, clip.seal) == (maker.films[0].clip.start, maker.films[0].clip.end, clip.seal)


def test_several_clips_and_shapes(maker: BundleMaker, tmp_path: Path) -> None:
    """Segments of several groups, a gap in the film, and more than one clip are all sealed as filmed."""
    maker.films = [
        film(),
        film(file="clip-2.mp4", gops_per_segment=2),
        film(file="clip-3.mp4", gap_us=730_001),
        film(file="clip-10.mp4", gops=1),
    ]
    opened = maker.open(tmp_path / "out")
    assert opened.verified
    assert [clip.seal for clip in opened.clips] == ["sealed as filmed"] * 4


BLURRED = ("blurred: 1 face",)


def derived(mp4: bytes, source: Film, **changes: object) -> Film:
    """A clip that its release calls changed."""
    return Film(mp4, source.statements, source.clip.model_copy(update={"transformations": BLURRED, **changes}))


def test_a_derived_clip(maker: BundleMaker, tmp_path: Path) -> None:
    """A clip that the release calls changed is reported derived, with the reasons; its pictures are not vouched for."""
    first = maker.films[0]
    maker.films = [derived(film(gops=2).mp4, first)]
    opened = maker.open(tmp_path / "out")
    assert opened.verified
    (clip,) = opened.clips
    assert (clip.seal, clip.transformations) == ("derived", BLURRED)
    assert clip.note.startswith("blurred: 1 face. Said to be made from segments 100 to ")
    assert clip.note.endswith("its pictures can't be checked against them")


def test_a_derived_clip_claims_no_time_that_its_segments_do_not_show(maker: BundleMaker, tmp_path: Path) -> None:
    """Its range lies within theirs, its film within its range; else it proves nothing, or is altered."""
    first, short = maker.films[0], film(gops=1)
    start, end = first.clip.start, first.clip.end
    cases: list[tuple[Film, str, str]] = [
        (derived(short.mp4, first, start=start + 900_000, end=end - 100_000), "derived", "blurred"),
        (derived(short.mp4, first, start=start - 2_000_000), "unproven", "segments don't show"),
        (derived(short.mp4, first, end=end + 2_000_000), "unproven", "segments don't show"),
        (derived(short.mp4, first, end=start), "unproven", "segments don't show"),
        (derived(short.mp4, first, first_seq=101), "unproven", "names segments"),
        (derived(first.mp4, first, end=start + 500_000), "altered", "longer than the time"),
        (derived(b"no mp4", first), "altered", "does not read"),
    ]
    for number, (bent_film, seal, said) in enumerate(cases):
        maker.films = [bent_film]
        (clip,) = maker.open(tmp_path / str(number)).clips
        assert (clip.seal, said in clip.note) == (seal, True), (number, clip)


def test_a_derived_clip_of_a_broken_chain_proves_nothing(maker: BundleMaker, tmp_path: Path) -> None:
    """What it was made from has to be the device's own film."""
    broken = film(bend=bent(prev="1" * 64))
    maker.films = [derived(broken.mp4, broken)]
    assert maker.open(tmp_path / "out").clips[0].seal == "unproven"


def test_rings_are_told_and_must_be_shown(maker: BundleMaker, tmp_path: Path) -> None:
    """When the bell rang, by the device's word; a release that tells of a ring outside its clips is not believed."""
    start = maker.films[0].clip.start
    maker.release_changes = {"rings": (start, start + 700_000)}
    opened = maker.open(tmp_path / "told")
    assert opened.verified
    assert opened.rings == (start, start + 700_000)
    maker.release_changes = {"rings": (maker.films[0].clip.end,)}
    opened = maker.open(tmp_path / "outside")
    assert opened.release is None
    assert opened.rings == ()
    maker.release_changes = {}
    assert maker.open(tmp_path / "untold").rings == ()


@pytest.mark.parametrize("resigned", [False, True])
def test_one_altered_byte_of_a_picture(maker: BundleMaker, tmp_path: Path, resigned: bool) -> None:
    """A clip with one altered byte is altered: by the release's digest, or by the capture chain if that was renewed."""
    first = maker.films[0]
    changed = flip(first.mp4, len(first.mp4) // 2)
    if resigned:
        maker.films = [Film(changed, first.statements, first.clip)]
    else:
        maker.swapped["clip-1.mp4"] = changed
    opened = maker.open(tmp_path / "out")
    assert not opened.verified
    assert opened.clips[0].seal == "altered"
    said = {report.name: report.note for report in opened.files if not report.verified}
    assert list(said) == ["clip-1.mp4"]
    assert said["clip-1.mp4"].startswith("altered")


def test_pictures_that_are_missing_or_moved(maker: BundleMaker, tmp_path: Path) -> None:
    """A clip that ends early, goes on too long, or leaves out a gap of its film is altered."""
    whole, short, gap = film(), film(gops=3), film(gap_us=730_000)
    for number, (mp4, source) in enumerate(
        [(short.mp4, whole), (whole.mp4, short), (whole.mp4, gap), (gap.mp4, whole), (b"no mp4", whole), (b"", whole)]
    ):
        maker.films = [Film(mp4, source.statements, source.clip)]
        opened = maker.open(tmp_path / str(number))
        assert opened.clips[0].seal == "altered", opened.clips[0]


def bent(**changes: object) -> Callable[[int, SegmentStatement], SegmentStatement]:
    """Falsify the third statement."""
    return lambda at, statement: statement.model_copy(update=changes) if at == 2 else statement


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (film(bend=bent(seq=999)), "followed by"),
        (film(bend=bent(prev="1" * 64)), "does not name"),
        (film(bend=bent(device="garage")), "garage"),
        (film(bend=bent(camera="side")), "side"),
        (film(bend=bent(start=0)), "backwards"),
        (film(signer=key_of("another device")), "signed by key"),
    ],
)
def test_broken_chains(maker: BundleMaker, tmp_path: Path, broken: Film, said: str) -> None:
    """Statements that don't make one chain of the device's prove nothing, and the report says where they break."""
    maker.films = [broken]
    opened = maker.open(tmp_path / "out")
    assert opened.clips[0].seal == "unproven"
    assert said in opened.clips[0].note


def test_a_statement_of_other_pictures(maker: BundleMaker, tmp_path: Path) -> None:
    """A sound chain whose third digest is another picture's makes the clip altered there."""
    maker.films = [film(bend=bent(sha256="0" * 64))]
    opened = maker.open(tmp_path / "out")
    assert (opened.clips[0].seal, "102" in opened.clips[0].note) == ("altered", True)


def test_clip_and_statements_of_other_times(maker: BundleMaker, tmp_path: Path) -> None:
    """A release that claims another time or other segments than were signed at capture is not believed."""
    first = maker.films[0]
    for number, changes in enumerate(
        [
            {"start": first.clip.start - 60_000_000},
            {"end": first.clip.end + 2_000},
            {"first_seq": 99},
            {"last_seq": 104},
        ]
    ):
        maker.films = [Film(first.mp4, first.statements, first.clip.model_copy(update=changes))]
        assert maker.open(tmp_path / str(number)).clips[0].seal == "unproven"


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b'{"clips": 1}',
        b'{"clips": [], "more": 1}',
        b'{"clips": []}',
        b'{"clips": [{"file": "clip-1.mp4"}]}',
        b'{"clips": [{"file": "clip-1.mp4", "segments": [1]}]}',
        b'{"clips": [{"file": "clip-1.mp4", "segments": ["!"]}]}',
        b'{"clips": [{"file": "clip-1.mp4", "segments": []}, {"file": "clip-1.mp4", "segments": []}]}',
        b"[" * 10_000,
    ],
)
def test_odd_segments(maker: BundleMaker, tmp_path: Path, text: bytes) -> None:
    """Without statements that parse a clip is unproven; nothing crashes."""
    maker.extra["segments.json"] = text
    opened = maker.open(tmp_path / "out")
    assert opened.clips[0].seal == "unproven"
    assert not opened.verified


def test_missing_and_unnamed_files(maker: BundleMaker, tmp_path: Path) -> None:
    """What is missing is said to be, and what the release does not name is not verified."""
    for number, name in enumerate(maker.files()):
        maker.left_out = {name}
        assert notes(maker, tmp_path / str(number))[name] == "missing"
    maker.left_out = set()
    maker.swapped["clip-2.mp4"] = b"not named"
    assert notes(maker, tmp_path / "more") == {"clip-2.mp4": "not named by the release"}


def test_another_request(maker: BundleMaker, tmp_path: Path) -> None:
    """A request envelope that is not ours, and a proof of another log, are told."""
    other = make_request(maker.folder.recipient(), case="26-0002").sign(maker.folder.signing_key())
    maker.extra["request.dsse.json"] = other
    assert set(notes(maker, tmp_path / "request")) == {"request.dsse.json", "request.tlog-proof"}
    del maker.extra["request.dsse.json"]
    theirs = TinyLog(key_of("another log"))
    maker.extra["request.tlog-proof"] = theirs.proof(theirs.add(maker.request))
    assert set(notes(maker, tmp_path / "proof")) == {"request.tlog-proof"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"request": "0" * 64}, "another request"),
        ({"recipient": str(pyrage.x25519.Identity.generate().to_public())}, "another recipient"),
        ({"device_key": public_bytes(key_of("another device"))}, "signed by key"),
        ({"files": ()}, "files"),
    ],
)
def test_releases_that_are_not_believed(
    maker: BundleMaker, tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    """A release for another request or recipient, or not signed by the key it names, makes nothing verified."""
    maker.release_changes = changes
    opened = maker.open(tmp_path / "out")
    assert opened.release is None
    assert not any(report.verified for report in opened.files)
    assert said in {report.name: report.note for report in opened.files}["release.dsse.json"]


def test_a_release_signed_by_another_device(maker: BundleMaker, tmp_path: Path) -> None:
    """Another device can release the bytes under its own name, but not make the capture chain its own."""
    maker.device_key = key_of("another device")
    opened = maker.open(tmp_path / "out")
    assert opened.clips[0].seal == "unproven"
    assert not opened.verified


def test_damaged_bundles_give_nothing(maker: BundleMaker, tmp_path: Path) -> None:
    """Cut anywhere, or with any bit flipped, a bundle raises, and not a byte of it stays on the disk."""
    sealed = maker.sealed()
    cuts = {0, 1, 100, 200, len(sealed) // 2, len(sealed) - 1, 65_536 + 216, len(sealed) - 16}
    damaged = [sealed[:cut] for cut in cuts if cut < len(sealed)]
    damaged += [flip(sealed, at, 3) for at in range(0, len(sealed), 3_001)]
    damaged += [sealed + b"x", b"age-encryption.org/v1\n", b"", b"-----BEGIN AGE ENCRYPTED FILE-----\n"]
    before = sorted(tmp_path.rglob("*"))
    for data in damaged:
        with pytest.raises(BundleError):
            maker.open(tmp_path / "out", data)
    assert sorted(tmp_path.rglob("*")) == before


def test_digest_before_use(maker: BundleMaker, tmp_path: Path) -> None:
    """Where the digest is known, other bytes are not even decrypted."""
    sealed = maker.sealed()
    path = tmp_path / "bundle.age"
    path.write_bytes(sealed)
    keys = {"request_leaf": maker.leaf, "policy": maker.policy}
    with pytest.raises(BundleError, match="digest"):
        open_bundle(path, maker.folder.identity(), tmp_path / "out", sha256="0" * 64, **keys)  # type: ignore[arg-type]
    digest = hashlib.sha256(sealed).hexdigest()
    opened = open_bundle(path, maker.folder.identity(), tmp_path / "out", sha256=digest, **keys)  # type: ignore[arg-type]
    assert (opened.verified, opened.sha256) == (True, digest)


def test_where_it_opens(maker: BundleMaker, tmp_path: Path) -> None:
    """A bundle opens into a new folder only; another key and no key are told; an earlier crash is cleared away."""
    (tmp_path / "there").mkdir()
    with pytest.raises(BundleError, match="already"):
        maker.open(tmp_path / "there")
    with pytest.raises(BundleError, match="cannot be read"):
        open_bundle(
            tmp_path / "none.age",
            maker.folder.identity(),
            tmp_path / "out",
            request_leaf=maker.leaf,
            policy=maker.policy,
        )
    stranger = str(pyrage.x25519.Identity.generate())
    for identity, error in ((stranger, BundleError), ("AGE-SECRET-KEY-1NONE", AgencyError)):
        with pytest.raises(error):
            open_bundle(maker.sealed(), identity, tmp_path / "out", request_leaf=maker.leaf, policy=maker.policy)
    (tmp_path / ".out.opening").mkdir()
    (tmp_path / ".out.opening" / "clip-1.mp4").write_bytes(b"from before")
    assert maker.open(tmp_path / "out").verified
    assert not (tmp_path / ".out.opening").exists()


def test_hostile_films(maker: BundleMaker, tmp_path: Path) -> None:
    """A playlist, or bits flipped from the file's index on, make a clip altered, open no other file, crash nothing."""
    first = maker.films[0]
    hostile = [b"#EXTM3U\nfile:///etc/passwd\n", b"ffconcat version 1.0\nfile /etc/passwd\n"]
    index_at = first.mp4.index(b"moov")
    hostile += [flip(first.mp4, at, at % 8) for at in range(index_at, len(first.mp4), 97)]
    for number, mp4 in enumerate(hostile):
        maker.films = [Film(mp4, first.statements, first.clip)]
        opened = maker.open(tmp_path / str(number))
        assert opened.clips[0].seal in {"altered", "sealed as filmed"}
        if number < 2:
            assert opened.clips[0].seal == "altered"


@pytest.mark.age
def test_stock_tools_open_it_too(maker: BundleMaker, tmp_path: Path) -> None:
    """Debian's age and tar give the same files."""
    bundle = tmp_path / "bundle.age"
    bundle.write_bytes(maker.sealed())
    (tmp_path / "stock").mkdir()
    identity = maker.folder.path / "identity.txt"
    plain = subprocess.run([need("age"), "-d", "-i", identity, bundle], check=True, capture_output=True).stdout
    subprocess.run([need("tar"), "-x", "-C", tmp_path / "stock"], input=plain, check=True)
    opened = maker.open(tmp_path / "ours")
    stock = {path.name: path.read_bytes() for path in (tmp_path / "stock").iterdir()}
    assert stock == {path.name: path.read_bytes() for path in opened.folder.iterdir()}
    assert json.loads(stock["segments.json"])["clips"][0]["segments"][0] == to_base64(maker.films[0].statements[0])
