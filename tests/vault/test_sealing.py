"""Sealing: round trips, refusals, and the stock age."""

import os
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.vault.agefile import CHUNK_BYTES as CHUNK
from device.vault.agefile import encrypt, recipient_key
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


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK - 1])
def test_every_size_opens(size: int) -> None:
    """Around the ends of age's chunks, and with nothing inside, pyrage opens what we seal, and its length is known."""
    plaintext = os.urandom(size)
    sealed = seal(plaintext, [RECIPIENT])
    assert unseal(sealed, IDENTITY) == plaintext
    chunks = max(1, -(-size // CHUNK))
    assert len(sealed) == len(seal(b"", [RECIPIENT])) + size + 16 * (chunks - 1)


@pytest.mark.age
@given(st.integers(0, 3 * CHUNK), st.integers(1, 3))
@settings(max_examples=12, deadline=None)
def test_stock_age_opens_any_size(size: int, recipients: int) -> None:
    """Any size, for any one of several recipients, opens with the stock age."""
    age = need("age")
    plaintext = os.urandom(size)
    others = [recipient_of(new_identity()) for _ in range(recipients - 1)]
    with tempfile.NamedTemporaryFile("w") as key:
        key.write(IDENTITY)
        key.flush()
        sealed = seal(plaintext, [*others, RECIPIENT])
        opened = subprocess.run([age, "-d", "-i", key.name], input=sealed, capture_output=True, check=True).stdout
    assert opened == plaintext


def test_no_two_files_are_alike() -> None:
    """The same plaintext sealed twice shares nothing but the first line: keys, shares and nonces are made for each."""
    one, other = seal(BIG, [RECIPIENT]), seal(BIG, [RECIPIENT])
    lines = [set(sealed.split(b"---")[0].splitlines()[1:]) for sealed in (one, other)]
    assert not lines[0] & lines[1]
    assert one[-100:] != other[-100:]


@given(st.integers(len("age1"), 61), st.sampled_from("qpzry9x8gf2tvdw0s3jn54khce6mua7l"))
def test_recipient_is_read_as_age_reads_it(place: int, char: str) -> None:
    """The key in a recipient is what its identity stands for; one wrong letter anywhere, and there is none."""
    wrong = RECIPIENT[:place] + char + RECIPIENT[place + 1 :]
    if wrong != RECIPIENT:
        with pytest.raises(SealError, match="checksum"):
            check_recipient(wrong)
        with pytest.raises(SealError):
            seal(b"x", [wrong])
    assert len(recipient_key(RECIPIENT)) == 32


def test_point_that_shares_no_secret_is_refused() -> None:
    """A recipient of all zeros would make the file readable by everyone: it is no recipient."""
    with pytest.raises(ValueError, match=r"."):
        encrypt(b"x", [bytes(32)])


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
