"""The tar of a bundle: plain files with known names are read, everything else is refused before a byte is written."""

import io
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.agency import BundleError
from broker.agency.tarball import BLOCK, copy_member, read_members
from tests.agency.support import BundleMaker, flip, make_tar, seal

NAMES = ("clip-1.mp4", "clip-10.mp4", "request.dsse.json", "request.tlog-proof", "segments.json", "release.dsse.json")


def read(data: bytes) -> dict[str, bytes]:
    tar = io.BytesIO(data)
    return {member.name: b"".join(copy_member(tar, member)) for member in read_members(tar, len(data))}


def one(name: str = "clip-1.mp4", data: bytes = b"abc", form: int = tarfile.USTAR_FORMAT, **fields: object) -> bytes:
    """Return a tar of one member, some of its fields bent."""
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w", format=form) as tar:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        for field, value in fields.items():
            setattr(member, field, value)
        tar.addfile(member, io.BytesIO(data) if member.isreg() else None)
    return memory.getvalue()


def resummed(header: bytes) -> bytes:
    """Return a header with its checksum set right."""
    blank = header[:148] + b" " * 8 + header[156:BLOCK]
    return blank[:148] + b"%06o\x00 " % sum(blank) + blank[156:]


def patched(at: int, value: bytes) -> bytes:
    """Return a one-file tar whose header has `value` at `at`."""
    data = one()
    header = data[:at] + value + data[at + len(value) : BLOCK]
    return resummed(header) + data[BLOCK:]


@given(st.dictionaries(st.sampled_from(NAMES), st.binary(max_size=1_100)))
def test_round_trip(files: dict[str, bytes]) -> None:
    """What tarfile packs as ustar is read as it was."""
    assert read(make_tar(files)) == files


def test_other_writers() -> None:
    """GNU's and pax's formats are read too where they need none of their extensions."""
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        assert read(one(form=form)) == {"clip-1.mp4": b"abc"}


ATTACKS: dict[str, Callable[[], bytes]] = {
    "absolute path": lambda: one("/clip-1.mp4"),
    "parent": lambda: one("../clip-1.mp4"),
    "folder": lambda: one("a/clip-1.mp4"),
    "dot": lambda: one("./clip-1.mp4"),
    "other name": lambda: one("evil.sh"),
    "clip-0": lambda: one("clip-0.mp4"),
    "clip-100": lambda: one("clip-100.mp4"),
    "upper case": lambda: one("CLIP-1.mp4"),
    "newline": lambda: one("clip-1.mp4\n"),
    "no name": lambda: patched(0, bytes(100)),
    "name behind a zero": lambda: patched(11, b"x"),
    "prefix": lambda: patched(345, b"../.."),
    "symlink": lambda: one(type=tarfile.SYMTYPE, linkname="/etc/passwd", size=0),
    "hard link": lambda: one(type=tarfile.LNKTYPE, linkname="/etc/passwd", size=0),
    "link name on a file": lambda: patched(157, b"/etc/passwd"),
    "device": lambda: one(type=tarfile.BLKTYPE, devmajor=8, devminor=1, size=0),
    "terminal": lambda: one(type=tarfile.CHRTYPE, size=0),
    "pipe": lambda: one(type=tarfile.FIFOTYPE, size=0),
    "directory": lambda: one(type=tarfile.DIRTYPE, size=0),
    "contiguous": lambda: one(type=tarfile.CONTTYPE),
    "gnu sparse": lambda: patched(156, b"S"),
    "gnu long name": lambda: one("x" * 200, form=tarfile.GNU_FORMAT),
    "pax header": lambda: one(form=tarfile.PAX_FORMAT, pax_headers={"path": "../clip-1.mp4"}),
    "pax time": lambda: one(form=tarfile.PAX_FORMAT, mtime=1.5),
    "pax global": lambda: patched(156, b"g"),
    "duplicate": lambda: one()[: 2 * BLOCK] + one(data=b"xyz"),
    "huge size": lambda: patched(124, b"77777777777\x00"),
    "base-256 size": lambda: patched(124, b"\x80" + bytes(10) + b"\x03"),
    "negative size": lambda: patched(124, b"-0000000003\x00"),
    "size with text": lambda: patched(124, b"0000000003x\x00"),
    "size beyond the end": lambda: patched(124, b"00000400000\x00"),
    "large envelope": lambda: one("request.dsse.json", bytes(70_000)),
    "bad checksum": lambda: flip(one(), 40),
    "no magic": lambda: patched(257, bytes(8)),
    "hidden padding": lambda: flip(one(), BLOCK + 100),
    "behind the end": lambda: flip(one(), len(one()) - 1),
    "no end": lambda: one()[: 2 * BLOCK],
    "half an end": lambda: one()[: 3 * BLOCK],
    "cut header": lambda: one()[:300],
    "cut data": lambda: one(data=bytes(2_000))[: 3 * BLOCK],
    "empty": lambda: b"",
    "zip": lambda: b"PK\x03\x04" + bytes(2_000),
    "many": lambda: make_tar({f"clip-{at}.mp4": b"" for at in range(1, 30)}),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_attacks(attack: str, maker: BundleMaker, tmp_path: Path) -> None:
    """A tar with anything that has no place in a bundle opens to nothing at all."""
    data = ATTACKS[attack]()
    with pytest.raises(BundleError):
        read(data)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(BundleError):
        maker.open(tmp_path / "out", seal(data, maker.folder.recipient()))
    assert sorted(tmp_path.rglob("*")) == before


@given(st.binary(max_size=2_000))
def test_noise(data: bytes) -> None:
    """Noise is refused, never crashed on."""
    with pytest.raises(BundleError):
        read(data + struct.pack(">I", 1))


@given(st.integers(0, 3 * BLOCK - 1), st.integers(0, 7))
def test_any_flipped_bit(at: int, bit: int) -> None:
    """One bit flipped anywhere is refused, or shows as other bytes of the same file."""
    changed = flip(one(), at, bit)
    if BLOCK <= at < BLOCK + 3:
        assert list(read(changed)) == ["clip-1.mp4"]
        assert read(changed)["clip-1.mp4"] != b"abc"
    else:
        with pytest.raises(BundleError):
            read(changed)
