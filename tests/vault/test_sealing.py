"""Sealing: round trips, refusals, and the stock age."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.vault.disk import write_secret
from device.vault.errors import SealError
from device.vault.sealing import check_recipient, new_identity, recipient_of, seal, unseal
from tests.conftest import need
from tests.vault.support import IDENTITY, RECIPIENT

BIG = bytes(range(256)) * 800  # more than three of age's 64 KiB chunks
SEALED = seal(BIG, [RECIPIENT])


@given(st.binary(max_size=300))
@settings(deadline=None)
def test_round_trip(plaintext: bytes) -> None:
    """What is sealed opens, for each of several recipients, and shows nothing of itself."""
    other = new_identity()
    sealed = seal(plaintext, [RECIPIENT, recipient_of(other)])
    assert unseal(sealed, IDENTITY) == unseal(sealed, other) == plaintext
    assert len(plaintext) < 8 or plaintext not in sealed[sealed.index(b"\n---") :]


@given(st.integers(0, len(SEALED) - 1))
@settings(max_examples=60, deadline=None)
def test_cut_file_yields_no_plaintext(length: int) -> None:
    """Wherever it is cut, also between age's chunks, an error comes and not a byte."""
    with pytest.raises(SealError):
        unseal(SEALED[:length], IDENTITY)


@pytest.mark.parametrize("chunks", [1, 2, 3])
def test_cut_at_a_chunk_yields_no_plaintext(chunks: int) -> None:
    """Cut exactly behind a whole chunk, which authenticates by itself, it does not open either."""
    header = len(SEALED) - len(BIG) - 16 * 4  # four chunks, each with its tag
    with pytest.raises(SealError):
        unseal(SEALED[: header + chunks * (64 * 1024 + 16)], IDENTITY)


@given(st.integers(0, len(SEALED) - 1), st.integers(1, 255))
@settings(max_examples=60, deadline=None)
def test_altered_file_yields_no_plaintext(place: int, flip: int) -> None:
    """One altered byte anywhere, and it does not open."""
    data = bytearray(SEALED)
    data[place] ^= flip
    with pytest.raises(SealError):
        unseal(bytes(data), IDENTITY)


def test_what_follows_the_end_is_refused() -> None:
    """Bytes behind the end are no part of the file, and make it a different one."""
    with pytest.raises(SealError):
        unseal(SEALED + b"x", IDENTITY)


def test_wrong_keys_are_said_so() -> None:
    """Another's key, noise for a key, no recipient: each its line."""
    with pytest.raises(SealError, match="another key"):
        unseal(SEALED, new_identity())
    with pytest.raises(SealError, match="not an age X25519 secret key"):
        unseal(SEALED, "AGE-SECRET-KEY-1QQQ")
    with pytest.raises(SealError, match="no recipient"):
        seal(b"x", [])
    with pytest.raises(SealError, match="age1"):
        seal(b"x", ["age1nonsense"])
    with pytest.raises(SealError, match="not an age file"):
        unseal(b"plain", IDENTITY)
    with pytest.raises(SealError):
        recipient_of("nonsense")


def test_recipients_have_one_spelling() -> None:
    """A recipient is taken in lower case only, so that a key in an approval can be compared as text."""
    assert check_recipient(RECIPIENT) == RECIPIENT
    for wrong in (RECIPIENT.upper(), RECIPIENT + " ", RECIPIENT[:-1], ""):
        with pytest.raises(SealError):
            check_recipient(wrong)


@pytest.mark.age
def test_stock_age_opens_what_we_seal(tmp_path: Path) -> None:
    """Debian's age and ours open each other's files."""
    age = need("age")
    write_secret(tmp_path / "id", f"{IDENTITY}\n".encode())
    opened = subprocess.run([age, "-d", "-i", tmp_path / "id"], input=SEALED, capture_output=True, check=True).stdout
    assert opened == BIG
    sealed = subprocess.run([age, "-r", RECIPIENT], input=BIG, capture_output=True, check=True).stdout
    assert unseal(sealed, IDENTITY) == BIG
